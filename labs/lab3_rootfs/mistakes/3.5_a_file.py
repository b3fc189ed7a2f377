"""The whiteout of the archive is written as it is called there: overlayfs knows no .wh. names."""

from __future__ import annotations

import os

from pyctr_lite.rootfs import whiteout

HINT = "What is a whiteout on disk?"


def make(dirfd: int, name: bytes) -> None:
    os.close(os.open(whiteout.PREFIX + name, os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=dirfd))
