"""A container's root file system as one descriptor, for `cp` and `export`, whether it runs or not.

All that is done inside goes through that descriptor, so that no link of the container leads out of it, and no
program or library of the container is ever run or loaded (CVE-2018-15664, CVE-2019-14271).
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pyctr_lite import linux
from pyctr_lite.engine.bundle import mounts as bundle_mounts
from pyctr_lite.engine.container import removal
from pyctr_lite.errors import Conflict
from pyctr_lite.rootfs import overlay, target
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime import state as runtime_state
from pyctr_lite.volumes import sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pyctr_lite.engine.container.container import Container

_ROOT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def opened(container: Container, *, mounts: bool) -> Iterator[int]:
    """A descriptor (O_PATH) of the root; with `mounts` volumes and binds are seen in it, else what they cover.

    A container that does not run cannot be started meanwhile. Fails with Conflict where it has just ended.
    """
    with ExitStack() as stack:
        stack.enter_context(container.lock)
        container.refresh()
        if container.state.Pid:
            fd = _of_running(container)
            stack.callback(os.close, fd)
            if not mounts:
                fd = _alone(container, fd)
                stack.callback(os.close, fd)
            container.lock.release()
        else:
            fd = _of_stopped(container, mounts)
            stack.callback(os.close, fd)
        yield fd


def id_range(container: Container) -> list[int] | None:
    """Whose the files in it are for us: the host ids of a user namespace, None where they are as on disk.

    Those of a container that does not run are as on disk.
    """
    return container.record.id_range if container.state.Pid else None


def _of_running(container: Container) -> int:
    """The root as the container's first process has it (proc(5), /proc/pid/root)."""
    state = container.state
    try:
        fd = os.open(f"/proc/{state.Pid}/root", _ROOT)
    except OSError:
        raise Conflict(f"container {container.name} has just ended", "try it again") from None
    if not runtime_state.alive(state.Pid, state.PidStart):  # it may be another process's by now
        os.close(fd)
        raise Conflict(f"container {container.name} has just ended", "try it again")
    return fd


def _alone(container: Container, root_fd: int) -> int:
    """The mount of a running container's root without those on it: a copy that nobody sees (open_tree(2)).

    The kernel copies mounts of the caller's own mount namespace only, so a child goes there for it.
    """

    def act() -> tuple[int, ...]:
        channels.seal_imports()  # after setns(2) `/` is the container's root
        with linux.closing(
            os.open(f"/proc/{container.state.Pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        ) as namespace:
            linux.setns(namespace, linux.CLONE_NEWNS)
        flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH
        return (linux.open_tree("", flags, root_fd),)

    return channels.in_child(act, "the process that copies the root's mount")[0]


def _of_stopped(container: Container, mounts: bool) -> int:
    """The layers mounted as one, and a copy taken of that, which lives as long as its descriptor."""
    directory = container.directory
    place = f"{container.paths.run}/view-{os.getpid()}"
    os.makedirs(place, 0o700, exist_ok=True)
    try:
        if removal.is_mounted(directory):  # by `mount`: an upper directory can be in one overlay only
            linux.mount(f"{directory}/rootfs", place, None, linux.MS_BIND)
        else:
            overlay.mount_overlay(container.record.layers, f"{directory}/upper", f"{directory}/work", place)
        try:
            linux.mount(None, place, None, linux.MS_PRIVATE)
            if mounts:
                _bind_mounts(container, place)
            flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_RECURSIVE
            return linux.open_tree(place, flags, linux.AT_FDCWD)
        finally:
            linux.umount2(place, linux.MNT_DETACH)
    finally:
        os.rmdir(place)


def _bind_mounts(container: Container, place: str) -> None:
    """What `start` would bind, volumes and directories of the host; and read-only what would be."""
    container.prepare_sources()
    root_fd = os.open(place, _ROOT)
    try:
        mounts = [*container.record.mounts, *_etc_files(container)]
        for mount in sorted(mounts, key=lambda mount: bundle_mounts.depth(mount["Destination"])):
            if mount["Type"] == "tmpfs":
                continue  # it is empty until the container runs
            _bind(root_fd, mount, container.home.volumes.directory)
            if not mount["RW"]:
                fd = target.open_in_root(root_fd, mount["Destination"])
                try:
                    linux.mount_setattr(fd, "", linux.AT_EMPTY_PATH, set=linux.MOUNT_ATTR_RDONLY)
                finally:
                    os.close(fd)
    finally:
        os.close(root_fd)
    if container.record.options.read_only:
        linux.mount_setattr(linux.AT_FDCWD, place, 0, set=linux.MOUNT_ATTR_RDONLY)


def _etc_files(container: Container) -> list[dict[str, Any]]:
    """The engine's own files of /etc as mounts, once the container was started, unless others are there."""
    taken = {os.path.normpath(mount["Destination"]) for mount in container.record.mounts}
    files = {f"/etc/{name}": f"{container.directory}/{name}" for name in ("hosts", "hostname", "resolv.conf")}
    return [
        {"Type": "bind", "Source": source, "Destination": place, "RW": True}
        for place, source in files.items()
        if place not in taken and os.path.exists(source)
    ]


def _bind(root_fd: int, mount: dict[str, Any], volumes: str) -> None:
    """Bind one source in the root, by descriptors of both."""
    source = sources.open_source(*sources.origin(mount["Source"], mount.get("Subpath", ""), volumes))
    try:
        directory = stat.S_ISDIR(os.fstat(source).st_mode)
        fd = target.make_mountpoint(root_fd, mount["Destination"], directory=directory)
        try:
            flags = linux.MS_BIND | linux.MS_REC
            linux.mount(f"/proc/self/fd/{source}", f"/proc/self/fd/{fd}", None, flags, shown=mount["Destination"])
        finally:
            os.close(fd)
    finally:
        os.close(source)
