"""How a check says what it observed."""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from labs.kit.subject import codec
from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable


class CheckFailed(AssertionError):
    """An observation, as a sentence that ends in a question or says where to look."""

    def __init__(self, observed: str, traceback: str = "") -> None:
        super().__init__(observed)
        self.traceback = traceback
        """The learner's own, if there is one."""


def expect(holds: object, observed: str) -> None:
    """Fail the check where something does not hold: `observed` is shown to the learner as it is.

    Say what was seen, then ask for its cause: "after pivot_root 23 mounts of the host are still in
    /proc/self/mountinfo: what detaches the old root?"
    """
    if not holds:
        raise CheckFailed(observed)


def equal(found: object, wanted: object, about: str) -> None:
    """Fail the check if two values or their types differ, showing both."""
    if json.dumps(codec.encode(found)) != json.dumps(codec.encode(wanted)):  # to Python 1 equals True
        raise CheckFailed(
            f"{about}\n    yours gives  {found!r}\n    wanted is    {wanted!r}{_types(found, wanted)}"
        )


def _types(found: object, wanted: object) -> str:
    """The types, where the values may look alike."""
    if None in (found, wanted) or isinstance(found, codec.Record | codec.Odd) or type(found) is type(wanted):
        return ""
    return f"\n    yours is of type {type(found).__name__}, wanted is {type(wanted).__name__}"


def errno_name(number: int) -> str:
    """Return the name of an errno in the manual pages, for Python calls EOPNOTSUPP by another one."""
    return "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, str(number))


def told(error: BaseException) -> str:
    """An exception as a line: a check's own words, or the error's class and text."""
    if isinstance(error, CheckFailed):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def in_child(function: Callable[[], Any], flags: int = 0) -> Any:
    """Call a function in a child process, in new namespaces (`flags` are CLONE_NEW*): what it returns, by JSON.

    For the judge's own looks; a learner's function is called in the arena. With CLONE_NEWNS mounts are made
    private first. Fails with CheckFailed if the child raises or is killed.
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
        raise CheckFailed(f"a process of the check itself {how}")
    found = json.loads(text)
    if "failed" in found:
        raise CheckFailed(found["failed"])
    return found["value"]
