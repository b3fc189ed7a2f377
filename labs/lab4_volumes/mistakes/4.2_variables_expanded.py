"""A dollar in the source is taken for a variable, which the shell has replaced already."""

from __future__ import annotations

import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.volumes import spec
from pyctr_lite.volumes.spec import MountSpec

HINT = "the attribute source of the MountSpec"


def parse_volume(text: str) -> MountSpec:
    parts = text.split(":")
    if not text:
        raise InvalidArgument("invalid empty volume spec")
    if not all(parts):
        raise InvalidArgument(f"invalid spec: {text}: empty section between colons")
    if len(parts) > 3:
        raise InvalidArgument(f"invalid spec: {text}: too many colons")
    source, target, modes = "", parts[0], ""
    if len(parts) > 1:
        source, target = parts[:2]
    if len(parts) == 2 and spec.are_modes(target):
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    if len(parts) == 3:
        modes = parts[2]
    source = os.path.expandvars(source)
    if source.startswith("."):
        source = os.path.abspath(source)
    is_path = source.startswith("/")
    mount = MountSpec("bind" if is_path else "volume", source, target)
    mount.create_source = is_path
    spec.finish_volume(mount, text, modes)
    return mount
