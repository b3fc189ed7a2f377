"""The `mounts` of a bundle, read and checked before anything is mounted (OCI runtime spec, config.md)."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.namespaces import idmap


class Mount:
    """One entry of `mounts`.

    `destination` is absolute; `key` identifies the entry, because two may have the same destination. `uids` and
    `gids` are the mount's own id maps; without them an `idmap` uses the maps of the container's user namespace.
    """

    __slots__ = ("destination", "fstype", "gids", "is_bind", "key", "options", "source", "uids")

    def __init__(self, index: int, item: dict[str, Any], root: str = "") -> None:
        self.options = options.MountOptions(item.get("options") or [])
        destination = item["destination"]
        if root and destination.startswith(f"{root}/"):  # as runc: some callers write the path on the host
            destination = destination[len(root) :]
        self.destination: str = destination if destination.startswith("/") else f"/{destination}"
        self.key = f"{index} {self.destination}"
        self.fstype: str = item.get("type") or "none"
        self.is_bind = bool(self.options.flags & linux.MS_BIND) or self.fstype == "bind"
        self.source: str = item.get("source") or ""
        self.uids: list[idmap.IdMap] = []
        self.gids: list[idmap.IdMap] = []

    @property
    def path(self) -> str:
        """The destination without dots and doubled slashes. Links in it are not followed."""
        return os.path.normpath(self.destination)

    @property
    def is_recursive(self) -> bool:
        """Whether a bind includes the mounts below its source: `rbind`, or the type "bind" without `bind`."""
        return bool(self.options.flags & linux.MS_REC) or not self.options.flags & linux.MS_BIND

    @property
    def needs_tree(self) -> bool:
        """Whether more is to be done in a new file system, or to it, once it is mounted."""
        parsed = self.options
        more = parsed.propagations or parsed.set_below or parsed.clear_below or parsed.extensions
        return bool(more or (self.fstype == "tmpfs" and parsed.flags & linux.MS_RDONLY))

    def has(self, extension: str) -> bool:
        """Return whether an option such as `tmpcopyup` is set."""
        return extension in self.options.extensions


def read(config: dict[str, Any], path: str, root: str, *, host: bool) -> list[Mount]:
    """Return the mounts of a configuration.

    `path` is the configuration's path, for errors. `root` is the path of the root on the host. `host` is as in
    `bundle.Bundle`. Raises InvalidArgument for a mount that is impossible, or not permitted without `host`.
    """
    mounts = []
    linux_config = config.get("linux") or {}
    in_user_namespace = any(entry["type"] == "user" for entry in linux_config.get("namespaces") or [])
    for index, item in enumerate(config.get("mounts") or []):
        try:
            _check_fields(item, host=host)
            mount = Mount(index, item, root if host else "")
            _check(mount, host=host)
            if mount.options.idmap or item.get("uidMappings") or item.get("gidMappings"):
                from pyctr_lite.runtime import mount_ids

                mount_ids.read(mount, item, linux_config, in_user_namespace=in_user_namespace)
            if in_user_namespace and mount.path == "/" and not mount.options.flags & linux.MS_REMOUNT:
                raise InvalidArgument("a mount cannot cover the root of a container in a user namespace")
            if in_user_namespace and mount.options.propagation in ("shared", "rshared") and not host:
                raise InvalidArgument(
                    "mounts made in a user namespace cannot propagate to the host",
                    f"{mount.options.propagation.replace('shared', 'slave')} "
                    "propagates the host's mounts into the container",
                )
        except InvalidArgument as error:
            destination = item.get("destination") if isinstance(item, dict) else item
            raise InvalidArgument(f"{path}: mount {destination}: {error.message}", error.hint) from None
        mounts.append(mount)
    return mounts


def _check_fields(item: dict[str, Any], *, host: bool) -> None:
    if not isinstance(item, dict):
        raise InvalidArgument("a mount must be an object")
    for name, kind in (("destination", str), ("source", str), ("type", str), ("options", list)):
        value = item.get(name)
        if value is not None and not isinstance(value, kind):
            raise InvalidArgument(f"{name} must be a {'list' if kind is list else 'string'}")
        texts = value if isinstance(value, list) else [value or ""]
        if not all(isinstance(text, str) and "\0" not in text for text in texts):
            raise InvalidArgument(f"{name} must be text without null bytes")
    destination = item.get("destination") or ""
    if not destination or not (host or destination.startswith("/")):
        raise InvalidArgument(f"destination {destination!r} is not absolute")


def _check(mount: Mount, *, host: bool) -> None:
    parsed = mount.options
    if mount.is_bind:
        if parsed.data and not host:
            raise InvalidArgument(f"a bind has no option {parsed.data}")
        if not mount.source and not parsed.flags & linux.MS_REMOUNT:
            raise InvalidArgument("a bind needs a source")
    elif mount.fstype == "none" and not parsed.flags & linux.MS_REMOUNT:
        raise InvalidArgument("the type is missing", 'for a bind, add "bind" to its options')
    if mount.path == "/" and not (host and not parsed.extensions):
        raise InvalidArgument("a mount cannot cover the container's root")
    if mount.has("tmpcopyup") and mount.fstype != "tmpfs":
        raise InvalidArgument("tmpcopyup is only for a tmpfs")
    for name in ("copy-symlink", "src-nofollow", "dest-nofollow"):
        if mount.has(name) and not (mount.is_bind and host):
            raise InvalidArgument(f"{name} is only for a bind" if host else f"{name} is not supported")
    if mount.has("copy-symlink") and (mount.has("src-nofollow") or mount.has("dest-nofollow")):
        raise InvalidArgument("copy-symlink excludes src-nofollow and dest-nofollow")
