"""One health check: run the command in the container; keep its exit code and the first 4 KiB of its output."""

from __future__ import annotations

import os
import select
import time

from pyctr_lite.engine.life import execute
from pyctr_lite.engine.life.pump import MAX_POLL
from pyctr_lite.engine.state import record
from pyctr_lite.engine.state.options import ExecOptions
from pyctr_lite.errors import PyctrError
from pyctr_lite.runtime import launch
from pyctr_lite.runtime.settings import Stdio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.container.container import Container

MAX_OUTPUT = 4096
"""Maximum bytes of output that are kept."""


def probe(container: Container, command: list[str], timeout: float) -> dict[str, Any]:
    """Run the command for at most `timeout` seconds, and return an entry of `State.Health.Log`.

    The exit code is -1 if the command took longer or could not be run.
    """
    start = record.now()
    deadline = time.monotonic() + timeout
    try:
        code, output = _run(container, command, deadline)
    except (PyctrError, OSError) as error:
        code, output = -1, getattr(error, "message", str(error)).encode(errors="surrogateescape")
    if code is None:
        code, output = -1, f"Health check exceeded timeout ({_duration(timeout)})".encode()
    text = output[:MAX_OUTPUT].decode(errors="replace") + ("..." if len(output) > MAX_OUTPUT else "")
    return {"Start": start, "End": record.now(), "ExitCode": code, "Output": text}


def _duration(seconds: float) -> str:
    """Return a time as Go's time.Duration prints it up to a minute: 200ms, 1.5s."""
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"


def _run(container: Container, command: list[str], deadline: float) -> tuple[int | None, bytes]:
    """Return the exit code (None if the command was killed at the deadline) and one byte more than MAX_OUTPUT."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    process = execute.process_spec(container, ExecOptions(command))
    stdio, filter = Stdio((-1, writer, writer)), execute.container_filter(container)
    pid, start_time = container.state.Pid, container.state.PidStart
    chosen = execute.settings(container, filter)
    launched = launch.execute_in(pid, start_time, container.group, process, stdio, filter, chosen)
    os.close(writer)
    os.set_blocking(reader, False)
    output, ended, reading = b"", False, True
    while not ended:
        poller = select.poll()
        poller.register(launched.pidfd, select.POLLIN)
        if reading:
            poller.register(reader, select.POLLIN)
        ready = dict(poller.poll(min(MAX_POLL, max(0, deadline - time.monotonic()) * 1000)))
        if not ready and time.monotonic() < deadline:
            continue
        if not ready:
            os.kill(launched.pid, 9)
            os.waitpid(launched.pid, 0)
            return None, output
        ended = launched.pidfd in ready
        while reading:  # also after the end: the pipe may hold more output
            try:
                part = os.read(reader, 65536)
            except BlockingIOError:
                break
            reading = bool(part)
            output = (output + part)[: MAX_OUTPUT + 1]
    _, status = os.waitpid(launched.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return (128 - code if code < 0 else code), output
