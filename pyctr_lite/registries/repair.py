"""Repair: replace an image's damaged or missing blobs by those that its registry has under the same digests."""

from __future__ import annotations

import contextlib
import os

from pyctr_lite.errors import BrokenArchive, NotFound, PyctrError
from pyctr_lite.images import blob, compression, descriptors, documents, writer
from pyctr_lite.registries.download import Download
from pyctr_lite.registries.repository import Repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.images.staging import Staging
    from pyctr_lite.images.store import ImageStore


def repair(store: ImageStore, name: str, *, insecure: bool = False) -> list[str]:
    """Repair the image of a name. Returns the digests of the blobs that were replaced.

    Raises NotFound if no registry is known for it, RegistryError and others if the registry does not have a blob.
    What cannot be repaired stays as it is.
    """
    found = [each for each in store.descriptors() if name in (descriptors.name_of(each), each["digest"])]
    for descriptor in found:
        for reference in descriptors.references_of(descriptor):
            return _repair(store, descriptor, Repository(reference, insecure=insecure))
    raise NotFound(f"image {name} cannot be repaired: it has no name, so its registry is not known")


def _repair(store: ImageStore, descriptor: dict[str, Any], source: Repository) -> list[str]:
    replaced: list[str] = []
    digest = descriptor["digest"]
    for each in filter(None, (descriptors.pulled_digest(descriptor), digest)):
        if _is_bad(store, each):
            _replace(store, each, source.manifest(each))
            replaced.append(each)
    manifest = store.read(documents.MANIFEST, digest, "manifest")
    pushed = _pushed_layers(store, descriptor)
    config = manifest["config"]
    if _is_bad(store, config["digest"]):
        _replace(store, config["digest"], source.blob(config, "image config"))
        replaced.append(config["digest"])
    for number, layer in enumerate(manifest.get("layers") or []):
        if _is_bad(store, layer["digest"]):
            _fetch_layer(store, layer, pushed[number] if pushed else layer, source)
            replaced.append(layer["digest"])
    return replaced


def _pushed_layers(store: ImageStore, descriptor: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the layers as an earlier push has compressed them; none if there was no such push."""
    pushed = descriptors.pulled_digest(descriptor)
    manifest = store.read(documents.MANIFEST_OR_INDEX, pushed, "manifest") if pushed else {}
    return manifest.get("layers") or []


def _is_bad(store: ImageStore, digest: str) -> bool:
    try:
        blob.verify(store.blob_path(digest), digest)
    except BrokenArchive:
        return True
    return False


def _replace(store: ImageStore, digest: str, content: bytes) -> None:
    """Store a document, whose digest was checked, in the place of a damaged one."""
    with store.staging() as stage:
        with stage.open_blob() as written:
            written.write(content)
        with writer.locked(store):
            os.replace(written.path, store.blob_path(digest))


def _fetch_layer(
    store: ImageStore, descriptor: dict[str, Any], described: dict[str, Any], source: Repository
) -> None:
    """Download a layer in the place of a damaged one, which stays if that fails.

    `described` is the layer in the registry: the same, or, compressed there, another blob with the same tar.
    """
    path = store.blob_path(descriptor["digest"])
    with store.staging() as stage:
        aside = stage.new_path()
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, aside)
        download = Download(stage, source, described, lambda name, state, done, total: None)
        download.run()
        try:
            if described == descriptor:
                found = download.path
            else:
                found = _decompressed(stage, download, descriptor["digest"])
                download.discard()
            with writer.locked(store):
                os.rename(found, path)
        except BaseException as error:
            if os.path.exists(aside) and not os.path.exists(path):
                os.rename(aside, path)
            if isinstance(error, PyctrError | OSError):
                raise
            raise PyctrError(f"blob {descriptor['digest']}: {error}") from error
        finally:
            download.close()


def _decompressed(stage: Staging, download: Download, digest: str) -> str:
    """Write the tar of a compressed layer to a new file, and return its path. Raises BrokenArchive for another."""
    with (
        download.open() as stream,
        compression.open_decompressed(stream) as plain,
        stage.open_blob() as written,
    ):
        while data := plain.read(blob.CHUNK):
            written.write(data)
    blob.check(digest, written.digest, f"layer {digest}")
    return written.path
