"""The health checks of one life of a container, beside its pump: when to look, and what it means.

Each look is a forked child that lives as long as its probe: the monitor is not held up by it, and what a probe
needs is never in the monitor's memory.
"""

from __future__ import annotations

import os
import time

from pyctr_lite import jsonfile, linux
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.life import health
from pyctr_lite.engine.state import record
from pyctr_lite.linux.constants import PR_SET_PDEATHSIG
from pyctr_lite.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.life.pump import Pump


class HealthMonitor:
    """Looks after a container that has just been started, until `end`."""

    def __init__(self, container: Container, mover: Pump) -> None:
        self.container, self.mover = container, mover
        self.check = container.record.options.healthcheck
        self.health = health.new()
        self.started = time.monotonic()
        self.prober = self.reader = -1
        self._write()
        self._wait()

    def end(self) -> None:
        """The container has ended: so has the probe, and nobody is well any more."""
        self.mover.deadline = None
        if self.prober >= 0:
            os.kill(self.prober, 9)
            self._reap()
        self.health["Status"] = "unhealthy"
        self._write()

    def _wait(self) -> None:
        starting = self.health["Status"] == "starting" and self._in_start_period()
        self.mover.deadline = time.monotonic() + self._seconds("StartInterval" if starting else "Interval")
        self.mover.at_deadline = self._look

    def _look(self) -> None:
        state = record.State.read(self.container.directory)
        if state.paused:
            self._wait()
            return
        self.reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            self.prober = os.fork()
        except OSError:  # the machine has too many processes: that says nothing of the container
            os.close(self.reader)
            os.close(writer)
            self._wait()
            return
        if self.prober == 0:
            try:
                self._probe(writer)
            finally:
                os._exit(0)
        os.close(writer)
        self.mover.watched[self.reader] = self._found

    def _probe(self, writer: int) -> None:
        """The child's part: it ends with the monitor."""
        linux.prctl(PR_SET_PDEATHSIG, 9)
        channels.close_all_but({writer})
        from pyctr_lite.engine.life import health_probe

        command = health.words(self.check, self.check.get("Shell"))
        result = health_probe.probe(self.container, command, self._seconds("Timeout"))
        with open(writer, "wb") as pipe:
            pipe.write(jsonfile.dumps(result).encode(errors="surrogateescape"))

    def _found(self) -> None:
        parts = []
        while part := os.read(self.reader, 65536):
            parts.append(part)
        self._reap()
        starting, before = self._in_start_period(), self.health["Status"]
        if parts:  # killed by somebody else, it has found nothing
            health.judge(self.health, jsonfile.loads(b"".join(parts)), self.check, starting=starting)
            self._write()
        if self.health["Status"] != before:
            action = f"health_status: {self.health['Status']}"
            events.emit(self.container.paths, action, self.container.record)
        self._wait()

    def _write(self) -> None:
        try:
            health.write(self.container, self.health)
        except OSError:
            pass  # a full disk must not stop the container

    def _reap(self) -> None:
        del self.mover.watched[self.reader]
        os.close(self.reader)
        os.waitpid(self.prober, 0)
        self.prober = self.reader = -1

    def _in_start_period(self) -> bool:
        return time.monotonic() - self.started < self._seconds("StartPeriod")

    def _seconds(self, name: str) -> float:
        return health.number(self.check, name) / 10**9
