"""An overlay mount of unpacked layers, for tests."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def overlay(directory: Path, layers: Sequence[Path | str]) -> Iterator[Path]:
    """Mount the layers (bottom first) on a subdirectory of a test's directory; yield the mount point."""
    merged, none = directory / "merged", directory / "none"
    merged.mkdir(exist_ok=True)
    none.mkdir(exist_ok=True)
    lowerdir = ":".join(
        [*(str(layer) for layer in reversed(layers)), str(none)]
    )  # overlayfs refuses a single lowerdir without upperdir
    linux.mount("overlay", str(merged), "overlay", linux.MS_RDONLY, f"lowerdir={lowerdir}")
    try:
        yield merged
    finally:
        linux.umount2(str(merged))
