"""Error reports: one line for the error, one for its hint, and the exit code."""

from __future__ import annotations

import os

from pyctr_lite import errors
from pyctr_lite.cli.command import output


def print_error(error: errors.PyctrError | OSError, name: str) -> int:
    """Print an error of the verb `name` on one line and its hint on another. Returns Docker's exit code for it."""
    if output.drop_unwritten(1) and isinstance(error, output.WriteError):
        return 1  # drop_unwritten has reported it
    message, hint, code = _text(error), getattr(error, "hint", ""), getattr(error, "exit_code", None)
    if surroundings := _hint_from_surroundings(error):
        hint = surroundings
    elif isinstance(error, OSError):
        hint = _learner_line(error)
    output.complain(message, f"\n  {hint}" if hint else "")
    if code is not None:
        return int(code)
    return 125 if name == "run" else 1


def _hint_from_surroundings(error: errors.PyctrError | OSError) -> str:
    """Return a hint if the error comes from the caller's limits or current directory, else ""."""
    import errno

    number = getattr(error, "errno", 0)  # also set on an error of a child before its program ran
    if number == errno.EMFILE:
        return "the limit on open files is too low: raise it (ulimit -n 1024)"
    if number == errno.EFBIG:
        return "the limit on the size of a file is too low: raise it (ulimit -f unlimited)"
    if isinstance(error, FileNotFoundError) and error.filename is None:
        try:
            os.getcwd()
        except FileNotFoundError:
            return "the current directory has been removed: change to another one, or give absolute paths"
    return ""


def print_internal_error(error: Exception, name: str) -> int:
    """Print an unexpected exception on one line, with the line of the learner's source behind it, if any."""
    line = _learner_line(error)
    output.complain(
        f"{type(error).__name__}: {error}",
        f"\n  {line}" if line else " (internal error: run with --debug for the traceback)",
    )
    return 125 if name in ("run", "exec") else 1


def _learner_line(error: BaseException) -> str:
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
