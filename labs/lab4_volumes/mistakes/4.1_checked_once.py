"""What was there once is not looked at again."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "what is kept from one call to the next?"

_known = set()


def prepare_source(path: str, create: bool) -> None:
    if path in _known or os.path.exists(path):
        _known.add(path)
        return
    if not create:
        raise InvalidArgument(f"bind source path does not exist: {path}")
    try:
        os.makedirs(path, mode=0o755, exist_ok=True)
    except OSError as error:
        message = f"error while creating mount source path '{path}': {error.strerror}"
        raise InvalidArgument(message) from error
    _known.add(path)
