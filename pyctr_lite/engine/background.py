"""The engine's helper processes: a container's monitor, the pump of an `exec`, the helper of the API.  [hot]

A helper runs beside its caller or outlives it. So it must not end with the caller's session, terminal or service
(systemd ends everything in a service's cgroup), must not hold the caller's working directory or descriptors, and
must not inherit the caller's settings (caller.py). `start` forks a helper; `leave_caller` detaches it.

The helpers' cgroup is /pyctr_lite/helpers, beside those of the containers, so that no limit or freeze of a
container applies to a helper. It is made only in the hierarchies in which the caller has a group other than the
root. The last process in it removes it, and then the engine's own group (`remove_groups`): rmdir(2) fails while
others are in it.
"""

from __future__ import annotations

import _signal
import errno
import gc
import os

from pyctr_lite import linux
from pyctr_lite.cgroups import group as groups
from pyctr_lite.cgroups import hierarchy as hierarchies
from pyctr_lite.linux import explain, kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.engine.state.paths import Paths


def start(paths: Paths, body: Callable[[], None], failed: Callable[[BaseException], None]) -> None:
    """Fork a helper that runs `body`, which must call `leave_caller` first. `failed` gets an exception of `body`.

    In any case the helper leaves its group at the end. In cgroup version 2 it is created in its group, because
    moving there later takes 5 to 20 ms. Only for a process with one thread.
    """
    group = _group(paths, [mount for mount in _confining(paths) if mount.version == 2])
    pid = _enter(group, lambda: _fork_into(group)) if group.directories else os.fork()
    if pid:
        return
    try:
        try:
            body()
        except BaseException as error:
            failed(error)
        finally:
            end(paths)
    finally:
        os._exit(0)


def leave_caller(paths: Paths, keep: set[int]) -> None:
    """Leave the caller's session, terminal, directory, groups and descriptors, and reset its process settings.

    `keep` are descriptors that stay open, as does the narration's. Other standard descriptors become /dev/null.
    """
    os.setsid()
    os.chdir("/")
    os.umask(0o022)
    for number in (_signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT):
        _signal.signal(number, _signal.SIG_IGN)
    for number in (_signal.SIGTERM, _signal.SIGWINCH, _signal.SIGCHLD):
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for fd in {0, 1, 2} - keep:
        os.dup2(null, fd)
    sink, explain.sink = explain.sink, None  # these calls are not steps of the container
    try:
        linux.close_all_but(keep if sink is None else keep | {sink})
        _reset_process()
        group = _group(paths, _confining(paths))
        _enter(group, group.enter)
    finally:
        explain.sink = sink


def end(paths: Paths) -> None:
    """Leave the helpers' group for the root group, and remove it if it is empty. The helper exits next.

    If the helper may not enter the root group, the next command removes the helpers' group.
    """
    explain.sink = None
    for mount, path in hierarchies.groups_of_caller():
        if path == paths.helpers:
            try:
                kernelfile.write(f"{mount.mountpoint}/{'tasks' if mount.version == 1 else 'cgroup.procs'}", "0")
            except OSError:
                pass  # in a container of another engine, the root group cannot have processes
    remove_groups(paths)


def remove_groups(paths: Paths) -> None:
    """Remove the helpers' group and the engine's own if they are empty. Idempotent.

    This is safe while another command starts a container: that command makes the group again
    (`controllers.make_directory`).
    """
    for mount in hierarchies.current().mounts:
        for path in (paths.helpers, paths.cgroup):
            try:
                os.rmdir(mount.mountpoint + path)
            except OSError:
                pass  # in use, or missing


def _reset_process() -> None:
    """Reset scheduling, OOM score, personality and securebits: containers must not inherit the caller's."""
    try:
        kernelfile.write("/proc/self/oom_score_adj", "0")
    except OSError:
        pass  # lowering it takes CAP_SYS_RESOURCE
    linux.personality(0)
    if os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK in (os.SCHED_FIFO, os.SCHED_RR):
        # A cgroup without a real-time budget refuses a real-time process with EINVAL.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if linux.prctl(linux.PR_GET_SECUREBITS):
        try:
            linux.prctl(linux.PR_SET_SECUREBITS, 0)
        except PermissionError:
            pass  # they are locked


def _confining(paths: Paths) -> list[hierarchies.HierarchyMount]:
    """Return the hierarchies in which the caller's group is neither the root nor the helpers' group."""
    return [mount for mount, path in hierarchies.groups_of_caller() if path not in ("/", paths.helpers)]


def _group(paths: Paths, mounts: list[hierarchies.HierarchyMount]) -> groups.Group:
    return groups.Group(paths.helpers, hierarchies.Hierarchy(mounts))


def _enter(group: groups.Group, enter: Callable[[], int | None]) -> int:
    """Create a group and call `enter`, which puts a process into it; retry if the group was removed in between.

    An empty group can be removed at any time, also while `create` writes its files.
    """
    while True:
        try:
            group.create()
            return enter() or 0
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise


def _fork_into(group: groups.Group) -> int:
    group_fd = group.fd_for_clone()
    assert group_fd is not None
    try:
        pid, pidfd = linux.clone3(0, group_fd)
    finally:
        os.close(group_fd)
    if pid:
        os.close(pidfd)
    return pid


def collect_garbage() -> None:
    """Free a helper's garbage; at the first call, freeze what is there.

    A collection writes into each object, which copies pages that are shared with the caller. But what is frozen
    is never freed, garbage included: a monitor grew by 60 kB at each restart.
    """
    if gc.isenabled():
        gc.collect()
    else:
        gc.freeze()
        gc.enable()
