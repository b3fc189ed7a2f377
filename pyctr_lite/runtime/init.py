"""The child's side: from the first instruction after clone3 to the exec of the container's program.

Runs as PID 1 of a new container, or as an exec's process beside it. It sends requests and errors over the channel,
and never returns.

A process that joins a pid namespace is visible in it, and a container with CAP_SYS_PTRACE can trace it. So a
process outside that namespace does all the work: it enters every other namespace, becomes the user, drops its
capabilities, installs the filter, and only then forks the process that is born inside and executes the program
(`Start.be_born_inside`). Once a root is entered, files are reached by descriptors that were opened before, or by
openat2(2) below the root's descriptor: never through the root's own /proc.
"""

from __future__ import annotations

import errno
import os
import select

from pyctr_lite import linux
from pyctr_lite.linux import explain
from pyctr_lite.runtime import attributes, console, process, program, seccomp
from pyctr_lite.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.runtime import bundle as bundles


LATER = ("cgroup", "ipc")
"""Namespaces that the child creates itself, "ipc" only in a user namespace."""


class Stdio:
    """Descriptors 0, 1 and 2 of the program; with `terminal` they become a pty made inside.

    -1 stands for the container's null device.
    """

    __slots__ = ("columns", "fds", "rows", "terminal")

    def __init__(
        self, fds: tuple[int, int, int], *, terminal: bool = False, rows: int = 0, columns: int = 0
    ) -> None:
        self.fds, self.terminal, self.rows, self.columns = fds, terminal, rows, columns


def guarded(channel: channels.Channel, body: Callable[[], None]) -> None:
    """Run the child's body, send its error to the parent, and exit."""
    try:
        body()
    except BaseException as error:
        try:
            channel.send(channels.describe_error(error))
        except OSError:
            pass  # the parent has exited
    finally:
        os._exit(70)


def start_container(
    bundle: bundles.Bundle,
    directory: str,
    channel: channels.Channel,
    stdio: Stdio,
    created: list[str],
    filter: seccomp.Filter | None,
    gate: int,
    proc: int,
    *,
    exclusive: bool,
) -> None:
    """Become the container: build its root, wait at the gate, execute its program.

    `directory` is the runtime state directory, `created` the kinds of the new namespaces, `gate` the gate's
    descriptor, since root of a user namespace may not reach its path. `proc` is a procfs of the pid namespace if
    the caller has joined it for its children only, else -1. `exclusive`: the root is an overlay that no other
    process can reach.
    """
    from pyctr_lite.namespaces import network
    from pyctr_lite.runtime import filesystem, sysctls

    config = bundle.config
    joined = bundle.namespaces()[1]
    leave_launcher()
    trees: dict[str, int] = {}
    if in_user_namespace(created, joined):
        # Until the id maps are written the child has no valid uid; it also waits for its mounts.
        trees = wait_for_launcher(channel)
        become_root()
        if "ipc" in created:
            linux.unshare(linux.CLONE_NEWIPC)  # as root: the creator of the namespace owns its message queues
    if "cgroup" in created:
        linux.unshare(linux.CLONE_NEWCGROUP)  # in its group: that becomes the root of the namespace
    if config.get("hostname"):
        linux.sethostname(config["hostname"])
    if config.get("domainname"):
        linux.setdomainname(config["domainname"])
    if "network" in created:
        network.bring_up_loopback()
    channels.seal_imports()
    root = filesystem.RootFilesystem(bundle, directory, trees, proc)
    root.build()
    slave = -1
    if stdio.terminal:
        master, slave = root.open_console()
        _hand_over_console(channel, master, stdio)
    sysctls.write((config.get("linux") or {}).get("sysctl") or {})
    root.make_directory(config["process"]["cwd"])
    attributes.set_exec_labels(config["process"])
    root.enter()
    start = Start(config["process"], root.root_fd, stdio, slave, filter)
    start.find_program()
    if not in_user_namespace(created, joined):
        wait_for_launcher(channel)
    if proc >= 0:
        start.be_born_inside(channel, lambda: _wait_created(gate, channel))
    _wait_created(gate, channel)
    start.execute(unchanging=bundle.init if exclusive else None)


def join_container(
    spec: dict[str, Any],
    channel: channels.Channel,
    stdio: Stdio,
    root_fd: int,
    filter: seccomp.Filter | None,
    *,
    in_user_namespace: bool,
) -> None:
    """Run one more process in a container.

    The caller has joined the container's namespaces, that of pids for its children only. `root_fd` is a descriptor
    of the container's root.
    """
    leave_launcher()
    if in_user_namespace:
        become_root()
    slave = -1
    if stdio.terminal:
        master, slave = console.open_console(root_fd)
        _hand_over_console(channel, master, stdio)
    start = Start(spec, root_fd, stdio, slave, filter)
    start.find_program()
    start.be_born_inside(channel)


def _hand_over_console(channel: channels.Channel, master: int, stdio: Stdio) -> None:
    if stdio.rows:
        console.set_size(master, stdio.rows, stdio.columns)
    channel.send({"type": "console"}, (master,))
    os.close(master)


def _wait_created(gate: int, channel: channels.Channel) -> None:
    channel.send({"type": "created"})
    _wait_at(gate, channel)


def leave_launcher() -> None:
    """Leave the launcher's session and keyring; mark its descriptors close-on-exec."""
    os.setsid()
    try:
        linux.join_session_keyring()
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):  # then no process inside can use keys either
            raise
    linux.close_range(3, linux.CLOSE_RANGE_CLOEXEC)


def in_user_namespace(created: list[str], joined: dict[str, str]) -> bool:
    """Return whether the container has a different user namespace from the launcher's."""
    return "user" in created or "user" in joined


def become_root() -> None:
    """Become root of the user namespace, so that new files and objects have an owner that it maps."""
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def wait_for_launcher(channel: channels.Channel) -> dict[str, int]:
    """Wait until the launcher has set the id maps, the limits and the OOM score, which the child cannot.

    Returns the mounts that the launcher made for a user namespace: descriptors by destination.
    """
    trees: dict[str, int] = {}
    while (received := channel.receive()) is not None:
        message, fds = received
        if message["type"] == "go":
            return trees
        trees[message["destination"]] = fds[0]
    raise SystemExit("the launcher has exited")


class Start:
    """The steps from an entered root to the program, for a `process` object of the OCI runtime spec."""

    def __init__(
        self, spec: dict[str, Any], root_fd: int, stdio: Stdio, slave: int, filter: seccomp.Filter | None
    ) -> None:
        self.spec, self.root_fd, self.stdio, self.slave, self.filter = spec, root_fd, stdio, slave, filter
        self.env: list[str] = []
        self.cwd = self.path = ""

    def find_program(self) -> None:
        """Enter the working directory and find the program. As root, like runc."""
        uid = (self.spec.get("user") or {}).get("uid", 0)
        self.env = process.with_home(self.root_fd, self.spec.get("env") or [], uid)
        self.cwd = process.enter_directory(self.root_fd, self.spec["cwd"])
        self.path = program.find(self.root_fd, self.cwd, self.spec["args"][0], self.env)

    def execute(self, *, unchanging: str | None) -> None:
        """Install the descriptors, become the user, execute. Returns only by an error.

        `unchanging` is as in `program.open_program`.
        """
        self._install_descriptors()
        if self.slave >= 0:
            console.make_controlling()
        found = self._become(unchanging)
        found.execute(self.env, lambda: process.confine(self.spec, self.filter))

    def be_born_inside(self, channel: channels.Channel, wait: Callable[[], None] = lambda: None) -> None:
        """As `execute`, in a child that is born in the joined pid namespace, and confined from its birth.

        `wait` is called in the child. If the filter refuses a call that the child makes before its exec, the child
        installs the filter itself, and is visible inside for a moment without it (`seccomp.Filter.allows_start`).
        """
        early = (self.filter is None or self.filter.allows_start) and not process.forks_only_before(self.spec)
        self._install_descriptors()
        found = self._become(None)

        def confine() -> None:
            process.confine(self.spec, self.filter)

        reader, writer = os.pipe2(os.O_CLOEXEC)
        if early:
            confine()
        pid, full = self._fork(channel)
        if pid:
            channel.send({"type": "born", "pid": pid})
            os._exit(0)
        os.close(writer)
        os.read(reader, 1)  # returns when the parent has sent this pid to the launcher, and exited
        if full:
            wait_for_launcher(channel)  # returns when the launcher has restored pids.max
        os.setsid()
        if self.slave >= 0:
            console.make_controlling()
        wait()
        found.execute(self.env, (lambda: None) if early else confine)

    def _install_descriptors(self) -> None:
        for number, fd in enumerate((self.slave,) * 3 if self.slave >= 0 else self.stdio.fds):
            opened = process.open_null(self.root_fd) if fd < 0 else fd
            os.dup2(opened, number)
            if fd < 0 and opened != number:
                os.close(opened)

    def _become(self, unchanging: str | None) -> program.Program:
        if self.slave >= 0:
            os.fchown(self.slave, (self.spec.get("user") or {}).get("uid", 0), -1)
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


def _wait_at(gate: int, channel: channels.Channel) -> None:
    """Wait until `start` writes to the gate. Raises SystemExit if the launcher exits first."""
    poller = select.poll()
    poller.register(gate, select.POLLIN)
    poller.register(channel.sock, select.POLLHUP)
    explain.step("poll(gate): created, waits for start", _poll, poller)
    try:
        opened = os.read(gate, 1)
    except BlockingIOError:
        opened = b""
    if not opened:
        raise SystemExit("the launcher has exited")
    os.close(gate)


def _poll(poller: select.poll) -> None:
    poller.poll()
