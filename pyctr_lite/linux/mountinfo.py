"""The mount table of a process: /proc/<pid>/mountinfo (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os

from pyctr_lite.linux import kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Mount:
    """One mount: a line of mountinfo."""

    __slots__ = (
        "device",
        "fstype",
        "id",
        "mountpoint",
        "options",
        "parent",
        "propagation",
        "root",
        "source",
        "super_options",
    )

    def __init__(self, line: str) -> None:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        self.id, self.parent = int(fields[0]), int(fields[1])
        major, _, minor = fields[2].partition(":")
        self.device = (int(major), int(minor))
        self.root, self.mountpoint = unescape(fields[3]), unescape(fields[4])
        self.options = fields[5].split(",")
        self.propagation = [field for field in fields[6:] if field]
        self.fstype, source, super_options = [*after.split(" "), "", ""][:3]
        self.source = unescape(source)
        self.super_options = super_options.split(",")

    def __repr__(self) -> str:
        return f"Mount({self.mountpoint!r}, {self.fstype!r}, {','.join(self.options)})"


def parse(text: str) -> Iterator[Mount]:
    """Parse the mounts of a mountinfo text, in the kernel's order."""
    for line in text.split("\n"):  # splitlines() would also split at other characters, which a path may contain
        if line:
            yield Mount(line)


def mounts(pid: int | str = "self") -> list[Mount]:
    """List the mounts that a process sees. Raises FileNotFoundError if there is no such process."""
    return list(parse(kernelfile.read(f"/proc/{pid}/mountinfo")))


def of_path(path: str) -> Mount:
    """Return the mount that contains a path, in the caller's mount namespace."""
    path = os.path.realpath(path)
    return max(
        (
            mount
            for mount in mounts()
            if path == mount.mountpoint or path.startswith(mount.mountpoint.rstrip("/") + "/")
        ),
        key=lambda mount: len(mount.mountpoint),
    )


def unescape(field: str) -> str:
    """Undo the kernel's octal escapes of space, tab, newline and backslash (`\\040` and so on)."""
    if "\\" not in field:
        return field
    parts = field.split("\\")
    out = parts[0]
    for part in parts[1:]:
        out += chr(int(part[:3], 8)) + part[3:] if part[:3].isdigit() else "\\" + part
    return out
