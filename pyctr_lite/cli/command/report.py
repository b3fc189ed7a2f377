"""Error reports: one line for the error, one for its hint, and the exit code."""

from __future__ import annotations

import os

from pyctr_lite import errors
from pyctr_lite.cli.command import output


def print_error(error: errors.PyctrError | OSError, name: str) -> int:
    """Print an error on one line and its hint on another. Returns the exit code, as Docker's client has it.

    `name` is the verb's.
    """
    if output.lose_unwritten(1) and isinstance(error, output.WriteError):
        return 1  # it has been said
    message, hint, code = _text(error), getattr(error, "hint", ""), getattr(error, "exit_code", None)
    if limit := _limit(error):
        hint = limit
    elif isinstance(error, OSError):
        hint = _learners_line(error)
    output.complain(message, f"\n  {hint}" if hint else "")
    if code is not None:
        return int(code)
    return 125 if name == "run" else 1


def _limit(error: errors.PyctrError | OSError) -> str:
    """What of the caller's surroundings an error comes from, and what to do: its limits, its directory."""
    import errno

    number = getattr(error, "errno", 0)  # one of a child before its program ran has it too
    if number == errno.EMFILE:
        return "the limit of open files here is too low for this: raise it (ulimit -n 1024)"
    if number == errno.EFBIG:
        return "the limit of a file's size here is too low for this: raise it (ulimit -f unlimited)"
    if isinstance(error, FileNotFoundError) and error.filename is None:
        try:
            os.getcwd()
        except FileNotFoundError:
            return "the current directory has been removed: change to another, or give absolute paths"
    return ""


def print_fault(error: Exception, name: str) -> int:
    """Print an unexpected exception on one line, with the learner's source line that it comes from, if any."""
    line = _learners_line(error)
    output.complain(
        f"{type(error).__name__}: {error}",
        f"\n  {line}" if line else " (internal error: run with --debug for the traceback)",
    )
    return 125 if name in ("run", "exec") else 1


def _learners_line(error: BaseException) -> str:
    from pyctr_lite import learner_frame

    return learner_frame.describe(learner_frame.frames(error.__traceback__)) or "\n  ".join(
        getattr(error, "__notes__", ())
    )


def _text(error: errors.PyctrError | OSError) -> str:
    if isinstance(error, errors.PyctrError):
        return error.message
    path = error.filename
    text = error.strerror or str(error)
    return f"{text}: {os.fsdecode(path)}" if isinstance(path, str | bytes) else text
