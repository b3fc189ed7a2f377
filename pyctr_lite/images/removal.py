"""Takes names and images away, with what no other image needs. Nothing is counted: who refers to what is read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pyctr_lite.errors import BrokenArchive, Conflict, InvalidArgument
from pyctr_lite.images import reference, writer

if TYPE_CHECKING:
    from pyctr_lite.images.image import Image
    from pyctr_lite.images.store import ImageStore

InUse = Callable[["Image"], Sequence[str]]
Removed = list[tuple[str, str]]
_ORPHANS_AGE = 3600
"""Seconds after which a blob that no image names is nobody's: skopeo writes blobs before it writes index.json."""


def remove(
    store: ImageStore,
    name: str,
    force: bool = False,
    in_use: InUse | None = None,
    running: InUse | None = None,
) -> Removed:
    """Remove a name, and the image with its last name; with an ID all its names, of several repositories by force.

    `in_use` gives the IDs of the containers that need an image, `running` those of them that run. Fails with
    Conflict while there are any; `force` then takes the name, and leaves the image to them without one, for
    `prune`. By its ID an image with a running container is not removed by force either.
    """
    with writer.locked(store):
        try:
            image = store.get(name)
        except BrokenArchive:
            return _remove_broken(store, name)
        users = list(in_use(image)) if in_use else []
        by_name = _name_in(image, name)
        if by_name and len(image.references) > 1:
            return _untag(store, [by_name])
        _check(image, by_name, users, list(running(image)) if running else [], force)
        removed = _untag(store, image.references)
        return removed if users else removed + _delete(store, image)


def prune(
    store: ImageStore,
    in_use: InUse | None = None,
    all: bool = False,
    chosen: Callable[[Image], bool] | None = None,
) -> tuple[Removed, int]:
    """Remove dangling images, with `all` every image that no container uses: what went, and the blobs' bytes.

    `chosen` narrows the choice.
    """
    removed: Removed = []
    with writer.locked(store):
        before = _blob_bytes(store)
        writer.write_index(
            store, [each for each in store.descriptors() if writer.name_of(each) or _reads(store, each)]
        )
        for image in store.list():
            if not (all or not image.references) or (chosen and not chosen(image)):
                continue
            if not (in_use and in_use(image)):
                removed += _untag(store, image.references) + _delete(store, image)
        _remove_orphans(store)
        return removed, before - _blob_bytes(store)


def _name_in(image: Image, name: str) -> str:
    """The image's own name that a person named it by; "" where it was an ID or a digest."""
    try:
        familiar = reference.parse(name).familiar()
    except InvalidArgument:
        return ""
    return familiar if familiar in image.references else ""


def _check(image: Image, by_name: str, users: list[str], running: list[str], force: bool) -> None:
    short = image.id[7:19]
    if by_name:
        if users and not force:
            raise Conflict(
                f'conflict: unable to remove repository reference "{by_name}" (must force) - container '
                f"{users[0][:12]} is using its referenced image {short}",
                "Remove the container first, or use --force to take only the name.",
            )
        return
    if users and (running or not force or not image.references):
        forced = "cannot be forced" if running or not image.references else "must be forced"
        user = f"running container {running[0][:12]}" if running else f"stopped container {users[0][:12]}"
        raise Conflict(
            f"conflict: unable to delete {short} ({forced}) - image is being used by {user}",
            "Remove the container first.",
        )
    if not force and len({name.rpartition(":")[0] for name in image.references}) > 1:
        raise Conflict(
            f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories",
            f"Remove its names one by one ({', '.join(image.references)}), or use --force.",
        )


def _untag(store: ImageStore, names: Iterable[str]) -> Removed:
    """Take names away; an image that had no other stays in the index without one."""
    names = list(names)
    kept = [each for each in store.descriptors() if writer.name_of(each) not in names]
    for descriptor in store.descriptors():
        if all(descriptor["digest"] != other["digest"] for other in kept):
            kept.append(writer.without_name(descriptor))
    if names:
        writer.write_index(store, kept)
    return [("Untagged", name) for name in names]


def _delete(store: ImageStore, image: Image) -> Removed:
    """Delete an image without names: first from the index, then the blobs and layers no other image has."""
    gone: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    for descriptor in store.descriptors():
        blobs, _ = _needs(store, [descriptor])
        (gone if image.id in blobs else kept).append(descriptor)
    blobs_before, chains_before = _needs(store, gone)
    writer.write_index(store, kept)
    blobs, chains = _needs(store, kept)
    for digest in sorted(blobs_before - blobs):
        _unlink(store.blob_path(digest))
    chains_gone = [chain for chain in reversed(image.chain_ids) if chain not in chains]
    _remove_directories(store, {*chains_gone, *(chains_before - chains)})
    return [("Deleted", image.id), *(("Deleted", chain) for chain in chains_gone)]


def _needs(store: ImageStore, descriptors: Iterable[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """The blobs and the chain ids that descriptors lead to; a damaged image's as far as they can be read."""
    blobs: set[str] = set()
    chains: set[str] = set()
    waiting = list(descriptors)
    while waiting:
        descriptor = waiting.pop()
        blobs.add(descriptor["digest"])
        try:
            manifest = store.read_json(descriptor["digest"])
            waiting += manifest.get("manifests") or []
            if "config" in manifest:
                blobs |= {manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])}
                chains |= set(store.image(descriptor["digest"], manifest, []).chain_ids)
        except BrokenArchive:
            continue
    return blobs, chains


def _reads(store: ImageStore, descriptor: dict[str, Any]) -> bool:
    try:
        manifest, digest = store.manifest(descriptor)
        store.image(digest, manifest, [])
    except BrokenArchive:
        return False
    return True


def _remove_broken(store: ImageStore, name: str) -> Removed:
    """Take the name of a damaged image out of the index: what of it is left goes with `prune`."""
    familiar = reference.parse(name).familiar()
    writer.write_index(store, [each for each in store.descriptors() if writer.name_of(each) != familiar])
    return [("Untagged", familiar)]


def _remove_orphans(store: ImageStore) -> None:
    """Remove blobs and layers that no image leads to, such as a killed writer leaves."""
    blobs, chains = _needs(store, store.descriptors())
    with os.scandir(f"{store.layout}/blobs/sha256") as entries:
        for entry in entries:
            if f"sha256:{entry.name}" not in blobs and time.time() - entry.stat().st_mtime > _ORPHANS_AGE:
                _unlink(entry.path)
    if os.path.isdir(store.layers):
        _remove_directories(store, {f"sha256:{name}" for name in os.listdir(store.layers)} - chains)


def _remove_directories(store: ImageStore, chains: Iterable[str]) -> None:
    """Remove unpacked layers and their Init layers: renamed away in one step, so that none is ever half there."""
    with store.staging() as stage:
        for chain in chains:
            for directory in (f"{store.layers}/{chain[7:]}", f"{store.root}/init/{chain[7:]}"):
                try:
                    os.rename(directory, stage.new_path())
                except FileNotFoundError:
                    pass  # never unpacked


def _blob_bytes(store: ImageStore) -> int:
    with os.scandir(f"{store.layout}/blobs/sha256") as entries:
        return sum(entry.stat().st_size for entry in entries)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
