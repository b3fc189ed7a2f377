"""One finding of `doctor`: one line of its output."""

from __future__ import annotations


class Finding:
    """The result of one examination.

    `area` is a chapter, "machine", "tools" or "state"; `text` describes the result; `fix` is the remedy if the
    result is not `ok`. If it is not `needed` either, only the feature that `text` or `fix` names is missing.
    """

    def __init__(self, area: str, name: str, ok: bool, text: str, fix: str = "", needed: bool = True) -> None:
        self.area, self.name, self.ok, self.text, self.fix, self.needed = area, name, ok, text, fix, needed
