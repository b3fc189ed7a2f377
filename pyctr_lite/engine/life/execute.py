"""`exec`: one more process in a running container."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.engine import background
from pyctr_lite.engine.bundle import privileges
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.life import attach
from pyctr_lite.engine.life.pump import Client, Pump, close_stdio, exit_code, make_stdio
from pyctr_lite.engine.state import states
from pyctr_lite.engine.state.options import check_types, split_variable
from pyctr_lite.errors import Conflict, InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import target
from pyctr_lite.runtime import capabilities, launch, seccomp
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime.settings import ENGINE, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.state.options import ExecOptions


def run(container: Container, options: ExecOptions, size: tuple[int, int] = (0, 0)) -> attach.Attachment:
    """Start a process with a pump of its own, which outlives the caller. Return a connection once it runs.

    The process gets pipes, or a terminal of the container. It never gets a descriptor of the caller: the container
    could open the file behind it for writing (/proc/self/fd). Raises Conflict if the container does not run.
    """
    check_types(options)
    pid, process = _running_pid(container), process_spec(container, options)
    filter = container_filter(container)
    ours, theirs = channels.pair()

    def body() -> None:
        ours.close()
        background.leave_caller(container.paths, {theirs.sock.fileno()})
        _pump(container, pid, process, filter, options, theirs, size)

    background.start(container.paths, body, lambda error: theirs.send(channels.describe_error(error)))
    theirs.close()
    received = ours.receive()
    if received is None:
        raise Conflict(f"exec in {container.name}: the container ended in the meantime")
    if received[0]["type"] == "error":
        ours.close()
        channels.raise_error(received[0])
    return attach.Attachment(ours.sock, pidfd=received[1][0])


def _pump(
    container: Container,
    pid: int,
    process: dict[str, Any],
    filter: seccomp.Filter | None,
    options: ExecOptions,
    channel: channels.Channel,
    size: tuple[int, int],
) -> None:
    stdio, ends = make_stdio(options.tty, options.stdin and not options.detach, size)
    start_time = container.state.PidStart
    group, chosen = container.group, settings(container, filter)
    launched = launch.execute_in(pid, start_time, group, process, stdio, filter, chosen)
    close_stdio(stdio)
    if explain.sink is not None:
        os.close(explain.sink)
        explain.stop()
    words, exec_id = " ".join(options.command), os.urandom(32).hex()
    for action in ("exec_create", "exec_start"):
        events.emit(container.paths, f"{action}: {words}", container.record, execID=exec_id)
    pump = Pump.of_process(launched.pidfd, launched.console, ends, None)
    pump.stdin_once = not options.tty
    channel.send(
        {"type": "started", "pid": launched.pid}, (launched.pidfd,)
    )  # the client's signals overtake its input
    pump.clients.append(Client(channel.sock))
    pump.run()
    pump.drain()
    _, status = os.waitpid(launched.pid, 0)
    code = exit_code(status)
    events.emit(container.paths, "exec_die", container.record, execID=exec_id, exitCode=str(code))
    pump.send_end(b'{"ExitCode": %d}' % code)
    pump.finish()


def process_spec(container: Container, options: ExecOptions) -> dict[str, Any]:
    """Return the `process` object for an exec: that of the container, changed by the options."""
    record = container.record
    if not options.command:
        raise InvalidArgument("no command specified")
    account = record.account
    if options.user:
        root = f"/proc/{container.state.Pid}/root"
        with linux.closing(os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as root_fd:
            passwd, group = (target.read_text(root_fd, f"/etc/{name}") for name in ("passwd", "group"))
        from pyctr_lite.engine.bundle import accounts

        account = accounts.resolve(options.user, record.options.group_add, passwd, group)
    names = capabilities.bounding_set() if options.privileged else privileges.capability_names(record.options)
    variables = dict(item.split("=", 1) for item in record.env)
    if options.tty:
        variables.setdefault("TERM", "xterm")
    for item in options.env:
        name, equals, value = split_variable(item)
        given = value if equals else os.getenv(name)
        if given is not None:
            variables[name] = given
    return {
        "terminal": options.tty,
        "user": account,
        "args": options.command,
        "env": [f"{name}={value}" for name, value in variables.items()],
        "cwd": options.workdir or record.workdir,
        "capabilities": {
            "bounding": names,
            "effective": names,
            "permitted": names,
            "inheritable": [],
            "ambient": [],
        },
        "rlimits": privileges.rlimits(record.options),
        "noNewPrivileges": privileges.no_new_privileges(record.options),
    }


def settings(container: Container, filter: seccomp.Filter | None) -> Settings:
    """Return the runtime's settings for an exec: with the container's state if an agent is to receive it."""
    if filter is None or not filter.listens:
        return ENGINE
    state = {"ociVersion": "1.0.2", "id": container.record.id, "status": "running", "pid": container.state.Pid}
    return Settings(state={**state, "bundle": container.directory, "annotations": {}})


def container_filter(container: Container) -> seccomp.Filter | None:
    """Load the container's seccomp filter, for --privileged too: that flag adds only capabilities to an exec."""
    return seccomp.load(privileges.seccomp(container.record.options), container.paths.filters)


def _running_pid(container: Container) -> int:
    state = container.refresh()
    states.require("exec", state, container.name)
    return state.Pid
