"""Whose line an error comes from, where it is not ours: a learner's (`--labs`)."""

from __future__ import annotations

import linecache
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_STANDARD_LIBRARY = os.path.dirname(os.__file__)


def frames(traceback: TracebackType | None) -> list[tuple[str, int, str]]:
    """File, line and function of each step of a traceback, the innermost last."""
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        found.append((code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    return found


def line(trace: list[tuple[str, int, str]]) -> str:
    """The innermost line that is neither ours nor Python's own, with its text; "" where there is none."""
    for file, number, function in reversed(trace):
        if file.startswith((_PACKAGE + "/", _STANDARD_LIBRARY + "/", "<")) or not file.endswith(".py"):
            continue
        return f"{file}, line {number}, in {function}: {linecache.getline(file, number).strip()}"
    return ""
