"""Find, name and remove the leftovers of a test: mounts, cgroups, processes, links, files.

A leftover is removed with everything that runs in it, and the machine is shared. So only what belongs to this test
by its name or its path is looked at.
"""

from __future__ import annotations

import hashlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pyctr_lite.linux import mountinfo
from tests import network_leaks

DIRECTORIES = [Path("/run/pyctr_lite"), Path("/var/lib/pyctr_lite")]
"""The default state directories: no test may touch them."""
LINKS = Path("/usr/local/bin")


def cgroup_name(root: Path) -> str:
    """Return the name of a state directory's cgroup, the parent of its containers' groups."""
    return "pyctr_lite-" + hashlib.sha256(os.fsencode(root)).hexdigest()[:8]


@dataclass(frozen=True)
class Snapshot:
    """The mounts, cgroups, files and parts of networks on the machine that can belong to the test."""

    mounts: dict[int, str]
    groups: frozenset[Path]
    files: frozenset[Path]
    networks: dict[str, Callable[[], object]] = field(default_factory=dict)

    @classmethod
    def take(cls, tmp_path: Path) -> Snapshot:
        files = {path for top in DIRECTORIES for path in _entries(top)}
        files |= {path for path in _entries(LINKS) if path.name.startswith("pyctr")}
        networks = network_leaks.find(tmp_path)
        return cls(_mounts(tmp_path), frozenset(_groups(tmp_path)), frozenset(files), networks)

    def new_since(self, before: Snapshot) -> list[str]:
        """Return one line for each difference from an earlier snapshot."""
        return [
            *(f"mount {text}" for number, text in self.mounts.items() if number not in before.mounts),
            *(f"cgroup {group}" for group in sorted(self.groups - before.groups)),
            *(line for line in self.networks if line not in before.networks),
            *(f"file {path}" for path in sorted(self.files - before.files)),
            *(f"removed: {path}" for path in sorted(before.files - self.files)),
        ]

    def remove_new_since(self, before: Snapshot) -> None:
        """Remove new mounts, cgroups and parts of networks, which would fail the next tests. Files stay."""
        for number, text in reversed(self.mounts.items()):
            if number not in before.mounts:
                subprocess.run(["umount", "--lazy", text.split(" ")[0]], check=False)
        for group in sorted(self.groups - before.groups):
            _end_group(group)
        for line, remove in self.networks.items():
            if line not in before.networks:
                remove()


def _entries(directory: Path) -> list[Path]:
    """Return the paths in a directory and one level below."""
    try:
        first = list(directory.iterdir())
    except OSError:
        return []
    return first + [below for path in first if path.is_dir() and not path.is_symlink() for below in path.iterdir()]


def _mounts(tmp_path: Path) -> dict[int, str]:
    """Return the mounts in the test's directory or a default one, or with files or layers from the test's."""
    ours = {}
    parents = [str(tmp_path), *map(str, DIRECTORIES)]
    for mount in mountinfo.mounts():
        options = ",".join(mount.super_options)
        from_here = str(tmp_path) in (mount.source, mount.root) or str(tmp_path) + "/" in (
            f"{mount.source}/ {mount.root}/ {options}"
        )
        if from_here or any(
            mount.mountpoint == parent or mount.mountpoint.startswith(parent + "/") for parent in parents
        ):
            ours[mount.id] = f"{mount.mountpoint} ({mount.fstype})"
    return ours


def hierarchies() -> list[Path]:
    """Return the mount points of cgroups: version 2, and each hierarchy of version 1."""
    return [Path(mount.mountpoint) for mount in mountinfo.mounts() if mount.fstype in ("cgroup", "cgroup2")]


def _groups(tmp_path: Path) -> set[Path]:
    """Return the cgroups named after one of the test's directories or after this process."""
    names = {cgroup_name(tmp_path)}
    for top in _entries(tmp_path):
        names.add(cgroup_name(top))
    groups = set()
    for hierarchy in hierarchies():
        for group in hierarchy.glob("*pyctr*"):
            if group.name in names or _has_our_pid(group.name):
                groups |= {Path(path) for path, _, _ in os.walk(group)}
    return groups


def _has_our_pid(name: str) -> bool:
    """Check if our pid is a word of the name, as in `pyctr_test_4711`; a hash may have its digits by chance."""
    return str(os.getpid()) in re.split(r"[-_.]", name)


def end_groups(name: str, *, only_empty: bool) -> None:
    """Remove the group of this name from every hierarchy, unless `only_empty` with all that runs in it."""
    for hierarchy in hierarchies():
        group = hierarchy / name
        if group.is_dir():
            if only_empty:
                try:
                    group.rmdir()
                except OSError:
                    continue  # not empty: leaves_nothing reports it
            else:
                _end_group(group)


def _end_group(top: Path) -> None:
    for group in sorted((Path(path) for path, _, _ in os.walk(top)), key=lambda path: -len(path.parts)):
        try:
            for name, text in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                if (group / name).exists():
                    (group / name).write_text(text)
            end({int(pid): "" for pid in (group / "cgroup.procs").read_text().split()})
            group.rmdir()
        except OSError:
            continue


def children() -> dict[int, str]:
    """Return our running children with their command lines, and reap those that have ended."""
    found: dict[int, str] = {}
    for pid in children_of(os.getpid()):
        if pid in found:
            continue
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
            command = (
                Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            )
        except OSError:
            continue
        if state in "ZX":
            _reap(pid)
        else:
            found[pid] = command or "?"
    return found


def children_of(pid: int) -> list[int]:
    """Return the children of all threads of a process; [] if the process has ended."""
    try:
        return [int(child) for task in os.listdir(f"/proc/{pid}/task") for child in _children_of(pid, task)]
    except OSError:
        return []


def _children_of(pid: int, task: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/task/{task}/children").read_text().split()
    except OSError:
        return []  # the thread ended


def wait_for_children(*, known: dict[int, str], seconds: float) -> dict[int, str]:
    """Wait for children that are not `known` to end, and return those that still run after `seconds`."""
    deadline = time.monotonic() + seconds
    while left := {pid: command for pid, command in children().items() if pid not in known}:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        _wait(next(iter(left)), remaining)
    return left


def end(processes: dict[int, str]) -> None:
    """Kill processes and wait until they are gone."""
    for pid in processes:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        _wait(pid, 5)
        _reap(pid)


def _wait(pid: int, seconds: float) -> None:
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        select.select([fd], [], [], seconds)
    finally:
        os.close(fd)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass  # not our child, or already reaped
