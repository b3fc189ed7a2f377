"""Remove what a container leaves on the host: its processes, its cgroup, its mounts and its files."""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.engine import background
from pyctr_lite.engine.container import containers
from pyctr_lite.errors import Conflict
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import walk
from pyctr_lite.runtime import state as runtime_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container


def clean(container: Container) -> None:
    """Remove what a run leaves on the host: processes and cgroup, addresses and ports, the runtime's state."""
    group = container.group
    if group.exists():
        group.kill()
        group.remove()
    background.remove_groups(container.paths)
    if container.record.options.networks:
        from pyctr_lite.engine.network import endpoints

        names = container.record.options.networks
        endpoints.release_lost(container.home.networks, container.id, container.runtime, names)
    runtime_state.remove(container.runtime)


def clean_half_started(container: Container) -> None:
    """Clean up after a monitor that was killed while it started the container."""
    if os.path.isdir(container.runtime):
        clean(container)


def remove_files(container: Container, *, volumes: bool) -> None:
    """Remove a container's files; with `volumes` its anonymous volumes too."""
    remove_tree(take_away(container, volumes=volumes))


def take_away(container: Container, *, volumes: bool) -> str:
    """Make a container unknown to every verb and release its name. Returns the directory for `remove_tree`.

    The removal of the directory takes longer, so the monitor reports the end to the clients in between.
    """
    unmount_rootfs(container.directory)
    gone = f"{container.directory}.removing"
    explain.step(f'rename("{container.directory}", "{gone}")', os.rename, container.directory, gone)
    container.home.names.release(container.name, container.id)
    if volumes:
        _remove_volumes(container)
    return gone


def _remove_volumes(container: Container) -> None:
    """Remove a container's anonymous volumes, except those that another container mounts by name, as in Docker."""
    home = container.home
    for mount in container.record.mounts:
        if mount.get("Anonymous"):
            try:
                home.volumes.remove(mount["Name"], True, lambda name: containers.mounting(home, name))
            except Conflict:
                pass


def remove_tree(gone: str) -> None:
    """Remove the files of a container that `take_away` has renamed."""
    explain.step(f'remove the tree "{gone}"', walk.remove_tree, gone)


def is_mounted(directory: str) -> bool:
    """Return whether a container's root file system is mounted in its directory (the verb `mount`)."""
    return os.stat(f"{directory}/rootfs").st_dev != os.stat(directory).st_dev


def unmount_rootfs(directory: str) -> None:
    """Undo the verb `mount`: unmount the root file system and the parts of volumes. Idempotent."""
    try:
        while is_mounted(directory):
            linux.umount2(f"{directory}/rootfs", linux.MNT_DETACH)
    except FileNotFoundError:
        pass
    _unmount_sources(f"{directory}/sources")


def _unmount_sources(directory: str) -> None:
    """Unmount the parts of volumes that the verb `mount` has mounted for other runtimes.

    Remove each mount point with unlink(2) or rmdir(2), never recursively: no file of a volume may be removed.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        path = f"{directory}/{name}"
        try:
            while True:
                linux.umount2(path, linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: it is not a mount point any more
                raise
        walk.remove_entry(path)
    os.rmdir(directory)
