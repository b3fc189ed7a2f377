"""The image store: an OCI image layout (image-spec image-layout.md), and the layers unpacked beside it.

Here is what reads; what writes is in `writer`, and is imported when it is needed. An image's name is the
annotation org.opencontainers.image.ref.name of its descriptor in index.json, as people write it
(`busybox:latest`): so `skopeo inspect oci:DIR:busybox:latest` and `umoci ls` know our names, and a name that
they put there is ours.
"""

from __future__ import annotations

import os

from pyctr_lite import jsonfile, near
from pyctr_lite.errors import BrokenArchive, Conflict, NotFound, PyctrError
from pyctr_lite.images import image as images
from pyctr_lite.images import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from pyctr_lite.images.image import Image, Layer
    from pyctr_lite.images.staging import NewLayer, Staging

    # In the class below `list` is the verb.
    Images = list[Image]
    Objects = list[dict[str, Any]]
    Removed = list[tuple[str, str]]
    Strings = list[str]
    Users = Callable[[Image], Sequence[str]]

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class ImageStore:
    """The images under a state directory: `<root>/images` (the layout) and `<root>/layers`."""

    __slots__ = ("layers", "layout", "root")

    def __init__(self, root: str) -> None:
        self.root = root
        self.layout = f"{root}/images"
        self.layers = f"{root}/layers"

    # --- reading ----------------------------------------------------------------------------------------

    def get(self, name: str) -> Image:
        """The image of a name, name@digest, ID or the beginning of an ID.

        Fails with NotFound, which tells what is near, and with Conflict where an ID's beginning fits several.
        """
        hexadecimal = name.removeprefix("sha256:")
        if not _is_hex(hexadecimal) or (len(hexadecimal) < 64 and hexadecimal is name):
            found = self._by_reference(name)
            if found:
                return found
        if _is_hex(hexadecimal):
            found = self._by_id(hexadecimal)
            if found:
                return found
        raise self._not_found(name)

    def list(self) -> Images:
        """Every image once, with all its references, in the order in which they came."""
        return list(self._images(self.descriptors()))

    def layer_directories(self, image: Image) -> Strings:
        """The directories of an image's unpacked layers, bottom first; what is missing is unpacked.

        Fails with BrokenArchive where a blob is not what its digest says.
        """
        directories = [f"{self.layers}/{chain[7:]}" for chain in image.chain_ids]
        for number, directory in enumerate(directories):
            if not os.path.isdir(directory):
                from pyctr_lite.images import unpack

                unpack.unpack_layer(self, image.layers[number], directory, directories[:number])
        return directories

    def blob_path(self, digest: str) -> str:
        """Where a blob lies. Fails with BrokenArchive for what is no digest: it becomes a path."""
        if not references.is_digest(digest):
            raise BrokenArchive(f"{digest!r} is not a digest")
        return f"{self.layout}/blobs/{digest.replace(':', '/')}"

    def descriptors(self) -> Objects:
        """The descriptors of index.json: one for each name, one for each image without a name."""
        try:
            index = jsonfile.read(f"{self.layout}/index.json")
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise BrokenArchive(f"broken image store: {error}") from None
        manifests: Objects = index.get("manifests") or []
        return manifests

    def _by_reference(self, name: str) -> Image | None:
        try:
            wanted = references.parse(name)
        except PyctrError:
            if _is_hex(name):
                return None
            raise
        every = self.descriptors()
        for descriptor in every:
            if wanted.digest:
                fits = descriptor.get("digest") == wanted.digest and wanted.repository() in (
                    known.repository() for known in _references(descriptor)
                )
            else:
                fits = wanted in _references(descriptor)
            if fits:
                same = [each for each in every if each.get("digest") == descriptor["digest"]]
                return next(self._images(same))
        return None

    def _by_id(self, beginning: str) -> Image | None:
        found = [
            image
            for image in self.list()
            if image.id[7:].startswith(beginning) or (len(beginning) == 64 and image.digest[7:] == beginning)
        ]
        if len(found) > 1:
            known = ", ".join(image.id[7:19] for image in found)
            raise Conflict(f"image ID {beginning} is ambiguous: {known}", "Write more of the ID.")
        return found[0] if found else None

    def _images(self, descriptors: Objects) -> Iterator[Image]:
        by_id: dict[str, Image] = {}
        for descriptor in descriptors:
            manifest, digest = self.manifest(descriptor)
            names = [reference.familiar() for reference in _references(descriptor)]
            identity = manifest["config"]["digest"]
            known = by_id.get(identity)
            if known:
                known.references += [name for name in names if name not in known.references]
            else:
                by_id[identity] = self.image(digest, manifest, names)
        yield from by_id.values()

    def manifest(self, descriptor: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """The manifest that a descriptor leads to, of an index the one for this machine, and its digest."""
        for _ in range(4):
            manifest = self.read_json(descriptor["digest"])
            if "manifests" not in manifest:
                return manifest, descriptor["digest"]
            descriptor = choose_platform(manifest["manifests"])
        raise BrokenArchive(f"{descriptor['digest']}: an index in an index in an index")

    def image(self, digest: str, manifest: dict[str, Any], names: Strings) -> Image:
        """The image of a manifest. Fails with BrokenArchive where config and manifest disagree."""
        identity = manifest["config"]["digest"]
        config = self.read_json(identity)
        diff_ids = (config.get("rootfs") or {}).get("diff_ids") or []
        described = manifest.get("layers") or []
        if len(diff_ids) != len(described):
            raise BrokenArchive(f"image {identity}: {len(described)} layers, but {len(diff_ids)} diff_ids")
        layers = [
            images.Layer(layer["digest"], diff_id, layer["size"], layer["mediaType"])
            for layer, diff_id in zip(described, diff_ids, strict=True)
        ]
        return images.Image(identity, digest, config, layers, names)

    def read_json(self, digest: str) -> dict[str, Any]:
        """The object in a JSON blob. Fails with BrokenArchive where it is missing or damaged."""
        try:
            value = jsonfile.read(self.blob_path(digest))
        except FileNotFoundError:
            raise BrokenArchive(
                f"the image store lacks blob {digest}", "Load or import the image again."
            ) from None
        except ValueError as error:
            raise BrokenArchive(f"blob {digest} is damaged: {error}") from None
        if not isinstance(value, dict):
            raise BrokenArchive(f"blob {digest} is no JSON object")
        return value

    def _not_found(self, name: str) -> NotFound:
        known = [reference.familiar() for each in self.descriptors() for reference in _references(each)]
        shown = name if "@" in name or _is_hex(name.removeprefix("sha256:")) else references.parse(name).familiar()
        same = [other for other in known if other.rpartition(":")[0] == shown.rpartition(":")[0]]
        found = same[0] if same else near.nearest(shown, known)
        hint = f"Near: {found}." if found else "`pyctr_lite images` lists what there is."
        return NotFound(f"No such image: {shown}", hint)

    # --- writing ----------------------------------------------------------------------------------------

    def staging(self) -> Staging:
        """A directory for what is on its way into the store; gone when its `with` ends, or at the next write."""
        from pyctr_lite.images import staging

        return staging.Staging(self)

    def add_image(
        self, config: dict[str, Any], layers: Sequence[Layer | NewLayer], references: Sequence[str] = ()
    ) -> Image:
        """Add an image of layers that the store has and layers that are staged, and name it.

        A name that another image had is moved. Fails with BrokenArchive where config and layers disagree.
        """
        from pyctr_lite.images import writer

        return writer.add_image(self, config, layers, references)

    def tag(self, source: str, target: str) -> None:
        """Give an image one more name."""
        from pyctr_lite.images import writer

        writer.tag(self, source, target)

    def remove(
        self, name: str, force: bool = False, in_use: Users | None = None, running: Users | None = None
    ) -> Removed:
        """Take a name away, and with the last one the image: what was ("Untagged" | "Deleted", what)."""
        from pyctr_lite.images import removal

        return removal.remove(self, name, force, in_use, running)

    def prune(
        self, in_use: Users | None = None, all: bool = False, chosen: Callable[[Image], bool] | None = None
    ) -> tuple[Removed, int]:
        """Remove images without a name, with `all` those without a container: what was removed, and bytes."""
        from pyctr_lite.images import removal

        return removal.prune(self, in_use, all, chosen)


def architecture() -> str:
    """This machine's architecture as images name it (Go's GOARCH): amd64, arm64."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def choose_platform(descriptors: list[dict[str, Any]]) -> dict[str, Any]:
    """Of an index's descriptors the one for this machine. Fails with NotFound where it has none."""
    ours = architecture()
    for descriptor in descriptors:
        platform = descriptor.get("platform") or {"architecture": ours}
        if platform.get("architecture") == ours and platform.get("os", "linux") == "linux":
            return descriptor
    known = ", ".join(
        f"{platform.get('os')}/{platform.get('architecture')}"
        for platform in (descriptor.get("platform") or {} for descriptor in descriptors)
    )
    raise NotFound(f"the image is not for linux/{ours}, only for: {known or 'nothing'}")


def _references(descriptor: dict[str, Any]) -> list[references.Reference]:
    """The name in a descriptor, none where it has no name or one that is not Docker's grammar."""
    name = (descriptor.get("annotations") or {}).get(images.REF_NAME)
    if not name:
        return []
    try:
        return [references.parse(name)]
    except PyctrError:
        return []


def _is_hex(text: str) -> bool:
    return bool(text) and all(character in "0123456789abcdef" for character in text)
