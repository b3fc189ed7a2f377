"""Verification of stored images: documents by their shapes, blobs by their digests, layers by their diff_ids."""

from __future__ import annotations

import os

from pyctr_lite.errors import BrokenArchive, PyctrError
from pyctr_lite.images import blob, compression, documents, writer
from pyctr_lite.images.descriptors import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from pyctr_lite.images.image import Image, Layer
    from pyctr_lite.images.store import ImageStore


def verify(store: ImageStore, names: Sequence[str] = ()) -> Iterator[tuple[str, PyctrError | None]]:
    """Verify images, by default all; yield each image's name and its error, None if it is intact.

    Raises NotFound for an unknown name.
    """
    checked: dict[tuple[str, str], BrokenArchive | None] = {}
    if names:
        for name in names:
            try:
                image = store.get(name)
            except BrokenArchive as error:
                yield name, _named(name, error)
            else:
                yield name, _verify(store, image, name, checked)
        return
    images, broken = store.survey()
    for image in images:
        name = ", ".join(image.references) or image.id
        yield name, _verify(store, image, name, checked)
    for descriptor, problem in broken:
        name = name_of(descriptor) or descriptor["digest"]
        yield name, _named(name, problem)


def is_damaged(store: ImageStore) -> bool:
    """Return whether index.json cannot be read."""
    try:
        store.descriptors()
    except BrokenArchive:
        return True
    return False


def rebuild_index(store: ImageStore) -> list[str]:
    """Rebuild a damaged index.json from the manifests among the blobs, and return the images' digests.

    The names were only in index.json, so the images are unnamed until `tag`. The damaged file is kept beside it.
    """
    with writer.locked(store):
        if not is_damaged(store):
            return []
        found = [f"sha256:{name}" for name in sorted(os.listdir(f"{store.layout}/blobs/sha256"))]
        descriptors = [descriptor for digest in found if (descriptor := _image_of(store, digest))]
        os.replace(f"{store.layout}/index.json", f"{store.layout}/index.json.damaged")
        writer.write_index(store, descriptors)
    return [descriptor["digest"] for descriptor in descriptors]


def _image_of(store: ImageStore, digest: str) -> dict[str, Any] | None:
    """Return the descriptor of a blob that is the manifest of a complete image, else None."""
    try:
        manifest = store.read(documents.MANIFEST, digest, "manifest")
        store.image(digest, manifest, {})
        return writer.describe(store, digest)
    except BrokenArchive:
        return None


def _verify(
    store: ImageStore, image: Image, name: str, checked: dict[tuple[str, str], BrokenArchive | None]
) -> BrokenArchive | None:
    for digest in {image.id, image.digest, *image.names.values()}:
        try:
            blob.verify(store.blob_path(digest), digest)
        except BrokenArchive as error:
            return _named(name, error)
    for layer in image.layers:
        key = layer.digest, layer.diff_id
        if key not in checked:
            checked[key] = _verify_layer(store, layer)
        if problem := checked[key]:
            return _named(name, problem)
    return None


def _verify_layer(store: ImageStore, layer: Layer) -> BrokenArchive | None:
    try:
        with blob.open_blob(store.blob_path(layer.digest), layer.digest) as file:
            stored = blob.HashingReader(file)
            with compression.open_decompressed(stored) as plain:
                reader = blob.HashingReader(plain)
                reader.drain()
            stored.drain()
        blob.check(layer.digest, stored.digest, f"layer {layer.digest}")
        blob.check(layer.diff_id, reader.digest, f"unpacked layer {layer.digest}")
        if stored.size != layer.size:
            raise BrokenArchive(f"layer {layer.digest} has {stored.size} bytes, not {layer.size}")
    except BrokenArchive as error:
        return error
    return None


def _named(name: str, error: PyctrError) -> BrokenArchive:
    return BrokenArchive(f"image {name} is broken: {error.message}", error.hint)
