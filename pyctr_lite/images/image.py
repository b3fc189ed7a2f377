"""What an image is: a config, and layers by digest (OCI image-spec config.md, manifest.md)."""

from __future__ import annotations

from pyctr_lite.digest import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
REF_NAME = "org.opencontainers.image.ref.name"


class Layer:
    """A layer as a manifest lists it: `digest` and `size` (bytes) of the blob, `diff_id` of the tar in it."""

    __slots__ = ("diff_id", "digest", "media_type", "size")

    def __init__(self, digest: str, diff_id: str, size: int, media_type: str) -> None:
        self.digest, self.diff_id, self.size, self.media_type = digest, diff_id, size, media_type

    def __repr__(self) -> str:
        return f"Layer({self.digest}, {self.size} bytes)"


class Image:
    """An image of the store. `id` is the config's digest, `digest` the manifest's, `config` OCI's object.

    `references` are familiar names ("busybox:latest"), none for a dangling image. `size` is in bytes, of the
    layers' blobs as they are stored.
    """

    __slots__ = ("config", "created", "digest", "id", "layers", "references", "size")

    def __init__(
        self, id: str, digest: str, config: dict[str, Any], layers: list[Layer], references: list[str]
    ) -> None:
        self.id, self.digest, self.config, self.layers, self.references = id, digest, config, layers, references
        self.created: str = config.get("created") or ""
        self.size = sum(layer.size for layer in layers)

    @property
    def chain_ids(self) -> list[str]:
        """The chain id of each layer, bottom first: the address of it as unpacked upon those below."""
        return chain_ids([layer.diff_id for layer in self.layers])

    def __repr__(self) -> str:
        return f"Image({self.id}, {self.references})"


def chain_ids(diff_ids: list[str]) -> list[str]:
    """`sha256(chain_id(below) + " " + diff_id)` for each layer, bottom first (OCI image-spec config.md)."""
    chains = diff_ids[:1]
    if len(diff_ids) > 1:
        for diff_id in diff_ids[1:]:
            chains.append("sha256:" + sha256(f"{chains[-1]} {diff_id}".encode()).hexdigest())
    return chains
