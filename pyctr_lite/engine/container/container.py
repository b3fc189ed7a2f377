"""A container on disk: its record and its state. The verbs are in engine/life.  [hot]

A verb that only reads, such as `ps`, needs no cgroups and no system calls of `linux`: 2.5 ms of its 6. So what
changes the host is in `removal`.
"""

from __future__ import annotations

from pyctr_lite.engine.state import lock, states
from pyctr_lite.engine.state.record import Record, now
from pyctr_lite.engine.state.states import State
from pyctr_lite.errors import NotFound
from pyctr_lite.runtime import state as runtime_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cgroups import group as groups
    from pyctr_lite.engine.home import Home
    from pyctr_lite.runtime.bundle import Bundle

UNKNOWN_EXIT = 255
"""The exit code of a container whose monitor was killed before it could see the exit."""


class Container:
    """A container of an engine. `state` is the state that was read last; `refresh` reads it again."""

    def __init__(self, home: Home, record: Record, state: State) -> None:
        self.home, self.paths, self.record, self.state = home, home.paths, record, state
        self.id: str = record.id
        self.directory = home.paths.container(record.id)
        self.runtime = home.paths.runtime(record.id)
        self.lock = lock.Lock(f"{self.directory}/lock")
        self.keeping = lock.Lock(f"{self.directory}/keep")
        """Held while the container is stopped for a restart: then its end does not remove it."""
        self.new_bundle: Bundle | None = None
        """The bundle that `create` has just written, for a start by the same command."""

    @classmethod
    def load(cls, home: Home, id: str) -> Container:
        """Read a container by its id, and repair its state if its monitor was killed. Raises NotFound."""
        directory = home.paths.container(id)
        try:
            container = cls(home, Record.read(directory), State.read(directory))
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"No such container: {id[:12]}") from None
        if container.state.running and not container.alive():
            container._record_lost_end()
        return container

    @property
    def name(self) -> str:
        """The container's name."""
        return self.record.name

    @property
    def group(self) -> groups.Group:
        """The container's cgroup."""
        from pyctr_lite.cgroups import group as groups

        return groups.Group(self.paths.group(self.id))

    @property
    def removes_itself(self) -> bool:
        """Whether the container's end removes it (`--rm`)."""
        return bool(self.record.options.remove) and not lock.Lock.is_held(self.keeping.path)

    def refresh(self) -> State:
        """Read the state again, and repair it if the monitor was killed. Raises NotFound."""
        try:
            self.state = State.read(self.directory)
        except FileNotFoundError:
            raise NotFound(f"No such container: {self.id[:12]}") from None
        if self.state.running and not self.alive():
            self._record_lost_end()
        return self.state

    def alive(self) -> bool:
        """Return whether the container's first process or its monitor is alive, whatever the state says."""
        pids = ((self.state.Pid, self.state.PidStart), (self.state.MonitorPid, self.state.MonitorStart))
        return any(runtime_state.alive(pid, started) for pid, started in pids)

    def _record_lost_end(self) -> None:
        """Record the end of a container whose process and monitor have both died, and clean up after them.

        With --rm the container is removed. Raises NotFound if it is gone.
        """
        from pyctr_lite.engine.container import removal

        held = self.lock.fd >= 0
        try:
            if not held:
                self.lock.acquire()
            state = self.state = State.read(self.directory)
            if not state.running or self.alive():
                return  # the monitor recorded the end just before it exited, or another command repaired the state
            removal.clean(self)
            if self.removes_itself:
                removal.remove_files(self, volumes=True)
                raise NotFound(f"No such container: {self.id[:12]}")
            if state.restarting:
                state.Error = "the monitor was killed before it could restart the container"
            else:
                state.ExitCode, state.FinishedAt = UNKNOWN_EXIT, now()
                state.Error = "the monitor was killed before it could see how the container ended"
            state.Status, state.Pid, state.PidStart = states.EXITED, 0, 0
            state.write(self.directory)
        except FileNotFoundError:
            raise NotFound(f"No such container: {self.id[:12]}") from None
        finally:
            if not held:
                self.lock.release()
