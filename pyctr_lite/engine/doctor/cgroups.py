"""Findings about cgroups: hierarchies, controllers, and a group that is created and removed in every hierarchy."""

from __future__ import annotations

import os

from pyctr_lite.cgroups import group as groups
from pyctr_lite.cgroups import hierarchy as hierarchies
from pyctr_lite.engine.doctor.finding import Finding
from pyctr_lite.errors import PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_lite.engine.state.paths import Paths

CONTROLLERS = {
    "cpu": ("cpu", "--cpus, --cpu-shares"),
    "cpuset": ("cpuset", "--cpuset-cpus"),
    "memory": ("memory", "-m"),
    "pids": ("pids", "--pids-limit"),
    "io": ("io", "--device-read-bps, --blkio-weight"),
    "freezer": ("freezer", "pause"),
    "devices": ("devices", "rules for access to devices"),
    "hugetlb": ("hugetlb", "limits of huge pages"),
}
_NEEDED = ("cpu", "memory", "pids")
_BUILT_IN = ("freezer", "devices")
"""Version 2 has no such controllers: every group can be frozen, and device rules are eBPF programs."""
_FIX = "enable it at boot (cgroup_enable=, no cgroup_disable=), and mount it below /sys/fs/cgroup"


def findings(paths: Paths) -> Iterator[Finding]:
    """Examine the hierarchies, a group of our own, each controller, swap accounting and pressure."""
    hierarchy = hierarchies.detect()
    kind = {"v1": "version 1", "v2": "version 2", "hybrid": "version 1 and 2 side by side"}[hierarchy.kind]
    if not hierarchy.mounts:
        yield Finding("cgroups", "hierarchies", False, "none is mounted", "mount -t cgroup2 none /sys/fs/cgroup")
        return
    yield Finding("cgroups", "hierarchies", True, f"{kind}: {_mountpoints(hierarchy)}")
    group = groups.Group(f"{paths.cgroup}-doctor-{os.getpid()}", hierarchy)
    try:
        group.create()
        yield Finding("cgroups", "groups", True, "a group was created and removed in every hierarchy")
    except (OSError, PyctrError) as error:
        yield Finding("cgroups", "groups", False, str(error), "/sys/fs/cgroup must be writable: is it delegated?")
    try:
        yield from _controllers(hierarchy)
        yield _swap()
    finally:
        group.remove()
    pressure = os.path.exists("/proc/pressure/memory")
    text = "/proc/pressure exists" if pressure else "this kernel reports no pressure: stats shows none"
    yield Finding("cgroups", "pressure", pressure, text, "boot with psi=1", needed=False)


def _controllers(hierarchy: hierarchies.Hierarchy) -> Iterator[Finding]:
    for name, (controller, purpose) in CONTROLLERS.items():
        mount = hierarchy.of(controller)
        if mount is not None:
            yield Finding("cgroups", name, True, f"version {mount.version}, {mount.mountpoint}: {purpose}")
        elif hierarchy.v2 is not None and name in _BUILT_IN:
            yield Finding("cgroups", name, True, f"version 2, {hierarchy.v2.mountpoint}: {purpose}")
        else:
            yield Finding("cgroups", name, False, f"missing: no {purpose}", _FIX, needed=name in _NEEDED)


def _mountpoints(hierarchy: hierarchies.Hierarchy) -> str:
    paths = sorted(mount.mountpoint for mount in hierarchy.mounts)
    common = os.path.commonpath(paths)
    names = [os.path.relpath(path, common) for path in paths]
    return f"{' '.join(names)} in {common}" if len(paths) > 1 else common


def _swap() -> Finding:
    """Examine swap accounting. Needs a group of our own: the root group of version 2 has no files for limits."""
    counted = hierarchies.counts_swap()
    text = "swap is counted: --memory-swap" if counted else "swap is not counted: no --memory-swap"
    return Finding("cgroups", "swap", counted, text, "boot with swapaccount=1", needed=False)
