"""How a check says what it observed, and how what a learner's function raised is told."""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labs.kit import ReferenceCalled
from labs.kit.exercises import manifest
from pyctr_lite import learner_frame, linux

if TYPE_CHECKING:
    from collections.abc import Callable


class CheckFailed(AssertionError):
    """What was observed, as a sentence that ends in a question or says where to look."""


def expect(holds: object, observed: str) -> None:
    """Fail the check where something does not hold: `observed` is shown to the learner as it is.

    Say what was seen, then ask for its cause: "after pivot_root 23 mounts of the host are still in
    /proc/self/mountinfo: what detaches the old root?"
    """
    if not holds:
        raise CheckFailed(observed)


def equal(found: object, wanted: object, about: str) -> None:
    """Fail the check where two values differ, showing both."""
    if found != wanted:
        raise CheckFailed(f"{about}\n    yours gives  {found!r}\n    wanted is    {wanted!r}")


def in_child(function: Callable[[], Any], flags: int = 0) -> Any:
    """Call a function in a child process, in new namespaces (`flags` are CLONE_NEW*): what it returns, by JSON.

    What changes a process for good (unshare, setns, pivot_root, mounts) is checked so. With CLONE_NEWNS mounts are
    made private first. Fails with CheckFailed where the child raises, with the learner's own line, or is killed.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    sys.stdout.flush()
    pid, pidfd = linux.clone3(flags)
    if pid == 0:
        try:
            if flags & linux.CLONE_NEWNS:
                linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
            answer = {"value": function()}
        except BaseException as error:
            answer = {"failed": told(error)}
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as file:
            text = file.read()
        _, status = os.waitpid(pid, 0)
    except BaseException:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(pidfd)
    if not text:
        code = os.waitstatus_to_exitcode(status)
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
        raise CheckFailed(f"the process that your function ran in {how}, and never came back from it")
    found = json.loads(text)
    if "failed" in found:
        raise CheckFailed(found["failed"])
    return found["value"]


def told(error: BaseException) -> str:
    """An exception as a learner can use it: a check's own words, else the error with the learner's own line."""
    if isinstance(error, CheckFailed | ReferenceCalled):
        return str(error)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if timeout := re.match(r"Failed: Timeout .*?([\d.]+)s", text):
        text = (
            f"it did not end within {float(timeout[1]):g} s, and was stopped: what does it wait for, or loop on?"
        )
    line = _learners_line(error)
    return f"{text}\n    {line}" if line else text


def _learners_line(error: BaseException) -> str:
    """The innermost line of a lab's file, shortened to its place below labs/; not of the checks themselves."""
    frames = [
        frame
        for frame in learner_frame.frames(error.__traceback__)
        if Path(frame[0]).parent.name.startswith("lab") and not Path(frame[0]).name.startswith("test_")
    ]
    if not frames:
        return ""
    file, number, function = frames[-1]
    text = learner_frame.describe(frames).partition(": ")[2]
    return f"{'/'.join(Path(file).parts[-2:])}, line {number}, in {function}():  {text}"


def whole_traceback(error: BaseException) -> str:
    """All of it that is the labs' or the runtime's, for VERBOSE=1: not pytest's frames, nor Python's own."""
    shown = traceback.TracebackException.from_exception(error)
    _cut(shown)
    return "".join(shown.format())


def _cut(shown: traceback.TracebackException) -> None:
    frames = [frame for frame in shown.stack if _is_shown(Path(frame.filename))]
    shown.stack = traceback.StackSummary.from_list(frames)
    for earlier in (shown.__cause__, shown.__context__):
        if earlier is not None:
            _cut(earlier)


def _is_shown(file: Path) -> bool:
    return file.parent.name.startswith("lab") or file.is_relative_to(manifest.CHECKOUT / "pyctr_lite")
