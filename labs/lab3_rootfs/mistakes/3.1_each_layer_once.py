"""A layer that comes twice is put in once: that is the caller's to decide."""

from __future__ import annotations

from pyctr_lite.rootfs import overlay

HINT = "Which of them is missing, changed or too many?"


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    options = "lowerdir=" + ":".join(overlay.escape(path) for path in dict.fromkeys(lowers))
    if upper:
        options += f",upperdir={overlay.escape(upper)},workdir={overlay.escape(work)}"
    return options
