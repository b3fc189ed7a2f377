"""A lambda."""

from __future__ import annotations

HINT = "is a lambda"

flags = lambda names: 0
