"""The child's side: from the first instruction after clone3 to the exec of the container's program.

Runs as PID 1 of the new container, or beside it for an exec. It says what it needs and what went wrong over
the channel, and it never returns.
"""

from __future__ import annotations

import errno
import os
import select

from pyctr_lite import linux
from pyctr_lite.linux import explain
from pyctr_lite.namespaces import network
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime import console, filesystem, process, program, seccomp, sysctls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.runtime import bundle as bundles


LATER = ("cgroup", "ipc")
"""Namespaces that the child makes by itself; the second only in a user namespace."""


class Stdio:
    """What becomes the program's descriptors 0, 1 and 2; with `terminal` they are a pty made inside."""

    __slots__ = ("columns", "fds", "rows", "terminal")

    def __init__(
        self, fds: tuple[int, int, int], *, terminal: bool = False, rows: int = 0, columns: int = 0
    ) -> None:
        self.fds, self.terminal, self.rows, self.columns = fds, terminal, rows, columns


def guarded(channel: channels.Channel, body: Callable[[], None]) -> None:
    """Run the child's body; send what it raises to the parent as what it is, and end."""
    try:
        body()
    except BaseException as error:
        try:
            channel.send(channels.describe_error(error))
        except OSError:
            pass  # the parent has gone
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
) -> None:
    """Become the container: build its root, wait at the gate, execute its program.

    `directory` is the runtime state directory, `created` the kinds of namespace that are new here, `gate` the
    gate's descriptor: root of a user namespace may not reach it.
    """
    config = bundle.config
    joined = bundle.namespaces()[1]
    leave_launcher()
    trees: dict[str, int] = {}
    if in_user_namespace(created, joined):
        trees = wait_for_launcher(channel)  # for the id maps, before which the child is nobody, and for mounts
        become_root()
        if "ipc" in created:
            linux.unshare(linux.CLONE_NEWIPC)  # only now: the message queues are whose process makes it
    if "cgroup" in created:
        linux.unshare(linux.CLONE_NEWCGROUP)  # only now, in the group that becomes the root of the view
    if config.get("hostname"):
        linux.sethostname(config["hostname"])
    if config.get("domainname"):
        linux.setdomainname(config["domainname"])
    if "network" in created:
        network.bring_up_loopback()
    channels.seal_imports()
    root = filesystem.RootFilesystem(bundle, directory, trees)
    root.build()
    slave = -1
    if stdio.terminal:
        master, slave = root.open_console()
        if stdio.rows:
            console.set_size(master, stdio.rows, stdio.columns)
        channel.send({"type": "console"}, (master,))
        os.close(master)
    sysctls.write((config.get("linux") or {}).get("sysctl") or {})
    root.make_directory(config["process"]["cwd"])
    root.enter()
    path, env = find_program(config["process"])
    if not in_user_namespace(created, joined):
        wait_for_launcher(channel)
    channel.send({"type": "created"})
    _wait_at(gate, channel)
    run_program(config["process"], path, env, stdio, slave, filter, fresh=True)


def join_container(
    spec: dict[str, Any],
    channel: channels.Channel,
    stdio: Stdio,
    filter: seccomp.Filter | None,
    *,
    in_user_namespace: bool,
) -> None:
    """Run one more process in a container whose namespaces the caller has joined."""
    leave_launcher()
    wait_for_launcher(channel)
    if in_user_namespace:
        become_root()
    channels.seal_imports()
    slave = -1
    if stdio.terminal:
        root_fd = os.open("/", linux.O_PATH | os.O_CLOEXEC)
        master, slave = console.open_console(root_fd)
        os.close(root_fd)
        if stdio.rows:
            console.set_size(master, stdio.rows, stdio.columns)
        channel.send({"type": "console"}, (master,))
        os.close(master)
    path, env = find_program(spec)
    run_program(spec, path, env, stdio, slave, filter, fresh=False)


def leave_launcher() -> None:
    """Leave the launcher's session and its keys, and its descriptors at the exec."""
    os.setsid()
    try:
        linux.join_session_keyring()
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):  # then nobody inside can use keys either
            raise
    linux.close_range(3, linux.CLOSE_RANGE_CLOEXEC)


def in_user_namespace(created: list[str], joined: dict[str, str]) -> bool:
    """Whether the container has another user namespace than the launcher."""
    return "user" in created or "user" in joined


def become_root() -> None:
    """Be root of the user namespace: what is made from here on belongs to somebody whom it knows."""
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def wait_for_launcher(channel: channels.Channel) -> dict[str, int]:
    """Wait until the launcher has done what only it can do: id maps, limits, the OOM score, and mounts in a user
    namespace: those by their destinations.
    """
    trees: dict[str, int] = {}
    while (received := channel.receive()) is not None:
        message, fds = received
        if message["type"] == "go":
            return trees
        trees[message["destination"]] = fds[0]
    raise SystemExit("the launcher has gone")


def find_program(spec: dict[str, Any]) -> tuple[str, list[str]]:
    """Enter the working directory, as root as runc does: the program's path and environment, as they are there."""
    env = process.with_home(spec.get("env") or [], (spec.get("user") or {}).get("uid", 0))
    process.enter_directory(spec["cwd"])
    return program.find(spec["args"][0], env), env


def run_program(
    spec: dict[str, Any],
    path: str,
    env: list[str],
    stdio: Stdio,
    slave: int,
    filter: seccomp.Filter | None,
    *,
    fresh: bool,
) -> None:
    """Put the descriptors in place, become the user, execute. Returns only by an error."""
    if slave >= 0:
        user = spec.get("user") or {}
        os.fchown(slave, user.get("uid", 0), -1)
        console.make_controlling(slave)
    else:
        for number, fd in enumerate(stdio.fds):
            os.dup2(fd, number)
    process.become(spec)
    process.reset_signals()
    program.execute(path, spec["args"], env, lambda: process.confine(spec, filter), fresh=fresh)


def _wait_at(gate: int, channel: channels.Channel) -> None:
    """Wait until `start` writes to the gate (decision 4), or the launcher is killed before."""
    poller = select.poll()
    poller.register(gate, select.POLLIN)
    poller.register(channel.sock, select.POLLHUP)
    explain.step("poll(gate): created, waits for start", _poll, poller)
    try:
        opened = os.read(gate, 1)
    except BlockingIOError:
        opened = b""
    if not opened:
        raise SystemExit("the launcher has gone")
    os.close(gate)


def _poll(poller: select.poll) -> None:
    poller.poll()
