"""Images staged from an archive, verified but not yet in the store: docker-archive's manifest.json, OCI's
index.json.

Every digest is checked, and every layer is unpacked in a staging directory, so that a broken archive is refused
before anything is added to the store.
"""

from __future__ import annotations

import os

from pyctr_lite.errors import BrokenArchive, InvalidArgument, PyctrError
from pyctr_lite.images import blob, compression, contents, documents, platforms, reference, unpack, writer
from pyctr_lite.images import image as images
from pyctr_lite.images.staging import NewLayer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from pyctr_lite.images.contents import Contents
    from pyctr_lite.images.staging import LayerFile, Staging
    from pyctr_lite.images.store import ImageStore

_MAX_DEPTH = 4


class StagedImage:
    """A staged image: the arguments of `writer.add_image`."""

    def __init__(
        self, config: bytes, layers: Sequence[NewLayer], names: list[str], manifest: bytes | None
    ) -> None:
        self.config, self.layers, self.names, self.manifest = config, layers, names, manifest


class LayerUnpacker:
    """Unpacks new layers into the staging directory, each chain id once, and verifies every blob.

    `verified` are pairs of a blob's digest and its diff_id that are known to be right.
    """

    def __init__(self, store: ImageStore, stage: Staging, verified: Iterable[tuple[str, str]] = ()) -> None:
        self._store, self._stage = store, stage
        self._directories: dict[str, str] = {}
        self._verified = set(verified)

    def layers(self, files: Sequence[LayerFile], config: dict[str, Any]) -> list[NewLayer]:
        """Unpack the layers of an image, check each against its diff_id, and return them."""
        while True:
            try:
                return self._layers(files, config)
            except _LayerRemoved:
                pass  # try again: the removed layer is unpacked from this archive now

    def _layers(self, files: Sequence[LayerFile], config: dict[str, Any]) -> list[NewLayer]:
        diff_ids = config["rootfs"].get("diff_ids") or []
        if len(diff_ids) != len(files):
            raise BrokenArchive(f"broken image archive: {len(files)} layers, but {len(diff_ids)} diff_ids")
        lowers: dict[str, int] = {}
        new: list[NewLayer] = []
        for file, diff_id, chain in zip(files, diff_ids, images.chain_ids(diff_ids), strict=True):
            directory = self._store.layer_path(chain)
            if not os.path.isdir(directory):
                directory = self._directories.get(chain) or self._unpack(file, diff_id, lowers)
                self._directories[chain] = directory
            self._verify(file, diff_id)
            lowers[directory] = _inode(directory)
            with file.open() as stream:
                kind = compression.detect(stream.read(6))
            media_type = images.LAYER + compression.MEDIA_TYPE_SUFFIX.get(kind, f"+{kind}")
            new.append(NewLayer(file, diff_id, media_type, self._directories.get(chain)))
        return new

    def _unpack(self, file: LayerFile, diff_id: str, lowers: dict[str, int]) -> str:
        """Unpack a layer upon `lowers` (path: inode). Raises _LayerRemoved if one was removed meanwhile."""
        target = self._stage.new_path()
        try:
            with file.open() as stream:
                found = unpack.unpack(stream, target, list(lowers))
        except PyctrError as error:
            _check_present(lowers)
            raise BrokenArchive(f"layer {diff_id}: {error.message}", error.hint) from error
        except OSError:
            _check_present(lowers)  # they are opened by their paths
            raise
        _check_present(lowers)
        self._check(file, diff_id, found)
        return target

    def _verify(self, file: LayerFile, diff_id: str) -> None:
        """Check a blob whose layer is unpacked already, from another blob: it will be stored and used, too."""
        if (file.digest, diff_id) in self._verified:
            return
        with file.open() as stream, compression.open_decompressed(stream) as plain:
            reader = blob.HashingReader(plain)
            reader.drain()
        self._check(file, diff_id, reader.digest)

    def _check(self, file: LayerFile, diff_id: str, found: str) -> None:
        blob.check(diff_id, found or file.digest, f"unpacked layer {file.digest}")
        self._verified.add((file.digest, diff_id))


class _LayerRemoved(Exception):
    """A layer of the store was removed while another one was unpacked upon it."""


def _inode(directory: str) -> int:
    try:
        return os.stat(directory).st_ino
    except FileNotFoundError:
        raise _LayerRemoved from None


def _check_present(lowers: dict[str, int]) -> None:
    """Raise _LayerRemoved if a layer is no longer present. One that is was complete: removal renames it first."""
    if any(_inode(directory) != inode for directory, inode in lowers.items()):
        raise _LayerRemoved


def docker_images(archive: Contents, unpacker: LayerUnpacker) -> Iterator[StagedImage]:
    """Yield the images of manifest.json (moby image/tarexport)."""
    manifest = contents.document(documents.DOCKER_MANIFEST, archive.file("manifest.json"), "manifest.json")
    for item in manifest:
        path = item["Config"]
        config = archive.file(path)
        named = os.path.basename(path).removesuffix(".json")
        if reference.is_digest(f"sha256:{named}"):
            blob.check(f"sha256:{named}", config.digest, f"config {path}")
        files = [archive.file(name) for name in item.get("Layers") or []]
        layers = unpacker.layers(files, contents.document(documents.IMAGE, config, f"config {path}"))
        names = [writer.parse_name(tag).familiar() for tag in item.get("RepoTags") or []]
        yield StagedImage(contents.content(config), layers, names, None)


def oci_images(archive: Contents, unpacker: LayerUnpacker, note: Callable[[str], None]) -> Iterator[StagedImage]:
    """Yield the images of index.json, for each name the one for this platform. The manifests' bytes are kept.

    Raises NotFound if all images are for other platforms.
    """
    if "oci-layout" in archive:
        layout = contents.document(documents.LAYOUT, archive.file("oci-layout"), "oci-layout")
        if layout["imageLayoutVersion"] != "1.0.0":
            raise BrokenArchive(
                f"image layout version {layout['imageLayoutVersion']} is not supported, only 1.0.0"
            )
    index = contents.document(documents.INDEX, archive.file("index.json"), "index.json")
    by_names: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for descriptor in index["manifests"]:
        by_names.setdefault(tuple(_names(descriptor)), []).append(descriptor)
    selection = _Selection(archive, note)
    for names, descriptors in by_names.items():
        for found in selection.select(descriptors, alone=bool(names)):
            files = [archive.blob(layer) for layer in found.manifest.get("layers") or []]
            layers = unpacker.layers(files, found.config)
            config, manifest = contents.content(found.config_file), contents.content(found.file)
            yield StagedImage(config, layers, list(names), manifest)
    if selection.others and not selection.count:
        raise platforms.wrong_platform(selection.others)
    if not selection.count:
        raise BrokenArchive("the archive has no image")


class _Found:
    """An image's manifest in an archive, with its config."""

    def __init__(self, archive: Contents, file: blob.BlobWriter, manifest: dict[str, Any]) -> None:
        self.file, self.manifest = file, manifest
        self.config_file = archive.blob(manifest["config"])
        name = f"image config {self.config_file.digest}"
        self.config: dict[str, Any] = contents.document(documents.IMAGE, self.config_file, name)


class _Selection:
    """Chooses the images for this platform from descriptors, and notes every descriptor that is skipped."""

    def __init__(self, archive: Contents, note: Callable[[str], None]) -> None:
        self._archive, self._note = archive, note
        self.count = 0
        self.others: list[dict[str, Any]] = []
        """The platforms of the images for other platforms."""

    def select(self, descriptors: list[dict[str, Any]], *, alone: bool) -> list[_Found]:
        """Return the images for this platform; with `alone` only the first.

        A single image is returned whatever its platform, as Docker does.
        """
        found, others = self._search(descriptors, 0)
        if not found and len(others) == 1 and isinstance(others[0][1], _Found):
            found, others = [others[0][1]], []
        for extra in found[1:] if alone else ():
            self._note(f"skipped manifest {extra.file.digest}: its name belongs to another image of the archive")
        for platform, _ in others:
            self._note(f"skipped an image for {platform.get('os')}/{platform.get('architecture')}")
        self.others += [platform for platform, _ in others]
        found = found[:1] if alone else found
        self.count += len(found)
        return found

    def _search(
        self, descriptors: list[dict[str, Any]], depth: int
    ) -> tuple[list[_Found], list[tuple[dict[str, Any], _Found | None]]]:
        """Return the images for this platform, and the platforms of the others, with the image if it was read."""
        found: list[_Found] = []
        others: list[tuple[dict[str, Any], _Found | None]] = []
        for descriptor in descriptors:
            digest, platform = descriptor["digest"], descriptor.get("platform") or {}
            if not documents.leads_to_image(descriptor):
                kind = descriptor.get("artifactType") or descriptor["mediaType"]
                self._note(f"skipped {digest}, which is not an image: {kind}, platform {_show(platform)}")
                continue
            if not platforms.matches(platform) and (depth or len(descriptors) > 1):
                others.append((platform, None))
                continue
            file = self._archive.blob(descriptor)
            manifest = contents.document(documents.MANIFEST_OR_INDEX, file, f"manifest {digest}")
            if "manifests" in manifest:
                if depth == _MAX_DEPTH:
                    raise BrokenArchive(f"{digest}: more than {_MAX_DEPTH} nested indexes")
                below, foreign = self._search(manifest["manifests"], depth + 1)
                found += below[:1]
                others += foreign if not below else []
            elif not documents.is_image(manifest):
                kind = manifest.get("artifactType") or manifest["config"]["mediaType"]
                self._note(f"skipped {digest}, which is not an image: {kind}")
            else:
                image = _Found(self._archive, file, manifest)
                if platforms.matches(image.config):
                    found.append(image)
                else:
                    others.append((image.config, image))
        return found, others


def _show(platform: dict[str, Any]) -> str:
    return f"{platform.get('os') or 'any'}/{platform.get('architecture') or 'any'}"


def _names(descriptor: dict[str, Any]) -> list[str]:
    """Return containerd's full name if present (docker, nerdctl), else OCI's name (podman, skopeo, umoci)."""
    annotations = descriptor.get("annotations") or {}
    name = annotations.get("io.containerd.image.name") or annotations.get(images.REF_NAME)
    try:
        return [writer.parse_name(name).familiar()] if name else []
    except InvalidArgument:
        return []
