"""Origins of blobs: the repositories of a registry that have them, and the compressed blob of a layer."""

from __future__ import annotations

from pyctr_lite.errors import PyctrError
from pyctr_lite.images import descriptors, documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pyctr_lite.images.reference import Reference
    from pyctr_lite.images.store import ImageStore

_MAX_SOURCES = 3


class Origins:
    """The blobs of a registry by the manifests that came from it, or were pushed to any."""

    def __init__(self, store: ImageStore, target: Reference) -> None:
        """Read every manifest of the store, of each name its own. `target` is the image to push."""
        self._paths: dict[str, list[str]] = {}
        self._compressed: dict[str, dict[str, Any]] = {}
        own = target.familiar()
        for descriptor in sorted(store.descriptors(), key=lambda each: descriptors.name_of(each) != own):
            references = descriptors.references_of(descriptor)
            paths = [it.path for it in references if it.domain == target.domain and it.path != target.path]
            for layers, diff_ids in _manifests(store, descriptor):
                for layer, diff_id in zip(layers, diff_ids, strict=False):
                    known = self._paths.setdefault(layer["digest"], [])
                    known += [path for path in paths if path not in known]
                    if layer["mediaType"].endswith("gzip"):
                        self._compressed.setdefault(diff_id, layer)

    def paths(self, digest: str) -> list[str]:
        """Return the paths of other repositories of the registry that may have a blob."""
        return self._paths.get(digest, [])[:_MAX_SOURCES]

    def compressed(self, diff_id: str) -> dict[str, Any] | None:
        """Return the descriptor of a layer's blob that was pulled, or made by an earlier push; None for none."""
        return self._compressed.get(diff_id)


def _manifests(store: ImageStore, descriptor: dict[str, Any]) -> Iterator[tuple[list[dict[str, Any]], list[str]]]:
    """Yield the layers and the diff_ids of a name's manifests: the image's own, and the one that was pushed."""
    for digest in filter(None, (descriptor["digest"], descriptors.pulled_digest(descriptor))):
        try:
            manifest = store.read(documents.MANIFEST_OR_INDEX, digest, "manifest")
            if "manifests" not in manifest:
                config = store.config(manifest["config"]["digest"])
                yield manifest.get("layers") or [], config["rootfs"].get("diff_ids") or []
        except PyctrError:
            continue  # broken, or no image
