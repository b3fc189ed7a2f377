"""From an entered root to the program: its descriptors, its user, its confinement, the exec.

A process that joins a pid namespace is visible in it, and a container with CAP_SYS_PTRACE can trace it. So a
process outside that namespace does all the work: it enters every other namespace, becomes the user, drops its
capabilities, installs the filter, and only then forks the process that is born inside and executes the program
(`Start.be_born_inside`).
"""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.runtime import console, process, program
from pyctr_lite.runtime.launched import wait_for_launcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.runtime import channel as channels
    from pyctr_lite.runtime import hooks, seccomp
    from pyctr_lite.runtime.settings import Stdio


class Start:
    """The steps from an entered root to the program, for a `process` object of the OCI runtime spec."""

    def __init__(
        self, spec: dict[str, Any], root_fd: int, stdio: Stdio, slave: int, filter: seccomp.Filter | None
    ) -> None:
        self.spec, self.root_fd, self.stdio, self.slave, self.filter = spec, root_fd, stdio, slave, filter
        self.env: list[str] = []
        self.hooks: list[hooks.PreparedHook] = []
        """To be run between the confinement and the program."""
        self.cwd = self.path = ""

    def find_program(self) -> None:
        """Enter the working directory and find the program. As root, like runc."""
        uid = (self.spec.get("user") or {}).get("uid", 0)
        self.env = program.with_home(self.root_fd, self.spec.get("env") or [], uid)
        self.cwd = process.enter_directory(self.root_fd, self.spec["cwd"])
        self.path = program.find(self.root_fd, self.cwd, self.spec["args"][0], self.env)

    def execute(self, channel: channels.Channel, wait: Callable[[], None], *, unchanging: str | None) -> None:
        """Wait, become the user, and execute. Returns only by an error.

        `unchanging` is as in `program.open_program`. A filter with a listener is installed before the wait: after
        it, no launcher is left that could send the listener to its agent.
        """
        self._announce_by(channel, forks=False)
        if self._listens:
            found = self._become(unchanging)
            process.confine(self.spec, self.filter)
            wait()
            found.execute(self.env, self._run_hooks)
        process.end_on_signals()  # until `_become` resets them: a container may be killed before its start
        wait()
        found = self._become(unchanging)
        found.execute(self.env, self._confine)

    @property
    def _listens(self) -> bool:
        return self.filter is not None and self.filter.listens

    def _announce_by(self, channel: channels.Channel, *, forks: bool) -> None:
        """Let the filter announce its listener to the launcher, for the caller, or for its child if it `forks`.

        The launcher answers when it has the listener: an exec would close it, and another file may get its number.
        """

        def announce(fd: int) -> None:
            channel.write({"type": "listening", "fd": fd, "forks": forks})
            wait_for_launcher(channel)

        if self.filter is not None:
            self.filter.announce = announce

    def _confine(self) -> None:
        process.confine(self.spec, self.filter)
        self._run_hooks()

    def _run_hooks(self) -> None:
        for hook in self.hooks:
            hook.run()

    def be_born_inside(self, channel: channels.Channel, wait: Callable[[], None] = lambda: None) -> None:
        """As `execute`, in a child that is born in the joined pid namespace, and confined from its birth.

        `wait` is called in the child. If the filter refuses a call that the child makes before its exec, the child
        installs the filter itself, and is visible inside for a moment without it (`seccomp.Filter.allows_start`).
        """
        early = (self.filter is None or self.filter.allows_start) and not process.forks_only_before(self.spec)
        self.install_descriptors(controlling=False)
        found = self._become(None)
        reader, writer = os.pipe2(os.O_CLOEXEC)
        self._announce_by(channel, forks=early)
        if early:
            process.confine(self.spec, self.filter)
        pid, full = self._fork(channel)
        if pid:
            channel.send({"type": "born", "pid": pid})
            os._exit(0)
        os.close(writer)
        os.read(reader, 1)  # returns when the parent has sent this pid to the launcher, and exited
        if full:
            wait_for_launcher(channel)  # returns when the launcher has restored pids.max
        os.setsid()
        if self.stdio.terminal:
            console.make_controlling()
        if self._listens and not early:
            process.confine(self.spec, self.filter)
        wait()
        found.execute(self.env, self._run_hooks if early or self._listens else self._confine)

    def install_descriptors(self, *, controlling: bool = True) -> None:
        """Install the program's stdin, stdout and stderr, and close the launcher's.

        Before the gate, because a caller of `create` waits for the end of a pipe that it has given to it.
        """
        given = (self.slave,) * 3 if self.stdio.terminal else self.stdio.fds
        for number, fd in enumerate(given):
            opened = process.open_null(self.root_fd) if fd < 0 else fd
            os.dup2(opened, number)
            if fd < 0 and opened != number:
                os.close(opened)
        for fd in {*given, *self.stdio.fds} - {-1, 0, 1, 2}:
            os.close(fd)
        if self.stdio.terminal and controlling:
            console.make_controlling()

    def _become(self, unchanging: str | None) -> program.Program:
        if self.stdio.terminal:
            os.fchown(0, (self.spec.get("user") or {}).get("uid", 0), -1)
        process.become(self.spec)
        process.reset_signals()
        return program.open_program(self.root_fd, self.cwd, self.path, self.spec["args"], unchanging)

    @staticmethod
    def _fork(channel: channels.Channel) -> tuple[int, bool]:
        """Fork, and return the pid (0 in the child) and whether the launcher had to raise pids.max.

        The caller counts towards the limit until it exits, so the limit may have room for only one of the two.
        """
        try:
            return linux.fork_sibling(), False
        except BlockingIOError as error:
            channel.send({"type": "full", "message": str(error)})
        wait_for_launcher(channel)
        return linux.fork_sibling(), True
