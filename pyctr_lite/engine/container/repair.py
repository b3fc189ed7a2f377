"""A container whose process and monitor have both gone without a word: its record is put right."""

from __future__ import annotations

from pyctr_lite.engine.state import record
from pyctr_lite.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container

UNKNOWN_EXIT = 255
"""The exit code of a container whose end nobody saw: its monitor was killed before."""


def record_end(container: Container) -> None:
    """Record the end, and remove what they left on the host; with --rm all of it: then it fails with NotFound."""
    held = container.lock.fd >= 0
    try:
        if not held:
            container.lock.acquire()
        state = container.state = record.State.read(container.directory)
        if not state.running or container.alive():
            return  # the monitor recorded the end just before it ended, or another command was here first
        container.clean()
        if container.record.options.remove:
            container.remove_files(volumes=True)
            raise NotFound(f"No such container: {container.id[:12]}")
        if state.Status == "restarting":
            state.Error = "the monitor was killed before it could restart the container"
        else:
            state.ExitCode, state.FinishedAt = UNKNOWN_EXIT, record.now()
            state.Error = "the monitor was killed before it could see how the container ended"
        state.Status, state.Pid, state.PidStart = "exited", 0, 0
        state.write(container.directory)
    except FileNotFoundError:
        raise NotFound(f"No such container: {container.id[:12]}") from None
    finally:
        if not held:
            container.lock.release()
