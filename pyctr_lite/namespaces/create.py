"""Processes in new namespaces, and in existing namespaces that they join."""

from __future__ import annotations

import os

from pyctr_lite import jsonfile, learner_frame, linux
from pyctr_lite.linux import kernelfile
from pyctr_lite.namespaces import join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    """Fork a process into new namespaces, and run `child` in it. Returns `(pid, pidfd)` in the parent.

    With CLONE_NEWPID the new process is PID 1 of its namespace. `child` must end with an exec or exit. If it
    returns or raises, the new process exits with status 70: it must not continue as a second copy of its parent.
    Fails with EPERM without CAP_SYS_ADMIN. Source: clone3(2), pid_namespaces(7).
    """
    pid, pidfd = linux.clone3(flags, cgroup_fd)
    if pid == 0:
        try:
            child()
        finally:
            os._exit(70)
    return pid, pidfd


def spawn_joined(
    flags: int,
    child: Callable[[], None],
    targets: dict[str, int],
    time_offsets: dict[str, tuple[int, int]] | None = None,
    before: Callable[[], None] | None = None,
    *,
    cgroup_fd: int | None = None,
    stay: bool = False,
) -> tuple[int, int]:
    """Like `spawn`, but join existing namespaces first: `targets` maps a kind to a descriptor of the namespace.

    A process cannot change its own pid namespace, and the caller must stay in its own namespaces. So an
    intermediate process, the stage, joins them, forks the child as its sibling (CLONE_PARENT), reports the child's
    pid, and exits. It starts in the version 2 cgroup `cgroup_fd`, as in `spawn`: moving there takes 5 to 20 ms.
    It calls `before` first, while it still sees the host: to enter other cgroups. The child inherits all of them.
    Raises the stage's errors as OSError.

    With `stay` the stage itself is the child: it runs in all namespaces except the pid namespace, so no process
    in there can see or trace it, but its own children are created there.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        stage, pidfd = linux.clone3(0, cgroup_fd)
    except BaseException:
        os.close(reader)
        os.close(writer)
        raise
    if stage == 0:
        _stage(reader, writer, flags, child, targets, time_offsets or {}, before, stay=stay)
    os.close(pidfd)
    os.close(writer)
    try:
        with open(reader, "rb") as pipe:
            answer = pipe.read()
    finally:
        if not stay:
            os.waitpid(stage, 0)
    result = jsonfile.loads(answer) if answer else None
    if stay and not isinstance(result, int):
        os.waitpid(stage, 0)
    if result is None:
        raise ChildProcessError(0, "the stage that joins namespaces was killed")
    if not isinstance(result, int):
        raise _failure(*result)
    return result, os.pidfd_open(result)


def _stage(
    reader: int,
    writer: int,
    flags: int,
    child: Callable[[], None],
    targets: dict[str, int],
    time_offsets: dict[str, tuple[int, int]],
    before: Callable[[], None] | None,
    *,
    stay: bool,
) -> None:
    """Run as the stage of `spawn_joined`. Never returns."""
    pid = os.getpid()
    try:
        os.close(reader)
        if before is not None:
            before()
        join.join(targets)
        if flags & linux.CLONE_NEWTIME:
            _enter_time_namespace(time_offsets)
            flags &= ~linux.CLONE_NEWTIME
        if not stay:
            pid, _ = linux.clone3(flags | linux.CLONE_PARENT, exit_signal=0)
            if pid == 0:
                os.close(writer)
                child()
                os._exit(70)
        elif flags:
            linux.unshare(flags)
        os.write(writer, f"{pid}".encode())
        if stay:
            os.close(writer)
            child()
            os._exit(70)
    except OSError as error:
        path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        _send_failure(writer, error, error.errno or 0, path, error.strerror or str(error))
    except BaseException as error:
        _send_failure(writer, error, 0, "", f"{type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _send_failure(writer: int, error: BaseException, number: int, path: str, message: str) -> None:
    """Send the arguments of `_failure` to the parent. A lone surrogate becomes an escape, which JSON has, too."""
    frames = learner_frame.frames(error.__traceback__)
    os.write(writer, jsonfile.dumps([number, path, message, frames]).encode(errors="backslashreplace"))


def _failure(number: int, path: str, message: str, frames: list[tuple[str, int, str]]) -> OSError:
    """Return the stage's error, with a note of the learner's line behind it, if any."""
    error = OSError(number, message, path or None)
    if learner_line := learner_frame.describe(frames):
        error.add_note(learner_line)
    return error


def _enter_time_namespace(offsets: dict[str, tuple[int, int]]) -> None:
    """Give the caller's later children clocks of their own: `offsets` of "monotonic" and "boottime", (s, ns).

    The offsets can be written only while the namespace has no process. Source: time_namespaces(7).
    """
    linux.unshare(linux.CLONE_NEWTIME)
    for clock, (seconds, nanoseconds) in offsets.items():
        kernelfile.write("/proc/self/timens_offsets", f"{clock} {seconds} {nanoseconds}")
