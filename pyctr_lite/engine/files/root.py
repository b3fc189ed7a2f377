"""A descriptor of a container's root file system, for `cp` and `export`, whether the container is running or not.

All files inside are opened below that descriptor, so that no link in the container leads out of it, and no program
or library of the container is ever run or loaded (CVE-2018-15664, CVE-2019-14271).
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager

from pyctr_lite import linux
from pyctr_lite.engine.bundle import mounts as bundle_mounts
from pyctr_lite.engine.container import removal
from pyctr_lite.errors import Conflict
from pyctr_lite.rootfs import overlay, target
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime import state as runtime_state
from pyctr_lite.volumes import sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pyctr_lite.engine.container.container import Container

_ROOT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def opened(container: Container, *, mounts: bool) -> Iterator[int]:
    """Open the root (O_PATH). With `mounts` it shows volumes and bind mounts, else the files below them.

    A container that is not running cannot be started in the meantime. Raises Conflict if it has just ended.
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
    """Return the host id range with which the files in the root appear, or None if the ids are as on disk.

    In a container that is not running, they are as on disk.
    """
    return container.record.id_range if container.state.Pid else None


def _of_running(container: Container) -> int:
    """Open the root of the container's first process (proc(5), /proc/pid/root)."""
    state = container.state
    try:
        fd = os.open(f"/proc/{state.Pid}/root", _ROOT)
    except OSError:
        raise Conflict(f"container {container.name} has just ended", "try it again") from None
    if not runtime_state.alive(state.Pid, state.PidStart):  # the pid may belong to another process by now
        os.close(fd)
        raise Conflict(f"container {container.name} has just ended", "try it again")
    return fd


def _alone(container: Container, root_fd: int) -> int:
    """Copy the mount of a running container's root, without the mounts in it, as a detached mount (open_tree(2)).

    The kernel copies only mounts of the caller's own mount namespace, so a child enters the container's.
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
    """Mount the layers, and return a detached copy of that mount, which lives as long as its descriptor."""
    directory = container.directory
    mountpoint = f"{container.paths.run}/view-{os.getpid()}"
    os.makedirs(mountpoint, 0o700, exist_ok=True)
    try:
        if removal.is_mounted(directory):  # by the verb `mount`: an upper directory can only be in one overlay
            linux.mount(f"{directory}/rootfs", mountpoint, None, linux.MS_BIND)
        else:
            overlay.mount_overlay(container.record.layers, f"{directory}/upper", f"{directory}/work", mountpoint)
        try:
            linux.mount(None, mountpoint, None, linux.MS_PRIVATE)
            if mounts:
                _bind_mounts(container, mountpoint)
            flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_RECURSIVE
            return linux.open_tree(mountpoint, flags, linux.AT_FDCWD)
        finally:
            linux.umount2(mountpoint, linux.MNT_DETACH)
    finally:
        os.rmdir(mountpoint)


def _bind_mounts(container: Container, root_path: str) -> None:
    """Mount the volumes and bind mounts that `start` would mount, read-only if `start` would do so."""
    bundle_mounts.prepare_sources(container.record)
    root_fd = os.open(root_path, _ROOT)
    try:
        mounts = [*container.record.mounts, *_etc_files(container)]
        for mount in sorted(mounts, key=lambda mount: bundle_mounts.depth(mount["Destination"])):
            if mount["Type"] == "tmpfs":
                continue  # a tmpfs exists only while the container is running
            _bind(root_fd, mount, container.home.paths.volumes)
            if not mount["RW"]:
                fd = target.open_in_root(root_fd, mount["Destination"])
                try:
                    linux.mount_setattr(fd, "", linux.AT_EMPTY_PATH, set=linux.MOUNT_ATTR_RDONLY)
                finally:
                    os.close(fd)
    finally:
        os.close(root_fd)
    if container.record.options.read_only:
        linux.mount_setattr(linux.AT_FDCWD, root_path, 0, set=linux.MOUNT_ATTR_RDONLY)


def _etc_files(container: Container) -> list[dict[str, Any]]:
    """Return the mounts of the engine's files of /etc that exist and that no mount of the user replaces."""
    taken = {os.path.normpath(mount["Destination"]) for mount in container.record.mounts}
    files = {f"/etc/{name}": f"{container.directory}/{name}" for name in ("hosts", "hostname", "resolv.conf")}
    return [
        {"Type": "bind", "Source": source, "Destination": path, "RW": True}
        for path, source in files.items()
        if path not in taken and os.path.exists(source)
    ]


def _bind(root_fd: int, mount: dict[str, Any], volumes: str) -> None:
    """Bind-mount one source into the root, using descriptors of both."""
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
