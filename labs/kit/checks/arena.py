"""The arena: where a learner's functions run, each in a process of its own, while the judge looks on from outside.

The judge (the checks) is in the PID namespace around the arena's, with the whole file system. It sees the
learner's processes in its own /proc, and they see nothing of it: no process, no file, no descriptor but one
socket. What comes back over that is read as data (`codec`).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labs.kit.checks.syscalls import Watch
from labs.kit.exercises import manifest
from labs.kit.isolation import root
from labs.kit.subject import codec, wire
from pyctr_lite import linux
from pyctr_lite.linux import call
from pyctr_lite.namespaces import create

SLOWNESS = float(os.environ.get("PYCTR_SLOW", "1"))
"""How many times slower than a plain machine this one is, for all limits of time: 10 in an emulated VM."""
SECONDS_A_CALL = 5
CHANNEL = 200
"""The number of a learner's process's own socket: above all that its functions get."""


class Fd:
    """A descriptor of the judge's as an argument: the learner's function gets a duplicate of it, as a number."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __repr__(self) -> str:
        return f"<descriptor of {os.readlink(f'/proc/self/fd/{self.fd}')}>"


@dataclass
class Raised:
    """An exception that a learner's function raised."""

    name: str
    bases: list[str]
    errno: int | None
    file: str | None
    text: str
    line: str
    traceback: str

    def is_a(self, kind: type[BaseException]) -> bool:
        """Whether it is of this class or of one below it."""
        return kind.__name__ in self.bases

    def __str__(self) -> str:
        text = f"{self.name}: {self.text}" if self.text else self.name
        if self.name == "ReferenceCalled":
            text = self.text
        elif self.name == "FileNotFoundError" and (self.file or "").startswith(f"{manifest.CHECKOUT}/"):
            text += "\n    (checks and solutions are not there while your function runs)"
        return f"{text}\n    {self.line}" if self.line else text


@dataclass
class Answer:
    """The outcome of one call: a value or an error, the arguments as they are afterwards, and the calls seen.

    `spoiled` says that the call changed what the call before it had returned.
    """

    value: Any = None
    raised: Raised | None = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    watch: Watch | None = None
    spoiled: bool = False


class Died(Exception):
    """The process ended before the function returned: by this exit status, or minus a signal's number."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


class Hung(Exception):
    """The function did not return within its time; the text is the learner's line, if the process sent it."""


class Garbled(Exception):
    """Bytes that are not an answer came over the process's socket."""


class BrokenFile(Exception):
    """The learner's file cannot be run: what it says, with the file's own line."""


class Pickler(pickle.Pickler):
    """Arguments for a learner's function. Descriptors go beside the bytes."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.fds: list[int] = []

    def persistent_id(self, value: Any) -> int | None:
        if not isinstance(value, Fd):
            return None
        self.fds.append(value.fd)
        return len(self.fds) - 1


class Pending:
    """A call that has begun."""

    def __init__(self, process: Process, deadline: float, watch: Watch | None, listener: int) -> None:
        self.process, self.deadline, self.watch, self.listener = process, deadline, watch, listener

    def answer(self) -> Answer:
        """Wait for the end of the call. Raises Died and Hung."""
        channel = self.process.channel
        try:
            with self.process._ends():
                while not self._has_answered(channel.fileno()):
                    pass
                data = wire.receive(channel, self.deadline)[0]
        finally:
            if self.listener >= 0:
                os.close(self.listener)
        answer = self._read(data)
        if answer.raised and answer.raised.name == "TookTooLong":
            raise Hung(answer.raised.line)
        return answer

    def _read(self, data: bytes) -> Answer:
        try:
            said = json.loads(data)
            raised = Raised(**said["error"]) if "error" in said else None
            args, kwargs = codec.decode(said["args"]), codec.decode(said["kwargs"])
            value, spoiled = codec.decode(said.get("value")), bool(said["spoiled"])
            return Answer(value, raised, tuple(args), dict(kwargs), self.watch, spoiled)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Garbled from None

    def _has_answered(self, channel: int) -> bool:
        """Serve the next event. A process that has ended may have left children with its socket."""
        fds = [channel, self.process.pidfd, *([self.listener] if self.watch else [])]
        ready, _, _ = select.select(fds, [], [], max(0, self.deadline - time.monotonic()))
        if not ready:
            raise wire.TimedOut
        if channel in ready:
            return True
        if self.process.pidfd in ready or self.watch is None:
            raise wire.Closed
        self.watch.serve(self.listener)
        return False


class Process:
    """A process of the arena with the learner's function: `pid` is the judge's number for it, `inner` its own."""

    def __init__(self, pid: int, inner: int, pidfd: int, channel: socket.socket, arena: Arena) -> None:
        self.pid, self.inner, self.pidfd, self.channel, self.arena = pid, inner, pidfd, channel, arena

    def begin(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        scene: str = "",
        watch: Watch | None = None,
        seconds: float = SECONDS_A_CALL,
    ) -> Pending:
        """Begin a call of the learner's function, or of a scene of scenes.py with the function as first argument.

        Raises Died.
        """
        file = io.BytesIO()
        pickler = Pickler(file)
        request = {"args": args, "kwargs": kwargs, "scene": scene, "seconds": seconds * SLOWNESS}
        pickler.dump(request | {"watch": watch.program() if watch else b""})
        deadline = time.monotonic() + (seconds + 1) * SLOWNESS
        with self._ends():
            wire.send(self.channel, file.getvalue(), pickler.fds)
            listener = wire.receive(self.channel, deadline)[1][0] if watch else -1
        return Pending(self, deadline, watch, listener)

    @contextlib.contextmanager
    def _ends(self) -> Iterator[None]:
        """Whatever the socket says of a process that has ended, or does not answer."""
        try:
            yield
        except (wire.Closed, ConnectionError):
            raise Died(self.arena.status(self)) from None
        except wire.TimedOut:
            raise Hung from None
        except ValueError:
            raise Garbled from None

    def call(self, *given: Any, **more: Any) -> Answer:
        """`begin`, and the answer."""
        return self.begin(*given, **more).answer()

    def end(self) -> None:
        """Kill the process if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        select.select([self.pidfd], [], [])
        self.channel.close()
        os.close(self.pidfd)

    # What the judge sees of it. -----------------------------------------------------------------------

    def namespaces(self) -> dict[str, int]:
        """The inode of each of its namespaces, by its name in /proc/<pid>/ns."""
        top, found = f"/proc/{self.pid}/ns", {}
        for name in os.listdir(top):
            with contextlib.suppress(FileNotFoundError):  # of later children, before there is one
                found[name] = os.stat(f"{top}/{name}").st_ino
        return found

    def descriptors(self) -> dict[int, str]:
        """Its open descriptors, and what each of them is, but for the judge's own."""
        top = f"/proc/{self.pid}/fd"
        return {int(fd): os.readlink(f"{top}/{fd}") for fd in os.listdir(top) if int(fd) != CHANNEL}

    def children(self) -> list[str]:
        """Its children, those that have ended and were not waited for too: number and name."""
        found = []
        for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                found.append(f"{pid} {Path(f'/proc/{pid}/comm').read_text().strip()}")
        return found

    def paths(self) -> dict[str, str]:
        """Its working directory and its root, as paths that the judge sees."""
        return {name: os.readlink(f"/proc/{self.pid}/{name}") for name in ("cwd", "root")}

    def status(self, *names: str) -> dict[str, str]:
        """Lines of its /proc/<pid>/status."""
        lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        return {name: lines.get(name, "").strip() for name in names}

    def take(self, fd: int) -> int:
        """A duplicate of one of its descriptors (pidfd_getfd(2)). The caller closes it."""
        return pidfd_getfd(self.pidfd, fd)

    def look(self, function: Callable[[], Any], flags: int = linux.CLONE_NEWNS | linux.CLONE_NEWNET) -> Any:
        """Call a function of the judge's in the process's namespaces: what it returns, by JSON."""
        from labs.kit.checks.expect import in_child

        def work() -> Any:
            linux.setns(self.pidfd, flags)
            return function()

        return in_child(work)


class Arena:
    """The arena for one exercise: the engine's own version of it is not there."""

    def __init__(self, exercise: manifest.Exercise, labs: Path, top: Path, shared: Path) -> None:
        """Start it. `top` is an empty directory that the arena does not see, `shared` one that it does."""
        self.exercise = exercise
        self.control, theirs = socket.socketpair()

        def child() -> None:
            os.dup2(theirs.fileno(), 3)
            linux.close_range(4, linux.CLOSE_RANGE_CLOEXEC)
            root.enter(top, labs, shared, exercise)
            os.umask(0o022)
            code = f"import sys; sys.path.append({str(manifest.CHECKOUT)!r}); "
            code += "from labs.kit.subject.zygote import main; main()"
            environment = {
                key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "PYCTR_SLOW") if key in os.environ
            }
            argv = [sys.executable, "-ISBXutf8", "-c", code]
            os.execve(sys.executable, argv, environment | {"HOME": "/root", "TMPDIR": str(shared)})

        flags = linux.CLONE_NEWPID | linux.CLONE_NEWNS | linux.CLONE_NEWIPC
        self.pid, self.pidfd = create.spawn(flags, child)
        theirs.close()
        try:
            wire.receive(self.control, time.monotonic() + 30 * SLOWNESS)
        except (wire.Closed, wire.TimedOut):
            self.close()
            raise RuntimeError("the arena could not be started") from None

    def close(self) -> None:
        """End all processes of it; its mounts go with them."""
        self.control.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)

    @contextlib.contextmanager
    def process(
        self, flags: int = 0, *, load: str = "function", umask: int = 0o022, close_stdin: bool = False
    ) -> Iterator[Process]:
        """Run a process with the learner's function, in new namespaces (`flags` are CLONE_NEW*), for the block.

        `load`: "function"; "swapped": it also stands in the engine's module, for what the engine calls by itself;
        "nothing": only the lab's scenes. `close_stdin`: the first descriptor that it gets is number 0.
        Raises BrokenFile, Died and Hung.
        """
        ours, theirs = socket.socketpair()
        request = {"do": "process", "flags": flags, "umask": umask, "close_stdin": close_stdin}
        request |= {"exercise": self.exercise.id, "load": load, "channel": CHANNEL}
        try:
            inner, pidfd = self._fork(request, [theirs.fileno()])
        finally:
            theirs.close()
        process = Process(pid_of(pidfd), inner, pidfd, ours, self)
        try:
            with process._ends():
                said = json.loads(wire.receive(ours, time.monotonic() + SECONDS_A_CALL * SLOWNESS)[0])
            if "broken" in said:
                raise BrokenFile(said["broken"])
            yield process
        finally:
            process.end()

    def command(self, argv: list[str], environment: dict[str, str], stdio: list[int]) -> tuple[int, int]:
        """Start a program in the arena: the arena's number of it, and its pidfd."""
        request = {"do": "command", "flags": 0, "umask": 0o022, "argv": argv, "env": environment}
        return self._fork(request, stdio)

    def _fork(self, request: dict[str, Any], fds: list[int]) -> tuple[int, int]:
        wire.send(self.control, pickle.dumps(request), fds)
        answer, received = wire.receive(self.control, time.monotonic() + 30 * SLOWNESS)
        if not received:
            raise OSError(int(answer), f"the arena cannot fork: {os.strerror(int(answer))}")
        return int(answer), received[0]

    def status(self, process: Process) -> int | None:
        """The exit status of a process that has ended, or minus its signal; None if nobody knows."""
        return self.status_of(process.inner, process.pidfd)

    def status_of(self, inner: int, pidfd: int, seconds: float = SECONDS_A_CALL) -> int | None:
        """The same, by the arena's number of the process."""
        if not select.select([pidfd], [], [], seconds * SLOWNESS)[0]:
            return None
        wire.send(self.control, pickle.dumps({"do": "status", "pid": inner}))
        answer, _ = wire.receive(self.control, time.monotonic() + 30 * SLOWNESS)
        return int(answer) if answer.lstrip(b"-").isdigit() else None

    def outer(self, inner: int) -> int:
        """Return the judge's number of a process of the arena (NSpid of proc(5)). Raises ProcessLookupError."""
        for name in os.listdir("/proc"):
            if name.isdigit() and _numbers(name)[1:2] == [str(inner)]:
                return int(name)
        raise ProcessLookupError(inner)


def _numbers(pid: str) -> list[str]:
    """A process's numbers, from the judge's PID namespace inwards."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return []
    return next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])


def pid_of(pidfd: int) -> int:
    """The judge's number of the process that a pidfd stands for."""
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))


def pidfd_getfd(pidfd: int, fd: int) -> int:
    """A duplicate of another process's descriptor (pidfd_getfd(2))."""
    return call.make(lambda: f"pidfd_getfd({fd})", None, call.syscall, 438, pidfd, fd, 0)
