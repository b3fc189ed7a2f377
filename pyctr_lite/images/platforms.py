"""Platforms: which of an index's images is for this machine (image-spec image-index.md, "platform")."""

from __future__ import annotations

import os

from pyctr_lite.errors import NotFound
from pyctr_lite.images import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """This machine's architecture as images name it (Go's GOARCH): amd64, arm64."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def choose_platform(descriptors: list[dict[str, Any]]) -> dict[str, Any]:
    """Return, of an index's descriptors, the one for this machine. Raises NotFound if there is none."""
    for descriptor in descriptors:
        if documents.leads_to_image(descriptor) and is_ours(descriptor.get("platform") or {}):
            return descriptor
    raise not_ours([descriptor.get("platform") or {} for descriptor in descriptors])


def is_ours(platform: dict[str, Any]) -> bool:
    """Return whether a platform, or an image's config, is this machine's; what it does not say fits."""
    ours = architecture()
    return (platform.get("os") or "linux", platform.get("architecture") or ours) == ("linux", ours)


def not_ours(platforms: list[dict[str, Any]]) -> NotFound:
    """The error for an image that is for other platforms only."""
    known = {f"{platform.get('os')}/{platform.get('architecture')}": 0 for platform in platforms}
    known.pop("unknown/unknown", None)
    return NotFound(f"the image is not for linux/{architecture()}, only for: {', '.join(known) or 'nothing'}")
