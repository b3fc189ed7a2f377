"""An OCI bundle: a directory with config.json and the root file system it names (OCI runtime spec, bundle.md)."""

from __future__ import annotations

import os

from pyctr_lite import jsonfile, linux
from pyctr_lite.errors import InvalidArgument, NotFound
from pyctr_lite.namespaces import kinds
from pyctr_lite.rootfs import options
from pyctr_lite.runtime import mounts, sysctls
from pyctr_lite.runtime import process as processes
from pyctr_lite.volumes import sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OVERLAY_ANNOTATION = "org.pyctr_lite.overlay"
"""Annotation: the layers to mount as the root, unless it is mounted; JSON with `lower` (top first), `upper`,
`work`. Other runtimes ignore it: for them `pyctr_lite mount` mounts the root first."""
SOURCES_ANNOTATION = "org.pyctr_lite.sources"
"""Annotation: the real sources of some mounts; JSON, for each source a directory and a path that must not lead out
of it (`volumes.sources`). For other runtimes `pyctr_lite mount` mounts the real source on the source first."""

INIT_ANNOTATION = "org.pyctr_lite.init"
"""Annotation: the path of the init that is mounted from the host, which no process inside can change."""
_OVERLAYFS = 0x794C7630  # linux/magic.h


class Bundle:
    """A bundle, read and checked.

    With `host`, the author of the bundle may use everything that the caller may, as with runc and crun: a mount
    namespace of others or none, relative destinations, binds that drop the flags of their source's mount. The
    engine's own annotations have no effect then, because an orchestrator lets its users set annotations.
    """

    __slots__ = ("config", "directory", "host", "init", "mounts", "overlay", "rootfs", "sources")

    def __init__(self, directory: str, config: dict[str, Any], *, host: bool = False) -> None:
        self.directory, self.config, self.host = os.path.abspath(directory), config, host
        path = os.path.join(directory, "config.json")
        _check(config, path, host=host)
        config["process"] = processes.inherit(config.get("process") or {}, config.get("linux") or {})
        self.rootfs = os.path.normpath(self.path(config["root"]["path"]))
        self.mounts = mounts.read(config, path, self.rootfs, host=host)
        annotations = (not host and config.get("annotations")) or {}
        self.init: str = annotations.get(INIT_ANNOTATION) or ""
        layers, parts = annotations.get(OVERLAY_ANNOTATION), annotations.get(SOURCES_ANNOTATION)
        self.overlay: dict[str, Any] | None = jsonfile.loads(layers) if layers else None
        self.sources: dict[str, list[str]] = jsonfile.loads(parts) if parts else {}

    def path(self, path: str) -> str:
        """Return a path of the configuration as absolute: relative paths start at the bundle."""
        return os.path.join(self.directory, path)

    def first_state(self, id: str) -> dict[str, Any]:
        """Return the state of the container while it is created, without its pid (runtime.md, "State")."""
        return {
            "ociVersion": self.config["ociVersion"],
            "id": id,
            "status": "creating",
            "bundle": self.directory,
            "annotations": self.config.get("annotations") or {},
        }

    def mounts_overlay(self) -> bool:
        """Return whether the root is to be mounted from the layers in the annotation, and is not mounted yet."""
        if self.overlay is None:
            return False
        return os.stat(self.rootfs).st_dev == os.stat(os.path.dirname(self.rootfs)).st_dev

    def has_own_overlay(self) -> bool:
        """Return whether the root is an overlay of this container alone: ours, or with `host` the caller's.

        An orchestrator mounts an overlay for each container, and gives no other container a way into it.
        """
        if not self.host:
            return self.mounts_overlay()
        return os.path.ismount(self.rootfs) and linux.statfs_type(self.rootfs) == _OVERLAYFS

    def require_root(self) -> None:
        """Check that the root file system exists. Raises InvalidArgument."""
        if not os.path.isdir(self.rootfs):
            raise InvalidArgument(f"root.path: {self.rootfs} is not a directory")

    def open_source(self, mount: mounts.Mount) -> int:
        """Open a bind's source with O_PATH: the same descriptor is checked and then mounted.

        Call it in the mount namespace of the bind: the kernel does not bind a mount of another namespace.
        Raises OSError with the mount's destination in the message.
        """
        try:
            if mount.has("src-nofollow"):
                return os.open(self.path(mount.source), linux.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
            return sources.open_source(*self.sources.get(mount.source) or [self.path(mount.source)])
        except OSError as error:
            text = f"cannot mount on {mount.destination}: {error.strerror}"
            raise OSError(error.errno, text, error.filename) from None

    def has_hooks(self, *kinds: str) -> bool:
        """Return whether the bundle has hooks of any of these kinds."""
        hooks = self.config.get("hooks") or {}
        return any(hooks.get(kind) for kind in kinds)

    def namespaces(self) -> tuple[list[str], dict[str, str]]:
        """Return the kinds of the namespaces to create, and the paths of the namespaces to join by kind."""
        create, join = [], {}
        for entry in (self.config.get("linux") or {}).get("namespaces") or []:
            if entry.get("path"):
                join[entry["type"]] = entry["path"]
            else:
                create.append(entry["type"])
        return create, join


def load(directory: str, name: str = "config.json", *, host: bool = False) -> Bundle:
    """Read a bundle, with its configuration at a path from it on; `host` is as in `Bundle`.

    Raises NotFound if there is none, InvalidArgument if it cannot be run.
    """
    path = os.path.join(directory, name)
    try:
        config = jsonfile.read(path)
    except FileNotFoundError:
        raise NotFound(f"no bundle at {directory}: {name} is missing") from None
    except ValueError as error:
        raise InvalidArgument(str(error)) from None
    return Bundle(directory, config, host=host)


def _check(config: dict[str, Any], path: str, *, host: bool) -> None:
    if not isinstance(config, dict):
        raise InvalidArgument(f"{path}: must be an object")
    version = config.get("ociVersion")
    if not isinstance(version, str) or not version.startswith(("1.0", "1.1", "1.2", "1.3")):
        raise InvalidArgument(f"{path}: ociVersion {version!r} is not supported", "1.0 to 1.3 are")
    process = config.get("process") or {}
    for name, kind, expected in (("args", list, "list"), ("cwd", str, "string")):
        if not isinstance(process.get(name), kind) or not process[name]:
            raise InvalidArgument(f"{path}: process.{name} must be a non-empty {expected}")
    if not process["cwd"].startswith("/"):
        raise InvalidArgument(f"{path}: process.cwd {process['cwd']!r} is not absolute")
    root = (config.get("root") or {}).get("path")
    if not root or not isinstance(root, str):
        raise InvalidArgument(f"{path}: root.path is missing")
    linux = config.get("linux") or {}
    seen = set()
    for entry in linux.get("namespaces") or []:
        if entry.get("type") not in kinds.BY_NAME:
            raise InvalidArgument(f"{path}: unknown namespace type {entry.get('type')!r}")
        if entry["type"] in seen:
            raise InvalidArgument(f"{path}: namespace {entry['type']} is given twice")
        seen.add(entry["type"])
    _check_isolation(config, path, host=host)
    propagation = linux.get("rootfsPropagation")
    if propagation and propagation not in options.PROPAGATION:
        raise InvalidArgument(f"{path}: unknown rootfsPropagation {propagation!r}")
    processes.check(process, linux)
    if linux.get("netDevices"):
        from pyctr_lite.networks import device

        device.check(linux["netDevices"])
    if any((config.get("hooks") or {}).values()):
        from pyctr_lite.runtime import hooks

        hooks.check(config["hooks"], path)


def _check_isolation(config: dict[str, Any], path: str, *, host: bool) -> None:
    """Refuse settings that, without their namespace, would change the host or another container."""
    namespaces = (config.get("linux") or {}).get("namespaces") or []
    seen = {kinds.BY_NAME[entry["type"]].oci: bool(entry.get("path")) for entry in namespaces}
    if seen.get("mount", True) and not host:
        raise InvalidArgument(
            f"{path}: the container needs a mount namespace of its own",
            'without it pivot_root would change the root of other processes: add {"type": "mount"}',
        )
    for name in ("hostname", "domainname"):
        if config.get(name) and "uts" not in seen:
            raise InvalidArgument(f"{path}: {name} without a uts namespace would rename the host")
    if (config.get("linux") or {}).get("netDevices") and "network" not in seen:
        raise InvalidArgument(f"{path}: netDevices need a network namespace", "there is none to move them to")
    if (config.get("linux") or {}).get("timeOffsets") and seen.get("time", True):
        raise InvalidArgument(f"{path}: timeOffsets need a time namespace of the container's own")
    linux_config = config.get("linux") or {}
    for name in ("maskedPaths", "readonlyPaths"):
        if linux_config.get(name) and "mount" not in seen:
            raise InvalidArgument(f"{path}: {name} need a mount namespace", "they would hide files of the host")
    if seen.get("user") is False:
        for name, own in (("uidMappings", os.geteuid), ("gidMappings", os.getegid)):
            if not linux_config.get(name):
                if not host:
                    raise InvalidArgument(f"{path}: a new user namespace needs uidMappings and gidMappings")
                linux_config[name] = [{"containerID": 0, "hostID": own(), "size": 1}]  # as crun
    for name in (config.get("linux") or {}).get("sysctl") or {}:
        kind = sysctls.namespace(name)
        if kind not in seen:
            problem = f"needs a {kind} namespace" if kind else "is not namespaced"
            if name in ("kernel.hostname", "kernel/hostname"):
                problem = "conflicts with the field hostname"
            raise InvalidArgument(f"{path}: sysctl {name} {problem}", "it would change the host")
