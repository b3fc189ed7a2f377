"""Repair: replace an image's damaged or missing blobs by those that its registry has under the same digests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pyctr_lite.errors import BrokenArchive, NotFound, PyctrError
from pyctr_lite.images import blob, descriptors, documents, writer
from pyctr_lite.registries.download import Download
from pyctr_lite.registries.repository import Repository

if TYPE_CHECKING:
    from pyctr_lite.images.store import ImageStore


def repair(store: ImageStore, name: str, *, insecure: bool = False) -> list[str]:
    """Repair the image of a name. Returns the digests of the blobs that were replaced.

    Raises NotFound if no registry is known for it, RegistryError and others if the registry does not have a blob.
    What cannot be repaired stays as it is.
    """
    found = [each for each in store.descriptors() if name in (writer.name_of(each), each["digest"])]
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
    config = manifest["config"]
    if _is_bad(store, config["digest"]):
        _replace(store, config["digest"], source.blob(config, "image config"))
        replaced.append(config["digest"])
    for layer in manifest.get("layers") or []:
        if _is_bad(store, layer["digest"]):
            _fetch_layer(store, layer, source)
            replaced.append(layer["digest"])
    return replaced


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


def _fetch_layer(store: ImageStore, descriptor: dict[str, Any], source: Repository) -> None:
    """Download a layer in the place of a damaged one, which stays if that fails."""
    path = store.blob_path(descriptor["digest"])
    with store.staging() as stage:
        aside = stage.new_path()
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            pass
        download = Download(stage, source, descriptor, lambda name, state, done, total: None)
        download.run()
        try:
            with writer.locked(store):
                os.rename(download.path, path)
        except BaseException as error:
            if os.path.exists(aside) and not os.path.exists(path):
                os.rename(aside, path)
            if isinstance(error, PyctrError | OSError):
                raise
            raise PyctrError(f"blob {descriptor['digest']}: {error}") from error
        finally:
            download.close()
