"""Add and name images: one writer at a time, and index.json is replaced only after all its blobs are stored.

A process killed at any moment leaves the store unchanged, or with unreferenced blobs. Paths are made of checked
digests (`ImageStore.blob_path`), in directories that no container can reach: a container sees only unpacked
layers, read-only, through an overlay.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from pyctr_lite import jsonfile, linux
from pyctr_lite.errors import BrokenArchive, InvalidArgument, NotFound
from pyctr_lite.images import documents, reference, shape, staging, unpack
from pyctr_lite.images import image as images
from pyctr_lite.images.descriptors import name_of, without_name
from pyctr_lite.rootfs import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from pyctr_lite.images.image import Image, Layer
    from pyctr_lite.images.staging import NewLayer, Staging
    from pyctr_lite.images.store import ImageStore

    Descriptors = list[dict[str, Any]]


def add_image(
    store: ImageStore,
    config: dict[str, Any] | bytes,
    layers: Sequence[Layer | NewLayer],
    references: Sequence[str | reference.Reference] = (),
    manifest: bytes | None = None,
    index: bytes | None = None,
) -> Image:
    """Add an image (see `ImageStore.add_image`). Config and manifest given as bytes are stored unchanged.

    Both are checked against their shapes first, so that the store can read every image back. `index` is the index
    through which the image was pulled. A name that is given as a Reference may have a digest.
    """
    names = [parse_name(name) if isinstance(name, str) else name for name in references]
    content = config if isinstance(config, bytes) else _encode(config)
    value = shape.read(documents.IMAGE, content, "image config")
    if (value["rootfs"].get("diff_ids") or []) != [layer.diff_id for layer in layers]:
        raise BrokenArchive("wrong digest: the config's diff_ids are not those of the layers")
    with store.staging() as stage:
        config_descriptor = _write_blob(stage, content, images.CONFIG)
        if manifest is None:
            manifest = make_manifest(config_descriptor, layers)
        read = shape.read(documents.MANIFEST, manifest, "manifest")
        _check_manifest(read, config_descriptor["digest"], layers)
        descriptor = _write_blob(stage, manifest, documents.media_type(read))
        documents_ = [config_descriptor, descriptor]
        if index is not None:
            documents_.append(_write_blob(stage, index, images.INDEX))
        with locked(store), contextlib.ExitStack() as undo:
            for layer in layers:
                _install_layer_blob(store, layer, undo)
            for blob_ in documents_:
                _install_blob(blob_.pop("path"), store.blob_path(blob_["digest"]), undo)
            _install_directories(store, layers, undo)
            pulled = documents_[2]["digest"] if index is not None else ""
            write_index(store, name_image(store.descriptors(), descriptor, names, pulled))
            undo.pop_all()
            return store.get(config_descriptor["digest"])


def add_layers(store: ImageStore, layers: Sequence[Layer | NewLayer], keep: Callable[[], None]) -> None:
    """Add staged layers without an image. `keep` writes the root that needs them (see `roots`)."""
    with locked(store), contextlib.ExitStack() as undo:
        for layer in layers:
            _install_layer_blob(store, layer, undo)
        _install_directories(store, layers, undo)
        keep()
        undo.pop_all()


def _encode(config: dict[str, Any]) -> bytes:
    """Return a new config as bytes. Raises InvalidArgument with the field's path if it is malformed."""
    try:
        shape.check(documents.IMAGE, config, "image config")
    except BrokenArchive as error:
        raise InvalidArgument(error.message) from None
    return shape.encode(config)


def _check_manifest(manifest: dict[str, Any], config: str, layers: Sequence[Layer | NewLayer]) -> None:
    described = [layer["digest"] for layer in manifest.get("layers") or []]
    if manifest["config"]["digest"] != config or described != [layer.digest for layer in layers]:
        raise BrokenArchive("wrong digest: the manifest's config or layers are not those of the image")
    if not documents.is_image(manifest):
        raise BrokenArchive("manifest: its media types are not those of an image")


def tag(store: ImageStore, source: str, target: str) -> None:
    """Give an image another name; an image that had this name loses it."""
    name = parse_name(target)
    with locked(store):
        descriptor = describe(store, store.get(source).digest)
        write_index(store, name_image(store.descriptors(), descriptor, [name]))


def keep_pushed(store: ImageStore, image: Image, name: reference.Reference, manifest: bytes) -> None:
    """Keep the manifest under which a registry has an image, whose layers are compressed there.

    Does nothing if the name is another image's meanwhile.
    """
    with store.staging() as stage:
        written = _write_blob(stage, manifest, images.MANIFEST)
        with locked(store), contextlib.ExitStack() as undo:
            _install_blob(written["path"], store.blob_path(written["digest"]), undo)
            known = store.descriptors()
            if any(each["digest"] == image.digest and name_of(each) == name.familiar() for each in known):
                described = describe(store, image.digest)
                pushed = written["digest"] if written["digest"] != image.digest else ""
                write_index(store, name_image(known, described, [name], pushed))
                undo.pop_all()


def describe(store: ImageStore, digest: str) -> dict[str, Any]:
    """Return the descriptor of a stored manifest, with the manifest's own media type."""
    manifest = store.read(documents.MANIFEST_OR_INDEX, digest, "manifest")
    size = os.stat(store.blob_path(digest)).st_size
    return {"mediaType": documents.media_type(manifest), "digest": digest, "size": size}


def make_manifest(config: dict[str, Any], layers: Sequence[Layer | NewLayer]) -> bytes:
    """Return the manifest of a config and its layers (OCI image-spec manifest.md)."""
    value = {
        "schemaVersion": 2,
        "mediaType": images.MANIFEST,
        "config": {key: config[key] for key in ("mediaType", "digest", "size")},
        "layers": [
            {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size} for layer in layers
        ],
    }
    return jsonfile.dumps(value).encode()


def parse_name(text: str) -> reference.Reference:
    """Parse a new name for an image. Raises InvalidArgument, also for a reference with a digest."""
    parsed = reference.parse(text)
    if parsed.digest:
        raise InvalidArgument(f"refusing to create a tag with a digest reference: {text!r}")
    if parsed.repository() in reference.DIGEST_HEX:
        raise InvalidArgument(
            f"refusing to create an ambiguous tag using digest algorithm as name: {text!r}",
            "an image's ID cannot be a name",
        )
    return parsed


def name_image(
    descriptors: Descriptors, descriptor: dict[str, Any], names: Sequence[reference.Reference], pulled: str = ""
) -> Descriptors:
    """Return the descriptors with an image added under its names. An image without a name left stays unnamed.

    `pulled` is the digest of the index through which the image was pulled.
    """
    more = {images.PULLED: pulled} if pulled else {}
    wanted = {name.familiar() for name in names}
    kept: Descriptors = []
    unnamed: Descriptors = []
    for known in descriptors:
        name = name_of(known)
        if name in wanted:
            unnamed.append(without_name(known))
        elif name or known["digest"] != descriptor["digest"] or not wanted:
            kept.append(known)
    for name in sorted(wanted):
        kept.append({**descriptor, "annotations": {images.REF_NAME: name, **more}})
    for known in [*unnamed, without_name(descriptor)]:
        if all(known["digest"] != other["digest"] for other in kept):
            kept.append(known)
    return kept


@contextlib.contextmanager
def locked(store: ImageStore) -> Iterator[None]:
    """Lock the store for writing (flock(2) on its directory); create it if it is missing.

    Leftovers of dead writers are removed first. Layers that were set aside are removed after the lock is released.
    """
    os.makedirs(f"{store.layout}/blobs/sha256", 0o700, exist_ok=True)
    os.chmod(store.layout, 0o700)  # whoever can open the directory can hold its lock
    with linux.closing(os.open(store.layout, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if not os.path.exists(f"{store.layout}/oci-layout"):
            jsonfile.write(f"{store.layout}/oci-layout", {"imageLayoutVersion": "1.0.0"})
        staging.sweep(store.root)
        yield
    staging.remove_set_aside(store)


def write_index(store: ImageStore, descriptors: Descriptors) -> None:
    """Replace index.json atomically; on a full disk overwrite it in place, so that images can be removed."""
    index = {"schemaVersion": 2, "mediaType": images.INDEX, "manifests": descriptors}
    jsonfile.rewrite(f"{store.layout}/index.json", index)


def _write_blob(stage: Staging, content: bytes, media_type: str) -> dict[str, Any]:
    with stage.open_blob() as written:
        written.write(content)
    return {"mediaType": media_type, "digest": written.digest, "size": written.size, "path": written.path}


def _install_layer_blob(store: ImageStore, layer: Layer | NewLayer, undo: contextlib.ExitStack) -> None:
    path = store.blob_path(layer.digest)
    if isinstance(layer, staging.NewLayer):
        _install_blob(layer.path, path, undo)
    elif not os.path.exists(path):
        raise NotFound(f"the image store lacks layer {layer.digest}", "its image was removed meanwhile")


def _install_blob(staged: str, path: str, undo: contextlib.ExitStack) -> None:
    """Move a staged blob into the store, unless the store has it."""
    if not os.path.exists(path):
        os.rename(staged, path)
        undo.callback(os.unlink, path)


def _install_directories(
    store: ImageStore, layers: Sequence[Layer | NewLayer], undo: contextlib.ExitStack
) -> None:
    chains = images.chain_ids([layer.diff_id for layer in layers])
    for layer, chain in zip(layers, chains, strict=True):
        directory = store.layer_path(chain)
        if isinstance(layer, staging.NewLayer) and layer.directory and not os.path.isdir(directory):
            unpack.install(layer.directory, directory)
            undo.callback(walk.remove_tree, directory)
