"""The image store: an OCI image layout (image-spec image-layout.md), and the layers unpacked beside it.

This module has the read-only operations. Writes are in `writer` and `removal`, imported on demand. An image's name
is the annotation org.opencontainers.image.ref.name of its descriptor in index.json, in the short form
(`busybox:latest`): so `skopeo inspect oci:DIR:busybox:latest` and `umoci ls` find the store's names, and the store
finds theirs.
"""

from __future__ import annotations

import os

from pyctr_lite import jsonfile
from pyctr_lite.errors import BrokenArchive, Conflict, PyctrError
from pyctr_lite.images import descriptors, documents, platforms, shape
from pyctr_lite.images import image as images
from pyctr_lite.images import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pyctr_lite.images.image import Image, Layer
    from pyctr_lite.images.staging import NewLayer, Staging

    # In the class below, `list` is the method.
    Images = list[Image]
    Objects = list[dict[str, Any]]
    Broken = list[tuple[dict[str, Any], PyctrError]]
    Removed = list[tuple[str, str]]
    Strings = list[str]
    Users = Callable[[Image], Sequence[str]]

_VERIFY = "`pyctr_lite image verify` checks the store, `pyctr_lite doctor --fix` removes what is broken."


class ImageStore:
    """The images under a state directory: `<root>/images` (the layout) and `<root>/layers`."""

    __slots__ = ("layers", "layout", "root")

    def __init__(self, root: str) -> None:
        self.root = root
        self.layout = f"{root}/images"
        self.layers = f"{root}/layers"

    # --- reading ----------------------------------------------------------------------------------------

    def get(self, name: str) -> Image:
        """Return an image by its name, name@digest, ID or prefix of an ID.

        Raises NotFound with a suggestion, Conflict if several images match the prefix.
        """
        seen: object = None
        while True:
            try:
                return self._get(name)
            except BrokenArchive:
                seen, before = self._version(), seen
                if seen == before:
                    raise  # index.json has not changed: the image was not being removed

    def _get(self, name: str) -> Image:
        hexadecimal = name.removeprefix("sha256:")
        if not descriptors.is_hex(hexadecimal) or (len(hexadecimal) < 64 and hexadecimal is name):
            found = self._by_reference(name)
            if found:
                return found
        if descriptors.is_hex(hexadecimal):
            found = self._by_id(hexadecimal)
            if found:
                return found
        raise descriptors.not_found(self.descriptors(), name)

    def list(self) -> Images:
        """Return every readable image once, with all its names, in the order of index.json."""
        return self.survey()[0]

    def survey(self) -> tuple[Images, Broken]:
        """Return the readable images, and the descriptors of the broken ones, each with its error.

        An image is broken if its config or manifest is missing or does not match its shape. It does not affect
        others.
        """
        seen: object = None
        while True:
            images, broken = self._survey()
            seen, before = self._version(), seen
            if not broken or seen == before:
                return images, broken

    def _version(self) -> object:
        """Return a value that changes with index.json: missing blobs may be those of an image just removed."""
        try:
            status = os.stat(f"{self.layout}/index.json")
        except FileNotFoundError:
            return ()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _survey(self) -> tuple[Images, Broken]:
        by_id: dict[str, Image] = {}
        broken: Broken = []
        for descriptor in self.descriptors():
            try:
                manifest, digest = self.manifest(descriptor)
                if not documents.is_image(manifest):
                    continue  # a signature or another artifact, written by skopeo
                identity = manifest["config"]["digest"]
                image = by_id.get(identity) or self.image(digest, manifest, {})
            except PyctrError as error:
                broken.append((descriptor, error))
                continue
            by_id[identity] = image
            for reference in descriptors.references_of(descriptor):
                image.names.setdefault(reference.familiar(), descriptors.pulled_digest(descriptor) or digest)
        return list(by_id.values()), broken

    def layer_directories(self, image: Image) -> Strings:
        """Return the directories of an image's unpacked layers, bottom first; unpack the missing ones.

        Raises BrokenArchive if a blob does not match its digest.
        """
        directories = [self.layer_path(chain) for chain in image.chain_ids]
        for number, directory in enumerate(directories):
            if not os.path.isdir(directory):
                from pyctr_lite.images import unpack

                unpack.unpack_layer(self, image.layers[number], directory, directories[:number])
        return directories

    def blob_path(self, digest: str) -> str:
        """Return the path of a blob. Raises BrokenArchive unless `digest` is a digest: it becomes a path."""
        if not references.is_digest(digest):
            raise BrokenArchive(f"{digest!r} is not a digest")
        return f"{self.layout}/blobs/{digest.replace(':', '/')}"

    def layer_path(self, chain_id: str) -> str:
        """Return the path of an unpacked layer. Raises BrokenArchive unless `chain_id` is a digest."""
        if not references.is_digest(chain_id):
            raise BrokenArchive(f"{chain_id!r} is not a chain ID")
        return f"{self.layers}/{chain_id[7:]}"

    def descriptors(self) -> Objects:
        """Return the descriptors of index.json: one for each name, one for each unnamed image.

        An entry without a digest is ignored. Raises BrokenArchive if index.json is damaged.
        """
        try:
            index = jsonfile.read(f"{self.layout}/index.json")
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise BrokenArchive(f"broken image store: {error}", _VERIFY) from None
        manifests = index.get("manifests") if isinstance(index, dict) else False
        if not isinstance(manifests, list | None):
            raise BrokenArchive("broken image store: index.json is not an index", _VERIFY)
        return [
            descriptors.without_bad_annotations(item)
            for item in manifests or []
            if descriptors.is_descriptor(item)
        ]

    def _by_reference(self, name: str) -> Image | None:
        try:
            wanted = references.parse(name)
        except PyctrError:
            if descriptors.is_hex(name):
                return None
            raise
        found = next((each for each in self.descriptors() if descriptors.has_name(each, wanted)), None)
        return None if found is None else self._named(found)

    def _named(self, descriptor: dict[str, Any]) -> Image:
        manifest, digest = self.manifest(descriptor)
        return self.image(digest, manifest, lambda: self._names(manifest["config"]["digest"]))

    def _names(self, identity: str) -> dict[str, str]:
        """Return the names of an image, through any manifest of its config."""
        return next((image.names for image in self.list() if image.id == identity), {})

    def _by_id(self, prefix: str) -> Image | None:
        images, broken = self.survey()
        found = [
            image
            for image in images
            if image.id[7:].startswith(prefix)
            or (len(prefix) == 64 and prefix in (image.digest[7:], *(each[7:] for each in image.names.values())))
        ]
        if len(found) > 1:
            known = ", ".join(image.id[7:19] for image in found)
            raise Conflict(f"image ID {prefix} is ambiguous: {known}", "use a longer prefix")
        for descriptor, error in broken if not found else ():
            if any(digest[7:].startswith(prefix) for digest in self.identities(descriptor)):
                raise error
        return found[0] if found else None

    def identities(self, descriptor: dict[str, Any]) -> Strings:
        """Return the digests that identify a broken image: its descriptor's, and its config's if readable."""
        try:
            manifest, digest = self.manifest(descriptor)
        except PyctrError:
            return [descriptor["digest"]]
        return [descriptor["digest"], digest, manifest["config"]["digest"]]

    def manifest(self, descriptor: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """Return the manifest that a descriptor leads to, and its digest; of an index, the manifest for this host.

        Raises BrokenArchive if it is missing or malformed, NotFound if an index has none for this host.
        """
        for _ in range(4):
            digest = descriptor["digest"]
            manifest = self.read(documents.MANIFEST_OR_INDEX, digest, "manifest")
            if "manifests" not in manifest:
                return manifest, digest
            descriptor = platforms.choose_platform(manifest["manifests"])
        raise BrokenArchive(f"{descriptor['digest']}: too many nested indexes")

    def image(
        self, digest: str, manifest: dict[str, Any], names: dict[str, str] | Callable[[], dict[str, str]]
    ) -> Image:
        """Return the image of a manifest. Raises BrokenArchive if config and manifest disagree."""
        identity = manifest["config"]["digest"]
        if not documents.is_image(manifest):
            raise BrokenArchive(f"{digest} is not an image, but {manifest['config']['mediaType']}")
        config = self.config(identity)
        diff_ids = config["rootfs"].get("diff_ids") or []
        described = manifest.get("layers") or []
        if len(diff_ids) != len(described):
            raise BrokenArchive(
                f"image {identity}: {len(described)} layers, but {len(diff_ids)} diff_ids", _VERIFY
            )
        layers = [
            images.Layer(layer["digest"], diff_id, layer["size"], layer["mediaType"])
            for layer, diff_id in zip(described, diff_ids, strict=True)
        ]
        return images.Image(identity, digest, config, layers, names)

    def config(self, id: str) -> dict[str, Any]:
        """Return the config of an image by its full ID. Raises BrokenArchive if it is missing or damaged."""
        return self.read(documents.IMAGE, id, "image config")

    def read(self, shape_: Any, digest: str, kind: str) -> dict[str, Any]:
        """Read the document in a blob by its shape. Raises BrokenArchive if it is missing or malformed."""
        try:
            value: dict[str, Any] = shape.read_file(shape_, self.blob_path(digest), f"{kind} {digest}")
        except FileNotFoundError:
            hint = "load or import the image again"
            raise BrokenArchive(f"the image store lacks {kind} {digest}", hint) from None
        except BrokenArchive as error:
            raise BrokenArchive(error.message, _VERIFY) from None
        return value

    # --- writing ----------------------------------------------------------------------------------------

    def staging(self) -> Staging:
        """Return a directory for new blobs and layers, removed at the end of its `with`, or at the next write."""
        from pyctr_lite.images import staging

        return staging.Staging(self)

    def add_image(
        self, config: dict[str, Any], layers: Sequence[Layer | NewLayer], references: Sequence[str] = ()
    ) -> Image:
        """Add an image of stored and staged layers, and name it. A name of another image is moved.

        Raises BrokenArchive if config and layers disagree.
        """
        from pyctr_lite.images import writer

        return writer.add_image(self, config, layers, references)

    def tag(self, source: str, target: str) -> None:
        """Give an image another name."""
        from pyctr_lite.images import writer

        writer.tag(self, source, target)

    def remove(
        self, name: str, force: bool = False, in_use: Users | None = None, running: Users | None = None
    ) -> Removed:
        """Remove a name, and with the last name the image; return pairs ("Untagged", name), ("Deleted", ID)."""
        from pyctr_lite.images import removal

        return removal.remove(self, name, force, in_use, running)

    def prune(
        self, in_use: Users | None = None, all: bool = False, chosen: Callable[[Image], bool] | None = None
    ) -> tuple[Removed, int]:
        """Remove unnamed images, with `all` those without a container; return them, and the freed bytes."""
        from pyctr_lite.images import removal

        return removal.prune(self, in_use, all, chosen)
