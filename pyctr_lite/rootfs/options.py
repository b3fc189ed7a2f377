"""Mount options in the notation of fstab and the OCI runtime spec, and their flags and data for mount(2)."""

from __future__ import annotations

from pyctr_lite import linux

# option: (flags to set, flags to clear). OCI runtime spec, config.md, "Linux mount options".
_FLAGS = {
    "defaults": (0, 0),
    "ro": (linux.MS_RDONLY, 0),
    "rw": (0, linux.MS_RDONLY),
    "nosuid": (linux.MS_NOSUID, 0),
    "suid": (0, linux.MS_NOSUID),
    "nodev": (linux.MS_NODEV, 0),
    "dev": (0, linux.MS_NODEV),
    "noexec": (linux.MS_NOEXEC, 0),
    "exec": (0, linux.MS_NOEXEC),
    "sync": (linux.MS_SYNCHRONOUS, 0),
    "async": (0, linux.MS_SYNCHRONOUS),
    "dirsync": (linux.MS_DIRSYNC, 0),
    "remount": (linux.MS_REMOUNT, 0),
    "mand": (linux.MS_MANDLOCK, 0),
    "nomand": (0, linux.MS_MANDLOCK),
    "noatime": (linux.MS_NOATIME, 0),
    "atime": (0, linux.MS_NOATIME),
    "nodiratime": (linux.MS_NODIRATIME, 0),
    "diratime": (0, linux.MS_NODIRATIME),
    "bind": (linux.MS_BIND, 0),
    "rbind": (linux.MS_BIND | linux.MS_REC, 0),
    "relatime": (linux.MS_RELATIME, 0),
    "norelatime": (0, linux.MS_RELATIME),
    "strictatime": (linux.MS_STRICTATIME, 0),
    "nostrictatime": (0, linux.MS_STRICTATIME),
    "lazytime": (linux.MS_LAZYTIME, 0),
    "nolazytime": (0, linux.MS_LAZYTIME),
    "silent": (linux.MS_SILENT, 0),
    "loud": (0, linux.MS_SILENT),
    "nosymfollow": (linux.MS_NOSYMFOLLOW, 0),
    "symfollow": (0, linux.MS_NOSYMFOLLOW),
}
PROPAGATION = {
    "private": linux.MS_PRIVATE,
    "rprivate": linux.MS_PRIVATE | linux.MS_REC,
    "shared": linux.MS_SHARED,
    "rshared": linux.MS_SHARED | linux.MS_REC,
    "slave": linux.MS_SLAVE,
    "rslave": linux.MS_SLAVE | linux.MS_REC,
    "unbindable": linux.MS_UNBINDABLE,
    "runbindable": linux.MS_UNBINDABLE | linux.MS_REC,
}


class MountOptions:
    """Parsed mount options: `flags` and `data` are for mount(2), `propagation` needs a second call.

    `readonly_recursive` also makes the mounts below read-only (mount_setattr(2)). `idmap` is "idmap" to give the
    mount the ids of the container's user namespace, "ridmap" to include the mounts below, or "".
    """

    __slots__ = ("data", "flags", "idmap", "propagation", "readonly_recursive")

    def __init__(self, options: list[str]) -> None:
        self.flags = 0
        self.propagation = ""
        self.readonly_recursive = False
        self.idmap = ""
        data = []
        for option in options:
            if option in _FLAGS:
                add, clear = _FLAGS[option]
                self.flags = self.flags & ~clear | add
            elif option in PROPAGATION:
                self.propagation = option
            elif option in ("idmap", "ridmap"):
                self.idmap = option
            elif option == "rro":
                self.flags |= linux.MS_RDONLY
                self.readonly_recursive = True
            else:
                data.append(option)
        self.data = ",".join(data)
