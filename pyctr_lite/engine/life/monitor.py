"""One small process per container: it creates it, starts it, keeps its log, and records how it ended.

There is no daemon: whoever runs `start` forks a monitor, hears from it that the container runs, and is from
then on a client like any other. Killed, it takes nothing along but the container's output and exit status.
"""

from __future__ import annotations

import gc
import os
import time

from pyctr_lite import jsonfile
from pyctr_lite.cgroups import events as cgroup_events
from pyctr_lite.engine import background
from pyctr_lite.engine.bundle import write
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.life import attach, pump
from pyctr_lite.engine.log import writer as logs
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


def fork(
    container: Container, bundle: bundles.Bundle, lock: Lock, foreground: bool, size: tuple[int, int]
) -> attach.Attachment:
    """Start a container by a monitor of its own; returns the first client's end once its program runs.

    Raises what went wrong, as it was raised in the monitor or in the container's first process.
    """
    ours, theirs = channels.pair()

    def body() -> None:
        ours.close()
        monitor = Monitor(container, bundle, lock, theirs, foreground)
        try:
            background.leave_caller(container.paths, {theirs.sock.fileno(), lock.fd})
        except BaseException as error:
            monitor.failed(error)
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
    """What watches over a container from its start until it is not to run any more."""

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
        """The line to the starter, until the program runs."""
        self.foreground = foreground
        self.directory = container.runtime
        self.oom_kills = 0
        self.delay = 0.0
        """Seconds that its restart policy waited before it was started (`restart`)."""

    def run(self, size: tuple[int, int]) -> None:
        """Create, start, pump, record; and that again as often as the container's restart policy says."""
        while self._live(size) and self._wait_to_restart():
            size = (0, 0)

    def _live(self, size: tuple[int, int]) -> bool:
        """One start and one end: whether another is to follow."""
        options = self.container.record.options
        try:
            stdio, ends = pump.make_stdio(options.tty, options.stdin, size)
            launched, group = launch.create_container(
                self.bundle, self.directory, stdio, self.container.paths.filters
            )
            pump.close_stdio(stdio)
        except BaseException as error:
            self.failed(error)
            return False
        try:
            watch = cgroup_events.OomWatch(group)
            mover = self._make_pump(launched, ends)
            launched.start()
        except BaseException as error:
            launched.destroy()
            _clean(group, self.directory)
            self.failed(error)
            return False
        began = time.monotonic()
        mover.watched[watch.fileno()] = lambda: self._count_oom(watch)
        checks = self._health(mover)  # who hears that it runs finds its health
        self._started(launched.pid)
        if self.channel is not None:
            mover.clients.insert(0, pump.Client(self.channel.sock))
            self.channel = None
        if explain.sink is not None:
            os.close(explain.sink)
            explain.stop()
        gc.freeze()  # what is there now stays: going through it would copy the pages shared with the starter
        gc.enable()
        mover.run()
        if checks is not None:
            checks.end()
        if group.pids():
            group.kill()  # with the host's pid namespace others are left, who could write on for ever
        mover.drain()
        self._count_oom(watch)
        watch.close()
        _, status = os.waitpid(launched.pid, 0)
        launched.close()
        return self._ended(mover, group, pump.exit_code(status), time.monotonic() - began)

    def _make_pump(self, launched: launch.Launched, ends: tuple[int, int, int]) -> pump.Pump:
        options, log = self.container.record.options, None
        if options.log_driver != "none":
            path = f"{self.container.directory}/log.jsonl"
            attributes = None
            if not options.log_options.keys().isdisjoint(("env", "env-regex", "labels", "labels-regex", "tag")):
                from pyctr_lite.engine.log import attributes as log_attributes

                attributes = log_attributes.of(self.container)
            log = logs.LogWriter(path, options.log_max_size, options.log_max_files, attributes)
        mover = pump.of_process(launched.pidfd, launched.console, ends, log)
        launched.console = -1
        mover.stdin_once = self.foreground and self.channel is not None and not options.tty
        mover.listener = attach.listen(self.directory)
        return mover

    def _health(self, mover: pump.Pump) -> HealthMonitor | None:
        if not self.container.record.options.healthcheck:
            return None
        from pyctr_lite.engine.life import health_monitor

        return health_monitor.HealthMonitor(self.container, mover)

    def _started(self, pid: int) -> None:
        state = self.container.state
        state.Status, state.Pid, state.PidStart = states.RUNNING, pid, runtime_state.start_time(pid)
        state.MonitorPid, state.MonitorStart = os.getpid(), runtime_state.start_time(os.getpid())
        state.StartedAt, state.ExitCode, state.Error, state.OOMKilled = record.now(), 0, "", False
        state.write(self.container.directory)
        events.emit(self.container.paths, "start", self.container.record)
        self._tell({"type": "started", "pid": pid})
        self.lock.release()

    def failed(self, error: BaseException) -> None:
        """The program never ran: say why, in the record and to the starter."""
        message = channels.describe_error(error)
        state = self.container.state
        state.Error, state.ExitCode = message["message"], message.get("exit_code") or 128
        if state.restarting:
            state.Status, state.FinishedAt = states.EXITED, record.now()
            state.MonitorPid = state.MonitorStart = 0
        try:
            state.write(self.container.directory)
        except OSError:  # no descriptor or no space is left for the record, and perhaps that was the failure
            if self.channel is None:  # a restart: there is no starter to hear of it
                raise
        self.lock.release()
        self._tell(message)

    def _tell(self, message: dict[str, Any]) -> None:
        """Tell the starter, if it still lives: killed, it harms nothing."""
        if self.channel is None:
            return  # the starter has gone long since: this is a restart
        try:
            self.channel.send(message)
        except OSError:
            pass

    def _wait_to_restart(self) -> bool:
        """Wait as long as the policy has it, with the lock at the end; False where `stop` or `rm` came first."""
        from pyctr_lite.engine.events import watch
        from pyctr_lite.errors import NotFound

        container, deadline = self.container, time.monotonic() + self.delay
        try:
            with watch.Watch(container.directory) as changes:
                while self._is_ours(record.State.read(container.directory)):
                    if (left := deadline - time.monotonic()) <= 0:
                        break
                    changes.wait(left)
            self.lock.acquire()
            container.state = record.State.read(container.directory)
        except (FileNotFoundError, NotFound):
            return False
        if not self._is_ours(container.state):
            self.lock.release()
            return False
        try:
            self.bundle = write.write_bundle(container)
        except Exception as error:
            self.failed(error)
            return False
        return True

    @staticmethod
    def _is_ours(state: record.State) -> bool:
        return state.restarting and state.MonitorPid == os.getpid()

    def _ended(self, mover: pump.Pump, group: groups.Group, code: int, ran: float) -> bool:
        mover.close()
        if mover.log is not None:
            mover.log.close()
        self.lock.acquire()
        self.container.record = record.Record.read(self.container.directory)  # `rename` and `update` change it
        container, policy = self.container, self.container.record.options.restart
        if policy:
            container.state = record.State.read(container.directory)  # `stop` says in it that it was asked to
        state = container.state
        _clean(group, self.directory)
        if mover.listener is not None:
            mover.listener.close()
        state.Status, state.Pid, state.PidStart, state.ExitCode = states.EXITED, 0, 0, code
        state.OOMKilled, state.FinishedAt = self.oom_kills > 0, record.now()
        self.oom_kills = 0
        again = bool(policy) and self._restarts(policy, ran)
        if not again:
            state.MonitorPid = state.MonitorStart = 0
        events.emit(container.paths, "die", container.record, exitCode=str(code))
        if container.record.options.remove:
            container.remove_files(volumes=True)
            events.emit(container.paths, "destroy", container.record)
        else:
            state.write(container.directory)
        self.lock.release()
        mover.finish(jsonfile.dumps({"ExitCode": code, "OOMKilled": state.OOMKilled, "Error": ""}).encode())
        return again

    def _restarts(self, policy: str, ran: float) -> bool:
        """Note that the container is to be restarted, if it is."""
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


def _clean(group: groups.Group, directory: str) -> None:
    """Remove what the runtime made on the host: whoever is left in the group, the group, the state."""
    if group.pids():
        group.kill()
    group.remove()
    runtime_state.remove(directory)


def _log_fault(container: Container, error: BaseException) -> None:
    """A fault of ours, for `doctor` to show: the monitor has no terminal to tell it to."""
    import traceback

    with open(f"{container.paths.run}/faults.log", "a") as file:
        file.write(f"{record.now()} monitor of {container.id}\n{''.join(traceback.format_exception(error))}\n")
