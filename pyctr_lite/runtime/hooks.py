"""Hooks: programs that run at six points of a container's life.

| kind | who calls | when | where the path leads |
|---|---|---|---|
| prestart, createRuntime | the launcher | the namespaces and mounts exist, before pivot_root | the host |
| createContainer | the container's first process | after those two, before pivot_root | the host |
| startContainer | the container's first process | the gate is open, before the program | the container |
| poststart | `start` | the program runs | the host |
| poststop | `delete` | the container is gone | the host |

A hook reads the container's state on stdin. Its output is collected, as in runc: it becomes a part of the error.
Source: OCI runtime spec, config.md, "POSIX-platform Hooks".
"""

from __future__ import annotations

import _signal
import errno
import fcntl
import os
import select
import time

from pyctr_lite import jsonfile, linux
from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.linux import explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")

_MAX_OUTPUT = 4096
"""Bytes of a hook's output that are kept, counted from its end."""
_SEALS = fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


def check(hooks: dict[str, Any], path: str) -> None:
    """Check the `hooks` object of the configuration at `path`. Raises InvalidArgument.

    Unknown kinds are ignored, as the spec says of every unknown property.
    """
    for kind in KINDS:
        listed = hooks.get(kind) or []
        if not isinstance(listed, list):
            raise InvalidArgument(f"{path}: hooks.{kind} must be a list")
        for index, hook in enumerate(listed):
            name = f"{path}: hooks.{kind}[{index}]"
            if not isinstance(hook, dict) or not str(hook.get("path") or "").startswith("/"):
                raise InvalidArgument(f"{name}: path must be absolute")
            for key in ("args", "env"):
                if not isinstance(hook.get(key) or [], list):
                    raise InvalidArgument(f"{name}: {key} must be a list")
            timeout = hook.get("timeout")
            if timeout is not None and (not isinstance(timeout, int) or timeout <= 0):
                raise InvalidArgument(f"{name}: timeout must be a number of seconds greater than 0")


def run(kind: str, hooks: list[dict[str, Any]], state: dict[str, Any], env: dict[str, str] | None = None) -> None:
    """Run the hooks of one kind in order, each to its end. Raises PyctrError at the first that fails.

    `state` is the container's state for their stdin: ociVersion, id, status, pid, bundle, annotations. A hook
    without `env` gets `env`, by default the caller's environment (so do runc and crun); one with `env` only that.
    The caller's directory is the hook's; of its descriptors the hook gets none. After `timeout` seconds the
    hook's process group is killed.
    """
    for prepared in prepare(kind, hooks, state, dict(os.environ) if env is None else env):
        prepared.run()


def run_all(kind: str, hooks: list[dict[str, Any]], state: dict[str, Any]) -> list[PyctrError]:
    """Run all hooks of one kind as `run` does, even if some fail, and return their errors: for poststop.

    They are only warnings, so they are in crun's words; errors are in runc's.
    """
    errors = []
    for prepared in prepare(kind, hooks, state, dict(os.environ)):
        try:
            prepared.run()
        except PyctrError as error:
            code = f" with exit code {prepared.exit_code}" if prepared.exit_code else ""
            errors.append(PyctrError(f"{kind} hook failed{code}: {error.message}"))
    return errors


def prepare(
    kind: str, hooks: list[dict[str, Any]], state: dict[str, Any], env: dict[str, str]
) -> list[PreparedHook]:
    """Prepare hooks for a process that is confined before it runs them: startContainer.

    Call `run` of each, in order, between `process.confine` and the exec: a program of the image must not run with
    more privileges than the container's own, and the process that waits for it must have no more either, because
    CAP_SYS_PTRACE inside suffices to take control of it. `run` needs no import and opens no path but the hook's.
    """
    text = jsonfile.dumps(state).encode(errors="surrogateescape")
    return [PreparedHook(f"{kind} hook #{index}", hook, text, env) for index, hook in enumerate(hooks)]


class PreparedHook:
    """A hook and its descriptors: the state for its stdin, a pipe for its output, a pipe for the exec's error."""

    def __init__(self, name: str, hook: dict[str, Any], state: bytes, env: dict[str, str]) -> None:
        self.name, self.path = name, str(hook["path"])
        self.argv = [str(item) for item in hook.get("args") or []] or [self.path]
        given = hook.get("env")
        self.env = env if given is None else dict(item.split("=", 1) for item in given if "=" in item)
        self.timeout: int | None = hook.get("timeout")
        # A file, not a pipe: it never blocks, and a hook that does not read it causes no SIGPIPE.
        self.stdin = os.memfd_create("state", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.write(self.stdin, state)
        os.lseek(self.stdin, 0, os.SEEK_SET)
        fcntl.fcntl(self.stdin, *_SEALS)
        self.output = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.output[1], True)
        self.failure = os.pipe2(os.O_CLOEXEC)
        self.exit_code = 0

    def run(self) -> None:
        """Run the hook to its end. Raises PyctrError if it cannot be executed, fails, or exceeds its timeout."""
        explain.step(f"run the {self.name}: {self.argv!r}", self._run)

    def _run(self) -> None:
        pid = os.fork()
        if pid == 0:
            self._become()
        for fd in (self.stdin, self.output[1], self.failure[1]):
            os.close(fd)
        status, output = None, b""
        try:
            number = os.read(self.failure[0], 16)
            status, output = self._wait(pid)
        finally:
            if status is None:  # an interrupt, or an error of ours
                _end(pid)
            for fd in (self.output[0], self.failure[0]):
                os.close(fd)
        if number:
            raise self._error(f"exec: {os.strerror(int(number)).lower()}", b"")
        if status is None:
            raise self._error(f"killed after its timeout of {self.timeout} s", output)
        if os.WIFSIGNALED(status):
            signal = os.WTERMSIG(status)
            raise self._error(f"killed by signal {signal} ({str(_signal.strsignal(signal)).lower()})", output)
        self.exit_code = os.WEXITSTATUS(status)
        if self.exit_code:
            raise self._error(f"exit status {self.exit_code}", output)

    def _become(self) -> None:
        """Execute the hook in the child. Never returns."""
        try:
            os.setpgid(0, 0)
            os.dup2(self.stdin, 0)
            os.dup2(self.output[1], 1)
            os.dup2(self.output[1], 2)
            _reset_signals()
            linux.close_range(3, linux.CLOSE_RANGE_CLOEXEC)
            os.execve(self.path, self.argv, self.env)
        except OSError as error:
            os.write(self.failure[1], str(error.errno or errno.EIO).encode())
        finally:
            os._exit(127)

    def _wait(self, pid: int) -> tuple[int | None, bytes]:
        """Wait for the hook; return its status, None after a timeout, and the end of its output.

        Does not wait for the end of the output: a background process of the hook may hold it open.
        """
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        output, poller = b"", select.poll()
        with linux.closing(os.pidfd_open(pid)) as pidfd:
            poller.register(pidfd, select.POLLIN)
            poller.register(self.output[0], select.POLLIN)
            ended = False
            while not ended:
                left = None if deadline is None else max(0, int((deadline - time.monotonic()) * 1000) + 1)
                events = dict(poller.poll(left))
                if not events:
                    return None, output
                ended = pidfd in events
                output = self._collect(output, to_the_end=ended)
                if events.get(self.output[0], 0) & select.POLLHUP:
                    poller.unregister(self.output[0])
        return os.waitpid(pid, 0)[1], output

    def _collect(self, output: bytes, *, to_the_end: bool) -> bytes:
        try:
            while chunk := os.read(self.output[0], 65536):
                output = (output + chunk)[-_MAX_OUTPUT:]
                if not to_the_end:
                    break
        except BlockingIOError:
            pass
        return output

    def _error(self, problem: str, output: bytes) -> PyctrError:
        lines = output.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        # The first words are runc's, which its callers look for.
        return PyctrError(f"error running {self.name}: {self.path}: {problem}{': ' + last if last else ''}")


def _end(pid: int) -> None:
    """Kill a hook's process group, and reap the hook. Idempotent."""
    for act in (lambda: os.killpg(pid, _signal.SIGKILL), lambda: os.waitpid(pid, 0)):
        _without_error(act)


def _without_error(act: Callable[[], object]) -> None:
    try:
        act()
    except (ProcessLookupError, ChildProcessError):
        pass


def _reset_signals() -> None:
    """Undo what the exec would keep: Python ignores SIGPIPE and SIGXFSZ, and the caller may block signals."""
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
