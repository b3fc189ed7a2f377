"""`exec`: one more process in a running container."""

from __future__ import annotations

import os

from pyctr_lite.engine import background
from pyctr_lite.engine.bundle import accounts, spec
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.life import attach, pump
from pyctr_lite.engine.state import states
from pyctr_lite.engine.state.options import check_types, split_variable
from pyctr_lite.errors import Conflict, InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import target
from pyctr_lite.runtime import capabilities, launch, seccomp
from pyctr_lite.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.state.options import ExecOptions


def run(container: Container, options: ExecOptions, size: tuple[int, int] = (0, 0)) -> attach.Attachment:
    """Run a process by a pump of its own, which outlives the caller: the first client's end once it runs.

    It gets pipes, or a terminal of the container's own: through a descriptor of the caller's the container could
    open the file for writing (/proc/self/fd). Raises Conflict if the container does not run.
    """
    check_types(options)
    pid, process = _pid(container), process_spec(container, options)
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
        raise Conflict(f"exec in {container.name}: the container ended meanwhile")
    if received[0]["type"] == "error":
        ours.close()
        channels.raise_error(received[0])
    events.emit(container.paths, "exec_start", container.record)
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
    stdio, ends = pump.make_stdio(options.tty, options.stdin and not options.detach, size)
    started = container.state.PidStart
    launched = launch.execute_in(pid, started, container.group, process, stdio, filter)
    pump.close_stdio(stdio)
    if explain.sink is not None:
        os.close(explain.sink)
        explain.stop()
    mover = pump.of_process(launched.pidfd, launched.console, ends, None)
    mover.stdin_once = not options.tty
    channel.send({"type": "started", "pid": launched.pid}, (launched.pidfd,))  # for signals, past its input
    mover.clients.append(pump.Client(channel.sock))
    mover.run()
    mover.drain()
    _, status = os.waitpid(launched.pid, 0)
    mover.finish(b'{"ExitCode": %d}' % pump.exit_code(status))


def process_spec(container: Container, options: ExecOptions) -> dict[str, Any]:
    """The `process` object for an exec: the container's own, changed by the options."""
    record = container.record
    if not options.command:
        raise InvalidArgument("no command specified")
    account = record.account
    if options.user:
        root_fd = os.open(f"/proc/{container.state.Pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            passwd, group = (target.read_text(root_fd, f"/etc/{name}") for name in ("passwd", "group"))
        finally:
            os.close(root_fd)
        account = accounts.resolve(options.user, record.options.group_add, passwd, group)
    names = capabilities.bounding_set() if options.privileged else spec.capability_names(record.options)
    variables = dict(item.split("=", 1) for item in record.env)
    if options.tty:
        variables.setdefault("TERM", "xterm")
    for item in options.env:
        name, equals, value = split_variable(item)
        if equals:
            variables[name] = value
        elif name in os.environ:
            variables[name] = os.environ[name]
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
        "rlimits": spec.rlimits(record.options),
        "noNewPrivileges": spec.no_new_privileges(record.options),
    }


def container_filter(container: Container) -> seccomp.Filter | None:
    """The container's own: --privileged gives a process of it capabilities, and no other calls."""
    return seccomp.load(spec.seccomp_profile(container.record.options), container.paths.filters)


def _pid(container: Container) -> int:
    state = container.refresh()
    states.require("exec", state, container.name)
    return state.Pid
