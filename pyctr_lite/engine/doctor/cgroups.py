"""What cgroups this machine has: a group is made in every hierarchy, looked at and removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyctr_lite.cgroups import group as groups
from pyctr_lite.cgroups import hierarchy as hierarchies
from pyctr_lite.engine.doctor.finding import Finding
from pyctr_lite.errors import PyctrError

if TYPE_CHECKING:
    from pyctr_lite.engine.state.paths import Paths

CONTROLLERS = {
    "cpu": ("cpu", "--cpus, --cpu-shares"),
    "cpuset": ("cpuset", "--cpuset-cpus"),
    "memory": ("memory", "-m"),
    "pids": ("pids", "--pids-limit"),
    "io": ("io", "--device-read-bps, --blkio-weight"),
    "freezer": ("freezer", "pause"),
    "devices": ("devices", "what a container may do with devices"),
    "hugetlb": ("hugetlb", "limits of huge pages"),
}
_NEEDED = ("cpu", "memory", "pids")
_BUILT_IN = ("freezer", "devices")
"""Version 2 has no controller of that name: each group can be frozen, and device rules are programs (eBPF)."""
_FIX = "boot with it (cgroup_enable=, no cgroup_disable=), and mount it below /sys/fs/cgroup"


def findings(paths: Paths) -> Iterator[Finding]:
    """The hierarchies, a group of our own, each controller, swap accounting, pressure."""
    hierarchy = hierarchies.detect()
    kind = {"v1": "version 1", "v2": "version 2", "hybrid": "version 1 and 2 side by side"}[hierarchy.kind]
    if not hierarchy.mounts:
        yield Finding("cgroups", "hierarchies", False, "none is mounted", "mount -t cgroup2 none /sys/fs/cgroup")
        return
    yield Finding("cgroups", "hierarchies", True, f"{kind}: {_places(hierarchy)}")
    group = groups.Group(f"{paths.cgroup}-doctor-{os.getpid()}", hierarchy)
    try:
        group.create()
        yield Finding("cgroups", "groups", True, "one was made and removed in every hierarchy")
    except (OSError, PyctrError) as error:
        yield Finding("cgroups", "groups", False, str(error), "/sys/fs/cgroup must be writable: is it delegated?")
    try:
        yield from _controllers(hierarchy)
        yield _swap()
    finally:
        group.remove()
    pressure = os.path.exists("/proc/pressure/memory")
    text = "/proc/pressure is there" if pressure else "this kernel tells no pressure: stats shows none"
    yield Finding("cgroups", "pressure", pressure, text, "boot with psi=1", needed=False)


def _controllers(hierarchy: hierarchies.Hierarchy) -> Iterator[Finding]:
    for name, (controller, purpose) in CONTROLLERS.items():
        mount = hierarchy.of(controller)
        if mount is not None:
            yield Finding("cgroups", name, True, f"version {mount.version}, {mount.mountpoint}: {purpose}")
        elif hierarchy.v2 is not None and name in _BUILT_IN:
            yield Finding("cgroups", name, True, f"version 2, {hierarchy.v2.mountpoint}: {purpose}")
        else:
            yield Finding("cgroups", name, False, f"not there: no {purpose}", _FIX, needed=name in _NEEDED)


def _places(hierarchy: hierarchies.Hierarchy) -> str:
    places = sorted(mount.mountpoint for mount in hierarchy.mounts)
    common = os.path.commonpath(places)
    names = [os.path.relpath(place, common) for place in places]
    return f"{' '.join(names)} in {common}" if len(places) > 1 else common


def _swap() -> Finding:
    """While a group of ours is there: the root group of version 2 has no limits to see."""
    counted = hierarchies.counts_swap()
    text = "swap is counted: --memory-swap" if counted else "swap is not counted: no --memory-swap"
    return Finding("cgroups", "swap", counted, text, "boot with swapaccount=1", needed=False)
