"""Platforms of images, and the choice of an index's image for the host (image-spec image-index.md, "platform")."""

from __future__ import annotations

import os

from pyctr_lite.errors import NotFound
from pyctr_lite.images import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """Return the host's architecture by its name in images (Go's GOARCH): amd64, arm64."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def choose_platform(descriptors: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an index's descriptor for this host. Raises NotFound if there is none."""
    for descriptor in descriptors:
        if documents.leads_to_image(descriptor) and matches(descriptor.get("platform") or {}):
            return descriptor
    raise wrong_platform([descriptor.get("platform") or {} for descriptor in descriptors])


def matches(platform: dict[str, Any]) -> bool:
    """Return whether a platform, or an image's config, matches this host. A missing value matches."""
    host = architecture()
    return (platform.get("os") or "linux", platform.get("architecture") or host) == ("linux", host)


def wrong_platform(platforms: list[dict[str, Any]]) -> NotFound:
    """Return the error for an image that is only for other platforms."""
    known = {f"{platform.get('os')}/{platform.get('architecture')}": 0 for platform in platforms}
    known.pop("unknown/unknown", None)
    return NotFound(f"the image is not for linux/{architecture()}, only for: {', '.join(known) or 'nothing'}")
