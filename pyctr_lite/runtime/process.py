"""A process's limits, groups, ids, capabilities, environment and directory, set before its program runs.

From the `process` object of the OCI runtime spec (config.md).
"""

from __future__ import annotations

import _signal
import errno
import os
import stat

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.linux import explain, kernelfile
from pyctr_lite.rootfs import target
from pyctr_lite.runtime import capabilities
from pyctr_lite.runtime import seccomp as seccomps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_NULL = os.makedev(1, 3)


_SCHEDULING = ("scheduler", "ioPriority", "execCPUAffinity", "memoryPolicy", "personality")
_OF_THE_CONTAINER = ("memoryPolicy", "personality")


def inherit(process: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Return a `process` object with what the container's `linux` object sets for each of its processes.

    The memory policy and the personality, under their names in `linux`. Call it for an exec's object, too; a
    `Bundle` has it done for its own.
    """
    own = {name: value for name, value in process.items() if name not in _OF_THE_CONTAINER}
    return own | {name: config[name] for name in _OF_THE_CONTAINER if config.get(name) is not None}


def check(process: dict[str, Any], config: dict[str, Any]) -> None:
    """Check a `process` object and what the container's `linux` object sets for its processes.

    Raises InvalidArgument for values that the kernel would refuse later, or without a reason.
    """
    if process.get("rlimits"):
        from pyctr_lite.runtime import rlimits

        rlimits.check(process["rlimits"])
    if any(process.get(name) is not None or config.get(name) is not None for name in _SCHEDULING):
        from pyctr_lite.runtime import scheduling

        scheduling.check_process(process)
        scheduling.check_linux(config)
    if process.get("apparmorProfile") or process.get("selinuxLabel") or config.get("mountLabel"):
        from pyctr_lite.runtime import labels

        labels.check(process, config)
    if config.get("intelRdt"):
        from pyctr_lite.runtime import resctrl

        resctrl.check(config["intelRdt"])


def prepare(process: dict[str, Any]) -> None:
    """Import what `confine` needs for a `process` object: inside, nothing can be imported any more."""
    if process.get("rlimits"):
        from pyctr_lite.runtime import rlimits  # noqa: F401
    if any(process.get(name) is not None for name in _SCHEDULING):
        from pyctr_lite.runtime import scheduling  # noqa: F401
    if process.get("apparmorProfile") or process.get("selinuxLabel"):
        from pyctr_lite.runtime import labels  # noqa: F401


_MAX_CPUS = 1024
"""As many as a cpu_set_t has (CPU_SET(3))."""


def set_attributes(pid: int, process: dict[str, Any], *, all_cpus: bool) -> None:
    """Set the OOM score and the scheduling of a process (0: the caller) that has just entered its cgroup.

    With `all_cpus` it may run on every CPU that its cgroup allows, otherwise on those of the runtime's caller.
    Raises PyctrError if the kernel refuses a value.
    """
    _set_oom_score(pid or "self", process)
    if all_cpus:
        try:
            os.sched_setaffinity(pid, range(_MAX_CPUS))
        except OSError:
            pass  # no CPU of the cgroup is online, or the process has exited: later steps report that
    if process.get("scheduler") or process.get("ioPriority"):
        from pyctr_lite.runtime import scheduling

        scheduling.set_early(pid, process)


def prepare_exec(process: dict[str, Any], enter_group: Callable[[], None], *, all_cpus: bool) -> None:
    """Set what an exec's process sets for itself, or for its children, before it enters the container.

    `enter_group` moves the caller into the cgroup. Raises PyctrError if the kernel refuses a value.
    """
    _set_affinity("initial", process)
    enter_group()
    set_attributes(0, process, all_cpus=all_cpus)
    _set_affinity("final", process)
    set_exec_labels(process)


def set_exec_labels(process: dict[str, Any]) -> None:
    """Set the AppArmor profile or SELinux label of the program. Only while /proc is the host's (`labels`)."""
    if process.get("apparmorProfile") or process.get("selinuxLabel"):
        from pyctr_lite.runtime import labels  # `prepare` has imported it

        labels.set_exec_labels(process)


def _set_oom_score(pid: int | str, process: dict[str, Any]) -> None:
    """Set a process's OOM score, -1000 to 1000 (proc_pid_oom_score_adj(5)). Raises PyctrError if not permitted."""
    score = process.get("oomScoreAdj")
    if score is None:
        return
    try:
        kernelfile.write(f"/proc/{pid}/oom_score_adj", str(score))
    except PermissionError:
        raise PyctrError(
            f"--oom-score-adj {score}: not permitted here",
            "lowering the score needs CAP_SYS_RESOURCE, which this machine does not give",
        ) from None


def _set_affinity(when: str, process: dict[str, Any]) -> None:
    if process.get("execCPUAffinity"):
        from pyctr_lite.runtime import scheduling  # `prepare` has imported it

        scheduling.set_affinity(when, process)


def forks_only_before(process: dict[str, Any]) -> bool:
    """Return whether `confine` must come after the caller's last fork (`scheduling.is_late`)."""
    if not process.get("scheduler"):
        return False
    from pyctr_lite.runtime import scheduling  # `prepare` has imported it

    return scheduling.is_late(process)


def raise_hard_limits(pid: int, process: dict[str, Any]) -> None:
    """Raise the hard limits of a process (0: the caller) to those of its program (`rlimits.raise_hard_limits`)."""
    if process.get("rlimits"):
        from pyctr_lite.runtime import rlimits

        rlimits.raise_hard_limits(pid, process["rlimits"])


def give_pipes(fds: tuple[int, ...], uid: int, gid: int) -> None:
    """Make a user the owner of its pipes, to let it reopen them by /dev/stdout. Other files keep their owner."""
    for fd in fds:
        if fd >= 0 and stat.S_ISFIFO(os.fstat(fd).st_mode):
            try:
                os.fchown(fd, uid, gid)
            except OSError:
                pass  # in a user namespace: the launcher did it before


def give_pipes_inside(pid: int, process: dict[str, Any], fds: tuple[int, ...]) -> None:
    """Give a program's pipes to its user in the user namespace of `pid`: a process in there may not chown them."""
    from pyctr_lite.namespaces import idmap

    user = process.get("user") or {}
    give_pipes(fds, *idmap.outside(pid, user.get("uid", 0), user.get("gid", 0)))


def become(process: dict[str, Any]) -> None:
    """Apply a `process` object's ids, groups, bounding set and umask to the caller.

    The caller keeps its permitted capabilities until `confine`.
    """
    user = process.get("user") or {}
    uid, gid = user.get("uid", 0), user.get("gid", 0)
    if uid != 0:
        give_pipes((0, 1, 2), uid, gid)
    sets = process.get("capabilities") or {}
    capabilities.limit_bounding_set(sets)
    linux.prctl(linux.PR_SET_KEEPCAPS, 1)
    _set_ids(uid, gid, user.get("additionalGids") or [])
    linux.prctl(linux.PR_SET_DUMPABLE, 0)  # setresuid(2) has set it to fs.suid_dumpable
    if user.get("umask") is not None:
        os.umask(user["umask"])
    if process.get("memoryPolicy") is not None or process.get("personality") is not None:
        from pyctr_lite.runtime import scheduling  # `prepare` has imported it

        scheduling.set_policies(process)
    if uid == 0:  # setresuid(2) clears the effective set of any other user; `confine` regains it
        capabilities.put_down(sets)


def confine(process: dict[str, Any], filter: seccomps.Filter | None) -> None:
    """Apply the program's limits, its seccomp filter and its capabilities to the caller.

    The last step before the exec, so the limits and the filter need to allow only that. Installing a filter takes
    no_new_privs or CAP_SYS_ADMIN: without the first the filter is installed before capabilities are dropped.
    """
    limits, no_new_privs = process.get("rlimits") or [], bool(process.get("noNewPrivileges"))
    if limits or filter is not None or process.get("scheduler"):
        capabilities.regain()
    if process.get("scheduler"):
        from pyctr_lite.runtime import scheduling  # `prepare` has imported it

        scheduling.set_late(process)
    if limits:
        from pyctr_lite.runtime import rlimits  # `prepare` has imported it

        rlimits.set_limits(limits)
    if no_new_privs:
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    elif filter is not None:
        filter.install()
    capabilities.apply(process.get("capabilities") or {})
    if no_new_privs and filter is not None:
        filter.install()


def enter_directory(root_fd: int, cwd: str) -> str:
    """Change to the working directory in the root, and return its path without links.

    It is opened inside the root, without magic links, and getcwd(2) confirms that it lies there (CVE-2024-21626).
    Raises InvalidArgument.
    """
    try:
        with linux.closing(target.open_in_root(root_fd, cwd, linux.O_PATH | os.O_DIRECTORY)) as fd:
            explain.step(f'fchdir("{cwd}")', os.fchdir, fd)
    except OSError as error:
        raise no_working_directory(cwd, error) from None
    found = os.getcwd()
    if not found.startswith("/"):
        raise InvalidArgument(f"working directory {cwd}: outside the container's root")
    return found


def no_working_directory(cwd: str, error: OSError) -> InvalidArgument:
    """Return the error for a working directory that cannot be created or entered."""
    text = os.strerror(error.errno or 0).lower()
    return InvalidArgument(
        f"working directory {cwd}: {text}", "it must be a directory inside the container: chdir(2)"
    )


def open_null(root_fd: int) -> int:
    """Return a descriptor for an empty stdin: the root's own null device, or the reading end of a closed pipe.

    Not the host's null device: chmod(2) on /proc/self/fd/0 would change the host's device.
    """
    try:
        fd = target.open_in_root(root_fd, "/dev/null", os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        fd = -1
    if fd >= 0:
        found = os.fstat(fd)
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == _NULL:
            os.set_blocking(fd, True)
            return fd
        os.close(fd)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.close(writer)
    return reader


def end_on_signals() -> None:
    """Let HUP, INT, QUIT and TERM end the caller.

    For PID 1 of a namespace the kernel ignores a signal that has no handler (pid_namespaces(7)).
    """
    for number in (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM):
        _signal.signal(number, lambda got, _: os._exit(128 + got))


def reset_signals() -> None:
    """Reset every signal to its default action: exec keeps those ignored by Python, the monitor or its caller."""
    for number in range(1, 65):
        if number not in (_signal.SIGKILL, _signal.SIGSTOP):
            linux.default_signal(number)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, [])


def _set_ids(uid: int, gid: int, groups: list[int]) -> None:
    try:
        explain.step(f"setgroups({groups})", os.setgroups, groups)
    except PermissionError:
        # A user namespace may deny setgroups(2); then the process keeps its groups.
        if groups:
            raise
    try:
        explain.step(f"setresgid({gid})", os.setresgid, gid, gid, gid)
        explain.step(f"setresuid({uid})", os.setresuid, uid, uid, uid)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise InvalidArgument(f"user {uid}:{gid} has no id in the container's user namespace") from None
