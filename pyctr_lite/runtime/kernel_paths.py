"""`/proc` and `/sys` of a container: the mounts that may cover them or a part of them, and the check for it.

The masked and read-only paths of a container hide files of these two file systems, so a mount over them would
remove that protection (CVE-2019-16884), and a program that reads `/proc/self/…` would read the image's text. A
mountpoint is checked by its descriptor, after all links are followed and before anything is mounted on it: the
path that the kernel reports for a descriptor has no links in it. The mount is then made on that descriptor, so a
link that is swapped meanwhile does not change the result.
"""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

_PROC_FILES = frozenset(
    "/proc/" + name
    for name in (
        "cpuinfo",
        "diskstats",
        "loadavg",
        "meminfo",
        "net/dev",  # `net` is a link to self/net
        "slabinfo",
        "stat",
        "swaps",
        "sys/crypto/fips_enabled",
        "sys/kernel/ns_last_pid",
        "uptime",
    )
)
"""Files in /proc that may be covered, as runc allows it: with lxcfs most of them show the container's limits."""
_SYS_FILES = frozenset(("/sys/devices/system/cpu", "/sys/devices/system/cpu/online"))
"""The same in /sys: with lxcfs they show the container's own CPUs."""
_PROC, _SYSFS = 0x9FA0, 0x62656572
_PSEUDO_FILESYSTEMS = {
    "sysfs": _SYSFS,
    "cgroup": 0x27E0EB,
    "cgroup2": 0x63677270,
    "bpf": 0xCAFE4A11,
    "configfs": 0x62656570,
    "debugfs": 0x64626720,
    "efivarfs": 0xDE5E81E4,
    "fusectl": 0x65735543,
    "pstore": 0x6165676C,
    "resctrl": 0x7655821,
    "securityfs": 0x73636673,
    "selinuxfs": 0xF97CFF8C,
    "tracefs": 0x74726163,
}
"""Kernel file systems that are mounted on or below /sys, by magic number (include/uapi/linux/magic.h)."""
_ROOT_INODE = 1
"""The inode number of the root of any procfs and sysfs."""


def check(root_fd: int, mountpoint_fd: int, destination: str, fstype: str, source: str = "") -> None:
    """Refuse a mount that would cover the kernel's files in /proc or /sys of the root `root_fd`.

    `fstype` is the new file system's type, or "" for a bind of `source`.
    Raises InvalidArgument. Source: runc, libcontainer/rootfs_linux.go, checkProcMount.
    """
    try:
        path = path_in_root(root_fd, mountpoint_fd)
    except OSError as error:  # ENAMETOOLONG
        raise OSError(error.errno, error.strerror, destination) from None
    top = "/" + path[1:].partition("/")[0]
    if top not in ("/proc", "/sys"):
        return
    kind = linux.statfs_type(source) if source else 0
    whole = bool(source) and os.stat(source).st_ino == _ROOT_INODE
    if path == "/proc":
        allowed = fstype == "proc" or (kind == _PROC and whole)
    elif top == "/proc":
        allowed = path in _PROC_FILES or _is_net_dev(path)
    elif path == "/sys":
        allowed = fstype == "sysfs" or (kind == _SYSFS and whole)
    else:
        allowed = (
            fstype in _PSEUDO_FILESYSTEMS
            or kind in _PSEUDO_FILESYSTEMS.values()
            or path in _SYS_FILES
            or _is_hosts_own(source, path)
        )
    if not allowed:
        raise _refused(destination, path, top)


def check_text(destination: str) -> None:
    """Refuse a mountpoint in /proc or /sys that does not exist. Raises InvalidArgument."""
    for top in ("/proc", "/sys"):
        if os.path.normpath(destination).startswith(top + "/"):
            raise _refused(destination, destination, top)


def check_device(root_fd: int, directory_fd: int, path: str) -> None:
    """Refuse a device node in a directory of /proc or /sys. Raises InvalidArgument."""
    directory = path_in_root(root_fd, directory_fd)
    for top in ("/proc", "/sys"):
        if directory == top or directory.startswith(top + "/"):
            raise _refused(path, f"{directory}/{os.path.basename(path)}", top)


def check_proc(root_fd: int) -> None:
    """Check, once all is mounted, that /proc of a root is a whole procfs. Raises InvalidArgument."""
    fd = linux.openat2(root_fd, "proc", linux.O_PATH | os.O_NOFOLLOW, 0, linux.RESOLVE_IN_ROOT)
    with linux.closing(fd):
        if not is_procfs(fd):
            raise InvalidArgument("/proc of the container is covered by another mount")


def is_procfs(fd: int) -> bool:
    """Return whether a descriptor is of the root of a procfs. Needs the host's /proc."""
    return linux.statfs_type(f"/proc/self/fd/{fd}") == _PROC and os.fstat(fd).st_ino == _ROOT_INODE


def path_in_root(root_fd: int, fd: int) -> str:
    """Return the path of a descriptor as a process in the root sees it, without links. Needs the host's /proc."""
    root = os.readlink(f"/proc/self/fd/{root_fd}").rstrip("/")
    return os.readlink(f"/proc/self/fd/{fd}")[len(root) :] or "/"


def _is_hosts_own(source: str, path: str) -> bool:
    """Return whether a bind's source is the host's file at the same path, such as /sys/fs/cgroup."""
    try:
        return bool(source) and os.path.samefile(source, path)
    except FileNotFoundError:
        return False


def _is_net_dev(path: str) -> bool:
    """Return whether a path is /proc/PID/net/dev, to which /proc/net/dev leads through /proc/self."""
    parts = path.split("/")
    return len(parts) == 5 and parts[3:] == ["net", "dev"] and number.is_digits(parts[2])


def _refused(destination: str, path: str, top: str) -> InvalidArgument:
    through = "" if destination == path else f", which leads to {path}"
    return InvalidArgument(
        f"cannot mount on {destination}{through}: it would hide the kernel's own {top}",
        "choose another path in the container",
    )
