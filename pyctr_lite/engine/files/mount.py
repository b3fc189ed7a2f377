"""`mount` and `umount`: mount a container's root file system on the host, to inspect it or for other runtimes."""

from __future__ import annotations

import os
import stat

from pyctr_lite import linux
from pyctr_lite.engine.bundle import mounts as bundle_mounts
from pyctr_lite.engine.container import removal
from pyctr_lite.engine.state import states
from pyctr_lite.errors import Conflict
from pyctr_lite.rootfs import overlay
from pyctr_lite.volumes import sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container


def mount(container: Container) -> str:
    """Mount the root file system of a container that is not running, and return its path. Idempotent.

    Also mount its parts of volumes on the paths that config.json names as their sources: another runtime would
    follow links in their paths in the volumes (`sources`).
    Raises Conflict if the container is running: an overlay's upper directory can only be in one mount at a time.
    """
    path = f"{container.directory}/rootfs"
    with container.lock:
        states.require("mount", container.refresh(), container.name)
        if not is_mounted(container):
            base = container.directory
            overlay.mount_overlay(container.record.layers, f"{base}/upper", f"{base}/work", path)
            try:
                parts = bundle_mounts.volume_parts(container.record, base, container.home.paths.volumes)
                for mountpoint, (directory, below) in parts.items():
                    _mount_part(mountpoint, directory, below)
            except BaseException:
                removal.unmount_rootfs(base)
                raise
    return path


def _mount_part(mountpoint: str, directory: str, below: str) -> None:
    os.makedirs(os.path.dirname(mountpoint), 0o700, exist_ok=True)
    fd = sources.open_source(directory, below)
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            os.mkdir(mountpoint, 0o700)
        else:
            os.close(os.open(mountpoint, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        linux.mount(f"/proc/self/fd/{fd}", mountpoint, None, linux.MS_BIND | linux.MS_REC, shown=mountpoint)
    finally:
        os.close(fd)


def umount(container: Container) -> None:
    """Undo `mount`. Raises Conflict if nothing is mounted."""
    with container.lock:
        if not is_mounted(container):
            raise Conflict(f"the root of container {container.name} is not mounted")
        removal.unmount_rootfs(container.directory)


def is_mounted(container: Container) -> bool:
    """Return whether the root file system is mounted by `mount`."""
    return removal.is_mounted(container.directory)
