"""An OCI bundle: a directory with config.json and the root file system it names (OCI runtime spec, bundle.md)."""

from __future__ import annotations

import os

from pyctr_lite import jsonfile
from pyctr_lite.errors import InvalidArgument, NotFound
from pyctr_lite.namespaces import kinds
from pyctr_lite.rootfs import options
from pyctr_lite.runtime import sysctls
from pyctr_lite.volumes import sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OVERLAY_ANNOTATION = "org.pyctr_lite.overlay"
"""An annotation with the layers to mount as the root where it is not mounted yet: JSON, `lower` (top first),
`upper`, `work`. Other runtimes pass over it: for them `pyctr_lite mount` mounts the root first."""
SOURCES_ANNOTATION = "org.pyctr_lite.sources"
"""An annotation with what the sources of some mounts stand for: JSON, for each source a directory and a path that
must not lead out of it (`sources`). For other runtimes `pyctr_lite mount` mounts that on the source first."""

INIT_ANNOTATION = "org.pyctr_lite.init"
"""An annotation with the path of the init that a mount brings from the host: nobody inside can change it."""


class Bundle:
    """A bundle that has been read and checked."""

    __slots__ = ("config", "directory", "init", "overlay", "rootfs", "sources")

    def __init__(self, directory: str, config: dict[str, Any]) -> None:
        self.directory, self.config = os.path.abspath(directory), config
        _check(config, os.path.join(directory, "config.json"))
        self.rootfs = self.path(config["root"]["path"])
        annotations = config.get("annotations") or {}
        self.init: str = annotations.get(INIT_ANNOTATION) or ""
        layers, parts = annotations.get(OVERLAY_ANNOTATION), annotations.get(SOURCES_ANNOTATION)
        self.overlay: dict[str, Any] | None = jsonfile.loads(layers) if layers else None
        self.sources: dict[str, list[str]] = jsonfile.loads(parts) if parts else {}

    def path(self, path: str) -> str:
        """A path of the configuration; a relative one starts at the bundle."""
        return os.path.join(self.directory, path)

    def mounts_overlay(self) -> bool:
        """Return whether the root is still to be mounted, of the layers that an annotation names."""
        if self.overlay is None:
            return False
        return os.stat(self.rootfs).st_dev == os.stat(os.path.dirname(self.rootfs)).st_dev

    def open_source(self, mount: dict[str, Any]) -> int:
        """Open what a bind shows, as a place only: this descriptor is what is looked at and what is mounted.

        Only in the mount namespace that it is mounted in: the kernel binds nothing of another one.
        Raises what went wrong, with the mount's destination in the message.
        """
        source, destination = mount["source"], mount["destination"]
        try:
            return sources.open_source(*self.sources.get(source) or [self.path(source)])
        except OSError as error:
            text = f"cannot mount on {destination}: {error.strerror}"
            raise OSError(error.errno, text, error.filename) from None

    def namespaces(self) -> tuple[list[str], dict[str, str]]:
        """The kinds to create, and the paths of those to join by kind."""
        create, join = [], {}
        for entry in (self.config.get("linux") or {}).get("namespaces") or []:
            if entry.get("path"):
                join[entry["type"]] = entry["path"]
            else:
                create.append(entry["type"])
        return create, join


def load(directory: str) -> Bundle:
    """Read a bundle. Fails with NotFound where there is none, InvalidArgument where it cannot be run as it is."""
    path = os.path.join(directory, "config.json")
    try:
        config = jsonfile.read(path)
    except FileNotFoundError:
        raise NotFound(f"no bundle at {directory}: config.json is missing") from None
    except ValueError as error:
        raise InvalidArgument(str(error)) from None
    return Bundle(directory, config)


def _check(config: dict[str, Any], path: str) -> None:
    if not isinstance(config, dict):
        raise InvalidArgument(f"{path}: must be an object")
    version = config.get("ociVersion")
    if not isinstance(version, str) or not version.startswith(("1.0", "1.1", "1.2", "1.3")):
        raise InvalidArgument(f"{path}: ociVersion {version!r} is not supported", "1.0 to 1.3 are")
    process = config.get("process") or {}
    for name, kind in (("args", list), ("cwd", str)):
        if not isinstance(process.get(name), kind) or not process[name]:
            raise InvalidArgument(f"{path}: process.{name} is missing or no {kind.__name__}")
    if not process["cwd"].startswith("/"):
        raise InvalidArgument(f"{path}: process.cwd {process['cwd']!r} is not absolute")
    if not (config.get("root") or {}).get("path"):
        raise InvalidArgument(f"{path}: root.path is missing")
    linux = config.get("linux") or {}
    seen = set()
    for entry in linux.get("namespaces") or []:
        if entry.get("type") not in kinds.BY_NAME:
            raise InvalidArgument(f"{path}: unknown namespace type {entry.get('type')!r}")
        if entry["type"] in seen:
            raise InvalidArgument(f"{path}: namespace {entry['type']} is given twice")
        seen.add(entry["type"])
    _check_isolation(config, path)
    for mount in config.get("mounts") or []:
        if not str(mount.get("destination", "")).startswith("/"):
            raise InvalidArgument(f"{path}: mount destination {mount.get('destination')!r} is not absolute")
    propagation = linux.get("rootfsPropagation")
    if propagation and propagation not in options.PROPAGATION:
        raise InvalidArgument(f"{path}: unknown rootfsPropagation {propagation!r}")
    for where, names in (
        (linux, ("intelRdt", "mountLabel", "personality")),
        (process, ("apparmorProfile", "selinuxLabel", "scheduler", "ioPriority", "execCPUAffinity")),
    ):
        for name in names:
            if where.get(name):
                raise InvalidArgument(f"{path}: {name} is not supported yet", "take it out to run without it")
    if any((config.get("hooks") or {}).values()):
        raise InvalidArgument(f"{path}: hooks are not supported yet", "take them out to run without them")


def _check_isolation(config: dict[str, Any], path: str) -> None:
    """Refuse what would change the host, or another container, for want of a namespace."""
    namespaces = (config.get("linux") or {}).get("namespaces") or []
    seen = {kinds.BY_NAME[entry["type"]].oci: bool(entry.get("path")) for entry in namespaces}
    if seen.get("mount", True):
        raise InvalidArgument(
            f"{path}: the container needs a mount namespace of its own",
            'without one it would take the root away from others: add {"type": "mount"}',
        )
    for name in ("hostname", "domainname"):
        if config.get(name) and "uts" not in seen:
            raise InvalidArgument(f"{path}: {name} without a uts namespace would rename the host")
    if (config.get("linux") or {}).get("timeOffsets") and seen.get("time", True):
        raise InvalidArgument(f"{path}: timeOffsets need a time namespace of the container's own")
    if seen.get("user") is False and not all(
        (config.get("linux") or {}).get(name) for name in ("uidMappings", "gidMappings")
    ):
        raise InvalidArgument(f"{path}: a new user namespace needs uidMappings and gidMappings")
    for mount in config.get("mounts") or []:
        _check_ids(mount, path, "user" in seen)
    for name in (config.get("linux") or {}).get("sysctl") or {}:
        kind = sysctls.namespace(name)
        if kind not in seen:
            raise InvalidArgument(
                f"{path}: sysctl {name} would change the host",
                f"it needs a {kind} namespace" if kind else "the kernel has one for all",
            )


def _check_ids(mount: dict[str, Any], path: str, in_user_namespace: bool) -> None:
    """Refuse ids that a mount cannot have, and what a user namespace must not do to the host."""
    parsed, destination = options.MountOptions(mount.get("options") or []), mount.get("destination")
    if mount.get("uidMappings") or mount.get("gidMappings"):
        raise InvalidArgument(
            f"{path}: mount {destination}: id mappings of its own are not supported yet",
            "the option idmap gives it those of the container's user namespace",
        )
    if parsed.idmap and not in_user_namespace:
        raise InvalidArgument(f"{path}: mount {destination}: {parsed.idmap} needs a user namespace")
    if in_user_namespace and parsed.propagation in ("shared", "rshared"):
        raise InvalidArgument(
            f"{path}: mount {destination}: what is mounted in a user namespace cannot appear on the host",
            f"{parsed.propagation.replace('shared', 'slave')} shows there what the host mounts",
        )
