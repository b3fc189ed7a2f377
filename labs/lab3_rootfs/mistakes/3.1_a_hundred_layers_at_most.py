"""All layers below the hundredth are left out."""

from __future__ import annotations

from pyctr_lite.rootfs import overlay

HINT = "Which of them is missing, changed or too many?"


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    options = ["lowerdir=" + ":".join(map(overlay.escape, lowers[:100]))]
    if upper:
        options.append("upperdir=" + overlay.escape(upper))
        options.append("workdir=" + overlay.escape(work))
    return ",".join(options)
