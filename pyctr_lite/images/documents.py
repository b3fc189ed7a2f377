"""The shapes of an image's documents: config, manifest, index, docker-archive's manifest.json, oci-layout.

`shape.read` checks every document against its shape here, both when it enters the store (load, import and commit
go through `writer.add_image`) and when the store reads it: a malformed document from an older version or another
tool is reported as broken. Sources: image-spec schema/*.json and specs-go, moby's image.Image, container.Config
and tarexport's manifestItem, tested with Docker 20.10.
"""

from __future__ import annotations

from pyctr_lite.images import image as images
from pyctr_lite.images.shape import INT64, Bool, Digest, Int, List, Map, Object, Text, Time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TEXT = Text()
_WORD = Text(nul=False)
_WORDS = List(_WORD, word=True)
_EMPTY = Object({})
_INTERVAL = Int(10**6, INT64, "nanoseconds", zero=True)

HEALTHCHECK = Object(
    {
        "Test": List(_WORD),
        "Interval": _INTERVAL,
        "Timeout": _INTERVAL,
        "StartPeriod": _INTERVAL,
        "StartInterval": _INTERVAL,
        "Retries": Int(0, INT64),
    }
)
"""Intervals are at least Docker's minimum of 1 ms, or 0 for the default."""

CONFIG = Object(
    {
        "Hostname": _TEXT,
        "Domainname": _TEXT,
        "User": _WORD,
        "AttachStdin": Bool(),
        "AttachStdout": Bool(),
        "AttachStderr": Bool(),
        "ExposedPorts": Map(_EMPTY),
        "Tty": Bool(),
        "OpenStdin": Bool(),
        "StdinOnce": Bool(),
        "Env": List(_WORD),
        "Cmd": _WORDS,
        "Healthcheck": HEALTHCHECK,
        "ArgsEscaped": Bool(),
        "Image": _TEXT,
        "Volumes": Map(_EMPTY, name=_WORD),
        "WorkingDir": _WORD,
        "Entrypoint": _WORDS,
        "NetworkDisabled": Bool(),
        "MacAddress": _TEXT,
        "OnBuild": List(_TEXT),
        "Labels": Map(_TEXT),
        "StopSignal": _WORD,
        "StopTimeout": Int(),
        "Shell": _WORDS,
    }
)
"""The defaults of the image's containers, with Docker's keys."""

HISTORY = Object(
    {"created": Time(), "created_by": _TEXT, "author": _TEXT, "comment": _TEXT, "empty_layer": Bool()}
)

IMAGE = Object(
    {
        "id": _TEXT,
        "parent": _TEXT,
        "comment": _TEXT,
        "created": Time(),
        "container": _TEXT,
        "container_config": CONFIG,
        "docker_version": _TEXT,
        "author": _TEXT,
        "config": CONFIG,
        "architecture": _TEXT,
        "variant": _TEXT,
        "os": _TEXT,
        "os.version": _TEXT,
        "os.features": List(_TEXT),
        "size": Int(),
        "rootfs": Object({"type": _TEXT, "diff_ids": List(Digest())}),
        "history": List(HISTORY),
    },
    required=("rootfs",),
)
"""An image's config. Its digest is the image's ID."""

PLATFORM = Object(
    {"architecture": _TEXT, "os": _TEXT, "os.version": _TEXT, "os.features": List(_TEXT), "variant": _TEXT}
)

DESCRIPTOR = Object(
    {
        "mediaType": _TEXT,
        "digest": Digest(),
        "size": Int(0, INT64, "bytes"),
        "urls": List(_TEXT),
        "annotations": Map(_TEXT),
        "data": _TEXT,
        "artifactType": _TEXT,
        "platform": PLATFORM,
    },
    required=("mediaType", "digest", "size"),
)

MANIFEST = Object(
    {
        "schemaVersion": Int(2, 2),
        "mediaType": _TEXT,
        "artifactType": _TEXT,
        "config": DESCRIPTOR,
        "layers": List(DESCRIPTOR),
        "subject": DESCRIPTOR,
        "annotations": Map(_TEXT),
    },
    required=("config",),
)

INDEX = Object(
    {
        "schemaVersion": Int(2, 2),
        "mediaType": _TEXT,
        "artifactType": _TEXT,
        "manifests": List(DESCRIPTOR),
        "subject": DESCRIPTOR,
        "annotations": Map(_TEXT),
    },
    required=("manifests",),
)

DOCKER_MANIFEST = List(
    Object(
        {
            "Config": _TEXT,
            "RepoTags": List(_TEXT),
            "Layers": List(_TEXT),
            "Parent": _TEXT,
            "LayerSources": Map(DESCRIPTOR),
        },
        required=("Config",),
    )
)
"""manifest.json of a docker-archive."""

LAYOUT = Object({"imageLayoutVersion": _TEXT}, required=("imageLayoutVersion",))

MANIFESTS = (
    images.MANIFEST,
    images.INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_CONFIGS = (images.CONFIG, "application/vnd.docker.container.image.v1+json")
_LAYERS = (
    images.LAYER,
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)


class _Either:
    """The shape of a manifest or an index."""

    def read(self, value: Any) -> Any:
        """Read the value as an index if it has `manifests`, else as a manifest. Raises shape.Mismatch."""
        is_index = isinstance(value, dict) and any(key.casefold() == "manifests" for key in value)
        return INDEX.read(value) if is_index else MANIFEST.read(value)


MANIFEST_OR_INDEX = _Either()


def is_image(manifest: dict[str, Any]) -> bool:
    """Return whether a manifest is that of an image, not of an attestation, a signature or another artifact."""
    return (
        not manifest.get("artifactType")
        and "subject" not in manifest
        and manifest["config"]["mediaType"] in _CONFIGS
        and all(layer["mediaType"].startswith(_LAYERS) for layer in manifest.get("layers") or [])
    )


def leads_to_image(descriptor: dict[str, Any]) -> bool:
    """Return whether a descriptor may lead to an image: a manifest or index, not for the platform "unknown"."""
    platform = descriptor.get("platform") or {}
    return descriptor["mediaType"] in MANIFESTS and platform.get("os") != "unknown"


def media_type(manifest: dict[str, Any]) -> str:
    """Return the media type of a manifest or an index: its own, else OCI's."""
    given: str = manifest.get("mediaType") or ""
    return given or (images.INDEX if "manifests" in manifest else images.MANIFEST)
