"""Functions of a learner's in the place of the engine's own (`--labs`): the one door between them.

The engine does not know the labs' machinery; it calls its chapters through their modules, where that puts them in.
"""

from __future__ import annotations

import os
import sys

from pyctr_lite.errors import InvalidArgument

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def directory(given: str) -> str:
    """The labs directory of `--labs=DIR`, or the checkout's own ("@"). Fails with InvalidArgument without one."""
    found = f"{CHECKOUT}/labs" if given == "@" else os.path.abspath(given)
    if not os.path.isdir(found):
        raise InvalidArgument(f"--labs: no directory {found}", "give that of the lab folders: --labs=DIR")
    return found


def activate(directory: str) -> dict[str, str]:
    """Put in what is written in a labs directory: what is wrong with a file of it, by file. Again is fine.

    Nothing is put in where the directory has gone: its containers can be looked at and removed without it.
    """
    if not os.path.isdir(directory):
        return {}
    if CHECKOUT not in sys.path:
        sys.path.append(CHECKOUT)
    from pathlib import Path

    from labs.kit.exercises import swap

    return swap.activate(Path(directory)).errors
