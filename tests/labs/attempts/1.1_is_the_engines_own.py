"""No function of the learner's at all."""

from __future__ import annotations

from pyctr_lite.namespaces.kinds import flags

HINT = "is imported: this is another's function"
