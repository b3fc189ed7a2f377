"""Paths are put in as they are: a colon, a comma or a backslash in one ends it."""

from __future__ import annotations

HINT = "and a backslash marks what comes after it. How is it to know which of these characters belong to a name?"


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    options = "lowerdir=" + ":".join(lowers)
    if upper:
        options += f",upperdir={upper},workdir={work}"
    return options
