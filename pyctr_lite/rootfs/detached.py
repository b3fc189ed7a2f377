"""A new file system as a detached mount: its descriptor is of the mount itself, before and after it is attached.

With mount(2) the new mount has to be opened again by its path, in which a link may have been swapped meanwhile.
"""

from __future__ import annotations

import os

from pyctr_lite import linux

# Flags of mount(2) that belong to the file system, not to the mount, and their names for fsconfig(2).
_SUPERBLOCK = (
    (linux.MS_SYNCHRONOUS, "sync"),
    (linux.MS_DIRSYNC, "dirsync"),
    (linux.MS_MANDLOCK, "mand"),
    (linux.MS_LAZYTIME, "lazytime"),
    (linux.MS_I_VERSION, "iversion"),
)
_ATTRIBUTES = (
    (linux.MS_RDONLY, linux.MOUNT_ATTR_RDONLY),
    (linux.MS_NOSUID, linux.MOUNT_ATTR_NOSUID),
    (linux.MS_NODEV, linux.MOUNT_ATTR_NODEV),
    (linux.MS_NOEXEC, linux.MOUNT_ATTR_NOEXEC),
    (linux.MS_NODIRATIME, linux.MOUNT_ATTR_NODIRATIME),
    (linux.MS_NOSYMFOLLOW, linux.MOUNT_ATTR_NOSYMFOLLOW),
)


def make(fstype: str, source: str, data: str, attributes: int, superblock: tuple[str, ...] = ()) -> int:
    """Make a file system, and return its detached mount.

    `data` are options as for mount(2), `attributes` MOUNT_ATTR_*, `superblock` flags such as "sync".
    Raises OSError; its text has the kernel's reason for a refused option.
    """
    with linux.closing(linux.fsopen(fstype)) as fd:
        try:
            linux.fsconfig(fd, linux.FSCONFIG_SET_STRING, "source", source)
            for name in superblock:
                linux.fsconfig(fd, linux.FSCONFIG_SET_FLAG, name)
            for option in split(data):
                key, equals, value = option.partition("=")
                if equals:
                    linux.fsconfig(fd, linux.FSCONFIG_SET_STRING, key, value)
                else:
                    linux.fsconfig(fd, linux.FSCONFIG_SET_FLAG, key)
            linux.fsconfig(fd, linux.FSCONFIG_CMD_CREATE)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}{_reason(fd)}", error.filename) from None
        return linux.fsmount(fd, attributes)


def make_with_flags(fstype: str, source: str, flags: int, data: str) -> int:
    """As `make`, with the flags of mount(2)."""
    names = tuple(name for flag, name in _SUPERBLOCK if flags & flag)
    attributes = sum(attribute for flag, attribute in _ATTRIBUTES if flags & flag)
    if flags & linux.MS_NOATIME:
        attributes |= linux.MOUNT_ATTR_NOATIME
    elif flags & linux.MS_STRICTATIME:
        attributes |= linux.MOUNT_ATTR_STRICTATIME
    return make(fstype, source, data, attributes, (("ro",) if flags & linux.MS_RDONLY else ()) + names)


def split(data: str) -> list[str]:
    """Split the options of mount(2) at their commas, but not at escaped ones (overlayfs)."""
    parts: list[str] = []
    for piece in data.split(",") if data else []:
        if parts and parts[-1].endswith("\\") and not parts[-1].endswith("\\\\"):
            parts[-1] += f",{piece}"
        else:
            parts.append(piece)
    return parts


def _reason(fd: int) -> str:
    """Return the kernel's messages about a file system that could not be made, or ""."""
    messages = []
    try:
        while message := os.read(fd, 1024).decode(errors="replace").strip():
            messages.append(message[2:])  # after the level: "e " for an error
    except OSError:
        pass  # ENODATA: no more messages
    return f" ({'; '.join(messages)})" if messages else ""
