"""Find and remove resources that killed pyctr_lite processes left behind. Never touches anything in use."""

from __future__ import annotations

import errno
import os
import time
from functools import partial

from pyctr_lite import linux
from pyctr_lite.cgroups import group as groups
from pyctr_lite.cgroups import hierarchy as hierarchies
from pyctr_lite.engine import background
from pyctr_lite.engine.container import containers
from pyctr_lite.engine.state.lock import Lock
from pyctr_lite.engine.state.record import Record
from pyctr_lite.errors import BrokenRecord
from pyctr_lite.formats import number
from pyctr_lite.linux import mountinfo
from pyctr_lite.rootfs import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyctr_lite.engine.home import Home

KINDS = {
    "build": "builds",
    "mount": "mounts",
    "cgroup": "cgroups",
    "bridge": "lost bridges",
    "run directory": "run directories",
    "container": "half containers",
    "name": "free names",
    "address": "addresses",
    "DNS name": "DNS names",
    "published port": "published ports",
    "network": "half networks",
    "staging": "staged images",
    "volume": "half volumes",
    "init layer": "init layers",
    "image": "broken images",
}
"""Each kind and its plural, in the order of removal: mounts before the directories that hold them."""
_DETACH = linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW
SETTLED = 60
"""Seconds after which an incomplete object is a leftover: creating it takes milliseconds."""


class Leftover:
    """One leftover: its kind (a key of `KINDS`), its path, and the function that removes it."""

    def __init__(self, kind: str, path: str, remove: Callable[[], None]) -> None:
        self.kind, self.path, self.remove = kind, path, remove


def find(home: Home) -> list[Leftover]:
    """Find all leftovers, in the order of removal. Repair the states of containers whose monitor was killed."""
    containers.read_all(home)
    return [
        *_builds(home),
        *_mounts(home),
        *_groups(home),
        *_bridges(home),
        *_run_directories(home),
        *_half_containers(home),
        *_names(home),
        *_networks(home),
        *_staging(home),
        *_half_volumes(home),
        *_init_layers(home),
        *_images(home),
    ]


def _builds(home: Home) -> Iterator[Leftover]:
    """Find killed builds, whose guards were killed, too. Each has a directory, perhaps containers and mounts."""
    from pyctr_lite.engine.build import session
    from pyctr_lite.images import roots

    for token in session.dead(home):
        path = f"{roots.running_directory(home.paths.root)}/{token}"
        yield Leftover("build", path, partial(session.sweep, home))


def sweep_containers(home: Home) -> None:
    """Remove what is left of containers whose creation or removal was interrupted. Skip what cannot be removed."""
    for find_kind in (_mounts, _half_containers, _names):  # each must see the removals of the one before
        for leftover in find_kind(home):
            try:
                leftover.remove()
            except OSError:
                pass  # another command removes it too, or it cannot be removed: `doctor` reports it


def _mounts(home: Home) -> Iterator[Leftover]:
    """Find mounts of removed containers. A mount of the verb `mount` in an existing container is in use."""
    tops = {
        f"{home.paths.root}/containers/": containers.has_no_record,
        f"{home.paths.run}/containers/": containers.is_idle,
    }
    for mount in reversed(mountinfo.mounts()):
        path = mount.mountpoint
        for top, is_leftover in tops.items():
            if path.startswith(top) and is_leftover(home, path[len(top) :].split("/")[0]):
                yield Leftover("mount", path, partial(linux.umount2, path, _DETACH))
        if path.startswith(f"{home.paths.run}/view-") and not _is_alive(path.rpartition("-")[2]):
            yield Leftover("mount", path, partial(linux.umount2, path, _DETACH))


def _groups(home: Home) -> Iterator[Leftover]:
    names = {
        name
        for mount in hierarchies.detect().mounts
        for name in _names_in(mount.mountpoint + home.paths.cgroup)
        if _is_id(name)
    }
    for id in sorted(names):
        if containers.is_idle(home, id):
            yield Leftover("cgroup", home.paths.group(id), partial(_remove_group, home, id))
    top = groups.Group(home.paths.cgroup)
    below = {name for directory in top.directories for name in _directories_in(directory)}
    if top.exists() and not below - {"helpers"} and not top.pids():
        yield Leftover("cgroup", top.path, partial(background.remove_groups, home.paths))


def _bridges(home: Home) -> Iterator[Leftover]:
    """Find bridges of networks that are gone from this state directory. Other engines' bridges are theirs."""
    from pyctr_lite.networks import bridge, removal

    with bridge.Sockets() as sockets:
        for name, directory in removal.orphans(sockets).items():
            if directory.startswith(f"{home.networks.directory}/"):
                yield Leftover("bridge", name, partial(home.networks.remove_orphan, name))


def _run_directories(home: Home) -> Iterator[Leftover]:
    top = f"{home.paths.run}/containers"
    for id in _names_in(top):
        if containers.is_idle(home, id):
            path = f"{top}/{id}"
            yield Leftover("run directory", path, partial(_remove_idle, home, id, path))
    for name in _names_in(home.paths.run):
        if name.startswith("view-") and not _is_alive(name.rpartition("-")[2]):
            path = f"{home.paths.run}/{name}"
            yield Leftover("run directory", path, partial(walk.remove_tree, path))


def _half_containers(home: Home) -> Iterator[Leftover]:
    """Find containers whose creation or removal was interrupted."""
    for name in _names_in(home.paths.containers):
        path = f"{home.paths.containers}/{name}"
        if name.endswith(".removing"):
            left = not Lock.is_held(f"{path}/lock") if os.path.exists(f"{path}/lock") else _is_settled(path)
        else:
            half = not os.path.exists(f"{path}/container.json")
            left = half and _is_settled(path) and not Lock.is_held(f"{path}/lock")
        if left:
            yield Leftover("container", path, partial(_remove_half, path))


def _remove_half(path: str) -> None:
    """Remove the directory of an incomplete container. Fails with EBUSY if something is mounted in it.

    That could be a volume (the verb `mount`), whose files must not be removed with the container.
    """
    for mount in mountinfo.mounts():
        if mount.mountpoint.startswith(path + "/"):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), mount.mountpoint)
    walk.remove_tree(path)


def _names(home: Home) -> Iterator[Leftover]:
    for name in _names_in(home.paths.names):
        path = f"{home.paths.names}/{name}"
        try:
            id = os.readlink(path)
        except OSError:
            continue
        if (not os.path.isdir(home.paths.container(id)) or _is_renamed(home, id, name)) and _is_settled(path):
            yield Leftover("name", path, partial(home.names.release, name, id))


def _is_renamed(home: Home, id: str, name: str) -> bool:
    """Return whether the container has another name than the link says: a `rename` was interrupted."""
    try:
        return bool(Record.read(home.paths.container(id)).name != name)
    except (FileNotFoundError, BrokenRecord):
        return False


def _networks(home: Home) -> Iterator[Leftover]:
    from pyctr_lite.engine.network import lost

    for kind, path, remove in lost.find(home.networks, partial(containers.is_idle, home)):
        yield Leftover(kind, path, remove)


def _staging(home: Home) -> Iterator[Leftover]:
    """Find staged images of a killed `load`, `import` or `commit`. The store's next writer removes them too."""
    top = f"{home.paths.root}/staging"
    for name in _names_in(top):
        if not Lock.is_held(f"{top}/{name}"):
            yield Leftover("staging", f"{top}/{name}", partial(_sweep_staging, home))


def _half_volumes(home: Home) -> Iterator[Leftover]:
    top = home.paths.volumes
    left = [name for name in _names_in(top) if name.startswith(".")]
    if left and not Lock.is_held(top):  # the lock is held while a volume is created
        for name in left:
            path = f"{top}/{name}"
            yield Leftover("volume", path, partial(walk.remove_tree, path))


def _init_layers(home: Home) -> Iterator[Leftover]:
    for name in _names_in(home.paths.init_layers):
        if name.endswith(".tmp") and not _is_alive(name.split(".")[-2]):
            path = f"{home.paths.init_layers}/{name}"
            yield Leftover("init layer", path, partial(walk.remove_tree, path))


def _images(home: Home) -> Iterator[Leftover]:
    """Find images that cannot be read and that no container uses, from an older version or another tool."""
    from pyctr_lite.engine.report import usage
    from pyctr_lite.images import broken, verification

    if verification.is_damaged(home.images):
        path = f"{home.images.layout}/index.json"
        yield Leftover("image", path, partial(_rebuild_index, home))
        return
    for name in broken.names(home.images, usage.Usage(home).of_image):
        yield Leftover("image", name, partial(_remove_image, home, name))


def _rebuild_index(home: Home) -> None:
    from pyctr_lite.images import verification

    verification.rebuild_index(home.images)


def _remove_image(home: Home, name: str) -> None:
    from pyctr_lite.engine.report import usage

    home.images.remove(name, in_use=usage.Usage(home).of_image)


def _remove_group(home: Home, id: str) -> None:
    """Kill the processes in a cgroup and remove it, unless its container has been started in the meantime."""
    if containers.is_idle(home, id):
        group = groups.Group(home.paths.group(id))
        group.kill()
        group.remove()
        background.remove_groups(home.paths)


def _remove_idle(home: Home, id: str, path: str) -> None:
    if containers.is_idle(home, id):
        walk.remove_tree(path)


def _sweep_staging(home: Home) -> None:
    from pyctr_lite.images import writer

    with writer.locked(home.images):
        pass


def _is_settled(path: str) -> bool:
    try:
        return time.time() - os.lstat(path).st_mtime > SETTLED
    except FileNotFoundError:
        return False


def _is_id(name: str) -> bool:
    return len(name) == 64 and all(letter in "0123456789abcdef" for letter in name)


def _is_alive(pid: str) -> bool:
    return not number.is_whole(pid) or os.path.exists(f"/proc/{pid}")


def _directories_in(directory: str) -> list[str]:
    return [name for name in _names_in(directory) if os.path.isdir(f"{directory}/{name}")]


def _names_in(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
