"""The text is cut at its first colon only: the target is `/b:ro`."""

from __future__ import annotations

import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.volumes import spec
from pyctr_lite.volumes.spec import MountSpec

HINT = "What separates the parts?"


def parse_volume(text: str) -> MountSpec:
    if not text or text.startswith(":") or text.endswith(":") or "::" in text or text.count(":") > 2:
        raise InvalidArgument(f"invalid spec: {text}")
    source, colon, target = text.partition(":")
    if not colon:
        source, target = "", source
    if spec.are_modes(target):
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    if source.startswith("."):
        source = os.path.abspath(source)
    mount = MountSpec("bind" if source.startswith("/") else "volume", source, target)
    mount.create_source = mount.type == "bind"
    spec.finish_volume(mount, text, "")
    return mount
