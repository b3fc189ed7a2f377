"""The natural order of texts: net2 before net10."""

from __future__ import annotations

import re


def key(text: str) -> list[str]:
    """Return a key that sorts numbers in texts by their values, as Docker's client sorts names."""
    parts = re.split(r"([0-9]+)", text)
    return [part.zfill(20) if index % 2 else part for index, part in enumerate(parts)]
