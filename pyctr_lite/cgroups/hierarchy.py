"""The cgroup hierarchies of this machine: version 1, version 2, or both at once (cgroups(7))."""

from __future__ import annotations

import os

from pyctr_lite.linux import kernelfile, mountinfo

VERSION_1_NAMES = {"io": "blkio"}
"""Controllers with another name in version 1."""


class HierarchyMount:
    """A mounted hierarchy: version 2 with all its controllers, or version 1 with one or a few.

    `name` is the name of a version 1 hierarchy without controllers (`name=systemd`), else empty.
    """

    __slots__ = ("controllers", "mountpoint", "name", "version")

    def __init__(self, mountpoint: str, version: int, controllers: tuple[str, ...], name: str = "") -> None:
        self.mountpoint, self.version, self.controllers, self.name = mountpoint, version, controllers, name

    def __repr__(self) -> str:
        return f"HierarchyMount({self.mountpoint!r}, v{self.version}, {self.controllers}, {self.name!r})"


class Hierarchy:
    """The hierarchies of a machine, and in `controllers` the one for each controller."""

    __slots__ = ("controllers", "kind", "mounts", "v2")

    def __init__(self, mounts: list[HierarchyMount]) -> None:
        self.mounts = mounts
        self.v2 = next((mount for mount in mounts if mount.version == 2), None)
        """The version 2 hierarchy, with or without controllers."""
        self.kind = "v1" if self.v2 is None else "v2" if len(mounts) == 1 else "hybrid"
        self.controllers = {name: mount for mount in mounts for name in mount.controllers}

    def of(self, controller: str) -> HierarchyMount | None:
        """Return the hierarchy with a controller, by either version's name; None if no mounted one has it."""
        found = self.controllers.get(controller)
        return found or self.controllers.get(VERSION_1_NAMES.get(controller, ""))

    def only(self, version: int) -> Hierarchy:
        """Return the hierarchies of one version."""
        return Hierarchy([mount for mount in self.mounts if mount.version == version])


def detect() -> Hierarchy:
    """Find the hierarchies in the caller's mount table. Empty if none is mounted."""
    found = parse(kernelfile.read("/proc/self/mountinfo"))
    for mount in found:
        if mount.version == 2:
            text = kernelfile.read(f"{mount.mountpoint}/cgroup.controllers")
            mount.controllers = tuple(text.split())
    return Hierarchy(found)


def current() -> Hierarchy:
    """Return the result of `detect`, cached: starting a container needs it four times, and it takes 0.2 ms."""
    global _current
    if _current is None:
        _current = detect()
    return _current


_current: Hierarchy | None = None


def groups_of_caller() -> list[tuple[HierarchyMount, str]]:
    """Return the path of the caller's group in each hierarchy (/proc/self/cgroup, cgroups(7))."""
    found = []
    for line in kernelfile.read("/proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        for mount in current().mounts:
            own = (*mount.controllers, f"name={mount.name}") if mount.version == 1 else ("",)
            if names.split(",")[0] in own:
                found.append((mount, path))
    return found


def counts_swap() -> bool:
    """Return whether this kernel accounts swap, and so can limit it. Some need `swapaccount=1` at boot."""
    mount = current().of("memory")
    if mount is None:
        return False
    if mount.version == 1:
        return os.path.exists(f"{mount.mountpoint}/memory.memsw.limit_in_bytes")
    # In version 2 the root group has no limit files; every other group has.
    return any(
        os.path.exists(f"{mount.mountpoint}/{name}/memory.swap.max") for name in os.listdir(mount.mountpoint)
    )


def parse(text: str) -> list[HierarchyMount]:
    """Parse the hierarchies of a mountinfo text, without the controllers of version 2, which it does not list.

    A hierarchy may be mounted several times: takes the mount below /sys/fs/cgroup, else the first.
    """
    found: dict[tuple[str, ...], HierarchyMount] = {}
    for line in text.splitlines():
        if " - cgroup" not in line:
            continue
        mount = next(mountinfo.parse(line))
        if mount.fstype not in ("cgroup", "cgroup2"):
            continue
        options = mount.super_options
        controllers = tuple(option for option in options if option in _CONTROLLERS)
        name = next((option[5:] for option in options if option.startswith("name=")), "")
        new = HierarchyMount(mount.mountpoint, 1 if mount.fstype == "cgroup" else 2, controllers, name)
        key = (mount.fstype, name, *controllers)
        if key not in found or _is_usual(new) > _is_usual(found[key]):
            found[key] = new
    return list(found.values())


def mounts(hierarchy: Hierarchy) -> list[tuple[str, str, str]]:
    """List what mounts the same hierarchies elsewhere: (directory name, file system type, data for mount(2))."""
    result = []
    for mount in hierarchy.mounts:
        data = ",".join(mount.controllers) if mount.version == 1 else ""
        if mount.name:
            data = f"{data},name={mount.name}".removeprefix(",")
        result.append((os.path.basename(mount.mountpoint), "cgroup" if mount.version == 1 else "cgroup2", data))
    return result


def _is_usual(mount: HierarchyMount) -> bool:
    return mount.mountpoint.startswith("/sys/fs/cgroup")


_CONTROLLERS = frozenset(
    {
        *("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb"),
        *("net_cls", "net_prio", "perf_event", "rdma", "misc", "debug"),
    }
)
"""All controllers that version 1 has had. Other mount options are not controllers."""
