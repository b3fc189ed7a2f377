"""Exercise 3.1, solved."""

from __future__ import annotations

from pyctr_lite.rootfs import overlay


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    options = ["lowerdir=" + ":".join(map(overlay.escape, lowers))]
    if upper:
        options.append("upperdir=" + overlay.escape(upper))
        options.append("workdir=" + overlay.escape(work))
    return ",".join(options)
