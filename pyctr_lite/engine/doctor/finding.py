"""What `doctor` tells: one fact a line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One thing that was looked at.

    `area` is a chapter, "machine", "tools" or "state"; `text` is what was found; `fix` is what to do where it is
    not `ok`. What is not `needed` costs only the feature that `text` or `fix` names.
    """

    area: str
    name: str
    ok: bool
    text: str
    fix: str = ""
    needed: bool = True
