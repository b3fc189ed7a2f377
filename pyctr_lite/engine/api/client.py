"""The Python API: an engine that any program can use, from any thread.

    >>> client = Client()
    >>> client.run("busybox", ["echo", "hello"], remove=True).stdout
    b'hello\\n'

A helper process, kept as long as the client lives, does everything that forks; `Engine` does the rest.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from types import TracebackType

from pyctr_lite import jsonfile
from pyctr_lite.engine import engine
from pyctr_lite.engine.api import process
from pyctr_lite.engine.container.container import Container
from pyctr_lite.engine.life import attach, lifecycle
from pyctr_lite.engine.state.options import ContainerOptions, ExecOptions, check_types
from pyctr_lite.errors import PyctrError
from pyctr_lite.formats import signals
from pyctr_lite.images.image import Image
from pyctr_lite.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.build.progress import Report as BuildReport
    from pyctr_lite.registries.download import Report


def _silent(*event: object) -> None:
    pass


class Result:
    """The output and the exit code of a process."""

    def __init__(self, exit_code: int, stdout: bytes, stderr: bytes) -> None:
        self.exit_code, self.stdout, self.stderr = exit_code, stdout, stderr

    def __repr__(self) -> str:
        return f"Result(exit_code={self.exit_code}, stdout={self.stdout!r}, stderr={self.stderr!r})"


class Client:
    """An engine for programs: a context manager, or call `close` to end its helper process."""

    def __init__(self, root: str | None = None, *, labs: str = "") -> None:
        """`root` is the state directory; the functions in the directory `labs` replace the engine's (`--labs`)."""
        self.engine, self.labs = engine.Engine(root), labs
        self._lock = threading.Lock()
        self._helper: subprocess.Popen[bytes] | None = None
        self._channel: channels.Channel | None = None

    def run(self, image: str, command: list[str] | None = None, *, input: bytes = b"", **options: Any) -> Result:
        """Run a command in a new container and wait for it. `options` are attributes of ContainerOptions."""
        options["stdin"] = bool(input) or options.get("stdin", False)
        request = {"do": "run", "options": self._checked(image, command, options), "foreground": True}
        return _collect(self._request(request)[1], input)

    def start(self, image: str, command: list[str] | None = None, **options: Any) -> Container:
        """Run a command in a new container in the background, and return the container."""
        request = {"do": "run", "options": self._checked(image, command, options), "foreground": False}
        message, attachment = self._request(request)
        attachment.close()
        return self.engine.containers.get(message["id"])

    def exec(self, container: str, command: list[str], *, input: bytes = b"", **options: Any) -> Result:
        """Run one more command in a running container. `options` are attributes of ExecOptions."""
        options |= {"command": command, "stdin": bool(input) or options.get("stdin", False)}
        check_types(ExecOptions(**options))
        return _collect(self._request({"do": "exec", "id": container, "options": options})[1], input)

    def kill(self, container: str, signal: str = "KILL") -> None:
        """Send a signal to a container's first process. Raises Conflict if the container is not running."""
        lifecycle.kill(self.engine.containers.get(container), signals.number(signal))

    def stop(self, container: str, timeout: int | None = None) -> None:
        """Stop a container, and kill it after `timeout` seconds (-1: never). Idempotent."""
        lifecycle.stop(self.engine.containers.get(container), timeout)

    def wait(self, container: str) -> int:
        """Wait until a container has ended, and return its exit code."""
        return lifecycle.wait(self.engine.containers.get(container))

    def pause(self, container: str) -> None:
        """Freeze all processes of a container. Raises Conflict if it is not running."""
        lifecycle.pause(self.engine.containers.get(container))

    def unpause(self, container: str) -> None:
        """Thaw the processes of a paused container. Raises Conflict if it is not paused."""
        lifecycle.unpause(self.engine.containers.get(container))

    def build(self, context: str, report: BuildReport = _silent, *, input: bytes = b"", **options: Any) -> Image:
        """Build an image from a Dockerfile, and return it. `options` are attributes of BuildOptions.

        `input` takes the place of stdin: with the context "-", a tar archive or a Dockerfile; with dockerfile="-",
        a Dockerfile. `report` is called for each event of a step. An exception, also of `report`, ends the build.
        Raises BuildError, which has the lines of the Dockerfile, and InvalidArgument for a wrong option.
        """
        return self.engine.images.get(self._build("", context, report, input, options))

    def build_output(
        self, output: str, context: str, report: BuildReport = _silent, *, input: bytes = b"", **options: Any
    ) -> None:
        """Build as `build` does, and write the result as a value of --output says: "DIR" or "type=…,dest=…"."""
        self._build(output, context, report, input, options)

    def pull(
        self, image: str, platform: str | None = None, report: Report = _silent, *, insecure: bool = False
    ) -> Image:
        """Pull an image from its registry, and return it. The arguments are those of `Images.pull`."""
        return self.engine.images.pull(image, platform, report, insecure=insecure).image

    def push(self, image: str, report: Report = _silent, *, insecure: bool = False) -> str:
        """Push an image into the registry of its name, and return its digest there."""
        return self.engine.images.push(image, report, insecure=insecure).digest

    def connect(self, network: str, container: str, **wanted: Any) -> None:
        """Connect a container to a network. `wanted` may have ip, ip6, mac and aliases. Raises Conflict."""
        self._request({"do": "connect", "id": container, "network": network, "wanted": wanted})

    def disconnect(self, network: str, container: str) -> None:
        """Disconnect a container from a network. Raises Conflict if it is not connected."""
        self._request({"do": "disconnect", "id": container, "network": network})

    def remove(self, container: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container. Raises Conflict if it is running, unless `force` kills it first."""
        lifecycle.remove(self.engine.containers.get(container), force=force, volumes=volumes)

    def warm(self) -> None:
        """Start the helper process now, so that the next call does not wait for it."""
        self._request({"do": "ping"})

    def close(self) -> None:
        """End the helper process; containers keep running. Idempotent."""
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

    def _checked(self, image: str, command: list[str] | None, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options as JSON for the helper. Raises InvalidArgument for a value of a wrong type."""
        checked = ContainerOptions(image=image, command=command or [], labs=self.labs, **options)
        check_types(checked)
        return checked.to_json()

    def _build(self, output: str, context: str, report: BuildReport, input: bytes, options: dict[str, Any]) -> str:
        """Build in a process of its own, and return the image's id."""
        from pyctr_lite.engine.api import builder
        from pyctr_lite.engine.build.options import BuildOptions

        checked = BuildOptions(context=context, **options)
        check_types(checked)
        return builder.run(self.engine.paths.root, self.labs, checked, output, report, input)

    def _request(self, request: dict[str, Any]) -> tuple[dict[str, Any], attach.Attachment]:
        """Send a request to the helper, and return its answer and attachment (a closed one if it sends none)."""
        with self._lock:
            channel = self._channel or self._start_helper()
            try:
                channel.send(request)
            except (BrokenPipeError, ConnectionResetError):  # killed before it got the request: a retry is safe
                channel = self._start_helper()
                channel.send(request)
            try:
                received = channel.receive()
            except ConnectionResetError:
                received = None
            if received is None:
                self._channel = self._helper = None
                raise PyctrError("the helper process was killed", "the next call starts a new one")
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
        self._helper, self._channel = process.start("helper", self.engine.paths.root)
        return self._channel


def _collect(attachment: attach.Attachment, input: bytes) -> Result:
    """Send a process its input, and collect its output until it ends."""
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
