"""Pull: an image of a registry into the store.

Threads download the layers, three at a time. The calling thread unpacks them, bottom first, each while it comes.
The image is added when all its parts are complete and checked. So a pull that is cut leaves nothing in the store,
only downloads (`images.partial`), and the next one goes on with them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from pyctr_lite.digest import sha256
from pyctr_lite.errors import BrokenArchive, InvalidArgument, NotFound, PyctrError
from pyctr_lite.images import documents, partial, platforms, shape, staging, writer
from pyctr_lite.registries import answers
from pyctr_lite.registries.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyctr_lite.images.image import Image
    from pyctr_lite.images.reference import Reference
    from pyctr_lite.images.store import ImageStore
    from pyctr_lite.registries import download, transport
    from pyctr_lite.registries.download import Report

THREADS = 3
"""Downloads at a time, as Docker's default."""
_MAX_DEPTH = 4
_MAX_LAYERS = 512
_ATTEMPTS = 3
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"


class Pulled(NamedTuple):
    """The image of a name, its digest in the registry, and whether the name was missing, or another image's."""

    image: Image
    digest: str
    is_new: bool


class _Found(NamedTuple):
    """The documents of an image in a registry, all checked; `through` is the index that led to it."""

    manifest: bytes
    config: bytes
    through: bytes | None

    @property
    def digest(self) -> str:
        return _digest(self.manifest if self.through is None else self.through)


def pull(
    store: ImageStore,
    reference: Reference,
    platform: str | None = None,
    report: Report = lambda name, what, done, total: None,
    *,
    insecure: bool = False,
) -> Pulled:
    """Pull an image, by its tag or its digest, for a platform (default: this host's).

    Only missing layers are downloaded. When this returns, its threads have ended. Raises NotFound, RegistryError,
    BrokenArchive for an answer that is not what was asked for.
    """
    if reference.digest and not reference.digest.startswith("sha256:"):
        raise InvalidArgument(f"unsupported digest algorithm: {reference.digest.partition(':')[0]}", "use sha256")
    if reference.repository() == "scratch":
        raise InvalidArgument("'scratch' is a reserved name", "it is the base of an image without a base")
    source = Repository(reference, insecure=insecure)
    partial.sweep(store)
    staging.sweep(store.root)
    try:
        if platform is None and (known := _unchanged(store, source)):
            return known
        found = _find(source, platforms.parse(platform) if platform else None)
    except answers.RegistryError as error:
        raise _translated(error, reference) from None
    for attempt in range(1, _ATTEMPTS + 1):
        source.transport.revive()
        try:
            return _add(store, source, found, report)
        except answers.RegistryError as error:
            raise answers.about(error, reference) from None
        except (NotFound, FileNotFoundError):  # another command has removed an image with one of the layers
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError


def tags(reference: Reference, *, insecure: bool = False) -> list[str]:
    """Return all tags of a repository."""
    try:
        return Repository(reference, insecure=insecure).tags()
    except answers.RegistryError as error:
        raise _translated(error, reference) from None


def _unchanged(store: ImageStore, source: Repository) -> Pulled | None:
    """Return the image of the name if it is here and the registry's is the same. HEAD counts for no rate limit."""
    familiar = source.reference.familiar()
    try:
        image = store.get(familiar)
    except PyctrError:
        return None
    if familiar not in image.names or not platforms.matches(image.config):
        return None
    digest = image.names[familiar]
    try:
        if not source.reference.digest and source.head(source.reference.tag) != digest:
            return None
    except answers.RegistryError:
        return None  # the answer to GET says why
    return Pulled(image, digest, False)


def _find(source: Repository, wanted: dict[str, str] | None) -> _Found:
    """Get the documents of the image: through an index the one for this host, or the wanted platform."""
    content = source.manifest(source.reference.digest or source.reference.tag)
    index: bytes | None = None
    for _ in range(_MAX_DEPTH):
        value = _manifest(content)
        if "manifests" not in value:
            break
        index = index or content
        descriptor = _choose(value["manifests"], wanted)
        content = source.manifest(descriptor["digest"], descriptor["size"])
    else:
        raise BrokenArchive(f"{source.reference.familiar()}: more than {_MAX_DEPTH} nested indexes")
    if not documents.is_image(value):
        kind = value.get("artifactType") or value["config"]["mediaType"]
        raise InvalidArgument(f"{source.reference.familiar()} is not an image, but {kind}")
    for layer in value.get("layers") or []:
        if layer.get("urls"):
            raise InvalidArgument(f"layer {layer['digest']} is not in the registry, but at {layer['urls'][0]}")
    config = source.blob(value["config"], "image config")
    actual = shape.read(documents.IMAGE, config, "image config")
    if wanted and not platforms.matches(actual, wanted):
        raise NotFound(
            f"image with reference {source.reference.familiar()} was found but does not provide the specified "
            f"platform ({platforms.show(wanted)}): it is for {platforms.show(actual)}"
        )
    return _Found(content, config, index)


def _manifest(content: bytes) -> dict[str, Any]:
    """Read a manifest or an index by its shape. A manifest of Docker's first schema has no digests to check."""
    peeked = shape.read(shape.Object({}), content, "manifest")
    kind = peeked.get("mediaType")
    if peeked.get("schemaVersion") == 1 or (isinstance(kind, str) and kind.startswith(_SCHEMA_1)):
        raise InvalidArgument(
            "the manifest has Docker's schema 1, which is no longer supported",
            "push the image again, by a newer Docker",
        )
    value: dict[str, Any] = shape.read(documents.MANIFEST_OR_INDEX, content, "manifest")
    return value


def _choose(descriptors: list[dict[str, Any]], wanted: dict[str, str] | None) -> dict[str, Any]:
    for descriptor in descriptors:
        if documents.leads_to_image(descriptor) and platforms.matches(descriptor.get("platform") or {}, wanted):
            return descriptor
    text = platforms.show(wanted or {"os": "linux", "architecture": platforms.architecture()})
    shown = [platforms.show(descriptor.get("platform") or {}) for descriptor in descriptors]
    known = [name for name in shown if name.isprintable()]  # a hint may have several lines: none of a registry's
    others = ", ".join(dict.fromkeys(name for name in known if name and not name.startswith("unknown")))
    raise NotFound(
        f"no matching manifest for {text} in the manifest list entries", f"it has: {others or 'nothing'}"
    )


def _add(store: ImageStore, source: Repository, found: _Found, report: Report) -> Pulled:
    """Get what is missing, and add the image under its name."""
    from pyctr_lite.images import staged
    from pyctr_lite.registries import download

    manifest = shape.read(documents.MANIFEST, found.manifest, "manifest")
    config = shape.read(documents.IMAGE, found.config, "image config")
    described = manifest.get("layers") or []
    if len(described) != len(config["rootfs"].get("diff_ids") or []) or len(described) > _MAX_LAYERS:
        raise BrokenArchive(f"image config {_digest(found.config)}: its diff_ids are not those of the layers")
    images, reference = store.list(), source.reference
    before = [image.id for image in images if reference.familiar() in image.names]
    verified = {(layer.digest, layer.diff_id) for image in images for layer in image.layers}
    with store.staging() as stage:
        by_digest = {each["digest"]: download.Download(stage, source, each, report) for each in described}
        downloads = [by_digest[each["digest"]] for each in described]
        unpacker = staged.LayerUnpacker(store, stage, verified)
        with _downloading(list(by_digest.values()), source.transport, report):
            layers = unpacker.layers(downloads, config)
            image = writer.add_image(store, found.config, layers, [reference], found.manifest, found.through)
    for each in by_digest.values():
        if not each.existed:
            report(each.name, "Pull complete", 0, 0)
    return Pulled(image, found.digest, image.id not in before)


@contextlib.contextmanager
def _downloading(
    downloads: Sequence[download.Download], connections: transport.Transport, report: Report
) -> Iterator[None]:
    """Download in threads, and keep the downloads until the end, when all threads have ended.

    An error is replaced by that of the download that caused it.
    """
    from concurrent import futures

    pool = futures.ThreadPoolExecutor(THREADS, "pull")
    try:
        for number, each in enumerate(downloads):
            report(each.name, "Pulling fs layer" if number < THREADS else "Waiting", 0, 0)
        for each in downloads:
            pool.submit(each.run)
        yield
    except Exception as error:
        connections.cancel()
        pool.shutdown(wait=True, cancel_futures=True)
        raise next((each.error for each in downloads if each.error and each.has_failed), error) from None
    finally:
        connections.cancel()
        pool.shutdown(wait=True, cancel_futures=True)
        for each in downloads:
            each.close()


def _translated(error: answers.RegistryError, reference: Reference) -> PyctrError:
    """Return a refusal in the words of Docker's pull."""
    if error.code == "DENIED":
        return PyctrError(
            f"pull access denied for {reference.repository()}, repository does not exist or may require "
            f"'docker login': {error.message}",
            f"pyctr_lite login {reference.domain}",
        )
    if error.code == "NAME_UNKNOWN":
        return NotFound(f"repository {reference.repository()} not found: {error.message}")
    if error.code == "MANIFEST_UNKNOWN" or (error.status == 404 and not error.code):
        message = error.message if error.code else "manifest unknown: manifest unknown"
        return NotFound(f"manifest for {reference.familiar()} not found: {message}")
    return answers.about(error, reference)


def _digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"
