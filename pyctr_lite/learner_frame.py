"""The frames of a traceback, and the learner's source line among them (used with `--labs`)."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_STANDARD_LIBRARY = os.path.dirname(os.__file__)


def frames(traceback: TracebackType | None) -> list[tuple[str, int, str]]:
    """Return file, line number and function of each frame of a traceback, innermost last.

    Without source lines: a child may have another `/`, so its parent reads them (`describe`).
    """
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        found.append((code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    return found


def describe(frames: list[tuple[str, int, str]]) -> str:
    """Describe the innermost frame outside this package and the standard library, with its source line.

    Returns "" if there is no such frame.
    """
    import linecache

    for file, number, function in reversed(frames):
        if file.startswith((_PACKAGE + "/", _STANDARD_LIBRARY + "/", "<")) or not file.endswith(".py"):
            continue
        return f"{file}, line {number}, in {function}: {linecache.getline(file, number).strip()}"
    return ""
