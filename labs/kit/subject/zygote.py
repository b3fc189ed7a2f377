"""PID 1 of the arena: it forks a process for each request of the judge, and reaps whatever ends.

A request names what to fork: a process that serves a learner's function (see `process`), or a command. The answer
is its pid and its pidfd. No code of the learner's runs in the zygote itself.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import socket
import sys
from typing import Any, NoReturn

from labs.kit.subject import process, wire
from pyctr_lite import linux

CONTROL = 3
"""The descriptor of the socket to the judge."""


def main() -> NoReturn:
    """Serve the judge until it closes the socket; then all processes of the arena end with this one."""
    control = socket.socket(fileno=CONTROL)
    os.set_inheritable(CONTROL, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer)
    _import_chapters()
    gc.freeze()
    wire.send(control, b"ready")
    statuses: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), reader], [], [])
        if reader in ready:
            os.read(reader, 4096)
            _reap(statuses)
        if control.fileno() in ready:
            try:
                _serve(control, statuses)
            except wire.Closed:
                os._exit(0)


def _import_chapters() -> None:
    from labs.kit.exercises import manifest

    for exercise in manifest.exercises():
        exercise.owner()


def _serve(control: socket.socket, statuses: dict[int, int]) -> None:
    data, fds = wire.receive(control)
    request = pickle.loads(data)
    if request["do"] == "status":
        _reap(statuses)
        wire.send(control, str(statuses.pop(request["pid"], "unknown")).encode())
        return
    try:
        pid, pidfd = linux.clone3(request["flags"])
    except OSError as error:
        wire.send(control, str(error.errno).encode())
    else:
        if pid == 0:
            _become(request, fds)
        wire.send(control, str(pid).encode(), [pidfd])
        os.close(pidfd)
    finally:
        for fd in fds:
            os.close(fd)


def _reap(statuses: dict[int, int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        statuses[pid] = os.waitstatus_to_exitcode(status)


def _become(request: dict[str, Any], fds: list[int]) -> NoReturn:
    """Do the child's work and exit: it never goes back into the zygote's loop."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if request["flags"] & linux.CLONE_NEWNS:
            linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
            if request["flags"] & linux.CLONE_NEWPID:
                linux.mount("proc", "/proc", "proc")
        os.umask(request["umask"])
        {"process": _process, "command": _command}[request["do"]](request, fds)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def _process(request: dict[str, Any], fds: list[int]) -> None:
    """Serve a learner's function. Only the channel stays open, above all numbers that a function would get."""
    channel = os.dup2(fds[0], request["channel"], inheritable=False)
    os.closerange(3, channel)
    linux.close_range(channel + 1)
    if request["close_stdin"]:
        os.close(0)
    process.main(socket.socket(fileno=channel), request)
    os._exit(0)


def _command(request: dict[str, Any], fds: list[int]) -> None:
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.setsid()
    os.chdir("/")
    os.execve(request["argv"][0], request["argv"], request["env"])
