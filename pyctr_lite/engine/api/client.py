"""The Python API: an engine that any program can use, from any thread.

    >>> client = Client()
    >>> client.run("busybox", ["echo", "hello"], remove=True).stdout
    b'hello\\n'

What forks is done by a helper process, kept as long as the client lives; all else is `Engine`'s own.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from types import TracebackType
from typing import Any

from pyctr_lite import jsonfile
from pyctr_lite.engine import engine
from pyctr_lite.engine.container import container as containers
from pyctr_lite.engine.life import attach, lifecycle
from pyctr_lite.engine.state import options
from pyctr_lite.errors import PyctrError
from pyctr_lite.formats import signals as signal_names
from pyctr_lite.runtime import channel as channels

_START = """
import sys
sys.path.insert(0, sys.argv[3])
from pyctr_lite.engine.api import helper
helper.main(int(sys.argv[1]), sys.argv[2])
"""
_PACKAGE_PARENT = os.path.abspath(f"{os.path.dirname(__file__)}/../../..")


class Result:
    """What a process wrote, and how it ended."""

    def __init__(self, exit_code: int, stdout: bytes, stderr: bytes) -> None:
        self.exit_code, self.stdout, self.stderr = exit_code, stdout, stderr

    def __repr__(self) -> str:
        return f"Result(exit_code={self.exit_code}, stdout={self.stdout!r}, stderr={self.stderr!r})"


class Client:
    """An engine for programs. A context manager; `close` ends its helper."""

    def __init__(self, root: str | None = None, *, labs: str = "") -> None:
        """`labs` is a directory of labs whose functions replace the engine's, as `--labs` does."""
        self.engine, self.labs = engine.Engine(root), labs
        self._lock = threading.Lock()
        self._helper: subprocess.Popen[bytes] | None = None
        self._channel: channels.Channel | None = None

    def run(self, image: str, command: list[str] | None = None, *, input: bytes = b"", **given: Any) -> Result:
        """Run a command in a new container and wait for it; `given` are the attributes of ContainerOptions."""
        given["stdin"] = bool(input) or given.get("stdin", False)
        attachment = self._ask({"do": "run", "options": self._options(image, command, given), "foreground": True})
        return _collect(attachment, input)

    def start(self, image: str, command: list[str] | None = None, **given: Any) -> containers.Container:
        """Run a command in a new container in the background: the container."""
        request = {"do": "run", "options": self._options(image, command, given), "foreground": False}
        message, attachment = self._answer(request)
        attachment.close()
        return self.engine.containers.get(message["id"])

    def exec(self, container: str, command: list[str], *, input: bytes = b"", **given: Any) -> Result:
        """Run one more command in a running container; `given` are the arguments of ExecOptions."""
        given |= {"command": command, "stdin": bool(input) or given.get("stdin", False)}
        options.check_types(options.ExecOptions(**given))
        return _collect(self._ask({"do": "exec", "id": container, "options": given}), input)

    def kill(self, container: str, signal: str = "KILL") -> None:
        """Send a container's first process a signal. Raises Conflict if the container does not run."""
        lifecycle.kill(self.engine.containers.get(container), signal_names.number(signal))

    def stop(self, container: str, timeout: int | None = None) -> None:
        """Stop a container; after `timeout` seconds (-1: never) kill it. Idempotent."""
        lifecycle.stop(self.engine.containers.get(container), timeout)

    def wait(self, container: str) -> int:
        """Wait until a container has ended, and return its exit code."""
        return lifecycle.wait(self.engine.containers.get(container))

    def pause(self, container: str) -> None:
        """Freeze all processes of a container. Raises Conflict if it does not run."""
        lifecycle.pause(self.engine.containers.get(container))

    def unpause(self, container: str) -> None:
        """Thaw the processes of a paused container. Raises Conflict if it is not paused."""
        lifecycle.unpause(self.engine.containers.get(container))

    def remove(self, container: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container. Raises Conflict if it runs, unless `force` kills it first."""
        lifecycle.remove(self.engine.containers.get(container), force=force, volumes=volumes)

    def warm(self) -> None:
        """Start the helper now, so that the next call does not wait for it."""
        self._ask({"do": "ping"})

    def close(self) -> None:
        """End the helper; containers go on. Again is fine."""
        with self._lock:
            if self._helper is not None and self._channel is not None:
                self._channel.close()
                self._helper.wait()
            self._helper = self._channel = None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _options(self, image: str, command: list[str] | None, given: dict[str, Any]) -> dict[str, Any]:
        """Return the options for the helper as JSON. Raises InvalidArgument for a value of a wrong type."""
        asked = options.ContainerOptions(image=image, command=command or [], labs=self.labs, **given)
        options.check_types(asked)
        return asked.to_json()

    def _ask(self, request: dict[str, Any]) -> attach.Attachment:
        return self._answer(request)[1]

    def _answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], attach.Attachment]:
        """Have the helper do something: what it says, and the attachment (an ended one if it gives none)."""
        with self._lock:
            channel = self._channel or self._start_helper()
            try:
                channel.send(request)
            except (BrokenPipeError, ConnectionResetError):  # killed since: nothing of the request was done
                channel = self._start_helper()
                channel.send(request)
            try:
                received = channel.receive()
            except ConnectionResetError:
                received = None
            if received is None:
                self._channel = self._helper = None
                raise PyctrError("the helper process was killed", "the next call starts another")
        message, fds = received
        if message["type"] == "error":
            channels.raise_error(message)
        if not fds:
            left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            right.close()
            return message, attach.Attachment(left)
        return message, attach.Attachment(socket.socket(fileno=fds[0]))

    def _start_helper(self) -> channels.Channel:
        if self._helper is not None and self._channel is not None:
            self._channel.close()
            self._helper.wait()
        ours, theirs = channels.pair()
        fd = theirs.sock.fileno()
        arguments = [sys.executable, "-IS", "-c", _START, str(fd), self.engine.paths.root, _PACKAGE_PARENT]
        self._helper = subprocess.Popen(arguments, pass_fds=[fd], stdin=subprocess.DEVNULL)
        theirs.close()
        self._channel = ours
        return ours


def _collect(attachment: attach.Attachment, input: bytes) -> Result:
    """Give a process its input, and take all that it writes until it ends."""
    feeder = threading.Thread(target=_feed, args=(attachment, input), daemon=True)
    if input:
        feeder.start()
    else:
        attachment.end_input()
    parts: dict[str, list[bytes]] = {"1": [], "2": []}
    while True:
        kind, data = attachment.receive()
        if kind in parts:
            parts[kind].append(data)
        elif kind == "X":
            attachment.close()
            return Result(int(jsonfile.loads(data)["ExitCode"]), b"".join(parts["1"]), b"".join(parts["2"]))
        elif not kind:
            attachment.close()
            raise PyctrError("the container's monitor was killed", "its output is lost")


def _feed(attachment: attach.Attachment, input: bytes) -> None:
    size = 32 * 1024
    for start in range(0, len(input), size):
        attachment.send_input(input[start : start + size])
    attachment.end_input()
