"""Images: a config and a list of layers by digest (OCI image-spec config.md, manifest.md)."""

from __future__ import annotations

from pyctr_lite.digest import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    # Familiar names, each with the digest of its manifest.
    Names = dict[str, str]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
REF_NAME = "org.opencontainers.image.ref.name"
PULLED = "io.pyctr_lite.pulled"
"""The annotation of a descriptor pulled through an index: the digest of the index, which is a blob too."""


class Layer:
    """A layer in a manifest: `digest` and `size` (bytes) of the blob, `diff_id` of the uncompressed tar."""

    __slots__ = ("diff_id", "digest", "media_type", "size")

    def __init__(self, digest: str, diff_id: str, size: int, media_type: str) -> None:
        self.digest, self.diff_id, self.size, self.media_type = digest, diff_id, size, media_type

    def __repr__(self) -> str:
        return f"Layer({self.digest}, {self.size} bytes)"


class Image:
    """An image of the store. `id` is the config's digest, `digest` the manifest's.

    `config` has the shape `documents.IMAGE`, and identifies the image: manifests with the same layers in another
    compression are the same image, under other names. `size` is the sum of the layers' blobs in bytes.
    """

    __slots__ = ("_names", "config", "created", "digest", "id", "layers", "size")

    def __init__(
        self,
        id: str,
        digest: str,
        config: dict[str, Any],
        layers: list[Layer],
        names: Names | Callable[[], Names],
    ) -> None:
        self.id, self.digest, self.config, self.layers, self._names = id, digest, config, layers, names
        self.created: str = config.get("created") or ""
        self.size = sum(layer.size for layer in layers)

    @property
    def names(self) -> Names:
        """The familiar names ("busybox:latest"), each with its digest in a registry; empty for a dangling image.

        That is the digest of the manifest, or of the index through which it was pulled. An image pulled by digest
        has a name such as "busybox@sha256:…". Read lazily, since that reads every image of the store.
        """
        if not isinstance(self._names, dict):
            self._names = self._names()
        return self._names

    @property
    def references(self) -> list[str]:
        """The familiar names that have a tag."""
        return [name for name in self.names if "@" not in name]

    @property
    def repo_digests(self) -> list[str]:
        """The names by digest, without duplicates: "busybox@sha256:…"."""
        return list(dict.fromkeys(f"{repository_of(name)}@{digest}" for name, digest in self.names.items()))

    @property
    def chain_ids(self) -> list[str]:
        """The chain id of each layer, bottom first: it identifies the layer together with all layers below."""
        return chain_ids([layer.diff_id for layer in self.layers])

    def __repr__(self) -> str:
        return f"Image({self.id}, {self.references})"


def repository_of(name: str) -> str:
    """Return a familiar name without its tag or digest. A colon before the last slash belongs to a port."""
    path, slash, last = name.partition("@")[0].rpartition("/")
    return path + slash + last.partition(":")[0]


def chain_ids(diff_ids: list[str]) -> list[str]:
    """Return `sha256(chain_id(below) + " " + diff_id)` for each layer, bottom first (OCI image-spec config.md)."""
    chains = diff_ids[:1]
    if len(diff_ids) > 1:
        for diff_id in diff_ids[1:]:
            chains.append("sha256:" + sha256(f"{chains[-1]} {diff_id}".encode()).hexdigest())
    return chains
