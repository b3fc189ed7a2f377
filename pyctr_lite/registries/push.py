"""Push: an image of the store into a registry: layers first, then the config, the manifest last.

The manifest and the blobs are sent as they are stored, so that a pulled image keeps its digest. Only a layer that
is not compressed, as `commit` and `build` make them, is compressed on its way, unless the registry has it already.
The store keeps the manifest that names the compressed blobs, and not these: the image stays as it is.
"""

from __future__ import annotations

import os
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, NamedTuple

from pyctr_lite.digest import sha256
from pyctr_lite.errors import BrokenArchive, NotFound
from pyctr_lite.images import blob, compression, documents, shape, writer
from pyctr_lite.images import image as images
from pyctr_lite.images import reference as references
from pyctr_lite.registries import answers, transport
from pyctr_lite.registries.origins import Origins
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
    target = Repository(reference, "pull,push", insecure=insecure)
    try:
        with store.staging() as stage:
            sent = _Layers(stage, image, target, report).push()
            config = store.blob_path(image.id)
            size = os.stat(config).st_size
            upload = Upload(target, config, image.id, size, image.id[7:19], report)
            if not upload.find(()):
                upload.send()
            manifest = _read(store, image.digest)
            if [layer.digest for layer in sent] != [layer.digest for layer in image.layers]:
                described = {"mediaType": images.CONFIG, "digest": image.id, "size": size}
                manifest = writer.make_manifest(described, sent)
            pushed = _push_manifest(manifest, target)
        if image.names.get(reference.familiar()) != pushed.digest:
            writer.keep_pushed(store, image, reference, manifest)
        return pushed
    except answers.RegistryError as error:
        if error.code in ("DENIED", "UNAUTHORIZED"):
            error.hint = f"pyctr_lite login {reference.domain}"
            raise
        raise answers.about(error, reference) from None


def _push_manifest(content: bytes, target: Repository) -> Pushed:
    url = target.url(f"manifests/{target.reference.tag}")
    headers = {"Content-Type": documents.media_type(shape.read(documents.MANIFEST_OR_INDEX, content, "manifest"))}
    response = target.request("PUT", url, headers, content, expected=(201,))
    target.transport.close(response)
    digest = f"sha256:{sha256(content).hexdigest()}"
    found = response.headers.get("Docker-Content-Digest") or digest
    if found != digest:
        raise BrokenArchive(f"manifest {digest}: the registry has {found}", "pyctr_lite image verify")
    return Pushed(digest, len(content))


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


class _Layers:
    """The layers of an image on their way to a repository."""

    def __init__(self, stage: Staging, image: Image, target: Repository, report: Report) -> None:
        self._stage, self._target, self._report = stage, target, report
        self._layers = image.layers
        self._origins = Origins(stage.store, target.reference)
        known = [self._origins.compressed(layer.diff_id) for layer in image.layers]
        digests = [*(layer.digest for layer in image.layers), *(each["digest"] for each in known if each)]
        sources = {path for digest in digests for path in self._origins.paths(digest)}
        target.authorization.scopes += [f"repository:{path}:pull" for path in sorted(sources)]

    def push(self) -> list[Layer]:
        """Push the layers, several at a time, and return them as the registry has them.

        Raises the first error after all threads have ended.
        """
        unique = {layer.digest: layer for layer in self._layers}
        for layer in reversed(unique.values()):
            self._report(layer.diff_id[7:19], "Preparing", 0, 0)
        with ThreadPoolExecutor(THREADS, "push") as pool:
            try:
                running = {digest: pool.submit(self._push, unique[digest]) for digest in reversed(unique)}
                done, _ = wait(running.values(), return_when=FIRST_EXCEPTION)
                errors = [error for each in done if (error := each.exception())]
                real = [error for error in errors if not isinstance(error, transport.Cancelled)]
                if errors:
                    raise (real or errors)[0]
            except BaseException:
                self._target.transport.cancel()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [running[layer.digest].result() for layer in self._layers]

    def _push(self, layer: Layer) -> Layer:
        path = self._stage.store.blob_path(layer.digest)
        if layer.media_type not in _PLAIN:
            self._send(layer, path)
            return layer
        if known := self._origins.compressed(layer.diff_id):
            sent = images.Layer(known["digest"], layer.diff_id, known["size"], known["mediaType"])
            if self._send(sent, self._stage.store.blob_path(sent.digest), optional=True):
                return sent
        written = self._compress(layer, path)
        sent = images.Layer(written.digest, layer.diff_id, written.size, f"{images.LAYER}+gzip")
        self._send(sent, written.path)
        os.unlink(written.path)
        return sent

    def _send(self, layer: Layer, path: str, *, optional: bool = False) -> bool:
        """Bring a layer into the repository. Returns False if it is `optional`, not there and not in the store."""
        name = layer.diff_id[7:19]
        upload = Upload(self._target, path, layer.digest, layer.size, name, self._report)
        how = upload.find(self._origins.paths(layer.digest))
        if not how and optional and not os.path.exists(path):
            return False
        if not how:
            upload.send()
        texts = {"": "Pushed", "exists": "Layer already exists"}
        self._report(name, texts.get(how, f"Mounted from {how}"), 0, 0)
        return True

    def _compress(self, layer: Layer, path: str) -> blob.BlobWriter:
        name = layer.diff_id[7:19]
        with self._stage.open_blob() as written, blob.open_blob(path, layer.digest) as file:
            reader = blob.HashingReader(file)
            output: Any = written
            with compression.open_compressor(output, "gzip") as compressor:
                while data := reader.read(blob.CHUNK):
                    self._target.transport.check()
                    compressor.write(data)
                    self._report(name, "Compressing", reader.size, layer.size)
        blob.check(layer.digest, reader.digest, f"blob {layer.digest}")
        return written


def _read(store: ImageStore, digest: str) -> bytes:
    """Return the bytes of a stored document, checked again."""
    path = store.blob_path(digest)
    blob.verify(path, digest)
    with open(path, "rb") as file:
        return file.read()
