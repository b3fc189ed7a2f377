"""`mount` and `umount`: a container's root file system on the host, for other runtimes and for looking at."""

from __future__ import annotations

from pyctr_lite.engine import removal
from pyctr_lite.errors import Conflict
from pyctr_lite.rootfs import overlay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.containers import Container


def mount(container: Container) -> str:
    """Mount the root file system of a container that does not run: its path. Again is fine.

    Fails with Conflict while it runs: an overlay's upper directory can be in one mount at a time.
    """
    path = f"{container.directory}/rootfs"
    with container.lock:
        if container.refresh().Status == "restarting":
            raise Conflict(f"container {container.name} is restarting", "stop it first")
        if container.state.running:
            raise Conflict(
                f"container {container.name} is running: its root is mounted in its own mount namespace",
                f"look at it by /proc/{container.state.Pid}/root",
            )
        if not is_mounted(container):
            base = container.directory
            overlay.mount_overlay(container.record.layers, f"{base}/upper", f"{base}/work", path)
    return path


def umount(container: Container) -> None:
    """Undo `mount`. Fails with Conflict where nothing is mounted."""
    with container.lock:
        if not is_mounted(container):
            raise Conflict(f"the root of container {container.name} is not mounted")
        removal.unmount_rootfs(container.directory)


def is_mounted(container: Container) -> bool:
    """Whether `mount` was done."""
    return removal.is_mounted(container.directory)
