"""The blobs and layers that images lead to, read from their documents: there are no reference counts."""

from __future__ import annotations

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.images import descriptors as descriptors_
from pyctr_lite.images import image as images
from pyctr_lite.images import reference, roots, shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pyctr_lite.images.store import ImageStore


def of(
    store: ImageStore, descriptors: Iterable[dict[str, Any]], *, rooted: bool = False
) -> tuple[set[str], set[str]]:
    """Return the blobs and chain ids that descriptors lead to, for a damaged image as far as it can be read.

    `rooted` adds those that the cache of builds needs.

    A document that does not match its shape is searched for digests: removing one image must not remove anything
    that another may need.
    """
    blobs, chains = roots.needs(store.root) if rooted else (set(), set())
    waiting: list[str] = []
    for descriptor in descriptors:
        waiting.append(descriptor["digest"])
        blobs |= {descriptors_.pulled_digest(descriptor)} - {""}  # an index: most of its manifests are not here
    while waiting:
        digest = waiting.pop()
        if digest in blobs or not reference.is_digest(digest):
            continue
        blobs.add(digest)
        manifest = _read(store, digest)
        waiting += _digests(manifest.get("manifests"))
        config = _digests([manifest.get("config")])
        blobs |= {*config, *_digests(manifest.get("layers"))}
        for identity in config:
            rootfs = _read(store, identity).get("rootfs")
            diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
            if isinstance(diff_ids, list) and all(
                isinstance(it, str) and reference.is_digest(it) for it in diff_ids
            ):
                chains |= set(images.chain_ids(diff_ids))
    return blobs, chains


def _read(store: ImageStore, digest: str) -> dict[str, Any]:
    """Return the JSON object in a blob, {} if there is none."""
    try:
        return store.read(shape.Object({}), digest, "blob")
    except BrokenArchive:
        return {}


def _digests(descriptors: Any) -> list[str]:
    """Return the digests in a value that should be a list of descriptors."""
    found = (
        [each.get("digest") for each in descriptors if isinstance(each, dict)]
        if isinstance(descriptors, list)
        else []
    )
    return [digest for digest in found if isinstance(digest, str) and reference.is_digest(digest)]
