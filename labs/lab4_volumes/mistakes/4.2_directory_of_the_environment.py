"""PWD of the environment is taken for the working directory."""

from __future__ import annotations

import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.volumes import spec
from pyctr_lite.volumes.spec import MountSpec

HINT = "type, source and target"


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
        source = os.path.normpath(os.path.join(os.environ.get("PWD", os.getcwd()), source))
    is_path = source.startswith("/")
    mount = MountSpec("bind" if is_path else "volume", source, target)
    mount.create_source = is_path
    spec.finish_volume(mount, text, modes)
    return mount
