"""An upper directory is named even where there is none."""

from __future__ import annotations

from pyctr_lite.rootfs import overlay

HINT = "What do upperdir= and workdir= name here?"


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    below = ":".join(overlay.escape(path) for path in lowers)
    return f"lowerdir={below},upperdir={overlay.escape(upper)},workdir={overlay.escape(work)}"
