"""Images in an archive, before they are the store's: docker-archive's manifest.json, OCI's index.json.

Every digest is checked, every layer unpacked in a staging directory: what is wrong shows before anything is added.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pyctr_lite.errors import BrokenArchive, InvalidArgument, PyctrError
from pyctr_lite.images import blob, compression, contents, reference, unpack, writer
from pyctr_lite.images import image as images
from pyctr_lite.images import store as stores
from pyctr_lite.images.staging import NewLayer

if TYPE_CHECKING:
    from pyctr_lite.images.contents import Contents
    from pyctr_lite.images.staging import Staging
    from pyctr_lite.images.store import ImageStore


class Candidate:
    """An image that is staged: what `writer.add_image` needs."""

    def __init__(
        self, config: bytes, layers: Sequence[NewLayer], names: list[str], manifest: bytes | None
    ) -> None:
        self.config, self.layers, self.names, self.manifest = config, layers, names, manifest


class Unpacked:
    """Layers that are unpacked while an archive is staged, each chain id once."""

    def __init__(self, store: ImageStore, stage: Staging) -> None:
        self._store, self._stage = store, stage
        self._directories: dict[str, str] = {}

    def layers(self, files: list[blob.BlobWriter], config: dict[str, Any]) -> list[NewLayer]:
        """The staged layers of an image, unpacked, each checked against its diff_id."""
        rootfs = config.get("rootfs")
        diff_ids = contents.items(rootfs, "diff_ids")
        if len(diff_ids) != len(files) or not all(
            isinstance(diff_id, str) and reference.is_digest(diff_id) for diff_id in diff_ids
        ):
            raise BrokenArchive(f"broken image archive: {len(files)} layers, but {len(diff_ids)} diff_ids")
        lowers: list[str] = []
        new: list[NewLayer] = []
        for file, diff_id, chain in zip(files, diff_ids, images.chain_ids(diff_ids), strict=True):
            with open(file.path, "rb", buffering=0) as stream:
                kind = compression.detect(stream.read(6))
            directory = f"{self._store.layers}/{chain[7:]}"
            if not os.path.isdir(directory):
                directory = self._directories.get(chain) or self._unpack(file, diff_id, lowers)
                self._directories[chain] = directory
            elif not kind:
                blob.check(diff_id, file.digest, "a layer")
            lowers.append(directory)
            staged = self._directories.get(chain)
            media_type = images.LAYER + compression.MEDIA_TYPE_SUFFIX.get(kind, f"+{kind}")
            new.append(NewLayer(file, diff_id, media_type, staged))
        return new

    def _unpack(self, file: blob.BlobWriter, diff_id: str, lowers: list[str]) -> str:
        target = self._stage.new_path()
        with open(file.path, "rb", buffering=0) as stream:
            try:
                found = unpack.unpack(stream, target, lowers)
            except PyctrError as error:
                raise BrokenArchive(f"layer {diff_id}: {error.message}", error.hint) from error
        blob.check(diff_id, found or file.digest, "a layer")
        return target


def docker_images(archive: Contents, unpacked: Unpacked) -> Iterator[Candidate]:
    """The images of manifest.json (moby image/tarexport)."""
    manifest = contents.json(archive.file("manifest.json"), "manifest.json")
    if not isinstance(manifest, list):
        raise BrokenArchive("broken image archive: manifest.json is no list")
    for item in manifest:
        path = contents.text(item, "Config")
        config = archive.file(path)
        named = os.path.basename(path).removesuffix(".json")
        if reference.is_digest(f"sha256:{named}"):
            blob.check(f"sha256:{named}", config.digest, f"config {path}")
        files = [archive.file(str(name)) for name in contents.items(item, "Layers")]
        layers = unpacked.layers(files, _config(config))
        names = [writer.parse_name(str(tag)).familiar() for tag in contents.items(item, "RepoTags")]
        yield Candidate(contents.content(config), layers, names, None)


def oci_images(archive: Contents, unpacked: Unpacked, descriptors: list[dict[str, Any]]) -> Iterator[Candidate]:
    """The images of index.json, of each nested index the one for this machine; its bytes are kept."""
    for descriptor in descriptors:
        names = _names(descriptor)
        manifest_file = archive.blob(descriptor)
        manifest = contents.json(manifest_file, "a manifest")
        for _ in range(4):
            if not contents.items(manifest, "manifests"):
                break
            manifest_file = archive.blob(stores.choose_platform(contents.items(manifest, "manifests")))
            manifest = contents.json(manifest_file, "a manifest")
        config_descriptor = manifest.get("config") if isinstance(manifest, dict) else None
        if not isinstance(config_descriptor, dict):
            raise BrokenArchive("broken image archive: a manifest without a config")
        config = archive.blob(config_descriptor)
        files = [archive.blob(layer) for layer in contents.items(manifest, "layers")]
        layers = unpacked.layers(files, _config(config))
        yield Candidate(contents.content(config), layers, names, contents.content(manifest_file))


def _config(written: blob.BlobWriter) -> dict[str, Any]:
    value = contents.json(written, "the config")
    if not isinstance(value, dict):
        raise BrokenArchive("broken image archive: a config that is no object")
    return value


def _names(descriptor: dict[str, Any]) -> list[str]:
    """containerd's full name where there is one (docker, nerdctl write it), else OCI's (podman, skopeo, umoci)."""
    annotations = descriptor.get("annotations") or {}
    name = annotations.get("io.containerd.image.name") or annotations.get(images.REF_NAME)
    try:
        return [writer.parse_name(name).familiar()] if name else []
    except InvalidArgument:
        return []
