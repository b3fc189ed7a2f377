"""The OSError of makedirs goes up as a traceback."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "What reaches the user is an InvalidArgument"


def prepare_source(path: str, create: bool) -> None:
    if os.path.exists(path):
        return
    if not create:
        raise InvalidArgument(f"bind source path does not exist: {path}")
    os.makedirs(path, mode=0o755, exist_ok=True)
