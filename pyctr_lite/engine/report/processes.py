"""`top` and `stats`: a container's processes and their resource usage."""

from __future__ import annotations

import os

from pyctr_lite.engine.state import states
from pyctr_lite.linux import kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cgroups.stats import Stats
    from pyctr_lite.engine.container.container import Container

TITLES = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]


def top(container: Container) -> list[list[str]]:
    """Return the container's processes as `ps -ef` on the host shows them: rows with the columns `TITLES`."""
    _check_running(container)
    pids = [pid for pid in sorted(container.group.pids()) if not _is_starter(pid, container.state.Pid)]
    return [row for pid in pids if (row := _row(pid))]


def _is_starter(pid: int, first: int) -> bool:
    """Return whether a process is in the caller's pid namespace, not the container's: it is starting an exec."""
    try:
        namespace, own = os.stat(f"/proc/{pid}/ns/pid").st_ino, os.stat("/proc/self/ns/pid").st_ino
        return namespace == own != os.stat(f"/proc/{first}/ns/pid").st_ino
    except OSError:
        return True  # the process has just ended


def stats(container: Container) -> Stats:
    """Return the resource usage of a container's cgroup. Raises Conflict if the container does not run."""
    from pyctr_lite.cgroups import stats as cgroup_stats

    _check_running(container)
    return cgroup_stats.read(container.group)


def network_bytes(container: Container) -> tuple[int, int]:
    """Return the bytes received and sent by a container's own network interfaces, except `lo`."""
    received = sent = 0
    if container.record.options.network == "host":
        return 0, 0  # as in Docker: they are not the container's
    try:
        text = kernelfile.read(f"/proc/{container.state.Pid}/net/dev")
    except OSError:
        return 0, 0
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        fields = numbers.split()
        if name.strip() != "lo" and len(fields) >= 9:
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return received, sent


def _check_running(container: Container) -> None:
    states.require("top", container.refresh(), container.name)


def _row(pid: int) -> list[str] | None:
    import time

    try:
        fields = kernelfile.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        command = kernelfile.read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
        name = kernelfile.read(f"/proc/{pid}/comm")
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None  # the process has just ended
    ticks = os.sysconf("SC_CLK_TCK")
    used = (int(fields[11]) + int(fields[12])) // ticks
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    age = uptime - int(fields[19]) / ticks
    started = time.localtime(time.time() - age)
    hours, rest = divmod(used, 3600)
    terminal = int(fields[4])
    tty = f"pts/{os.minor(terminal)}" if os.major(terminal) >= 136 else "?"
    share = min(99, int(100 * used / age)) if age >= 1 else 0
    return [
        _user_name(uid),
        str(pid),
        fields[1],
        str(share),
        time.strftime("%H:%M", started),
        tty,
        f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}",
        command or f"[{name}]",
    ]


def _user_name(uid: int) -> str:
    """Return the host's name for a user, as `ps` does."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
