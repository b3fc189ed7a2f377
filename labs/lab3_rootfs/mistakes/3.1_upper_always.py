"""An upper directory is named even where there is none."""

from __future__ import annotations

from pyctr_lite.rootfs import overlay

HINT = "two layers, read-only"


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    below = ":".join(overlay.escape(path) for path in lowers)
    return f"lowerdir={below},upperdir={overlay.escape(upper)},workdir={overlay.escape(work)}"
