"""The group of an OCI container: from `linux.cgroupsPath` to a `Group`, and from the container's state back.

Source: OCI runtime-spec config-linux.md, "Cgroups Path" and "Control groups"; the details as in runc.
"""

from __future__ import annotations

import os

from pyctr_lite.cgroups import controllers
from pyctr_lite.cgroups import group as groups
from pyctr_lite.cgroups import hierarchy as hierarchies
from pyctr_lite.errors import Conflict, InvalidArgument, NotFound
from pyctr_lite.linux import kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def resolve(
    cgroups_path: str | None,
    container_id: str,
    *,
    systemd_cgroup: bool = False,
    annotations: dict[str, str] | None = None,
) -> groups.Group:
    """Return the group of a new container, without creating it.

    An absolute path starts at the root of each hierarchy, a relative one at the caller's own group there, and
    without a path the group is "/<id>". ".." does not lead above the start. With `systemd_cgroup` the path has the
    form slice:prefix:name, and the group is a scope that systemd makes, with the properties in `annotations`
    (`org.systemd.property.*`).
    Raises InvalidArgument if it is not a cgroup path, and NotFound if systemd cannot be reached.
    """
    if "\0" in (cgroups_path or ""):
        raise InvalidArgument(f"not a cgroup path: {cgroups_path!r}")
    if systemd_cgroup:
        from pyctr_lite.cgroups import systemd

        return systemd.scope(cgroups_path or "", container_id, annotations or {})
    path = os.path.normpath(f"/{cgroups_path or container_id}").lstrip("/")
    if not cgroups_path or cgroups_path.startswith("/"):
        return groups.Group(f"/{path}")
    return groups.Group(f"/{path}", _below(_groups_of_caller()))


def require_unused(group: groups.Group) -> None:
    """Refuse a group that exists and has processes, or is frozen: a new process in it would hang for ever.

    Raises Conflict, with runc's texts. A group below a frozen group is frozen, too, whether it exists or not.
    """
    found = {pid for directory in group.directories for pid in controllers.pids(directory)}
    if found:
        raise Conflict(
            f"container's cgroup is not empty: {len(found)} process(es) found",
            f"{group.path} belongs to another container: give this one a cgroupsPath of its own",
        )
    for mount in group.hierarchy.mounts:
        if mount.version == 2 or "freezer" in mount.controllers:
            directory = mount.mountpoint + group.path
            while not os.path.isdir(directory):
                directory = os.path.dirname(directory)
            if _is_frozen(directory):
                raise Conflict(f"container's cgroup unexpectedly frozen: {directory}", "thaw it first")


def to_state(group: groups.Group) -> dict[str, Any]:
    """Return what `from_state` needs to find the group again, as JSON for the container's state file.

    {"path": …}, and for a path relative to the caller's group "below": the start in each hierarchy, by the
    hierarchy's mountpoint; for a scope of systemd "unit".
    """
    state: dict[str, Any] = {"path": group.path}
    if group.unit:
        state["unit"] = group.unit
    mounts = hierarchies.current().mounts
    below = {
        mount.mountpoint: start
        for mount, own in zip(mounts, group.hierarchy.mounts, strict=True)
        if (start := own.mountpoint.removeprefix(mount.mountpoint))
    }
    return {**state, "below": below} if below else state


def from_state(state: dict[str, Any]) -> groups.Group:
    """Return the group that `to_state` recorded, from whatever group the caller runs in now."""
    if state.get("unit"):
        from pyctr_lite.cgroups import systemd

        return systemd.Scope(state["path"], state["unit"])
    return groups.Group(state["path"], _below(state["below"]) if state.get("below") else None)


def _groups_of_caller() -> dict[str, str]:
    """Return the path of the caller's group in each hierarchy, by mountpoint; "" for the root.

    In version 2 it is the group above: one that has processes cannot have controllers in groups below it.
    """
    result = {}
    for mount, own in hierarchies.groups_of_caller():
        path = os.path.normpath(own)
        result[mount.mountpoint] = (os.path.dirname(path) if mount.version == 2 else path).rstrip("/")
    return result


def _below(starts: dict[str, str]) -> hierarchies.Hierarchy:
    """Return the hierarchies as if they were mounted with these groups as their roots."""
    mounts = []
    for mount in hierarchies.current().mounts:
        root, names = mount.mountpoint + starts.get(mount.mountpoint, ""), mount.controllers
        if mount.version == 2:
            names = tuple(kernelfile.read(f"{root}/cgroup.controllers").split())
        mounts.append(hierarchies.HierarchyMount(root, mount.version, names, mount.name))
    return hierarchies.Hierarchy(mounts)


def _is_frozen(directory: str) -> bool:
    for name, lines in (("cgroup.events", ("frozen 1",)), ("freezer.state", ("FROZEN", "FREEZING"))):
        try:
            text = kernelfile.read(f"{directory}/{name}")
        except FileNotFoundError:
            continue  # the root group has no such file, and is never frozen
        if any(line in lines for line in text.splitlines()):
            return True
    return False


def below(group: groups.Group, given: list[str]) -> groups.Group:
    """Return the group of `exec --cgroup`: a path below the container's group, in the hierarchies that have it.

    Each item is a path, or controllers and a path: "cpu,memory:sub". "/" is the container's own group.
    Raises InvalidArgument for a path that leads out or an unknown controller, and NotFound if no hierarchy has the
    group, or Conflict if in version 2 it cannot have processes of its own.
    """
    found = groups.Group(group.path, group.hierarchy)
    for item in given:
        names, colon, path = item.rpartition(":")
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise InvalidArgument(
                f"bad sub cgroup path: invalid cgroup path `{path}`: `..` components are not allowed"
            )
        chosen = group.hierarchy.mounts
        if colon:
            chosen = [_mount_of(group, name) for name in names.split(",")]
        directories = {mount.mountpoint: "/".join([mount.mountpoint + group.path, *parts]) for mount in chosen}
        if not any(os.path.isdir(directory) for directory in directories.values()):
            raise NotFound(f"error adding pid to cgroup {group.path}/{path}: no such file or directory")
        for index, mount in enumerate(group.hierarchy.mounts):
            if os.path.isdir(directory := directories.get(mount.mountpoint, "")):
                found.directories[index] = directory
                found.v2 = directory if mount.version == 2 else found.v2
    if found.v2 and controllers.is_divided(found.v2):
        raise Conflict(f"error adding pid to cgroups {found.v2}: device or resource busy")
    return found


def _mount_of(group: groups.Group, name: str) -> hierarchies.HierarchyMount:
    mount = group.hierarchy.of(name)
    if mount is None:
        mount = next((mount for mount in group.hierarchy.mounts if f"name={mount.name}" == name), None)
    if mount is None:
        raise InvalidArgument(f"unknown controller {name}")
    return mount


def delegate(group: groups.Group, config: dict[str, Any]) -> None:
    """Give a container its own group, as the spec has it: if it may write to its cgroup file system.

    Only in version 2, with a cgroup namespace of its own and a writable mount on /sys/fs/cgroup. The owner is the
    user of its process; it can divide the group, but not change its limits (/sys/kernel/cgroup/delegate).
    Source: OCI runtime-spec config-linux.md, "Cgroup ownership".
    """
    linux, uid = config.get("linux") or {}, ((config.get("process") or {}).get("user") or {}).get("uid") or 0
    namespaces = {entry["type"]: bool(entry.get("path")) for entry in linux.get("namespaces") or []}
    writable = any(
        mount.get("destination") == "/sys/fs/cgroup" and "ro" not in (mount.get("options") or [])
        for mount in config.get("mounts") or []
        if "cgroup" in (mount.get("source"), mount.get("type"))
    )
    if group.hierarchy.kind != "v2" or namespaces.get("cgroup", True) or not writable:
        return
    for item in linux.get("uidMappings") or []:
        if 0 <= uid - item["containerID"] < item["size"]:
            uid += item["hostID"] - item["containerID"]
            break
    try:
        names = kernelfile.read("/sys/kernel/cgroup/delegate").split()
    except FileNotFoundError:
        names = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
    for name in ("", *names):
        path = f"{group.v2}/{name}".rstrip("/")
        if os.path.exists(path):
            os.chown(path, uid, -1)
