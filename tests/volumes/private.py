"""A child process with its own mount namespace: its mounts disappear when it exits."""

from __future__ import annotations

import os
import pickle
import traceback
from typing import TYPE_CHECKING, TypeVar

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


def in_mount_namespace(function: Callable[[], Result]) -> Result:
    """Run a function in the child and return its result; an exception fails the test with its traceback."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer: tuple[bool, object]
        try:
            linux.unshare(linux.CLONE_NEWNS)
            linux.mount(None, "/", None, linux.MS_PRIVATE | linux.MS_REC)
            answer = True, function()
        except BaseException:
            answer = False, traceback.format_exc()
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        succeeded, result = pickle.load(pipe)
    os.waitpid(pid, 0)
    if not succeeded:
        raise AssertionError(f"in the mount namespace:\n{result}")
    return result  # type: ignore[no-any-return]
