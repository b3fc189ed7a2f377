"""A container on disk: its record, its state and its files. The verbs are in engine/life.  [hot]"""

from __future__ import annotations

import os

from pyctr_lite.cgroups import group as groups
from pyctr_lite.engine import background
from pyctr_lite.engine.container import removal
from pyctr_lite.engine.state import lock, states
from pyctr_lite.engine.state.record import Record, now
from pyctr_lite.engine.state.states import State
from pyctr_lite.errors import NotFound
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import walk
from pyctr_lite.runtime import state as runtime_state
from pyctr_lite.volumes import bind

TYPE_CHECKING = False
if TYPE_CHECKING:
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
        return groups.Group(self.paths.group(self.id))

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

    def prepare_sources(self) -> None:
        """Create missing sources of -v, as Docker does: a reboot empties /tmp and /run.

        Raises InvalidArgument if the source of a --mount is missing.
        """
        for mount in self.record.mounts:
            if mount["Type"] == "bind":
                bind.prepare_source(mount["Source"], mount.get("CreateSource", False))

    def clean(self) -> None:
        """Remove what a run leaves on the host: processes in the cgroup, the cgroup, the runtime's state."""
        if self.group.exists():
            self.group.kill()
            self.group.remove()
        background.remove_groups(self.paths)
        runtime_state.remove(self.runtime)

    def clean_half_started(self) -> None:
        """Clean up after a monitor that was killed while it started the container."""
        if os.path.isdir(self.runtime):
            self.clean()

    def remove_files(self, *, volumes: bool) -> None:
        """Remove the container's files; with `volumes` its anonymous volumes too."""
        self.remove_tree(self.take_away(volumes=volumes))

    def take_away(self, *, volumes: bool) -> str:
        """Make the container unknown to every verb and release its name. Returns the directory for `remove_tree`.

        The removal of the directory takes longer, so the monitor reports the end to the clients in between.
        """
        removal.unmount_rootfs(self.directory)
        gone = f"{self.directory}.removing"
        explain.step(f'rename("{self.directory}", "{gone}")', os.rename, self.directory, gone)
        self.home.names.release(self.name, self.id)
        if volumes:
            for mount in self.record.mounts:
                if mount.get("Anonymous"):
                    self.home.volumes.remove(mount["Name"], force=True)
        return gone

    @staticmethod
    def remove_tree(gone: str) -> None:
        """Remove the files of a container that `take_away` has renamed."""
        explain.step(f'remove the tree "{gone}"', walk.remove_tree, gone)

    def _record_lost_end(self) -> None:
        """Record the end of a container whose process and monitor have both died, and clean up after them.

        With --rm the container is removed. Raises NotFound if it is gone.
        """
        held = self.lock.fd >= 0
        try:
            if not held:
                self.lock.acquire()
            state = self.state = State.read(self.directory)
            if not state.running or self.alive():
                return  # the monitor recorded the end just before it exited, or another command repaired the state
            self.clean()
            if self.record.options.remove:
                self.remove_files(volumes=True)
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
