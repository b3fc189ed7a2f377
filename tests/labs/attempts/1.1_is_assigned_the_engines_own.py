"""The engine's function under the name."""

from __future__ import annotations

from pyctr_lite.namespaces import kinds

HINT = "is assigned, not defined"

flags = kinds.flags
