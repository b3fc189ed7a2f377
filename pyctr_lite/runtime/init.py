"""The child's side: from the first instruction after clone3 to the exec of the container's program.

Runs as PID 1 of a new container, or as an exec's process beside it. It sends requests and errors over the channel,
and never returns.

Once a root is entered, files are reached by descriptors that were opened before, or by openat2(2) below the root's
descriptor: never through the root's own /proc.
"""

from __future__ import annotations

import errno
import os
import select

from pyctr_lite import linux
from pyctr_lite.linux import explain, processes
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime import console, process, program, state
from pyctr_lite.runtime.launched import wait_for_launcher
from pyctr_lite.runtime.start import Start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.runtime import bundle as bundles
    from pyctr_lite.runtime import seccomp
    from pyctr_lite.runtime.settings import Settings, Stdio


LATER = ("cgroup", "ipc")
"""Namespaces that the child creates itself, "ipc" only in a user namespace."""


def guarded(channel: channels.Channel, body: Callable[[], None], gate: int = -1) -> None:
    """Run the child's body, send its error to the parent, and exit.

    If the parent has exited, the error goes through the gate to `start` (`state.open_gate`).
    """
    try:
        body()
    except BaseException as error:
        message = channels.describe_error(error)
        try:
            channel.send(message)
        except OSError:  # the parent has exited
            state.report_through_gate(gate, message)
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
    settings: Settings,
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
    inside = in_user_namespace(created, bundle.namespaces()[1])
    leave_launcher({channel.sock.fileno(), gate, proc, *stdio.fds}, settings)
    trees: dict[str, int] = {}
    if inside:
        # Until the id maps are written the child has no valid uid; it also waits for its mounts.
        trees = wait_for_launcher(channel)
        become_root()
        if "ipc" in created:
            linux.unshare(linux.CLONE_NEWIPC)  # as root: the creator of the namespace owns its message queues
    leave_keyring(settings, fresh=True)
    if "cgroup" in created:
        linux.unshare(linux.CLONE_NEWCGROUP)  # in its group: that becomes the root of the namespace
    if config.get("hostname"):
        linux.sethostname(config["hostname"])
    if config.get("domainname"):
        linux.setdomainname(config["domainname"])
    if "network" in created:
        network.bring_up_loopback()
    if bundle.has_hooks("createContainer", "startContainer"):
        from pyctr_lite.runtime import hooks
    channels.seal_imports()
    root = filesystem.RootFilesystem(bundle, directory, trees, proc, pivot=settings.pivot)
    root.build()
    slave = -1
    if stdio.terminal:
        master, slave = root.open_console()
        _hand_over_console(channel, master, stdio)
    sysctls.write((config.get("linux") or {}).get("sysctl") or {})
    root.make_directory(config["process"]["cwd"])
    if not inside:
        wait_for_launcher(channel)
    if bundle.has_hooks("prestart", "createRuntime", "createContainer"):
        channel.send({"type": "built"})
        wait_for_launcher(channel)  # it runs the hooks of the runtime's namespaces
        if bundle.has_hooks("createContainer"):
            os.fchdir(root.root_fd)  # runc's hooks find the root there
            hooks.run("createContainer", config["hooks"]["createContainer"], settings.own_state())
    process.set_exec_labels(config["process"])
    root.enter()
    start = Start(config["process"], root.root_fd, stdio, slave, filter)
    start.find_program()

    def wait() -> None:
        _wait_created(gate, channel, settings)
        if bundle.has_hooks("startContainer"):
            given = config["hooks"]["startContainer"]
            start.hooks = hooks.prepare(
                "startContainer", given, settings.own_state(), program.variables(start.env)
            )

    if proc >= 0:
        start.be_born_inside(channel, wait)
    start.install_descriptors()
    start.execute(channel, wait, unchanging=bundle.init if exclusive else None)


def join_container(
    spec: dict[str, Any],
    channel: channels.Channel,
    stdio: Stdio,
    root_fd: int,
    filter: seccomp.Filter | None,
    settings: Settings,
    *,
    in_user_namespace: bool,
) -> None:
    """Run one more process in a container.

    The caller has joined the container's namespaces, that of pids for its children only. `root_fd` is a descriptor
    of the container's root.
    """
    leave_launcher({channel.sock.fileno(), root_fd, *stdio.fds}, settings)
    if in_user_namespace:
        become_root()
    leave_keyring(settings, fresh=False)
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
    if not stdio.returns:
        console.omit_returns(master)
    channel.send({"type": "console"}, (master,))
    os.close(master)


def _wait_created(gate: int, channel: channels.Channel, settings: Settings) -> None:
    channel.send({"type": "created"})
    if settings.detached:
        wait_for_launcher(channel)  # it has written down that there is a container
        channel.close()
    _wait_at(gate, None if settings.detached else channel)


def leave_launcher(keep: set[int], settings: Settings) -> None:
    """Leave the launcher's session, and close its descriptors.

    `keep` are those that the caller needs until its exec; the program gets only those that it is to preserve.
    """
    os.setsid()
    first = 3 + settings.preserve_fds
    sink = set() if explain.sink is None else {explain.sink}
    processes.close_all_but(keep | sink | set(range(3, first)))
    linux.close_range(first, linux.CLOSE_RANGE_CLOEXEC)


def leave_keyring(settings: Settings, *, fresh: bool) -> None:
    """Replace the launcher's session keyring by the container's, as root of its user namespace.

    The keyring has the container's name, as in runc, so that an exec finds it; with `fresh` it is new. Without a
    name, as in the engine, each process has a keyring of its own.
    """
    if not settings.new_keyring:
        return
    name = f"_ses.{settings.state['id']}" if settings.state.get("id") else ""
    try:
        serial = linux.join_session_keyring(name)
        if name and fresh:
            if (
                linux.key_permissions(serial) & _USER_SEARCH
            ):  # of an earlier container, which a process still holds
                linux.revoke_key(serial)
                serial = linux.join_session_keyring(name)
            linux.set_key_permissions(serial, linux.key_permissions(serial) | _USER_SEARCH)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):  # then no process inside can use keys either
            raise


_USER_SEARCH = 0x080000
"""KEY_USR_SEARCH (include/linux/key.h): processes of the owner find the keyring by its name."""


def in_user_namespace(created: list[str], joined: dict[str, str]) -> bool:
    """Return whether the container has a different user namespace from the launcher's."""
    return "user" in created or "user" in joined


def become_root() -> None:
    """Become root of the user namespace, so that new files and objects have an owner that it maps."""
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _wait_at(gate: int, channel: channels.Channel | None) -> None:
    """Wait until `start` writes to the gate. Raises SystemExit if the launcher exits first; None: it may.

    The gate stays open: the exec closes it, for which `start` may wait (`state.open_gate`).
    """
    poller = select.poll()
    poller.register(gate, select.POLLIN)
    if channel is not None:
        poller.register(channel.sock, select.POLLHUP)
    explain.step("poll(gate): created, waits for start", _poll, poller)
    try:
        os.read(gate, 1)
    except BlockingIOError:
        raise SystemExit("the launcher has exited") from None


def _poll(poller: select.poll) -> None:
    poller.poll()
