"""`builder prune`, `builder du`, and the disk usage of the cache of builds."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass

from pyctr_lite import linux
from pyctr_lite.engine.build import cache, mounts, session
from pyctr_lite.images import removal
from pyctr_lite.rootfs import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctr_lite.engine.home import Home

STEP, CACHE_MOUNT = "regular", "exec.cachemount"
"""The types of objects, in BuildKit's words."""


@dataclass
class Object:
    """An object of the cache: a step, or a cache mount. `size` is in bytes, `used` in seconds since 1970.

    `shared`: an image has the step's layer. `in_use`: a running build uses the object.
    """

    id: str
    type: str
    size: int
    used: float
    path: str
    title: str
    created: str = ""
    shared: bool = False
    in_use: bool = False
    record: cache.Record | None = None

    @property
    def reclaimable(self) -> bool:
        """Whether its removal frees its bytes."""
        return not (self.shared or self.in_use)


def objects(home: Home) -> list[Object]:
    """Return all objects of the cache, the one that was used last first."""
    found = cache.Cache(home)
    blobs, began = found.image_blobs(), found.oldest_build()
    listed = [
        Object(
            os.path.basename(record.path).removesuffix(".json"),
            STEP,
            record.size,
            record.used,
            record.path,
            record.title,
            record.created,
            not is_dangling(record, blobs),
            record.used >= began,
            record,
        )
        for record in found.records()
    ]
    return sorted([*listed, *_cache_mounts(home)], key=lambda it: it.used, reverse=True)


def _cache_mounts(home: Home) -> list[Object]:
    top = mounts.cache_mounts(home.paths.root)
    found = []
    for name in os.listdir(top) if os.path.isdir(top) else ():
        path = f"{top}/{name}"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # removed meanwhile
        with linux.closing(fd):
            title, used = mounts.title(path), os.fstat(fd).st_mtime
            found.append(
                Object(
                    name, CACHE_MOUNT, walk.disk_usage(f"{path}/data"), used, path, title, in_use=not _is_free(fd)
                )
            )
    return found


def _is_free(fd: int) -> bool:
    """Lock the directory of a cache mount until it is closed, and return True; False if a build uses it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Usage:
    """The cache: the number of its objects, of those that running builds use, and the bytes that only it needs."""

    def __init__(self, home: Home) -> None:
        found = objects(home)
        self.count = len(found)
        self.active = sum(it.in_use for it in found)
        blobs = cache.Cache(home).image_blobs()
        self.size = _size(found, blobs)
        self.used = _size([it for it in found if it.in_use], blobs)
        """The bytes that running builds use."""


def _size(found: Sequence[Object], blobs: set[str]) -> int:
    """Return the bytes of objects, each layer once, without the blobs of images."""
    sizes = {it.digest: it.size for each in found if each.record for it in each.record.layers}
    layers = sum(size for digest, size in sizes.items() if digest not in blobs)
    return layers + sum(it.size for it in found if it.record is None)


def is_dangling(record: cache.Record, blobs: set[str]) -> bool:
    """Return whether no image has the layer of a step; `blobs` are those of all images."""
    return not record.layers or record.layers[-1].digest not in blobs


def prune(home: Home, *, all: bool = False, before: int | None = None, keep: int = 0) -> tuple[list[str], int]:
    """Remove the cache mounts, and the steps of the cache whose layer no image has; with `all` every step.

    Only those that were last used before `before` (nanoseconds since 1970) are removed. Those that were used last
    stay as long as they have at most `keep` bytes, and so does what a running build uses.
    Returns the ids of the removed objects, and the freed bytes.
    """
    session.sweep(home)
    found = cache.Cache(home)
    listed = objects(home)
    kept = _kept(listed, found.image_blobs(), keep)
    chosen = [
        it
        for it in listed
        if (all or not it.shared)
        and not it.in_use
        and (before is None or it.used * 10**9 < before)
        and it.id not in kept
    ]
    removed = found.remove([it.record for it in chosen if it.record is not None])
    freed = removal.remove_layers(home.images, [record.layers for record in removed])
    gone = [it for it in chosen if it.record in removed or (it.record is None and _remove_mount(it.path))]
    freed += sum(it.size for it in gone if it.record is None)
    if all and before is None and not keep:
        _remove_tables(home)
    return [it.id for it in gone], freed


def _kept(listed: list[Object], blobs: set[str], keep: int) -> set[str]:
    """Return the ids of the objects that were used last, as many as have at most `keep` bytes."""
    kept, seen, total = set(), set(blobs), 0
    for each in listed if keep else ():
        new = {it.digest: it.size for it in each.record.layers if it.digest not in seen} if each.record else {}
        total += sum(new.values()) if each.record else each.size
        if total > keep:
            break
        kept.add(each.id)
        seen |= set(new)
    return kept


def _remove_mount(path: str) -> bool:
    """Remove a cache mount unless a build uses it; return whether it is gone."""
    try:
        with linux.closing(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
            if not _is_free(fd):
                return False
            walk.remove_tree(path)
    except FileNotFoundError:
        pass
    return True


def _remove_tables(home: Home) -> None:
    """Remove what is remembered of contexts and of downloaded files."""
    for name in ("contexts", "downloads"):
        try:
            walk.remove_tree(f"{home.paths.root}/build/{name}")
        except FileNotFoundError:
            pass
