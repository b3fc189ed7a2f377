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
    "iversion": (linux.MS_I_VERSION, 0),
    "noiversion": (0, linux.MS_I_VERSION),
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
# option: (attributes to set, to clear) of the mount and of all mounts below it, for mount_setattr(2). The kinds of
# access time are a number in the bits of MOUNT_ATTR__ATIME, which must be cleared to change it.
_RECURSIVE = {
    "rro": (linux.MOUNT_ATTR_RDONLY, 0),
    "rrw": (0, linux.MOUNT_ATTR_RDONLY),
    "rnosuid": (linux.MOUNT_ATTR_NOSUID, 0),
    "rsuid": (0, linux.MOUNT_ATTR_NOSUID),
    "rnodev": (linux.MOUNT_ATTR_NODEV, 0),
    "rdev": (0, linux.MOUNT_ATTR_NODEV),
    "rnoexec": (linux.MOUNT_ATTR_NOEXEC, 0),
    "rexec": (0, linux.MOUNT_ATTR_NOEXEC),
    "rnodiratime": (linux.MOUNT_ATTR_NODIRATIME, 0),
    "rdiratime": (0, linux.MOUNT_ATTR_NODIRATIME),
    "rnosymfollow": (linux.MOUNT_ATTR_NOSYMFOLLOW, 0),
    "rsymfollow": (0, linux.MOUNT_ATTR_NOSYMFOLLOW),
    "rrelatime": (linux.MOUNT_ATTR_RELATIME, linux.MOUNT_ATTR__ATIME),
    "rnorelatime": (linux.MOUNT_ATTR_RELATIME, linux.MOUNT_ATTR__ATIME),
    "rnoatime": (linux.MOUNT_ATTR_NOATIME, linux.MOUNT_ATTR__ATIME),
    "ratime": (linux.MOUNT_ATTR_RELATIME, linux.MOUNT_ATTR__ATIME),
    "rstrictatime": (linux.MOUNT_ATTR_STRICTATIME, linux.MOUNT_ATTR__ATIME),
    "rnostrictatime": (linux.MOUNT_ATTR_RELATIME, linux.MOUNT_ATTR__ATIME),
}
_EXTENSIONS = ("copy-symlink", "dest-nofollow", "src-nofollow", "tmpcopyup")
_IDMAP = ("idmap", "ridmap")

NAMES = tuple(sorted((*_FLAGS, *PROPAGATION, *_RECURSIVE, *_EXTENSIONS, *_IDMAP)))
"""All options that are not the file system's own, for the verb `features` (OCI runtime spec, features.md)."""


class MountOptions:
    """Parsed mount options: `flags` and `data` are for mount(2).

    `cleared` are the flags that were explicitly cleared (`rw`, `exec`). `propagations` are applied in their order,
    each by another call; `propagation` is the last one, or "". `set_below` and `clear_below` are attributes of the
    mount and of all mounts below it (mount_setattr(2)); `readonly_recursive` is true if they include `rro`.
    `idmap` is "idmap" to give the mount other ids, "ridmap" to include the mounts below, or "";
    `idmap_text` are the maps after `idmap=` (crun). `extensions` are copy-symlink, tmpcopyup and the like.
    """

    __slots__ = (
        "clear_below",
        "cleared",
        "data",
        "extensions",
        "flags",
        "idmap",
        "idmap_text",
        "propagations",
        "readonly_recursive",
        "set_below",
    )

    def __init__(self, options: list[str]) -> None:
        self.flags = self.cleared = self.set_below = self.clear_below = 0
        self.propagations: list[str] = []
        self.extensions: list[str] = []
        self.readonly_recursive = False
        self.idmap = self.idmap_text = ""
        data = []
        for option in options:
            if option in _FLAGS:
                self._change_flags(*_FLAGS[option])
            elif option in PROPAGATION:
                self.propagations.append(option)
            elif option in _RECURSIVE:
                self._change_below(option)
            elif option in _EXTENSIONS:
                self.extensions.append(option)
            elif option.partition("=")[0] in _IDMAP:
                self.idmap, _, self.idmap_text = option.partition("=")
            else:
                data.append(option)
        self.data = ",".join(data)

    @property
    def propagation(self) -> str:
        """The last propagation option, or ""."""
        return self.propagations[-1] if self.propagations else ""

    def _change_flags(self, add: int, clear: int) -> None:
        self.flags = self.flags & ~clear | add
        self.cleared = self.cleared & ~add | clear

    def _change_below(self, option: str) -> None:
        add, clear = _RECURSIVE[option]
        self.set_below = self.set_below & ~clear | add
        # The kinds of access time stay in `clear`: the kernel clears first, and sets afterwards.
        self.clear_below = self.clear_below & ~(add & ~linux.MOUNT_ATTR__ATIME) | clear
        if option in ("rro", "rrw"):
            self.readonly_recursive = option == "rro"
            self._change_flags(*_FLAGS[option[1:]])
