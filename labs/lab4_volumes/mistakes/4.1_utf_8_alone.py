"""A path that is not UTF-8 is made under another name."""

from __future__ import annotations

import os

from pyctr_lite.errors import InvalidArgument

HINT = "afterwards there is no directory"


def prepare_source(path: str, create: bool) -> None:
    path = path.encode(errors="replace").decode()
    if os.path.exists(path):
        return
    if not create:
        raise InvalidArgument(f"bind source path does not exist: {path}")
    try:
        os.makedirs(path, mode=0o755, exist_ok=True)
    except OSError as error:
        raise InvalidArgument(f"error while creating mount source path '{path}': {error.strerror}") from error
