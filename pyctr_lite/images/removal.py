"""Remove tags and images, plus the blobs and layers that no other image references.

There are no reference counts: the references are read from the documents each time. Paths are made of checked
digests and of computed chain ids, never of names in an image. The files of a layer are removed by
`walk.remove_tree`, which follows no link. Removal works on a full disk: index.json is overwritten in place, and
layers are renamed in place.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from pyctr_lite.errors import BrokenArchive, Conflict, InvalidArgument, NotFound, PyctrError
from pyctr_lite.images import broken, needs, partial, reference, staging, writer
from pyctr_lite.images import descriptors as descriptors_
from pyctr_lite.images import image as images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pyctr_lite.images.image import Image, Layer
    from pyctr_lite.images.store import ImageStore

InUse = Callable[["Image"], Sequence[str]]
Removed = list[tuple[str, str]]
_ORPHANS_AGE = 3600
"""Seconds after which an unreferenced blob is removed: skopeo writes blobs before it writes index.json."""


def remove(
    store: ImageStore,
    name: str,
    force: bool = False,
    in_use: InUse | None = None,
    running: InUse | None = None,
) -> Removed:
    """Remove a name, and with the last name the image; given an ID, remove the image with all its names.

    Names in several repositories are removed only with `force`. `in_use` returns the IDs of the containers that
    need an image, `running` those of the running ones. Raises Conflict if there are any; `force` then removes the
    name, and the image stays without one until `prune`. An image given by its ID with a running container is never
    removed.
    """
    with writer.locked(store):
        try:
            image = store.get(name)
        except (BrokenArchive, NotFound, InvalidArgument) as error:
            return _remove_broken(store, name, error, force, in_use)
        users = list(in_use(image)) if in_use else []
        by_name = _name_in(image, name)
        names = _with_digests(image, by_name)
        if by_name and len(image.names) > len(names):
            return _untag(store, names)
        _check(image, by_name, users, list(running(image)) if running else [], force)
        removed = _untag(store, image.names)
        return removed if users else removed + _delete(store, image)


def prune(
    store: ImageStore,
    in_use: InUse | None = None,
    all: bool = False,
    chosen: Callable[[Image], bool] | None = None,
) -> tuple[Removed, int]:
    """Remove dangling images, with `all` every image that no container uses; `chosen` selects among them.

    If `chosen` is None, the downloads of pulls that have ended are removed, too. Returns the removed names and
    IDs, and the freed bytes of blobs and of downloads.
    """
    removed: Removed = []
    with writer.locked(store):
        before = _blob_bytes(store)
        unreadable = [each for each, _ in store.survey()[1] if not broken.users(store, each, in_use)]
        kept = [each for each in store.descriptors() if descriptors_.name_of(each) or each not in unreadable]
        writer.write_index(store, _without_duplicates(store, kept))
        for image in store.list():
            if not (all or not image.names) or (chosen and not chosen(image)):
                continue
            if not (in_use and in_use(image)):
                removed += _untag(store, image.names) + _delete(store, image)
        _remove_orphans(store)
        freed = partial.prune(store.root) if chosen is None else 0
        return removed, freed + before - _blob_bytes(store)


def remove_layers(store: ImageStore, gone: Iterable[Sequence[Layer]]) -> int:
    """Remove unneeded layers, each item a stack of them, bottom first; return the freed bytes of blobs."""
    with writer.locked(store):
        blobs, chains = needs.of(store, store.descriptors(), rooted=True)
        freed = 0
        for layers in gone:
            for layer in layers:
                path = store.blob_path(layer.digest)
                if layer.digest not in blobs and os.path.exists(path):
                    freed += os.stat(path).st_size
                    _unlink(path)
            _remove_directories(store, set(images.chain_ids([it.diff_id for it in layers])) - chains)
        return freed


def _name_in(image: Image, name: str) -> str:
    """Return the image's name if `name` is one of its names; "" if `name` is an ID or a digest."""
    try:
        familiar = reference.parse(name).familiar()
    except InvalidArgument:
        return ""
    return familiar if familiar in image.names else ""


def _with_digests(image: Image, name: str) -> list[str]:
    """Return a name, with the last tag of a repository also the names by digest there, as in Docker."""
    repository = images.repository_of(name)
    others = [other for other in image.names if other != name and images.repository_of(other) == repository]
    return [name, *(others if "@" not in name and all("@" in other for other in others) else [])]


def _check(image: Image, by_name: str, users: list[str], running: list[str], force: bool) -> None:
    short = image.id[7:19]
    if by_name:
        if users and not force:
            raise Conflict(
                f'conflict: unable to remove repository reference "{by_name}" (must force) - container '
                f"{users[0][:12]} is using its referenced image {short}",
                "remove the container first, or use --force to remove only the name",
            )
        return
    if users and (running or not force or not image.names):
        forced = "cannot be forced" if running or not image.names else "must be forced"
        user = f"running container {running[0][:12]}" if running else f"stopped container {users[0][:12]}"
        raise Conflict(
            f"conflict: unable to delete {short} ({forced}) - image is being used by {user}",
            "remove the container first",
        )
    if not force and len({images.repository_of(name) for name in image.names}) > 1:
        raise Conflict(
            f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories",
            f"remove its names one by one ({', '.join(image.names)}), or use --force",
        )


def _untag(store: ImageStore, names: Iterable[str]) -> Removed:
    """Remove names. An image that had no other name stays in the index without one."""
    names = list(names)
    if not names:
        return []
    before = store.descriptors()
    kept = [each for each in before if descriptors_.name_of(each) not in names]
    for descriptor in before:
        if all(descriptor["digest"] != other["digest"] for other in kept):
            kept.append(descriptors_.without_name(descriptor))
    kept = _without_duplicates(store, kept)
    writer.write_index(store, kept)
    _remove_unneeded(store, before, kept)
    return [("Untagged", name) for name in names]


def _without_duplicates(store: ImageStore, descriptors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out unnamed descriptors whose image also has a named one, with another manifest."""
    images = [(each, _image_id(store, each)) for each in descriptors]
    named = {image for each, image in images if descriptors_.name_of(each)}
    return [each for each, image in images if descriptors_.name_of(each) or not image or image not in named]


def _image_id(store: ImageStore, descriptor: dict[str, Any]) -> str:
    """Return the ID of a descriptor's image, "" if it is broken."""
    try:
        return str(store.manifest(descriptor)[0]["config"]["digest"])
    except PyctrError:
        return ""


def _delete(store: ImageStore, image: Image) -> Removed:
    """Delete an image without names: first from the index, then the blobs and layers that no other image needs."""
    before = store.descriptors()
    kept = [each for each in before if _image_id(store, each) != image.id]
    writer.write_index(store, kept)
    chains_gone = _remove_unneeded(store, before, kept, image.chain_ids)
    return [("Deleted", image.id), *(("Deleted", chain) for chain in chains_gone)]


def _remove_unneeded(
    store: ImageStore,
    before: list[dict[str, Any]],
    kept: list[dict[str, Any]],
    chains: Sequence[str] = (),
) -> list[str]:
    """Remove the blobs and layers that are needed only by the descriptors in `before` that are not in `kept`.

    Returns those of `chains` that were removed, the top first.
    """
    known = {(each["digest"], descriptors_.pulled_digest(each)) for each in kept}
    gone = [each for each in before if (each["digest"], descriptors_.pulled_digest(each)) not in known]
    if not gone:
        return []
    blobs_before, chains_before = needs.of(store, gone)
    blobs, chains_needed = needs.of(store, kept, rooted=True)
    chains_gone = [chain for chain in reversed(chains) if chain not in chains_needed]
    for digest in sorted(blobs_before - blobs):
        _unlink(store.blob_path(digest))
    _remove_directories(store, {*chains_gone, *(chains_before - chains_needed)})
    return chains_gone


def _remove_broken(store: ImageStore, name: str, error: PyctrError, force: bool, in_use: InUse | None) -> Removed:
    """Remove a broken image by its name, or by the prefix of an ID that can still be read.

    Raises `error` if there is none, Conflict if a container needs it; with `force` then only its name is removed.
    """
    gone = broken.find(store, name)
    if not gone:
        raise error
    users = [id for each in gone for id in broken.users(store, each, in_use)]
    if not users:
        return _drop(store, gone)
    if not force:
        raise Conflict(
            f"conflict: unable to remove {name} (must force) - container {users[0][:12]} is using it",
            "remove the container first, or use --force to remove only the name",
        )
    return _untag(store, filter(None, map(descriptors_.name_of, gone)))


def _drop(store: ImageStore, gone: list[dict[str, Any]]) -> Removed:
    """Remove broken images from the index, and the blobs that only they need."""
    before = store.descriptors()
    kept = [each for each in before if each not in gone]
    if gone:
        writer.write_index(store, kept)
        _remove_unneeded(store, before, kept)
    names = [(descriptors_.name_of(each), each["digest"]) for each in gone]
    return [("Untagged", name) if name else ("Deleted", digest) for name, digest in names]


def _remove_orphans(store: ImageStore) -> None:
    """Remove blobs and layers that no image references, such as leftovers of a killed writer."""
    blobs, chains = needs.of(store, store.descriptors(), rooted=True)
    with os.scandir(f"{store.layout}/blobs/sha256") as entries:
        for entry in entries:
            if f"sha256:{entry.name}" not in blobs and time.time() - entry.stat().st_mtime > _ORPHANS_AGE:
                _unlink(entry.path)
    if os.path.isdir(store.layers):
        known = {f"sha256:{name}" for name in os.listdir(store.layers)}
        _remove_directories(store, set(filter(reference.is_digest, known - chains)))


def _remove_directories(store: ImageStore, chains: Iterable[str]) -> None:
    """Set unpacked layers and their Init layers aside, to be removed once the store is unlocked."""
    for chain in chains:
        layer = store.layer_path(chain)
        for directory in (layer, f"{store.root}/init/{os.path.basename(layer)}"):
            staging.set_aside(directory)


def _blob_bytes(store: ImageStore) -> int:
    with os.scandir(f"{store.layout}/blobs/sha256") as entries:
        return sum(entry.stat().st_size for entry in entries)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
