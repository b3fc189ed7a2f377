"""A directory whose name is a blank is taken for none."""

from __future__ import annotations

from pyctr_lite.rootfs import overlay

HINT = "The kernel reads upperdir=None"


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    options = ["lowerdir=" + ":".join(map(overlay.escape, lowers))]
    if upper.strip():
        options.append("upperdir=" + overlay.escape(upper))
        options.append("workdir=" + overlay.escape(work))
    return ",".join(options)
