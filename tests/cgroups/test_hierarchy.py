"""The cgroup hierarchies of a machine, from sample mount tables and from this machine's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_lite.cgroups import hierarchy

DEBIAN = "26 25 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
SYSTEMD_V1 = """\
30 25 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
32 30 0:28 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,name=systemd
35 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:14 - cgroup cgroup rw,cpu,cpuacct
36 30 0:32 / /sys/fs/cgroup/memory rw shared:15 - cgroup cgroup rw,memory
37 30 0:33 / /sys/fs/cgroup/blkio rw shared:16 - cgroup cgroup rw,blkio
"""
UNIFIED = "31 30 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw,nsdelegate\n"
OTHER = "40 25 0:40 / /proc rw - proc proc rw\n41 25 0:41 / /mnt/my\\040cgroup rw - tmpfs cgroup rw\n"


@pytest.mark.parametrize(
    ("text", "kind"),
    [(DEBIAN, "v2"), (SYSTEMD_V1, "v1"), (SYSTEMD_V1 + UNIFIED, "hybrid"), (OTHER + DEBIAN, "v2")],
)
def test_the_kind_follows_from_the_mounts(text: str, kind: str) -> None:
    assert hierarchy.Hierarchy(hierarchy.parse(text)).kind == kind


def test_without_mounts_there_is_no_hierarchy() -> None:
    found = hierarchy.Hierarchy(hierarchy.parse(OTHER))
    assert (found.mounts, found.controllers, found.v2) == ([], {}, None)


def test_controllers_mounted_together_share_a_directory() -> None:
    found = hierarchy.Hierarchy(hierarchy.parse(SYSTEMD_V1))
    cpu, cpuacct = found.of("cpu"), found.of("cpuacct")
    assert cpu is not None
    assert cpu is cpuacct
    assert cpu.mountpoint == "/sys/fs/cgroup/cpu,cpuacct"


def test_the_disk_controller_is_found_by_either_versions_name() -> None:
    found = hierarchy.Hierarchy(hierarchy.parse(SYSTEMD_V1))
    assert found.of("io") is found.of("blkio") is not None
    assert found.of("pids") is None


def test_a_hierarchy_mounted_twice_is_listed_once_at_its_usual_path() -> None:
    again = "90 25 0:32 / /elsewhere rw - cgroup cgroup rw,memory\n"
    found = hierarchy.parse(again + SYSTEMD_V1 + again)
    mountpoints = [mount.mountpoint for mount in found if "memory" in mount.controllers]
    assert mountpoints == ["/sys/fs/cgroup/memory"]


def test_the_same_hierarchies_can_be_mounted_elsewhere() -> None:
    assert hierarchy.mounts(hierarchy.Hierarchy(hierarchy.parse(SYSTEMD_V1 + UNIFIED))) == [
        ("systemd", "cgroup", "name=systemd"),
        ("cpu,cpuacct", "cgroup", "cpu,cpuacct"),
        ("memory", "cgroup", "memory"),
        ("blkio", "cgroup", "blkio"),
        ("unified", "cgroup2", ""),
    ]


def test_this_machines_hierarchies_are_those_in_proc_self_cgroup() -> None:
    of_v1, named = set(), set()
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, names, _ = line.split(":", 2)
        if number != "0":
            of_v1 |= {name for name in names.split(",") if not name.startswith("name=")}
            named |= {name[5:] for name in names.split(",") if name.startswith("name=")}
    found = hierarchy.detect()
    assert {name for name, mount in found.controllers.items() if mount.version == 1} == of_v1
    assert {mount.name for mount in found.mounts if mount.name} == named
    if found.v2:
        of_v2 = Path(found.v2.mountpoint, "cgroup.controllers").read_text().split()
        assert [name for name, mount in found.controllers.items() if mount is found.v2] == of_v2
        assert not of_v1 & set(of_v2)
