"""The backslash is escaped after the colon, and with it the colon's own mark."""

from __future__ import annotations

HINT = "How is it to know which of these characters belong to a name?"


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    def escape(path: str) -> str:
        return path.replace(":", "\\:").replace(",", "\\,").replace("\\", "\\\\")

    options = "lowerdir=" + ":".join(escape(path) for path in lowers)
    if upper:
        options += f",upperdir={escape(upper)},workdir={escape(work)}"
    return options
