"""The monitor: one small process per container that creates it, starts it, keeps its log and records its end.

There is no daemon: `start` forks a monitor, and once the program runs, it is a client like any other. If a monitor
is killed, the container keeps running, but its output and exit status are lost.
"""

from __future__ import annotations

import os
import time

from pyctr_lite import jsonfile
from pyctr_lite.cgroups import events as cgroup_events
from pyctr_lite.engine import background
from pyctr_lite.engine.bundle import write
from pyctr_lite.engine.container import containers, removal
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.life import attach, connections
from pyctr_lite.engine.life.pump import Client, Pump, close_stdio, exit_code, make_stdio
from pyctr_lite.engine.log import writer as log_writer
from pyctr_lite.engine.state import record, states
from pyctr_lite.linux import explain
from pyctr_lite.runtime import bundle as bundles
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime import launch
from pyctr_lite.runtime import state as runtime_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.cgroups import group as groups
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.life.health_monitor import HealthMonitor
    from pyctr_lite.engine.state.lock import Lock
    from pyctr_lite.runtime.launched import Launched


def fork(
    container: Container, bundle: bundles.Bundle, lock: Lock, foreground: bool, size: tuple[int, int]
) -> attach.Attachment:
    """Start a container with a monitor of its own. Return the first client's connection once the program runs.

    Raises the error that the monitor or the container's first process met.
    """
    ours, theirs = channels.pair()

    def body() -> None:
        ours.close()
        monitor = Monitor(container, bundle, lock, theirs, foreground)
        try:
            background.leave_caller(container.paths, {theirs.sock.fileno(), lock.fd})
        except BaseException as error:
            monitor.report_failure(error)
        else:
            monitor.run(size)

    background.start(container.paths, body, lambda error: _log_fault(container, error))
    theirs.close()
    received = ours.receive()
    if received is None:
        raise channels.ChildError("the container's monitor was killed", "", 0, "", [])
    if received[0]["type"] == "error":
        ours.close()
        channels.raise_error(received[0])
    return attach.Attachment(ours.sock, container.runtime)


class Monitor:
    """Supervises a container until it has ended and no restart is due."""

    def __init__(
        self,
        container: Container,
        bundle: bundles.Bundle,
        lock: Lock,
        channel: channels.Channel,
        foreground: bool,
    ) -> None:
        self.container, self.bundle, self.lock = container, bundle, lock
        self.channel: channels.Channel | None = channel
        """The channel to the process that called `fork`, until the program runs."""
        self.foreground = foreground
        self.directory = container.runtime
        self.connections = connections.Connections(container)
        self.oom_kills = 0
        self.delay = 0.0
        """Seconds that the restart policy waited before the last start (`restart`)."""

    def run(self, size: tuple[int, int]) -> None:
        """Create, start, pump and record; repeat this as long as the restart policy requires."""
        while self._run_once(size) and self._wait_to_restart():
            size = (0, 0)

    def _run_once(self, size: tuple[int, int]) -> bool:
        """Run the container from its start to its end; return whether a restart is to follow."""
        options = self.container.record.options
        try:
            stdio, ends = make_stdio(options.tty, options.stdin, size)
            launched, group = launch.create_container(
                self.bundle, self.directory, stdio, self.container.paths.filters, born=self._born
            )
            close_stdio(stdio)
        except BaseException as error:
            self.report_failure(error)
            return False
        try:
            watch = cgroup_events.OomWatch(group)
            pump = self._make_pump(launched, ends)
            launched.start()
        except BaseException as error:
            launched.destroy()
            _clean_up(group, self.directory)
            self.report_failure(error)
            return False
        began = time.monotonic()
        pump.watched[watch.fileno()] = lambda: self._count_oom(watch)
        self.connections.serve(pump)
        checks = self._start_health_checks(pump)  # before "started" is reported: health.json exists by then
        self._record_start(launched.pid)
        if self.channel is not None:
            pump.clients.insert(0, Client(self.channel.sock))
            self.channel = None
        if explain.sink is not None:
            os.close(explain.sink)
            explain.stop()
        background.collect_garbage()
        pump.run()
        if checks is not None:
            checks.end()
        if group.pids():
            group.kill()  # with --pid host its children survive, and could write forever
        pump.drain()
        self._count_oom(watch)
        watch.close()
        _, status = os.waitpid(launched.pid, 0)
        launched.close()
        return self._record_end(pump, group, exit_code(status), time.monotonic() - began)

    def _born(self, pid: int) -> None:
        containers.check_joined(self.container, self.bundle.namespaces()[1].values())
        self.connections.plug(pid)

    def _make_pump(self, launched: Launched, ends: tuple[int, int, int]) -> Pump:
        pump = Pump.of_process(launched.pidfd, launched.console, ends, log_writer.of_container(self.container))
        launched.console = -1
        pump.stdin_once = self.foreground and self.channel is not None and not self.container.record.options.tty
        pump.listener = attach.listen(self.directory)
        return pump

    def _start_health_checks(self, pump: Pump) -> HealthMonitor | None:
        if not self.container.record.options.healthcheck:
            return None
        from pyctr_lite.engine.life import health_monitor

        return health_monitor.HealthMonitor(self.container, pump)

    def _record_start(self, pid: int) -> None:
        state = self.container.state
        state.Status, state.Pid, state.PidStart = states.RUNNING, pid, runtime_state.start_time(pid)
        state.MonitorPid, state.MonitorStart = os.getpid(), runtime_state.start_time(os.getpid())
        state.StartedAt, state.ExitCode, state.Error, state.OOMKilled = record.now(), 0, "", False
        state.write(self.container.directory)
        events.emit(self.container.paths, "start", self.container.record)
        self._report({"type": "started", "pid": pid})
        self.lock.release()

    def report_failure(self, error: BaseException) -> None:
        """Report why the program could not be started: in the container's state, and to the caller of `fork`."""
        self.connections.close()
        message = channels.describe_error(error)
        state = self.container.state
        state.Error, state.ExitCode = message["message"], message.get("exit_code") or 128
        if state.restarting:
            state.Status, state.FinishedAt = states.EXITED, record.now()
            state.MonitorPid = state.MonitorStart = 0
        try:
            state.write(self.container.directory)
        except OSError:  # no descriptor or no space is left: perhaps the cause of the failure
            if self.channel is None:  # a restart: no caller waits for the error
                raise
        self.lock.release()
        self._report(message)

    def _report(self, message: dict[str, Any]) -> None:
        """Send a message to the caller of `fork`. Its death is not an error."""
        if self.channel is None:
            return  # this is a restart
        try:
            self.channel.send(message)
        except OSError:
            pass

    def _wait_to_restart(self) -> bool:
        """Wait for the delay and take the lock; return False if `stop` or `rm` came first."""
        from pyctr_lite.engine.events import watch
        from pyctr_lite.errors import NotFound

        container, deadline = self.container, time.monotonic() + self.delay
        try:
            with watch.Watch(container.directory) as changes:
                while self._may_restart(states.State.read(container.directory)):
                    if (left := deadline - time.monotonic()) <= 0:
                        break
                    changes.wait(left)
            self.lock.acquire()
            container.state = states.State.read(container.directory)
        except (FileNotFoundError, NotFound):
            return False
        if not self._may_restart(container.state):
            self.lock.release()
            return False
        try:
            self.bundle = write.write_bundle(container)
        except Exception as error:
            self.report_failure(error)
            return False
        return True

    @staticmethod
    def _may_restart(state: states.State) -> bool:
        """Return whether the container still waits for this monitor to restart it."""
        return state.restarting and state.MonitorPid == os.getpid()

    def _record_end(self, pump: Pump, group: groups.Group, code: int, ran: float) -> bool:
        """Clean up, record the end, report it to the clients; return whether the container is to be restarted."""
        pump.close()
        if pump.log is not None:
            pump.log.close()
        self.lock.acquire()
        if pump.listener is not None:
            pump.listener.close()
        self.container.record = record.Record.read(self.container.directory)  # `rename` and `update` change it
        self.connections.refresh()
        container, policy = self.container, self.container.record.options.restart
        if policy:
            container.state = states.State.read(container.directory)  # `stop` sets ManuallyStopped in it
        state = container.state
        state.Status, state.Pid, state.PidStart, state.ExitCode = states.EXITED, 0, 0, code
        state.OOMKilled, state.FinishedAt = self.oom_kills > 0, record.now()
        self.oom_kills = 0
        again = bool(policy) and self._plan_restart(policy, ran)
        if not again:
            state.MonitorPid = state.MonitorStart = 0
        end = jsonfile.dumps({"ExitCode": code, "OOMKilled": state.OOMKilled, "Error": ""}).encode()
        if container.removes_itself:
            self._remove(pump, group, code, end)
        else:
            _clean_up(group, self.directory)
            events.emit(container.paths, "die", container.record, exitCode=str(code))
            self.connections.close()
            state.write(container.directory)
            pump.send_end(end)
        self.lock.release()
        pump.finish()
        return again

    def _remove(self, pump: Pump, group: groups.Group, code: int, end: bytes) -> None:
        """Remove a container of `--rm`; its clients do not wait for the 4 ms that its cgroups and files take."""
        container = self.container
        events.emit(container.paths, "die", container.record, exitCode=str(code))
        self.connections.close()
        gone = removal.take_away(container, volumes=True)
        events.emit(container.paths, "destroy", container.record)
        pump.send_end(end)
        _clean_up(group, self.directory)
        removal.remove_tree(gone)

    def _plan_restart(self, policy: str, ran: float) -> bool:
        """Record that the container is to be restarted, if the policy requires it; return whether it does."""
        from pyctr_lite.engine.life import restart

        state = self.container.state
        if not restart.after_exit(policy, state):
            return False
        self.delay = restart.next_delay(self.delay, ran)
        state.Status, state.RestartCount = states.RESTARTING, state.RestartCount + 1
        return True

    def _count_oom(self, watch: cgroup_events.OomWatch) -> None:
        kills = watch.read()
        if kills:
            self.oom_kills += kills
            events.emit(self.container.paths, "oom", self.container.record)


def _clean_up(group: groups.Group, directory: str) -> None:
    """Kill the processes left in the container's cgroup; remove the cgroup and the runtime state."""
    if group.pids():
        group.kill()
    group.remove()
    runtime_state.remove(directory)


def _log_fault(container: Container, error: BaseException) -> None:
    import traceback

    from pyctr_lite.engine.life import faults

    faults.log(container, "monitor", "".join(traceback.format_exception(error)))
