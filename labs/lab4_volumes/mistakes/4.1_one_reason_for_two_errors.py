"""EPERM is given the text of EACCES: both are PermissionError."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "Operation not permitted"


def prepare_source(path: str, create: bool) -> None:
    if os.path.exists(path):
        return
    if not create:
        raise InvalidArgument(f"bind source path does not exist: {path}")
    try:
        os.makedirs(path, mode=0o755, exist_ok=True)
    except PermissionError:
        raise InvalidArgument(f"error while creating mount source path '{path}': Permission denied") from None
    except OSError as error:
        message = f"error while creating mount source path '{path}': {error.strerror}"
        raise InvalidArgument(message) from error
