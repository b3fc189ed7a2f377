"""Where a learner's functions are tried: whatever they do, it ends, and the machine is as before.

A command runs as PID 1 of its own PID, mount, IPC and network namespaces and in a control group that bounds its
processes and memory. When it ends or its time is up, all its processes end with it, its mounts, links and packet
filters vanish, and its groups are removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pyctr_lite import linux
from pyctr_lite.cgroups import group as groups
from pyctr_lite.cgroups import hierarchy, limits
from pyctr_lite.engine.state import paths
from pyctr_lite.engine.stores.networks import Networks
from pyctr_lite.errors import PyctrError
from pyctr_lite.namespaces import create, network

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PIDS = 400
MEMORY = 1 << 30


class Outcome:
    """How a run ended: its exit status, or why it was ended; `forks_refused` tells of a fork bomb."""

    def __init__(self, status: int, timed_out: bool, forks_refused: int) -> None:
        self.status, self.timed_out, self.forks_refused = status, timed_out, forks_refused


def run(command: Sequence[str], output: Path, directory: Path, token: str, seconds: float) -> Outcome:
    """Run a command to its end or for so many seconds, its output to a file.

    `output` and `directory` lie in a directory of our own (`scratch`). `directory` is the command's TMPDIR: it is
    made if it is missing, and removed with all that is in it, and so is every group whose name has `token` and
    those of an engine whose state directory is `engine` in it.
    Raises RuntimeError in a process with several threads (see `screen.doing`).
    """
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("checks fork, and this process has several threads")
    group = groups.Group(f"/pyctr_lite-labs-{token}")
    directory.mkdir(mode=0o700, exist_ok=True)
    group.create()
    try:
        group.apply(limits.Limits(pids=PIDS, memory=MEMORY))
        born_in = group.fd_for_clone()
        flags = linux.CLONE_NEWPID | linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWNET

        def child() -> None:
            group.enter(born_in_v2=born_in is not None)
            linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
            linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
            network.bring_up_loopback()
            os.setsid()
            file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND, 0o600)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.execve(
                command[0], list(command), {**os.environ, "TMPDIR": str(directory), "PYCTR_LABS_TOKEN": token}
            )

        pid, pidfd = create.spawn(flags, child, born_in)
        if born_in is not None:
            os.close(born_in)
        try:
            timed_out = not select.select([pidfd], [], [], seconds)[0]
        finally:
            os.kill(pid, 9)  # PID 1 of its namespace: all others in it are killed with it
            thaw(str(top) for top in _groups(token))  # but for those that are frozen: it waits for them
            _, status = os.waitpid(pid, 0)
            os.close(pidfd)
        return Outcome(os.waitstatus_to_exitcode(status), timed_out, _forks_refused(group))
    finally:
        remove_groups(token)
        remove_groups(paths.Paths(str(directory / "engine")).cgroup.strip("/"))
        shutil.rmtree(directory, ignore_errors=True)


def _forks_refused(group: groups.Group) -> int:
    path = Path(f"{group.directory('pids')}/pids.events")
    return int(path.read_text().split()[1]) if path.exists() else 0


def remove_groups(name: str) -> None:
    """Remove every group at the top of a hierarchy that has this in its name, and all below it."""
    found = _groups(name)
    thaw(str(top) for top in found)
    for top in found:
        for place, _, _ in os.walk(top, topdown=False):
            remove_group(Path(place))


def remove_networks(root: str) -> None:
    """Remove the bridges of an engine whose state directory is about to be removed."""
    networks = Networks(paths.Paths(root))
    for each in networks.list():
        with contextlib.suppress(PyctrError):  # a container of it could not be removed
            networks.discard(each)


def remove_group(place: Path) -> None:
    """Kill what is in one group and remove it, by hand; one that has gone is fine. Those below it go first."""
    deadline = time.monotonic() + 5
    while True:
        try:
            for pid in _members(place):
                os.kill(pid, 9)
            place.rmdir()
            return
        except FileNotFoundError:
            return
        except (OSError, ProcessLookupError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _members(place: Path) -> list[int]:
    """The processes of one group. A threaded one lists no processes, only its threads."""
    try:
        text = (place / "cgroup.procs").read_text()
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        text = (place / "cgroup.threads").read_text()
    return [int(line) for line in text.split()]


def thaw(directories: Iterable[str]) -> None:
    """Let the processes of groups and of those below them go on, in either version."""
    for directory in directories:
        for place, _, files in os.walk(directory):
            for file, text in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                if file in files:
                    with contextlib.suppress(OSError):  # it has gone meanwhile: ENOENT, ENODEV
                        Path(place, file).write_text(text)


def _groups(name: str) -> list[Path]:
    tops = [top for mount in hierarchy.detect().mounts for top in Path(mount.mountpoint).iterdir()]
    return [top for top in tops if top.is_dir() and name in top.name]
