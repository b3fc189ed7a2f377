"""`--explain` of the verbs.  [hot]"""

from __future__ import annotations

import os
import sys

from pyctr_lite.errors import UsageError


def to_stderr(how: str | None) -> None:
    """Narrate from here on if `--explain` was given. Raises UsageError for an unknown format."""
    if not how:
        return
    if how not in ("text", "json"):
        raise UsageError(f'invalid argument "{how}" for "--explain" flag: must be text or json')
    from pyctr_lite.linux import explain

    sys.stderr.flush()
    explain.start(os.dup(2), json=how == "json")
