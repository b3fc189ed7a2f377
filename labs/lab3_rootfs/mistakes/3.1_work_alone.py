"""The work directory is named without an upper one."""

from __future__ import annotations

from pyctr_lite.rootfs import overlay

HINT = "What do upperdir= and workdir= name here?"


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    options = "lowerdir=" + ":".join(overlay.escape(path) for path in lowers)
    if upper:
        options += f",upperdir={overlay.escape(upper)}"
    if work:
        options += f",workdir={overlay.escape(work)}"
    return options
