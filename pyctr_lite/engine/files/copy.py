"""`cp` and `export`: files between a container and the host, by Docker's rules of what lands where.

One rule for both directions: `_destination` resolves where a copy lands, links included, to the descriptor of a
directory and a name in it, and only those are used then. In a container all of that goes below its root.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from pyctr_lite import linux
from pyctr_lite.engine.files import root as container_root
from pyctr_lite.engine.files import tree_archive, tree_unpack
from pyctr_lite.errors import BrokenArchive, InvalidArgument, NotFound, PyctrError
from pyctr_lite.linux import mountinfo
from pyctr_lite.rootfs import target

if TYPE_CHECKING:
    from pyctr_lite.commit.stream import Writable
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.rootfs.tar import Readable

Watch = Callable[["Readable"], "Readable"]
Look = Callable[[str, int], int]
_MOST_LINKS = 40
_KERNELS = frozenset("proc sysfs cgroup cgroup2 devpts mqueue debugfs tracefs securityfs bpf binfmt_misc".split())
"""File systems whose files are answers of the kernel, not content."""


class Source:
    """What is copied: a descriptor (O_PATH) of it, and how it was asked for. Closed by `close`."""

    def __init__(self, fd: int, path: str) -> None:
        self.fd = fd
        self.is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        self.contents = os.path.basename(path) == "." or os.path.normpath("/" + path) == "/"
        self.name = os.path.basename(os.path.normpath(path))
        if _asks_for_directory(path) and not self.is_directory:
            os.close(fd)
            raise InvalidArgument("not a directory", path)

    def add_to(self, archive: tree_archive.TreeArchive, name: str) -> None:
        """Add it to an archive under a name, or what is in it where that is ""."""
        if name:
            archive.add_top(self.fd, os.fsencode(name))
        else:
            archive.add_contents(self.fd)
        archive.finish()


def export(container: Container, output: Writable) -> None:
    """Write the container's root file system as a tar stream, without what is mounted in it."""
    with container_root.opened(container, mounts=False) as root_fd:
        archive = tree_archive.TreeArchive(output, id_range=container_root.id_range(container))
        archive.add_contents(root_fd)
        archive.finish()


def to_stream(container: Container, path: str, output: Writable, *, follow: bool = False) -> None:
    """Write what a container has at a path as a tar stream. Fails with NotFound."""
    with container_root.opened(container, mounts=True) as root_fd:
        source, closed = _inside(container, root_fd, path, follow)
        try:
            archive = tree_archive.TreeArchive(output, closed, id_range=container_root.id_range(container))
            source.add_to(archive, "." if source.contents else source.name)
        finally:
            os.close(source.fd)


def from_stream(container: Container, stream: Readable, path: str, *, archive: bool = False) -> int:
    """Unpack a tar stream into a directory of a container: the bytes of its files."""
    with container_root.opened(container, mounts=True) as root_fd:
        try:
            base = target.open_in_root(root_fd, path, os.O_PATH | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(
                f"Could not find the file {path} in container {container.name}", "it is to be a directory"
            ) from None
        try:
            unpacker = _unpacker(container, root_fd, base, path, archive)
            unpacker.unpack(stream)
            return unpacker.bytes
        finally:
            os.close(base)


def out(
    container: Container,
    path: str,
    destination: str,
    *,
    archive: bool = False,
    follow: bool = False,
    watch: Watch = lambda stream: stream,
) -> tree_unpack.Unpacker:
    """Copy from a container to the host; with `archive` owners and setuid bits too. What was unpacked, and how.

    `watch` gives the stream that is read instead, for one to see how far it is.
    """
    _check_output_path(destination)
    with container_root.opened(container, mounts=True) as root_fd:
        source, closed = _inside(container, root_fd, path, follow)
        try:
            try:
                base, base_path, name = _destination(_open, os.path.abspath(destination), destination, source)
            except (FileNotFoundError, NotADirectoryError) as error:
                where = os.path.normpath(str(error.filename))
                raise NotFound(f"stat {where}: {str(error.strerror).lower()}") from None
            owner = None if archive else (os.geteuid(), os.getegid())
            unpacker = tree_unpack.Unpacker(base, base_path, owner=owner)
            try:
                _transfer(source, name, closed, unpacker, watch, container_root.id_range(container))
            finally:
                os.close(base)
            return unpacker
        finally:
            os.close(source.fd)


def into(
    container: Container,
    path: str,
    destination: str,
    *,
    archive: bool = False,
    follow: bool = False,
    watch: Watch = lambda stream: stream,
) -> tree_unpack.Unpacker:
    """Copy from the host into a container; with `archive` owners too. What was unpacked, and how."""
    nofollow = 0 if follow or _asks_for_directory(path) else os.O_NOFOLLOW
    try:
        source = Source(os.open(path, os.O_PATH | nofollow | os.O_CLOEXEC), path)
    except FileNotFoundError:
        raise NotFound(f"lstat {os.path.abspath(path)}: no such file or directory") from None
    except NotADirectoryError:
        raise InvalidArgument("not a directory", path) from None
    try:
        with container_root.opened(container, mounts=True) as root_fd:
            look = partial(target.open_in_root, root_fd)
            try:
                base, base_path, name = _destination(look, _rooted(destination), destination, source)
            except FileNotFoundError as error:
                where = f"{error.filename} in container {container.name}"
                raise NotFound(f"Could not find the file {where}") from None
            except NotADirectoryError as error:
                raise InvalidArgument("extraction point is not a directory", str(error.filename)) from None
            unpacker = _unpacker(container, root_fd, base, base_path, archive)
            try:
                _transfer(source, name, (), unpacker, watch)
            finally:
                os.close(base)
            return unpacker
    finally:
        os.close(source.fd)


def _unpacker(container: Container, root_fd: int, base: int, path: str, archive: bool) -> tree_unpack.Unpacker:
    """What unpacks into a directory of a container."""
    owner, ids = None if archive else (0, 0), container_root.id_range(container)
    return tree_unpack.Unpacker(base, path, owner=owner, root=root_fd, id_range=ids)


def _inside(container: Container, root_fd: int, path: str, follow: bool) -> tuple[Source, set[int]]:
    """What a container has at a path, and the file systems in there that are not copied."""
    flags = linux.O_PATH if follow or _asks_for_directory(path) else linux.O_PATH | os.O_NOFOLLOW
    try:
        source = Source(target.open_in_root(root_fd, os.path.normpath("/" + path), flags), path)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"Could not find the file {path} in container {container.name}") from None
    mounts = mountinfo.mounts(container.state.Pid) if container.state.Pid else []
    kernels = {os.makedev(*item.device) for item in mounts if item.fstype in _KERNELS}
    if os.fstat(source.fd).st_dev in kernels:
        os.close(source.fd)
        raise InvalidArgument(
            f"{path} is the kernel's answer, not a file that could be copied",
            f"pyctr_lite exec {container.name} cat {path}",
        )
    return source, kernels | {os.makedev(*item.device) for item in mounts if item.mountpoint == "/dev"}


def _destination(look: Look, path: str, given: str, source: Source) -> tuple[int, str, str]:
    """Where a source lands: the descriptor (O_PATH) of a directory, its path, and the name that is made in it.

    That is "" for the directory itself: the source's contents land there. `look` opens a path, links followed;
    `path` is absolute, `given` as it was typed. A link at the end leads on, to something that is not there, too.
    Raises FileNotFoundError or NotADirectoryError with the path of what should be the directory.
    """
    asks = _asks_for_directory(given)
    while path.endswith(("/", "/.")) and path != "/":
        path = path[:-1].rstrip("/") or "/"
    text = path
    for _ in range(_MOST_LINKS):
        parent, name = os.path.split(text)
        directory = look(parent, os.O_PATH | os.O_DIRECTORY)
        try:
            if name in ("", ".", "..") or asks:
                try:
                    fd = look(text, os.O_PATH | os.O_DIRECTORY)
                except (FileNotFoundError, NotADirectoryError):
                    if name in ("", ".", ".."):
                        raise
                else:
                    return fd, text, "" if source.contents else source.name
            try:
                mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
            except FileNotFoundError:
                mode = 0
            if stat.S_ISLNK(mode) and not asks:
                text = os.path.join(parent, os.readlink(name, dir_fd=directory)).rstrip("/") or "/"
                continue
            if stat.S_ISDIR(mode):
                fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
                return fd, text, "" if source.contents else source.name
            _check_place(mode, given, source, asks)
            return os.dup(directory), parent, name
        finally:
            os.close(directory)
    raise InvalidArgument(f"stat {given}: too many levels of symbolic links")


def _check_place(mode: int, given: str, source: Source, asks: bool) -> None:
    """Check what is to be replaced, of this st_mode; 0 is for nothing."""
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise InvalidArgument(f'destination "{given}" must be a directory or a regular file', "it is a device")
    if asks and not source.is_directory:
        raise NotFound("no such directory", f"{given} is not one")
    if mode and source.is_directory and not asks:
        raise InvalidArgument("cannot copy directory", f"{given} is a file")


def _check_output_path(path: str) -> None:
    """Check a destination on the host before the container is looked at, as Docker's client does."""
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.exists(parent):
        raise NotFound(f'invalid output path: directory "{parent}" does not exist')
    try:
        os.stat(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InvalidArgument(f"stat {path}: {str(error.strerror).lower()}") from None


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC)


def _rooted(path: str) -> str:
    return "/" + path.lstrip("/")


def _asks_for_directory(path: str) -> bool:
    return path.endswith("/") or os.path.basename(path) == "."


def _transfer(
    source: Source,
    name: str,
    closed: Collection[int],
    unpacker: tree_unpack.Unpacker,
    watch: Watch,
    id_range: list[int] | None = None,
) -> None:
    """Pack in another thread what is unpacked in this one; `id_range` is of the source's owners."""
    failed: list[BaseException] = []
    reading, writing = os.pipe2(os.O_CLOEXEC)

    def feed() -> None:
        try:
            with open(writing, "wb") as pipe:
                source.add_to(tree_archive.TreeArchive(pipe, closed, id_range=id_range, zeros=0), name)
        except BaseException as error:
            failed.append(error)

    packer = threading.Thread(target=feed)
    packer.start()
    try:
        with open(reading, "rb", buffering=0) as pipe:
            unpacker.unpack(watch(pipe))
    except (PyctrError, OSError) as error:
        packer.join()
        if failed and isinstance(error, BrokenArchive) and not isinstance(failed[0], BrokenPipeError):
            raise failed[0] from None
        raise
    packer.join()
    if failed:
        raise failed[0]
