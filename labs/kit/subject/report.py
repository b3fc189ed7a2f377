"""An exception of a learner's function as values, of which the judge makes a sentence."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Any

from pyctr_lite import learner_frame

_PACKAGE = f"{os.path.dirname(os.path.abspath(learner_frame.__file__))}/"
MAX_TEXT = 4000


def describe(error: BaseException) -> dict[str, Any]:
    """Class, bases, errno, text, the learner's own line, and a traceback of the labs' and the engine's code."""
    try:
        text = str(error)
    except BaseException:
        text = "(its text raises an error of its own)"
    number = error.errno if isinstance(error, OSError) else None
    return {
        "name": type(error).__name__,
        "bases": [kind.__name__ for kind in type(error).__mro__],
        "errno": number if isinstance(number, int) else None,
        "file": _file(error),
        "text": text[:MAX_TEXT],
        "line": learners_line(error),
        "traceback": _whole(error)[-MAX_TEXT:],
    }


def _file(error: BaseException) -> str | None:
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        return os.fsdecode(error.filename)
    return None


def learners_line(error: BaseException) -> str:
    """The innermost line of a lab's file, shortened to its path below labs/; "" if there is none."""
    frames = [frame for frame in learner_frame.frames(error.__traceback__) if _is_theirs(Path(frame[0]))]
    if not frames:
        return ""
    file, number, function = frames[-1]
    text = learner_frame.describe(frames).partition(": ")[2]
    return f"{'/'.join(Path(file).parts[-2:])}, line {number}, in {function}():  {text}"


def _is_theirs(file: Path) -> bool:
    return file.parent.name.startswith("lab") and file.name != "scenes.py"


def _whole(error: BaseException) -> str:
    shown = traceback.TracebackException.from_exception(error)
    _cut(shown)
    return "".join(shown.format())


def _cut(shown: traceback.TracebackException) -> None:
    frames = [frame for frame in shown.stack if _is_shown(frame.filename)]
    shown.stack = traceback.StackSummary.from_list(frames)
    for earlier in (shown.__cause__, shown.__context__):
        if earlier is not None:
            _cut(earlier)


def _is_shown(file: str) -> bool:
    return file.startswith(_PACKAGE) or Path(file).parent.name.startswith("lab")
