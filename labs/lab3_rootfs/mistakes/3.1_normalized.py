"""The paths are normalized: `..` after a link is another directory then."""

from __future__ import annotations

import os

from pyctr_lite.rootfs import overlay

HINT = "Which of them is missing, changed or too many?"


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    options = "lowerdir=" + ":".join(overlay.escape(os.path.normpath(path)) for path in lowers)
    if upper:
        options += f",upperdir={overlay.escape(upper)},workdir={overlay.escape(work)}"
    return options
