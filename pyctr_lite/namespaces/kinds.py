"""The eight kinds of namespace, by the names of /proc/<pid>/ns, of clone(2) and of the OCI runtime spec."""

from __future__ import annotations

import os

from pyctr_lite import linux


class Kind:
    """A kind of namespace: its file in /proc/<pid>/ns, CLONE_NEW* flag, OCI config.json type, and purpose."""

    __slots__ = ("flag", "isolates", "oci", "proc")

    def __init__(self, proc: str, flag: int, oci: str, isolates: str) -> None:
        self.proc, self.flag, self.oci, self.isolates = proc, flag, oci, isolates


KINDS = (
    Kind("user", linux.CLONE_NEWUSER, "user", "user and group ids, capabilities"),
    Kind("cgroup", linux.CLONE_NEWCGROUP, "cgroup", "the root of the cgroup tree"),
    Kind("ipc", linux.CLONE_NEWIPC, "ipc", "System V IPC, POSIX message queues"),
    Kind("uts", linux.CLONE_NEWUTS, "uts", "host name, NIS domain name"),
    Kind("net", linux.CLONE_NEWNET, "network", "interfaces, addresses, routes, ports"),
    Kind("pid", linux.CLONE_NEWPID, "pid", "process ids"),
    Kind("time", linux.CLONE_NEWTIME, "time", "CLOCK_BOOTTIME and CLOCK_MONOTONIC"),
    Kind("mnt", linux.CLONE_NEWNS, "mount", "mount points"),
)
BY_NAME = {kind.proc: kind for kind in KINDS} | {kind.oci: kind for kind in KINDS}


def flags(names: list[str]) -> int:
    """Combine the CLONE_NEW* flags of a list of kinds, by either name. Raises KeyError for an unknown name."""
    word = 0
    for name in names:
        word |= BY_NAME[name].flag
    return word


def identify(pid: int | str = "self") -> dict[str, int]:
    """Return the inode number of each namespace of a process, by its name in /proc/<pid>/ns (`kind.proc`).

    Processes in one namespace get equal numbers. A kernel without time namespaces has no entry `time`, and the
    result leaves it out. Any other missing entry means that there is no such process: FileNotFoundError.
    Source: namespaces(7).
    """
    found = {}
    for kind in KINDS:
        try:
            found[kind.proc] = os.stat(f"/proc/{pid}/ns/{kind.proc}").st_ino
        except FileNotFoundError:
            if kind.proc != "time":  # a kernel without CONFIG_TIME_NS does not have it
                raise
    return found
