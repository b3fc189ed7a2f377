"""One container: what is done to it, and what is true of it now."""

from __future__ import annotations

import _signal
import os
import select

from pyctr_lite import jsonfile
from pyctr_lite.cgroups import group as groups
from pyctr_lite.engine import background
from pyctr_lite.engine.bundle import etc_files, spec
from pyctr_lite.engine.container import removal
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.life import attach, signals
from pyctr_lite.engine.state import lock, record
from pyctr_lite.errors import Conflict, NotFound
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import walk
from pyctr_lite.runtime import bundle as bundles
from pyctr_lite.runtime import state as runtime_state
from pyctr_lite.volumes import bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.engine import Engine


class Container:
    """A container of an engine. `state` is as it was read; `refresh` reads it again and repairs it."""

    def __init__(self, engine: Engine, made: record.Record, state: record.State) -> None:
        self.engine, self.paths, self.record, self.state = engine, engine.paths, made, state
        self.id: str = made.id
        self.directory = engine.paths.container(made.id)
        self.runtime = engine.paths.runtime(made.id)
        self.lock = lock.Lock(f"{self.directory}/lock")
        self._new_bundle: bundles.Bundle | None = None

    @classmethod
    def load(cls, engine: Engine, id: str) -> Container:
        """Read a container by its id. Fails with NotFound where it has gone meanwhile."""
        directory = engine.paths.container(id)
        try:
            container = cls(engine, record.Record.read(directory), record.State.read(directory))
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"No such container: {id[:12]}") from None
        if container.state.running and not container.alive():
            container._repair()
        return container

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    @property
    def group(self) -> groups.Group:
        """Its cgroup."""
        return groups.Group(self.paths.group(self.id))

    def refresh(self) -> record.State:
        """Its state as it is now: what a killed monitor left is repaired first."""
        try:
            self.state = record.State.read(self.directory)
        except FileNotFoundError:
            raise NotFound(f"No such container: {self.id[:12]}") from None
        if self.state.running and not self.alive():
            self._repair()
        return self.state

    def write_new(self) -> None:
        """Put a container on disk that was just made: state, bundle, and last the record, which makes it one."""
        for name in ("upper", "work", "rootfs"):
            os.mkdir(f"{self.directory}/{name}", 0o755)
        self.state.write(self.directory)
        self._new_bundle = self.write_bundle()
        self.record.write(self.directory)
        events.emit(self.paths, "create", self.record)

    def write_bundle(self) -> bundles.Bundle:
        """Derive config.json and the files of /etc from the record, as things stand now (DESIGN 1)."""
        joined = {
            mode: self.engine.running_pid(value.partition(":")[2])
            for mode in spec.JOINABLE
            if (value := getattr(self.record.options, mode)).startswith("container:")
            and (self.state.Status != "created" or self.engine.can_join(value))
        }
        etc_files.write(self)
        self.prepare_sources()
        volumes, group = self.engine.volumes.directory, self.paths.group(self.id)
        config = spec.build(self.record, self.directory, volumes, group, joined)
        jsonfile.write(f"{self.directory}/config.json", config)
        return bundles.Bundle(self.directory, config)

    def prepare_sources(self) -> None:
        """Make the missing sources of -v again, as Docker does: a reboot empties /tmp and /run.

        Raises InvalidArgument if the source of a --mount is missing.
        """
        for mount in self.record.mounts:
            if mount["Type"] == "bind":
                bind.prepare_source(mount["Source"], mount.get("CreateSource", False))

    def start(self, *, foreground: bool = False, size: tuple[int, int] = (0, 0)) -> attach.Attachment | None:
        """Run its program: returns a connection to its output once the program runs, None where it ran already.

        `size` is rows and columns of the terminal. Raises what kept the program from running.
        """
        from pyctr_lite.engine.life import monitor

        self.lock.acquire()
        try:
            state = self.refresh()
            if state.Status == "paused":
                raise Conflict(f"cannot start a paused container, try unpause instead: {self.name}")
            if state.running:
                return None
            state.ManuallyStopped, state.RestartCount = False, 0
            self._end_half_started()
            if removal.is_mounted(self.directory):
                raise Conflict(f"the root of container {self.name} is mounted on the host", "umount it first")
            for mode in spec.JOINABLE:
                value = getattr(self.record.options, mode)
                if value.startswith("container:"):
                    self.engine.running_pid(value.partition(":")[2])
                    self._new_bundle = None  # that pid may be another one by now
            bundle, self._new_bundle = self._new_bundle or self.write_bundle(), None
            return monitor.fork(self, bundle, self.lock, foreground, size)
        finally:
            self.lock.release()

    def attach(self) -> attach.Attachment:
        """Connect to what it writes, and to its stdin. Fails with Conflict where it does not run."""
        if not self.refresh().Pid:
            raise Conflict(f"cannot attach to a stopped container, start it first: {self.name}")
        try:
            return attach.connect(self.runtime, output=True)
        except OSError:
            raise Conflict(f"the monitor of {self.name} was killed: its output is lost", "restart it") from None

    def kill(self, signal: int = _signal.SIGKILL) -> None:
        """Send its first process a signal, and of SIGKILL wait for the end. Fails with Conflict: does not run."""
        state = self.refresh()
        if not state.running:
            raise Conflict(f"cannot kill container: {self.name}: container is not running")
        deadly = signal in (_signal.SIGKILL, signals.number(self.record.stop_signal))
        if deadly and self.record.options.restart and not self._is_left_running():
            return
        events.emit(self.paths, "kill", self.record, signal=str(signal))  # before "die" can be
        signals.send(self.state, signal)
        if signal == _signal.SIGKILL and state.Status == "paused":
            try:
                self.group.thaw()  # a frozen process of cgroup v1 does not even die
            except FileNotFoundError:
                pass  # one of v2 does, and the monitor was quick
        if signal == _signal.SIGKILL:
            explain.step("wait: the monitor takes the cgroup away and records the end", self.wait)

    def stop(self, timeout: int | None = None, signal: int | None = None) -> None:
        """Ask it to end by `signal`, its own stop signal if None; after `timeout` seconds (-1: never) kill it.

        Again is fine.
        """
        state = self.refresh()
        if not state.running:
            return
        if self.record.options.restart and not self._is_left_running():
            return
        if timeout is None:
            given = self.record.options.stop_timeout
            timeout = 10 if given is None else given
        if state.Status == "paused":
            self.unpause()
        pidfd = signals.open_pidfd(self.state)
        if pidfd is not None:
            try:
                signal = signal or signals.number(self.record.stop_signal)
                events.emit(self.paths, "kill", self.record, signal=str(signal))
                _signal.pidfd_send_signal(pidfd, signal)
                poller = select.poll()
                poller.register(pidfd, select.POLLIN)
                if not poller.poll(None if timeout < 0 else min(timeout * 1000, 2**31 - 1)):
                    _signal.pidfd_send_signal(pidfd, _signal.SIGKILL)
            except ProcessLookupError:
                pass
            finally:
                os.close(pidfd)
        self.wait()
        events.emit(self.paths, "stop", self.record)

    def restart(self, timeout: int | None = None, signal: int | None = None) -> None:
        """Stop it, where it runs, and start it again."""
        self.stop(timeout, signal)
        if attachment := self.start():
            attachment.close()
        events.emit(self.paths, "restart", self.record)

    def wait(self) -> int:
        """Wait until it has ended: its exit code. One that another command starts again meanwhile has ended."""
        from pyctr_lite.engine.life import wait

        return wait.until_ended(self)

    def pause(self) -> None:
        """Freeze all its processes. Fails with Conflict where it does not run, or is paused."""
        with self.lock:
            state = self.refresh()
            if state.Status == "paused":
                raise Conflict(f"container {self.name} is already paused")
            if not state.Pid:
                raise Conflict(f"container {self.name} is {'restarting' if state.running else 'not running'}")
            self.group.freeze()
            state.Status = "paused"
            state.write(self.directory)
        events.emit(self.paths, "pause", self.record)

    def unpause(self) -> None:
        """Let its processes go on. Fails with Conflict where it is not paused."""
        with self.lock:
            state = self.refresh()
            if state.Status != "paused":
                raise Conflict(f"container {self.name} is not paused")
            self.group.thaw()
            state.Status = "running"
            state.write(self.directory)
        events.emit(self.paths, "unpause", self.record)

    def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it with its changes and its log; with `volumes` its anonymous volumes too.

        Fails with Conflict while it runs, unless `force` kills it first.
        """
        try:
            while not self._remove_stopped(volumes=volumes):
                if not force:
                    raise Conflict(
                        f"cannot remove container {self.name}: container is {self.state.Status}",
                        "stop it first, or remove it with -f",
                    )
                try:
                    self.kill()
                except Conflict:
                    pass  # it has just ended
        except NotFound:
            return  # another command was first, or --rm
        events.emit(self.paths, "destroy", self.record)

    def _remove_stopped(self, *, volumes: bool) -> bool:
        """Remove it unless it runs: whether it did."""
        with self.lock:
            if self.refresh().running:
                return False
            self._end_half_started()
            self.remove_files(volumes=volumes)
        return True

    def remove_files(self, *, volumes: bool) -> None:
        """Take all of it off the disk; the name first is free when nothing else of it is left."""
        removal.unmount_rootfs(self.directory)
        gone = f"{self.directory}.removing"
        explain.step(f'rename("{self.directory}", "{gone}")', os.rename, self.directory, gone)
        explain.step(f'remove the tree "{gone}"', walk.remove_tree, gone)
        self.engine.names.release(self.name, self.id)
        if volumes:
            for mount in self.record.mounts:
                if mount.get("Anonymous"):
                    self.engine.volumes.remove(mount["Name"], force=True)

    def _is_left_running(self) -> bool:
        """Whether, with its restart policy kept from acting, there is still a process to end."""
        from pyctr_lite.engine.life import restart

        return restart.forbid(self)

    def alive(self) -> bool:
        """Whether its process or its monitor lives, whatever its state says."""
        pids = ((self.state.Pid, self.state.PidStart), (self.state.MonitorPid, self.state.MonitorStart))
        return any(runtime_state.alive(pid, started) for pid, started in pids)

    def _end_half_started(self) -> None:
        """Remove what a monitor that was killed while it started the container left on the host."""
        if os.path.isdir(self.runtime):
            self.clean()

    def clean(self) -> None:
        """Remove what it left on the host: whoever is in its group, the group, the runtime's state."""
        if self.group.exists():
            self.group.kill()
            self.group.remove()
        background.remove_groups(self.paths)
        runtime_state.remove(self.runtime)

    def _repair(self) -> None:
        from pyctr_lite.engine.container import repair

        repair.record_end(self)
