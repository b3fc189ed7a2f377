"""`cp` and `export`: files between a container and the host, by Docker's rules of what lands where."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from pyctr_lite import linux
from pyctr_lite.engine import container_root, tree_archive, tree_unpack
from pyctr_lite.errors import BrokenArchive, InvalidArgument, NotFound, PyctrError
from pyctr_lite.linux import mountinfo
from pyctr_lite.rootfs import target

if TYPE_CHECKING:
    from pyctr_lite.commit.stream import Writable
    from pyctr_lite.engine.containers import Container
    from pyctr_lite.rootfs.tar import Readable

Watch = Callable[["Readable"], "Readable"]
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
            raise InvalidArgument(f"{path}: not a directory")

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
        if _kind_inside(root_fd, path) != "directory":
            raise NotFound(
                f"Could not find the file {path} in container {container.name}", "it is to be a directory"
            )
        base = target.open_in_root(root_fd, path, os.O_PATH | os.O_DIRECTORY)
        try:
            ids = container_root.id_range(container)
            owner = None if archive else (0, 0)
            unpacker = tree_unpack.Unpacker(base, owner=owner, inside=(root_fd, path), id_range=ids)
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
    with container_root.opened(container, mounts=True) as root_fd:
        source, closed = _inside(container, root_fd, path, follow)
        try:
            real = os.path.realpath(destination)
            kind = _kind(lambda: os.stat(real))
            base_path, name = _place(source, real, kind, _asks_for_directory(destination))
            try:
                base = os.open(base_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                raise NotFound(f'invalid output path: directory "{base_path}" does not exist') from None
            owner = None if archive else (os.geteuid(), os.getegid())
            unpacker = tree_unpack.Unpacker(base, owner=owner)
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
    try:
        with container_root.opened(container, mounts=True) as root_fd:
            kind = _kind_inside(root_fd, destination)
            base_path, name = _place(source, destination, kind, _asks_for_directory(destination))
            try:
                base = target.open_in_root(root_fd, base_path, os.O_PATH | os.O_DIRECTORY)
            except (FileNotFoundError, NotADirectoryError):
                raise NotFound(f"Could not find the file {base_path} in container {container.name}") from None
            inside, ids = (root_fd, base_path), container_root.id_range(container)
            owner = None if archive else (0, 0)
            unpacker = tree_unpack.Unpacker(base, owner=owner, inside=inside, id_range=ids)
            try:
                _transfer(source, name, (), unpacker, watch)
            finally:
                os.close(base)
            return unpacker
    finally:
        os.close(source.fd)


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


def _place(source: Source, destination: str, kind: str, asks_for_directory: bool) -> tuple[str, str]:
    """The directory that is unpacked into, and the source's name in it ("": its contents land there)."""
    if kind == "directory":
        return destination, "" if source.contents else source.name
    if kind == "other":
        raise InvalidArgument(f'destination "{destination}" must be a directory or a regular file')
    if kind == "file":
        if source.is_directory:
            raise InvalidArgument("cannot copy directory", f"{destination} is a file")
        if asks_for_directory:
            raise InvalidArgument("not a directory", f"{destination} is a file")
    elif asks_for_directory and not source.is_directory:
        raise NotFound("no such directory", f"{destination} does not exist")
    parent, name = os.path.split("/" + os.path.normpath(destination).lstrip("/"))
    return parent, name


def _kind(look: Callable[[], os.stat_result]) -> str:
    try:
        mode = look().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    return "directory" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def _kind_inside(root_fd: int, path: str) -> str:
    def look() -> os.stat_result:
        fd = target.open_in_root(root_fd, os.path.normpath("/" + path))
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    return _kind(look)


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
                source.add_to(tree_archive.TreeArchive(pipe, closed, id_range=id_range), name)
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
