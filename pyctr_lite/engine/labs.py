"""The only place where the engine loads lab code (`--labs`).

The engine knows nothing else of the labs. It calls its chapters through their modules, so that a learner's
function can replace an attribute of a module.
"""

from __future__ import annotations

import os
import sys

from pyctr_lite.errors import InvalidArgument

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def directory(path: str) -> str:
    """Return the directory of `--labs=DIR`; "@" is the checkout's own. Raises InvalidArgument if it is missing."""
    found = f"{CHECKOUT}/labs" if path == "@" else os.path.abspath(path)
    if not os.path.isdir(found):
        raise InvalidArgument(f"--labs: no directory {found}", "give the directory of the lab folders: --labs=DIR")
    return found


def activate(directory: str) -> dict[str, str]:
    """Replace the engine's functions by a learner's, and return the error of each broken file. Idempotent.

    Do nothing if the directory is gone: its containers can still be inspected and removed.
    """
    if not os.path.isdir(directory):
        return {}
    if CHECKOUT not in sys.path:
        sys.path.append(CHECKOUT)
    from pathlib import Path

    from labs.kit.exercises import swap

    return swap.activate(Path(directory)).errors
