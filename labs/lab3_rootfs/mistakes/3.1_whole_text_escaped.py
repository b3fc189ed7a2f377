"""The whole list is escaped, with the colons that separate the layers."""

from __future__ import annotations

from pyctr_lite.rootfs import overlay

HINT = "Is a colon part of a name here"


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    options = "lowerdir=" + overlay.escape(":".join(lowers))
    if upper:
        options += f",upperdir={overlay.escape(upper)},workdir={overlay.escape(work)}"
    return options
