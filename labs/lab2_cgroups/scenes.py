"""What is done with the functions of lab 2 where a plain call is not enough. It runs in the learner's process.

A scene arranges, calls and returns what it saw. It knows nothing of what is right: the checks judge that.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from pyctr_lite.cgroups import freezer
from pyctr_lite.cgroups.limits import Limits
from pyctr_lite.errors import InvalidArgument


def message_and_hint(function: Callable[..., Any], *args: Any) -> dict[str, str]:
    """Call the function, and return both texts of the InvalidArgument that it raises."""
    try:
        value = function(*args)
    except InvalidArgument as error:
        return {"message": error.message, "hint": error.hint}
    return {"value": repr(value)}


def where_freeze_gives_up(function: Callable[..., Any], group: Any, signal: int) -> Any:
    """Call the function while `freezer.freeze` raises what it raises of a process that cannot be frozen."""

    def freeze(group: Any) -> None:
        raise TimeoutError(errno.ETIMEDOUT, "not frozen after 5 s", group.path)

    real, freezer.freeze = freezer.freeze, freeze
    try:
        return function(group, signal)
    finally:
        freezer.freeze = real


def limited(_: object, group: Any, file: str, text: str) -> None:
    """Create a group and limit it, as the engine does it."""
    group.create()
    group.apply(Limits(unified={file: text}))


# What a member of a group does. ---------------------------------------------------------------------------


def forks(_: object) -> int:
    """Fork a child that stays: its number."""
    pid = os.fork()
    if pid == 0:
        while True:
            signal.pause()
    return pid


_came: list[int] = []
"""The signals that have come."""


def counts_usr1(_: object) -> None:
    """Count SIGUSR1 from here on."""
    signal.signal(signal.SIGUSR1, lambda number, frame: _came.append(number))


def counted(_: object) -> int:
    """Return how many times SIGUSR1 has come."""
    return len(_came)


def ends_after(_: object, seconds: float) -> NoReturn:
    """End after a while."""
    time.sleep(seconds)
    os._exit(0)


def begins_a_thread(_: object) -> None:
    """Begin a thread that stays."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def answers(_: object) -> str:
    """Show that the process runs."""
    return "here"
