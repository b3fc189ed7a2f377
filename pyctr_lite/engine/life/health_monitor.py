"""The schedule of a container's health checks, from a start of the container to its end.

Each probe runs in a forked child, so the pump never waits for it, and the modules that a probe imports never stay
in the monitor's memory.
"""

from __future__ import annotations

import os
import time

from pyctr_lite import jsonfile, linux
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.life import health
from pyctr_lite.engine.state import states
from pyctr_lite.linux.constants import PR_SET_PDEATHSIG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.life.pump import Pump


class HealthMonitor:
    """Checks the health of a container that has just been started, until `end`."""

    def __init__(self, container: Container, pump: Pump) -> None:
        self.container, self.pump = container, pump
        self.check = container.record.options.healthcheck
        self.health = health.new()
        self.started = time.monotonic()
        self.prober = self.reader = -1
        self._write()
        self._schedule()

    def end(self) -> None:
        """Stop probing and mark the container unhealthy: it has exited."""
        self.pump.deadline = None
        if self.prober >= 0:
            os.kill(self.prober, 9)
            self._reap()
        self.health["Status"] = "unhealthy"
        self._write()

    def _schedule(self) -> None:
        starting = self.health["Status"] == "starting" and self._in_start_period()
        self.pump.deadline = time.monotonic() + self._seconds("StartInterval" if starting else "Interval")
        self.pump.at_deadline = self._start_probe

    def _start_probe(self) -> None:
        state = states.State.read(self.container.directory)
        if state.paused:
            self._schedule()
            return
        self.reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            self.prober = os.fork()
        except OSError:  # the host has too many processes, which says nothing about the container
            os.close(self.reader)
            os.close(writer)
            self._schedule()
            return
        if self.prober == 0:
            try:
                self._probe(writer)
            finally:
                os._exit(0)
        os.close(writer)
        self.pump.watched[self.reader] = self._end_probe

    def _probe(self, writer: int) -> None:
        """Run a probe in the child, which is killed if the monitor ends, and send its result."""
        linux.prctl(PR_SET_PDEATHSIG, 9)
        linux.close_all_but({writer})
        from pyctr_lite.engine.life import health_probe

        command = health.command(self.check, self.check.get("Shell"))
        result = health_probe.probe(self.container, command, self._seconds("Timeout"))
        with open(writer, "wb") as pipe:
            pipe.write(jsonfile.dumps(result).encode(errors="surrogateescape"))

    def _end_probe(self) -> None:
        parts = []
        while part := os.read(self.reader, 65536):
            parts.append(part)
        self._reap()
        starting, before = self._in_start_period(), self.health["Status"]
        if parts:  # a child that was killed sends no result
            health.add_result(self.health, jsonfile.loads(b"".join(parts)), self.check, starting=starting)
            self._write()
        if self.health["Status"] != before:
            action = f"health_status: {self.health['Status']}"
            events.emit(self.container.paths, action, self.container.record)
        self._schedule()

    def _write(self) -> None:
        try:
            health.write(self.container, self.health)
        except OSError:
            pass  # a full disk must not stop the container

    def _reap(self) -> None:
        del self.pump.watched[self.reader]
        os.close(self.reader)
        os.waitpid(self.prober, 0)
        self.prober = self.reader = -1

    def _in_start_period(self) -> bool:
        return time.monotonic() - self.started < self._seconds("StartPeriod")

    def _seconds(self, name: str) -> float:
        return health.number(self.check, name) / 10**9
