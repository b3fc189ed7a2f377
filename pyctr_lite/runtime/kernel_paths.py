"""`/proc` and `/sys` of a container stay the kernel's own: which mounts may cover them, or a part of them.

The masked and read-only paths of a container hide files of these two file systems, so a mount in their place takes
that protection away (CVE-2019-16884), and a program that reads `/proc/self/…` would read the image's text. A mount
point is judged by its descriptor, after all links are followed and before anything is mounted on it: the path that
the kernel gives for a descriptor has no links in it. The mount is then made on that descriptor, so a link that is
swapped meanwhile does not change the answer.
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
        "net/dev",  # of the process that asks
        "slabinfo",
        "stat",
        "swaps",
        "sys/crypto/fips_enabled",
        "sys/kernel/ns_last_pid",
        "uptime",
    )
)
"""Files that may be replaced, as runc allows it: lxcfs shows the container's limits in most of them."""
_SYS_FILES = frozenset(("/sys/devices/system/cpu", "/sys/devices/system/cpu/online"))
"""The same in /sys: lxcfs shows the container's own CPUs."""
_PROC, _SYSFS = 0x9FA0, 0x62656572
_KERNEL_TYPES = {
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
"""File systems of the kernel that belong on or below /sys, and their numbers (include/uapi/linux/magic.h)."""
_ROOT_INODE = 1
"""The inode number of the root of any procfs and sysfs."""


def check(root_fd: int, place_fd: int, destination: str, fstype: str, source: str = "") -> None:
    """Refuse a mount that would replace what the kernel shows in /proc or /sys of the root `root_fd`.

    `place_fd` is the mount point, `fstype` the new file system's type, or "" for a bind of `source`.
    Raises InvalidArgument. Source: runc, libcontainer/rootfs_linux.go, checkProcMount.
    """
    try:
        place = path_in_root(root_fd, place_fd)
    except OSError as error:  # it is longer than a path may be
        raise OSError(error.errno, error.strerror, destination) from None
    top = "/" + place[1:].partition("/")[0]
    if top not in ("/proc", "/sys"):
        return
    kind = linux.statfs_type(source) if source else 0
    whole = bool(source) and os.stat(source).st_ino == _ROOT_INODE
    if place == "/proc":
        allowed = fstype == "proc" or (kind == _PROC and whole)
    elif top == "/proc":
        allowed = place in _PROC_FILES or _is_net_dev(place)
    elif place == "/sys":
        allowed = fstype == "sysfs" or (kind == _SYSFS and whole)
    else:
        allowed = (
            fstype in _KERNEL_TYPES
            or kind in _KERNEL_TYPES.values()
            or place in _SYS_FILES
            or _is_of_host(source, place)
        )
    if not allowed:
        raise _refused(destination, place, top)


def check_text(destination: str) -> None:
    """Refuse a mount point in /proc or /sys that does not exist. Raises InvalidArgument."""
    for top in ("/proc", "/sys"):
        if os.path.normpath(destination).startswith(top + "/"):
            raise _refused(destination, destination, top)


def check_device(root_fd: int, directory_fd: int, path: str) -> None:
    """Refuse a device node in a directory of /proc or /sys. Raises InvalidArgument."""
    place = path_in_root(root_fd, directory_fd)
    for top in ("/proc", "/sys"):
        if place == top or place.startswith(top + "/"):
            raise _refused(path, f"{place}/{os.path.basename(path)}", top)


def check_proc(root_fd: int) -> None:
    """Make sure that /proc of a root is a whole procfs when all is mounted. Raises InvalidArgument."""
    fd = linux.openat2(root_fd, "proc", linux.O_PATH | os.O_NOFOLLOW, 0, linux.RESOLVE_IN_ROOT)
    try:
        if not is_procfs(fd):
            raise InvalidArgument("/proc of the container is covered by another mount")
    finally:
        os.close(fd)


def is_procfs(fd: int) -> bool:
    """Return whether a descriptor is of the root of a procfs. Needs the host's /proc."""
    return linux.statfs_type(f"/proc/self/fd/{fd}") == _PROC and os.fstat(fd).st_ino == _ROOT_INODE


def path_in_root(root_fd: int, fd: int) -> str:
    """Return the path of a descriptor as a process in the root sees it, without links. Needs the host's /proc."""
    root = os.readlink(f"/proc/self/fd/{root_fd}").rstrip("/")
    return os.readlink(f"/proc/self/fd/{fd}")[len(root) :] or "/"


def _is_of_host(source: str, place: str) -> bool:
    """Whether a bind shows what the host has at the same path, such as /sys/fs/cgroup."""
    try:
        return bool(source) and os.path.samefile(source, place)
    except FileNotFoundError:
        return False


def _is_net_dev(place: str) -> bool:
    """Whether it is /proc/net/dev, which leads through /proc/self to /proc/PID/net/dev."""
    parts = place.split("/")
    return len(parts) == 5 and parts[3:] == ["net", "dev"] and number.is_digits(parts[2])


def _refused(destination: str, place: str, top: str) -> InvalidArgument:
    through = "" if destination == place else f", which leads to {place}"
    return InvalidArgument(
        f"cannot mount on {destination}{through}: it would hide the kernel's own {top}",
        "choose another path in the container",
    )
