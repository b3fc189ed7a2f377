"""Push: an image of the store into a registry: layers first, then the config, the manifest last.

The manifest and the blobs are sent as they are stored, so that a pulled image keeps its digest. Only a layer that
is not compressed, as `commit` and `build` make them, is compressed first. The name then gets the new manifest of
the same image, so the next push finds the same blobs.
"""

from __future__ import annotations

import os
from concurrent import futures
from typing import TYPE_CHECKING, Any, NamedTuple

from pyctr_lite.errors import BrokenArchive, NotFound
from pyctr_lite.images import blob, compression, removal, writer
from pyctr_lite.images import image as images
from pyctr_lite.images import reference as references
from pyctr_lite.images.staging import NewLayer
from pyctr_lite.registries import answers, transport
from pyctr_lite.registries.repository import Repository
from pyctr_lite.registries.upload import Upload

if TYPE_CHECKING:
    from pyctr_lite.images.image import Image, Layer
    from pyctr_lite.images.reference import Reference
    from pyctr_lite.images.staging import Staging
    from pyctr_lite.images.store import ImageStore
    from pyctr_lite.registries.download import Report

THREADS = 5
"""Uploads at a time, as Docker's default."""
_PLAIN = (images.LAYER, "application/vnd.docker.image.rootfs.diff.tar")
_MAX_SOURCES = 3


class Pushed(NamedTuple):
    """The digest of an image in the registry, and the bytes of its manifest."""

    digest: str
    size: int


def push(
    store: ImageStore,
    reference: Reference,
    report: Report = lambda name, what, done, total: None,
    *,
    insecure: bool = False,
) -> Pushed:
    """Push an image by its name. When this returns, its threads have ended.

    Raises NotFound if the store has no image of that name, RegistryError, TransportError, BrokenArchive for a blob
    that is damaged.
    """
    image = _named(store, reference)
    if any(layer.media_type in _PLAIN for layer in image.layers):
        image = _compress(store, image, reference, report)
    target = Repository(reference, "pull,push", insecure=insecure)
    sources = _sources(store, image, reference)
    target.authorization.scopes += [f"repository:{name}:pull" for name in sorted(set().union(*sources.values()))]
    try:
        _push_layers(store, image, target, sources, report)
        config = store.blob_path(image.id)
        Upload(target, config, image.id, os.stat(config).st_size, image.id[7:19], report).run()
        return _push_manifest(store, image.digest, target)
    except answers.RegistryError as error:
        if error.code in ("DENIED", "UNAUTHORIZED"):
            error.hint = f"pyctr_lite login {reference.domain}"
        raise


def _push_manifest(store: ImageStore, digest: str, target: Repository) -> Pushed:
    url = target.url(f"manifests/{target.reference.tag}")
    described = writer.describe(store, digest)
    headers = {"Content-Type": described["mediaType"]}
    response = target.request("PUT", url, headers, _read(store, digest), expected=(201,))
    target.transport.close(response)
    found = response.headers.get("Docker-Content-Digest") or digest
    if found != digest:
        raise BrokenArchive(f"manifest {digest}: the registry has {found}", "pyctr_lite image verify")
    return Pushed(digest, described["size"])


def tags(store: ImageStore, reference: Reference) -> list[str]:
    """Return the tags that a repository has in the store. Raises NotFound if there are none, in Docker's words."""
    names = [references.parse(name) for image in store.list() for name in image.references]
    found = sorted(each.tag for each in names if each.repository() == reference.repository())
    if not found:
        text = f"An image does not exist locally with the tag: {reference.repository()}"
        raise NotFound(text, f"pyctr_lite tag IMAGE {reference.familiar()}")
    return found


def _named(store: ImageStore, reference: Reference) -> Image:
    """Return the image of a name. Raises NotFound in Docker's words, also if only its repository is known."""
    if reference.tag not in tags(store, reference):
        raise NotFound(f"tag does not exist: {reference.familiar()}", "pyctr_lite images lists all tags")
    return store.get(reference.familiar())


def _compress(store: ImageStore, image: Image, reference: Reference, report: Report) -> Image:
    """Give the name a manifest whose layers are compressed by gzip, and return the image with it."""
    with store.staging() as stage:
        layers = [
            _compressed(store, stage, layer, report) if layer.media_type in _PLAIN else layer
            for layer in image.layers
        ]
        writer.add_image(store, _read(store, image.id), layers, [reference])
    removal.remove_duplicates(store)
    return store.get(reference.familiar())


def _compressed(store: ImageStore, stage: Staging, layer: Layer, report: Report) -> NewLayer:
    name = layer.diff_id[7:19]
    with stage.open_blob() as written, blob.open_blob(store.blob_path(layer.digest), layer.digest) as file:
        reader = blob.HashingReader(file)
        output: Any = written
        with compression.open_compressor(output, "gzip") as compressor:
            while data := reader.read(blob.CHUNK):
                compressor.write(data)
                report(name, "Compressing", reader.size, layer.size)
    blob.check(layer.digest, reader.digest, f"blob {layer.digest}")
    return NewLayer(written, layer.diff_id, f"{images.LAYER}+gzip")


def _sources(store: ImageStore, image: Image, reference: Reference) -> dict[str, list[str]]:
    """Return for each blob the paths of the same registry's other repositories that may have it."""
    found: dict[str, list[str]] = {layer.digest: [] for layer in image.layers}
    for other in store.list():
        names = [references.parse(name) for name in other.names]
        paths = [each.path for each in names if each.domain == reference.domain and each.path != reference.path]
        for layer in other.layers:
            if layer.digest in found:
                found[layer.digest] += [path for path in paths if path not in found[layer.digest]]
    return {digest: paths[:_MAX_SOURCES] for digest, paths in found.items()}


def _push_layers(
    store: ImageStore, image: Image, target: Repository, sources: dict[str, list[str]], report: Report
) -> None:
    """Push the layers, several at a time. Raises the first error after all threads have ended."""
    unique = {layer.digest: layer for layer in image.layers}

    def push_one(layer: Layer) -> None:
        name = layer.diff_id[7:19]
        path = store.blob_path(layer.digest)
        how = Upload(target, path, layer.digest, layer.size, name, report).run(sources[layer.digest])
        texts = {"exists": "Layer already exists", "pushed": "Pushed"}
        report(name, texts.get(how, f"Mounted from {how}"), 0, 0)

    for layer in reversed(unique.values()):
        report(layer.diff_id[7:19], "Preparing", 0, 0)
    with futures.ThreadPoolExecutor(THREADS, "push") as pool:
        try:
            running = [pool.submit(push_one, layer) for layer in reversed(unique.values())]
            done, _ = futures.wait(running, return_when=futures.FIRST_EXCEPTION)
            errors = [error for each in done if (error := each.exception())]
            real = [error for error in errors if not isinstance(error, transport.Cancelled)]
            if errors:
                raise (real or errors)[0]
        except BaseException:
            target.transport.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _read(store: ImageStore, digest: str) -> bytes:
    """Return the bytes of a stored document, checked again."""
    path = store.blob_path(digest)
    blob.verify(path, digest)
    with open(path, "rb") as file:
        return file.read()
