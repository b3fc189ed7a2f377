"""`mount` and `umount`: a container's root file system on the host, for other runtimes and for looking at."""

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
    """Mount the root file system of a container that does not run, and return its path. Idempotent.

    The parts of volumes that it shows are mounted too, on what config.json names as their sources: the paths of
    those in their volumes are not to be followed by another runtime (`sources`).
    Fails with Conflict while it runs: an overlay's upper directory can be in one mount at a time.
    """
    path = f"{container.directory}/rootfs"
    with container.lock:
        states.require("mount", container.refresh(), container.name)
        if not is_mounted(container):
            base = container.directory
            overlay.mount_overlay(container.record.layers, f"{base}/upper", f"{base}/work", path)
            try:
                parts = bundle_mounts.volume_parts(container.record, base, container.home.volumes.directory)
                for place, (directory, below) in parts.items():
                    _mount_part(place, directory, below)
            except BaseException:
                removal.unmount_rootfs(base)
                raise
    return path


def _mount_part(place: str, directory: str, below: str) -> None:
    os.makedirs(os.path.dirname(place), 0o700, exist_ok=True)
    fd = sources.open_source(directory, below)
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            os.mkdir(place, 0o700)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        linux.mount(f"/proc/self/fd/{fd}", place, None, linux.MS_BIND | linux.MS_REC, shown=place)
    finally:
        os.close(fd)


def umount(container: Container) -> None:
    """Undo `mount`. Fails with Conflict where nothing is mounted."""
    with container.lock:
        if not is_mounted(container):
            raise Conflict(f"the root of container {container.name} is not mounted")
        removal.unmount_rootfs(container.directory)


def is_mounted(container: Container) -> bool:
    """Whether `mount` was done."""
    return removal.is_mounted(container.directory)
