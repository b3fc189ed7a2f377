"""Whatever is missing is made, for --mount as well: a typing error becomes an empty directory."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "is let through"


def prepare_source(path: str, create: bool) -> None:
    if os.path.exists(path):
        return
    try:
        explain.step(f'mkdir("{path}")', os.makedirs, path, mode=0o755, exist_ok=True)
    except OSError as error:
        message = f"error while creating mount source path '{path}': {error.strerror}"
        raise InvalidArgument(message) from error
