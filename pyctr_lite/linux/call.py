"""The one place that makes system calls: raises errors with the call's name and path, narrates steps."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.linux import explain, ffi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

libc = ffi.Library()
syscall = libc.syscall
syscall.restype = ffi.c_long


def fail(name: str, path: str | None = None) -> NoReturn:
    """Raise the error of the call just made."""
    number = ffi.get_errno()
    message = f"{name}: {os.strerror(number)}"
    raise OSError(number, message, path) if path else OSError(number, message)


def make(describe: Callable[[], str], path: str | None, function: Any, *args: Any) -> int:
    """Make and narrate a call that changes something. Raises OSError with its name and path if it returns -1."""
    began = time.perf_counter_ns() if explain.sink is not None else 0
    result: int = function(*args)
    if explain.sink is not None:
        number = ffi.get_errno()
        outcome = f"-1 {errno.errorcode.get(number, str(number))}" if result < 0 else str(result)
        explain.narrate(describe(), began, outcome)
        ffi.set_errno(number)
    if result < 0:
        fail(describe().partition("(")[0], path)
    return result


def look(name: str, path: str | None, function: Any, *args: Any) -> int:
    """Make a call that changes nothing: not a step to narrate. Raises OSError as `make` does."""
    result: int = function(*args)
    if result < 0:
        fail(name, path)
    return result


def encoded(text: str | None) -> bytes | None:
    """Encode a path or text for the kernel; None is NULL."""
    return None if text is None else os.fsencode(text)


def of_descriptor(path: str | None) -> str | None:
    """Return a path for the narration: /proc/self/fd/N becomes the path of the open file."""
    if path is None or explain.sink is None or not path.startswith("/proc/self/fd/"):
        return path
    try:
        return os.readlink(path)
    except OSError:
        return path


def quoted(text: str | None) -> str:
    """Quote a path or text for the narration."""
    return "NULL" if text is None else f'"{text}"'
