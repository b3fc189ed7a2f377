"""One process with a learner's function in it: it makes the calls that the judge asks for, and sends what came."""

from __future__ import annotations

import functools
import gc
import importlib
import io
import json
import os
import pickle
import signal
import socket
from collections.abc import Callable
from typing import Any

from labs.kit.exercises import manifest, swap
from labs.kit.subject import codec, report, wire
from pyctr_lite import linux
from pyctr_lite.linux import seccomp

CAME_BACK, THREW = 98, 97
"""Exit status of a second process that came out of the learner's function, by returning or by an exception."""
LISTENER = 8
"""SECCOMP_FILTER_FLAG_NEW_LISTENER: the judge sees the system calls, and decides what they give (seccomp(2))."""


class _Arguments(pickle.Unpickler):
    """Arguments from the judge; a descriptor among them is a number in this process."""

    def __init__(self, data: bytes, fds: list[int]) -> None:
        super().__init__(io.BytesIO(data))
        self.fds = fds

    def persistent_load(self, index: Any) -> int:
        return self.fds[int(index)]


class Process:
    """Serves one socket to its end."""

    def __init__(self, channel: socket.socket, exercise: manifest.Exercise, load: str) -> None:
        self.channel, self.exercise = channel, exercise
        self.function = self._load(load)
        self.returned: Any = None
        """The last result of the function: a later call must not change it."""

    def _load(self, load: str) -> Callable[..., Any] | None:
        if load == "nothing":
            return None
        if load == "swapped":
            os.environ[swap.ONLY] = self.exercise.id
            done = swap.activate(manifest.LABS)
            if error := done.errors.get(self.exercise.place):
                raise BrokenFile(error)
            function: Callable[..., Any] = done.put_in[self.exercise.id][3]
            return function
        module = swap.run_file(manifest.LABS / self.exercise.place)
        return getattr(module, self.exercise.name)  # type: ignore[no-any-return]

    def serve(self) -> None:
        """Answer requests until the judge closes its end."""
        while True:
            try:
                data, fds = wire.receive(self.channel)
            except wire.Closed:
                return
            request = _Arguments(data, fds).load()
            function = self._function(request["scene"])
            if request["watch"]:
                self._watch(request["watch"])
            returned, before = self.returned, codec.encode(self.returned)
            answer = self._call(function, request["args"], request["kwargs"], request["seconds"])
            answer["spoiled"] = codec.encode(returned) != before
            wire.send(self.channel, json.dumps(answer).encode())

    def _watch(self, program: bytes) -> None:
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        listener = seccomp.set_mode_filter(program, LISTENER)
        wire.send(self.channel, b"null", [listener])
        os.close(listener)

    def _function(self, scene: str) -> Callable[..., Any]:
        """The learner's function, or a scene of the lab's that is given it as its first argument."""
        if not scene:
            assert self.function is not None
            return self.function
        module = importlib.import_module(f"labs.{self.exercise.lab}.scenes")
        return functools.partial(getattr(module, scene), self.function)

    def _call(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        me = os.getpid()
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try:
                self.returned = function(*args, **kwargs)
                answer = {"value": codec.encode(self.returned)}
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)  # the description of an error may take longer
        except BaseException as error:
            if os.getpid() != me:
                os._exit(THREW)
            answer = {"error": report.describe(error)}
        if os.getpid() != me:
            os._exit(CAME_BACK)
        return answer | {"args": codec.encode(args), "kwargs": codec.encode(kwargs)}


class TookTooLong(Exception):
    """The function did not return within its time."""


def _too_slow(number: int, frame: object) -> None:
    raise TookTooLong


class BrokenFile(Exception):
    """The learner's file cannot be run: what it says, with its own line."""


def main(channel: socket.socket, request: dict[str, Any]) -> None:
    """Load the learner's file and serve; the first message says whether it could be loaded."""
    exercise = manifest.find(request["exercise"])
    try:
        process = Process(channel, exercise, request["load"])
    except BaseException as error:
        text = (
            str(error)
            if isinstance(error, BrokenFile)
            else swap.describe_error(error, manifest.LABS / exercise.place)
        )
        wire.send(channel, json.dumps({"broken": text}).encode())
        return
    gc.collect()
    gc.disable()  # a descriptor that was forgotten in a cycle stays open, and is seen
    signal.signal(signal.SIGALRM, _too_slow)
    wire.send(channel, json.dumps({"ready": os.getpid()}).encode())
    process.serve()
