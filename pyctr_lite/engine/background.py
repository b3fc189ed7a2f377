"""Helper processes of ours: a container's monitor, the pump of an `exec`, the helper of the API.  [hot]

Each stands beside its caller or outlives it. So it must not end with the caller's session, terminal or service
(systemd ends all that is in a service's cgroup), not hold its working directory or descriptors, and not run as the
caller happened to be set up (caller.py). Each is forked by `start`, and leaves its caller by `leave_caller`.

Their group is /pyctr_lite/helpers, beside those of the containers: neither limited nor frozen with one. It is made
only in those hierarchies in which the caller has a group other than the root. The last process in it removes it
and the engine's own (`remove_groups`): rmdir(2) fails as long as another is in it.
"""

from __future__ import annotations

import _signal
import errno
import os

from pyctr_lite import linux
from pyctr_lite.cgroups import group as groups
from pyctr_lite.cgroups import hierarchy as hierarchies
from pyctr_lite.linux import explain, kernelfile
from pyctr_lite.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.engine.state.paths import Paths


def start(paths: Paths, body: Callable[[], None], failed: Callable[[BaseException], None]) -> None:
    """Fork a helper that runs `body`, which calls `leave_caller` first. `failed` is called with what it raises.

    However that goes, the helper leaves its group at the end. It is born in its group of cgroup version 2: moving
    there later takes 5 to 20 ms. Only for a process with one thread.
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
    """Leave the caller's session, terminal, directory, groups, descriptors and whatever else it has set.

    `keep` are descriptors to hold; the narration's is held too. Standard descriptors become /dev/null.
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
    sink, explain.sink = explain.sink, None  # none of this is a step of the container's
    try:
        channels.close_all_but(keep if sink is None else keep | {sink})
        _reset_process()
        group = _group(paths, _confining(paths))
        _enter(group, group.enter)
    finally:
        explain.sink = sink


def end(paths: Paths) -> None:
    """Leave the helpers' group, and remove it unless another is in it. The caller exits next.

    It goes to the root's group, where that is allowed; else the next command removes the group.
    """
    explain.sink = None
    for mount, path in hierarchies.groups_of_caller():
        if path == paths.helpers:
            try:
                kernelfile.write(f"{mount.mountpoint}/{'tasks' if mount.version == 1 else 'cgroup.procs'}", "0")
            except OSError:
                pass  # in a container of another engine, where the root's group cannot have processes
    remove_groups(paths)


def remove_groups(paths: Paths) -> None:
    """Remove the helpers' group and the engine's own, where nothing is in them any more. Idempotent.

    One in which a container is just being started is not empty, or its starter makes it again
    (`controllers.make_directory`).
    """
    for mount in hierarchies.current().mounts:
        for path in (paths.helpers, paths.cgroup):
            try:
                os.rmdir(mount.mountpoint + path)
            except OSError:
                pass  # in use, or not there


def _reset_process() -> None:
    """Be scheduled and treated as what a service manager starts: a container is not to be more, nor to be less."""
    try:
        kernelfile.write("/proc/self/oom_score_adj", "0")
    except OSError:
        pass  # lowering it takes CAP_SYS_RESOURCE
    linux.personality(0)
    if os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK in (os.SCHED_FIFO, os.SCHED_RR):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # a group has no real-time budget: EINVAL
    if linux.prctl(linux.PR_GET_SECUREBITS):
        try:
            linux.prctl(linux.PR_SET_SECUREBITS, 0)
        except PermissionError:
            pass  # they are locked


def _confining(paths: Paths) -> list[hierarchies.HierarchyMount]:
    """The hierarchies in which the caller is in a group of somebody's: not the root, and not the helpers'."""
    return [mount for mount, path in hierarchies.groups_of_caller() if path not in ("/", paths.helpers)]


def _group(paths: Paths, mounts: list[hierarchies.HierarchyMount]) -> groups.Group:
    return groups.Group(paths.helpers, hierarchies.Hierarchy(mounts))


def _enter(group: groups.Group, enter: Callable[[], int | None]) -> int:
    """Make a group and put a process into it, again when another process removes it in between."""
    while True:
        group.create()
        try:
            return enter() or 0
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise


def _fork_into(group: groups.Group) -> int:
    place = group.fd_for_clone()
    assert place is not None
    try:
        pid, pidfd = linux.clone3(0, place)
    finally:
        os.close(place)
    if pid:
        os.close(pidfd)
    return pid
