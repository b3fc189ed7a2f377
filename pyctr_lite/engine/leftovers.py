"""What processes of ours that were killed have left on the host, found and removed; never what is in use."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pyctr_lite import linux
from pyctr_lite.cgroups import group as groups
from pyctr_lite.cgroups import hierarchy as hierarchies
from pyctr_lite.engine import background
from pyctr_lite.engine.state.lock import Lock
from pyctr_lite.engine.state.record import Record
from pyctr_lite.errors import PyctrError
from pyctr_lite.formats import number
from pyctr_lite.linux import mountinfo
from pyctr_lite.rootfs import walk

if TYPE_CHECKING:
    from pyctr_lite.engine.engine import Engine

KINDS = {
    "mount": "mounts",
    "cgroup": "cgroups",
    "run directory": "run directories",
    "container": "half containers",
    "name": "free names",
    "staging": "staged images",
    "volume": "half volumes",
    "init layer": "init layers",
    "image": "broken images",
}
"""Each kind and its plural, in the order of removal: a directory only when nothing is mounted in it."""
_DETACH = linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW
SETTLED = 60
"""Seconds after which what is half made is nobody's any more: it is made in milliseconds."""


@dataclass(frozen=True)
class Leftover:
    """One thing that nobody needs: its kind (of `KINDS`), its path, and how it is removed."""

    kind: str
    path: str
    remove: Callable[[], None]


def find(engine: Engine) -> list[Leftover]:
    """All that is left, in the order in which it can be removed. It repairs dead containers' records."""
    engine.containers.list(sweep=False)
    return [
        *_mounts(engine),
        *_groups(engine),
        *_run_directories(engine),
        *_half_containers(engine),
        *_names(engine),
        *_staging(engine),
        *_half_volumes(engine),
        *_init_layers(engine),
        *_images(engine),
    ]


def sweep_containers(engine: Engine) -> None:
    """Remove what is left of containers whose making or removal was cut off, as far as it can be removed."""
    for kind in (_mounts, _half_containers, _names):  # each looks when the one before has removed what it found
        for left in kind(engine):
            try:
                left.remove()
            except OSError:
                pass  # another command sweeps too, or it cannot be removed: `doctor` tells


def _mounts(engine: Engine) -> Iterator[Leftover]:
    """Mounts of containers that have gone; `pyctr_lite mount` of one that is there is its user's."""
    tops = {f"{engine.paths.root}/containers/": _is_no_container, f"{engine.paths.run}/containers/": _is_idle}
    for mount in reversed(mountinfo.mounts()):
        path = mount.mountpoint
        for top, is_left in tops.items():
            if path.startswith(top) and is_left(engine, path[len(top) :].split("/")[0]):
                yield Leftover("mount", path, partial(linux.umount2, path, _DETACH))
        if path.startswith(f"{engine.paths.run}/view-") and not _lives(path.rpartition("-")[2]):
            yield Leftover("mount", path, partial(linux.umount2, path, _DETACH))


def _groups(engine: Engine) -> Iterator[Leftover]:
    names = {
        name
        for mount in hierarchies.detect().mounts
        for name in _list(mount.mountpoint + engine.paths.cgroup)
        if _is_id(name)
    }
    for id in sorted(names):
        if _is_idle(engine, id):
            yield Leftover("cgroup", engine.paths.group(id), partial(_remove_group, engine, id))
    top = groups.Group(engine.paths.cgroup)
    below = {name for place in top.directories for name in _directories(place)}
    if top.exists() and not below - {"helpers"} and not top.pids():
        yield Leftover("cgroup", top.path, partial(background.remove_groups, engine.paths))


def _run_directories(engine: Engine) -> Iterator[Leftover]:
    top = f"{engine.paths.run}/containers"
    for id in _list(top):
        if _is_idle(engine, id):
            path = f"{top}/{id}"
            yield Leftover("run directory", path, partial(_remove_idle, engine, id, path))
    for name in _list(engine.paths.run):
        if name.startswith("view-") and not _lives(name.rpartition("-")[2]):
            path = f"{engine.paths.run}/{name}"
            yield Leftover("run directory", path, partial(walk.remove_tree, path))


def _half_containers(engine: Engine) -> Iterator[Leftover]:
    """Containers whose removal, or whose making, was cut off."""
    for name in _list(engine.paths.containers):
        path = f"{engine.paths.containers}/{name}"
        if name.endswith(".removing"):
            left = not Lock.is_held(f"{path}/lock") if os.path.exists(f"{path}/lock") else _is_settled(path)
        else:
            half = not os.path.exists(f"{path}/container.json")
            left = half and _is_settled(path) and not Lock.is_held(f"{path}/lock")
        if left:
            yield Leftover("container", path, partial(_remove_half, path))


def _remove_half(path: str) -> None:
    """Remove what there is of a container. Raises EBUSY while something is mounted in it.

    That could be a volume (`mount`), whose files are not to be removed with it.
    """
    for mount in mountinfo.mounts():
        if mount.mountpoint.startswith(path + "/"):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), mount.mountpoint)
    walk.remove_tree(path)


def _names(engine: Engine) -> Iterator[Leftover]:
    for name in _list(engine.paths.names):
        path = f"{engine.paths.names}/{name}"
        try:
            id = os.readlink(path)
        except OSError:
            continue
        if (not os.path.isdir(engine.paths.container(id)) or _is_anothers(engine, id, name)) and _is_settled(path):
            yield Leftover("name", path, partial(engine.names.release, name, id))


def _is_anothers(engine: Engine, id: str, name: str) -> bool:
    """Whether a name is one that a container has no more, or was not given in the end: `rename` was cut off."""
    try:
        return bool(Record.read(engine.paths.container(id)).name != name)
    except FileNotFoundError:
        return False


def _staging(engine: Engine) -> Iterator[Leftover]:
    """What a killed `load`, `import` or `commit` had staged; the store's next writer removes it too."""
    top = f"{engine.paths.root}/staging"
    for name in _list(top):
        if not Lock.is_held(f"{top}/{name}"):
            yield Leftover("staging", f"{top}/{name}", partial(_sweep_staging, engine))


def _half_volumes(engine: Engine) -> Iterator[Leftover]:
    top = engine.volumes.directory
    left = [name for name in _list(top) if name.startswith(".")]
    if left and not Lock.is_held(top):  # who makes a volume holds the lock
        for name in left:
            path = f"{top}/{name}"
            yield Leftover("volume", path, partial(walk.remove_tree, path))


def _init_layers(engine: Engine) -> Iterator[Leftover]:
    for name in _list(engine.paths.init_layers):
        if name.endswith(".tmp") and not _lives(name.split(".")[-2]):
            path = f"{engine.paths.init_layers}/{name}"
            yield Leftover("init layer", path, partial(walk.remove_tree, path))


def _images(engine: Engine) -> Iterator[Leftover]:
    """Images that cannot be read, as an older version or another tool put them there, without a container."""
    from pyctr_lite.engine.report import usage
    from pyctr_lite.images import broken, verification

    if verification.is_damaged(engine.images):
        path = f"{engine.images.layout}/index.json"
        yield Leftover("image", path, partial(_rebuild_index, engine))
        return
    for name in broken.names(engine.images, usage.Usage(engine).of_image):
        yield Leftover("image", name, partial(_remove_image, engine, name))


def _rebuild_index(engine: Engine) -> None:
    from pyctr_lite.images import verification

    verification.rebuild_index(engine.images)


def _remove_image(engine: Engine, name: str) -> None:
    from pyctr_lite.engine.report import usage

    engine.images.remove(name, in_use=usage.Usage(engine).of_image)


def _remove_group(engine: Engine, id: str) -> None:
    """Whoever is still in it belongs to a container that has gone, or that has ended without its monitor."""
    if _is_idle(engine, id):
        group = groups.Group(engine.paths.group(id))
        group.kill()
        group.remove()
        background.remove_groups(engine.paths)


def _remove_idle(engine: Engine, id: str, path: str) -> None:
    if _is_idle(engine, id):
        walk.remove_tree(path)


def _sweep_staging(engine: Engine) -> None:
    from pyctr_lite.images import writer

    with writer.locked(engine.images):
        pass


def _is_no_container(engine: Engine, id: str) -> bool:
    return not os.path.exists(f"{engine.paths.container(id)}/container.json")


def _is_idle(engine: Engine, id: str) -> bool:
    """Whether no container of an id runs, and none is being started, stopped or removed."""
    if Lock.is_held(f"{engine.paths.container(id)}/lock"):
        return False
    if _is_no_container(engine, id):
        return not os.path.isdir(engine.paths.container(id))
    try:
        return not engine.containers.get(id).state.running
    except PyctrError:
        return True


def _is_settled(path: str) -> bool:
    try:
        return time.time() - os.lstat(path).st_mtime > SETTLED
    except FileNotFoundError:
        return False


def _is_id(name: str) -> bool:
    return len(name) == 64 and all(letter in "0123456789abcdef" for letter in name)


def _lives(pid: str) -> bool:
    return not number.is_whole(pid) or os.path.exists(f"/proc/{pid}")


def _directories(directory: str) -> list[str]:
    return [name for name in _list(directory) if os.path.isdir(f"{directory}/{name}")]


def _list(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
