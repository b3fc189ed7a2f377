"""The umask is set for the directory, and stays so if the kernel refuses it."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "caller's umask has changed"


def prepare_source(path: str, create: bool) -> None:
    if os.path.exists(path):
        return
    if not create:
        raise InvalidArgument(f"bind source path does not exist: {path}")
    before = os.umask(0o022)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        message = f"error while creating mount source path '{path}': {error.strerror}"
        raise InvalidArgument(message) from error
    os.umask(before)
