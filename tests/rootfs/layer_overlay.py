"""Unpacked layers as the kernel's overlayfs shows them, for tests."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def overlay(directory: Path, layers: Sequence[Path | str]) -> Iterator[Path]:
    """The layers, bottom first, merged below a directory of the test's."""
    merged, none = directory / "merged", directory / "none"
    merged.mkdir(exist_ok=True)
    none.mkdir(exist_ok=True)
    lowerdir = ":".join([*(str(layer) for layer in reversed(layers)), str(none)])  # a single one is not taken
    linux.mount("overlay", str(merged), "overlay", linux.MS_RDONLY, f"lowerdir={lowerdir}")
    try:
        yield merged
    finally:
        linux.umount2(str(merged))
