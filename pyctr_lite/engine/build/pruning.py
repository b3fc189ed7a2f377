"""`builder prune`, and the disk usage of the cache of builds."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from pyctr_lite import linux
from pyctr_lite.engine.build import cache, mounts, session
from pyctr_lite.images import removal
from pyctr_lite.rootfs import walk

if TYPE_CHECKING:
    from pyctr_lite.engine.home import Home


class Usage:
    """The cache: the number of its steps, of those whose layer an image has, and the bytes that only it needs."""

    def __init__(self, home: Home) -> None:
        found = cache.Cache(home)
        records, blobs = found.records(), found.image_blobs()
        self.records = len(records)
        self.active = sum(not is_dangling(record, blobs) for record in records)
        self.size = found.size(records, blobs) + walk.disk_usage(mounts.cache_mounts(home.paths.root))


def is_dangling(record: cache.Record, blobs: set[str]) -> bool:
    """Return whether no image has the layer of a step; `blobs` are those of all images."""
    return not record.layers or record.layers[-1].digest not in blobs


def prune(home: Home, *, all: bool = False, before: int | None = None, keep: int = 0) -> tuple[list[str], int]:
    """Remove the steps of the cache whose layer no image has; with `all` every step, and all cache mounts.

    Only those that were last used before `before` (nanoseconds since 1970) are removed. Those that were used last
    stay as long as their layers have at most `keep` bytes, and so does what a running build uses.
    Returns the keys of the removed steps, and the freed bytes.
    """
    session.sweep(home)
    found = cache.Cache(home)
    blobs = found.image_blobs()
    kept = _kept(found, blobs, keep)

    def chosen(record: cache.Record) -> bool:
        return (
            (all or is_dangling(record, blobs))
            and (before is None or record.used * 10**9 < before)
            and record.path not in kept
        )

    removed = found.remove(chosen)
    freed = removal.remove_layers(home.images, [record.layers for record in removed])
    if all and before is None and not keep:
        freed += _remove_cache_mounts(home)
    return [os.path.basename(record.path).removesuffix(".json") for record in removed], freed


def _kept(found: cache.Cache, blobs: set[str], keep: int) -> set[str]:
    kept: list[cache.Record] = []
    for record in found.records():
        if found.size([*kept, record], blobs) > keep:
            break
        kept.append(record)
    return {record.path for record in kept} if keep else set()


def _remove_cache_mounts(home: Home) -> int:
    """Remove unused cache mounts and the tables of digests; return the bytes of the former."""
    freed = 0
    top = mounts.cache_mounts(home.paths.root)
    for name in os.listdir(top) if os.path.isdir(top) else ():
        path = f"{top}/{name}"
        with linux.closing(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            freed += walk.disk_usage(path)
            walk.remove_tree(path)
    try:
        walk.remove_tree(f"{home.paths.root}/build/contexts")
    except FileNotFoundError:
        pass
    return freed
