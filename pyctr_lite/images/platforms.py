"""Platforms of images, and the choice of an index's image for the host (image-spec image-index.md, "platform")."""

from __future__ import annotations

import os

from pyctr_lite.errors import InvalidArgument, NotFound
from pyctr_lite.images import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_KNOWN = ("386", "amd64", "arm", "arm64", "mips64le", "ppc64le", "riscv64", "s390x", *_ARCHITECTURES)


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


def matches(platform: dict[str, Any], wanted: dict[str, str] | None = None) -> bool:
    """Return whether a platform, or an image's config, matches this host or `wanted`. A missing value matches."""
    wanted = wanted or {"os": "linux", "architecture": architecture()}
    return all((platform.get(key) or value) == value for key, value in wanted.items())


def parse(text: str) -> dict[str, str]:
    """Return the config keys of `os[/architecture[/variant]]`; an architecture alone is one of Linux.

    Raises InvalidArgument.
    """
    parts = text.split("/")
    if len(parts) == 1 and text in _KNOWN:
        parts = ["linux", text]
    if not all(parts) or len(parts) > 3 or not all(part.replace("_", "").isalnum() for part in parts):
        raise InvalidArgument(
            f"invalid platform: {text!r}", "use os[/architecture[/variant]], such as linux/amd64"
        )
    name = parts[1] if len(parts) > 1 else architecture()
    values = {"os": parts[0], "architecture": _ARCHITECTURES.get(name, name)}
    return {**values, "variant": parts[2]} if len(parts) > 2 else values


def show(platform: dict[str, Any]) -> str:
    """Return a platform as text: linux/arm/v7."""
    return "/".join(filter(None, (platform.get("os"), platform.get("architecture"), platform.get("variant"))))


def wrong_platform(platforms: list[dict[str, Any]]) -> NotFound:
    """Return the error for an image that is only for other platforms."""
    known = {f"{platform.get('os')}/{platform.get('architecture')}": 0 for platform in platforms}
    known.pop("unknown/unknown", None)
    return NotFound(f"the image is not for linux/{architecture()}, only for: {', '.join(known) or 'nothing'}")
