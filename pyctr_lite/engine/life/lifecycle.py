"""The life of a container: start, attach, kill, stop, restart, wait, pause, unpause, remove.  [hot]"""

from __future__ import annotations

import _signal
import select

from pyctr_lite import linux
from pyctr_lite.engine.container import containers, removal
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.life import attach as attachments
from pyctr_lite.engine.life import signals
from pyctr_lite.engine.state import states
from pyctr_lite.errors import Conflict, NotFound
from pyctr_lite.formats.signals import number as signal_number
from pyctr_lite.linux import explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container


def start(
    container: Container, *, foreground: bool = False, size: tuple[int, int] = (0, 0)
) -> attachments.Attachment | None:
    """Start a container. Return a connection to its output once the program runs, None if it was running already.

    `size` is the rows and columns of the terminal. Raises the error that prevented the start, after which a
    container of `--rm` is removed.
    """
    from pyctr_lite.engine.bundle import write
    from pyctr_lite.engine.life import monitor

    failed = False
    container.lock.acquire()
    try:
        state = container.refresh()
        states.require("start", state, container.name)
        if state.running:
            return None
        state.ManuallyStopped, state.RestartCount = False, 0
        removal.clean_half_started(container)
        if removal.is_mounted(container.directory):
            raise Conflict(
                f"the root of container {container.name} is mounted on the host", f"umount {container.name} first"
            )
        for mode in containers.JOINABLE:
            value = getattr(container.record.options, mode)
            if value.startswith("container:"):
                containers.running_pid(container.home, value.partition(":")[2])
                container.new_bundle = None  # it names a pid that may have changed since
        failed = True
        bundle, container.new_bundle = container.new_bundle or write.write_bundle(container), None
        attachment = monitor.fork(container, bundle, container.lock, foreground, size)
        failed = False
        return attachment
    finally:
        container.lock.release()
        if failed and container.record.options.remove:
            remove(container, volumes=True)


def attach(container: Container) -> attachments.Attachment:
    """Connect to a container's output and stdin. Raises Conflict if it does not run."""
    states.require("attach", container.refresh(), container.name)
    try:
        return attachments.connect(container.runtime, output=True)
    except OSError:
        raise Conflict(f"the monitor of {container.name} was killed: its output is lost", "restart it") from None


def kill(container: Container, signal: int = _signal.SIGKILL) -> None:
    """Send a container's first process a signal; wait for the end if it is SIGKILL. Raises Conflict."""
    state = container.refresh()
    states.require("kill", state, container.name)
    deadly = signal in (_signal.SIGKILL, signal_number(container.record.stop_signal))
    if deadly and container.record.options.restart and not _disable_restart(container):
        return
    events.emit(container.paths, "kill", container.record, signal=str(signal))  # before the event "die"
    signals.send(container.state, signal)
    if signal == _signal.SIGKILL and state.paused:
        try:
            container.group.thaw()  # in cgroup v1 even SIGKILL waits until a frozen process is thawed
        except FileNotFoundError:
            pass  # in v2 it does not, and the monitor has already removed the cgroup
    if signal == _signal.SIGKILL:
        explain.step("wait: the monitor removes the cgroup and records the end", wait, container)


def stop(container: Container, timeout: int | None = None, signal: int | None = None) -> None:
    """Send `signal` (None: the stop signal) to end a container; after `timeout` seconds (-1: never) kill it.

    Idempotent.
    """
    state = container.refresh()
    if not state.running:
        return
    if container.record.options.restart and not _disable_restart(container):
        return
    if timeout is None:
        given = container.record.options.stop_timeout
        timeout = 10 if given is None else given
    if state.paused:
        unpause(container)
    pidfd = signals.open_pidfd(container.state)
    if pidfd is not None:
        with linux.closing(pidfd):
            try:
                signal = signal or signal_number(container.record.stop_signal)
                events.emit(container.paths, "kill", container.record, signal=str(signal))
                _signal.pidfd_send_signal(pidfd, signal)
                poller = select.poll()
                poller.register(pidfd, select.POLLIN)
                if not poller.poll(None if timeout < 0 else min(timeout * 1000, 2**31 - 1)):
                    _signal.pidfd_send_signal(pidfd, _signal.SIGKILL)
            except ProcessLookupError:
                pass
    wait(container)
    events.emit(container.paths, "stop", container.record)


def stop_and_keep(container: Container, timeout: int | None = None, signal: int | None = None) -> None:
    """Stop a container as `stop` does, and do not remove it even if it is one of `--rm`."""
    if container.record.options.remove:
        container.keeping.acquire()
    try:
        stop(container, timeout, signal)
    finally:
        container.keeping.release()


def restart(container: Container, timeout: int | None = None, signal: int | None = None) -> None:
    """Stop a container if it is running, and start it."""
    stop_and_keep(container, timeout, signal)
    if attachment := start(container):
        attachment.close()
    events.emit(container.paths, "restart", container.record)


def wait(container: Container) -> int:
    """Wait until a container has ended, and return its exit code.

    The end counts even if another command starts the container again at once.
    """
    from pyctr_lite.engine.life import wait

    return wait.until_ended(container)


def pause(container: Container) -> None:
    """Freeze all processes of a container. Raises Conflict if it does not run, or is paused."""
    with container.lock:
        state = container.refresh()
        states.require("pause", state, container.name)
        container.group.freeze()
        state.Status = states.PAUSED
        state.write(container.directory)
    events.emit(container.paths, "pause", container.record)


def unpause(container: Container) -> None:
    """Thaw the processes of a container. Raises Conflict if it is not paused."""
    with container.lock:
        state = container.refresh()
        states.require("unpause", state, container.name)
        container.group.thaw()
        state.Status = states.RUNNING
        state.write(container.directory)
    events.emit(container.paths, "unpause", container.record)


def remove(container: Container, *, force: bool = False, volumes: bool = False) -> None:
    """Remove a container with its changes and its log; with `volumes` its anonymous volumes too.

    Raises Conflict if it runs, unless `force` kills it first.
    """
    try:
        while not _remove_stopped(container, volumes=volumes):
            if not force:
                states.require("rm", container.state, container.name)
            try:
                kill(container)
            except Conflict:
                pass  # it has just ended
    except NotFound:
        return  # another command or --rm removed it first
    events.emit(container.paths, "destroy", container.record)


def _remove_stopped(container: Container, *, volumes: bool) -> bool:
    """Remove a container unless it runs; return whether it was removed."""
    with container.lock:
        if container.refresh().running:
            return False
        removal.clean_half_started(container)
        removal.remove_files(container, volumes=volumes)
    return True


def _disable_restart(container: Container) -> bool:
    """Disable the restart policy; return whether there is still a process to end."""
    from pyctr_lite.engine.life import restart

    return restart.disable(container)
