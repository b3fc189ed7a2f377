"""One MountSpec is made once and filled again: what was asked for last time is still in it."""

from __future__ import annotations

import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.volumes import spec
from pyctr_lite.volumes.spec import MountSpec

HINT = "has changed what the first one returned"


def parse_volume(text: str) -> MountSpec:
    parts = text.split(":")
    if not text:
        raise InvalidArgument("invalid empty volume spec")
    if not all(parts):
        raise InvalidArgument(f"invalid spec: {text}: empty section between colons")
    source, modes = "", ""
    match parts:
        case [target]:
            pass
        case [source, target]:
            if spec.are_modes(target):
                raise InvalidArgument(f"invalid volume specification: '{text}'")
        case [source, target, modes]:
            pass
        case _:
            raise InvalidArgument(f"invalid spec: {text}: too many colons")
    if source.startswith("."):
        source = os.path.abspath(source)
    is_path = source.startswith("/")
    mount = parse_volume.__dict__.setdefault("mount", MountSpec("volume"))
    mount.type, mount.source, mount.target = "bind" if is_path else "volume", source, target
    mount.create_source = is_path
    spec.finish_volume(mount, text, modes)
    return mount
