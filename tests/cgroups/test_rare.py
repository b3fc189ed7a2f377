"""Limits that few containers set: written, or refused by one line if this machine lacks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyctr_lite.cgroups import rare
from pyctr_lite.cgroups.group import Group
from pyctr_lite.cgroups.hierarchy import Hierarchy, HierarchyMount, counts_swap
from pyctr_lite.cgroups.limits import Limits
from pyctr_lite.errors import InvalidArgument

MIB = 1 << 20
CONTROLLERS = ("cpu", "memory", "net_cls", "net_prio", "rdma")
OLD = Hierarchy([HierarchyMount("/none", 1, (*CONTROLLERS, "blkio"))])
NEW = Hierarchy([HierarchyMount("/none", 2, (*CONTROLLERS, "io"))])


def lines(hierarchy: Hierarchy, resources: dict[str, Any]) -> list[tuple[str, str]]:
    group = Group("/box", hierarchy)
    return [(file, text) for _, file, text in rare.files(group, Limits.from_oci(resources))]


@pytest.mark.parametrize(
    ("resources", "old", "new"),
    [
        ({"cpu": {"burst": 0}}, [("cpu.cfs_burst_us", "0")], [("cpu.max.burst", "0")]),
        ({"cpu": {"idle": 1}}, [("cpu.idle", "1")], [("cpu.idle", "1")]),
        (
            {"cpu": {"realtimePeriod": 100000, "realtimeRuntime": 1000}},
            [("cpu.rt_period_us", "100000"), ("cpu.rt_runtime_us", "1000")],
            None,
        ),
        ({"memory": {"swappiness": 0}}, [("memory.swappiness", "0")], None),
        ({"memory": {"kernelTCP": 4096}}, [("memory.kmem.tcp.limit_in_bytes", "4096")], []),
        ({"blockIO": {"leafWeight": 10}}, [("blkio.leaf_weight", "10")], None),
        (
            {"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 500}]}},
            [("blkio.bfq.weight_device", "8:0 500")],
            [("io.bfq.weight", "8:0 500")],
        ),
        (
            {"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "leafWeight": 300}]}},
            [("blkio.leaf_weight_device", "8:0 300")],
            None,
        ),
        ({"network": {"classID": 1048577}}, [("net_cls.classid", "1048577")], None),
        ({"network": {"priorities": [{"name": "lo", "priority": 5}]}}, [("net_prio.ifpriomap", "lo 5")], None),
        (
            {"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 9}, "mlx4_0": {"hcaObjects": 7}}},
            [("rdma.max", "mlx4_0 hca_object=7"), ("rdma.max", "mlx5_1 hca_handle=3 hca_object=9")],
            [("rdma.max", "mlx4_0 hca_object=7"), ("rdma.max", "mlx5_1 hca_handle=3 hca_object=9")],
        ),
    ],
)
def test_a_rare_limit_becomes_the_files_of_each_version(
    resources: dict[str, Any], old: list[tuple[str, str]], new: list[tuple[str, str]] | None
) -> None:
    assert lines(OLD, resources) == old
    if new is not None:
        assert lines(NEW, resources) == new
    else:
        with pytest.raises(InvalidArgument, match="cgroup v2 has no file for"):
            lines(NEW, resources)


def test_zeros_that_mean_unset_are_not_written() -> None:
    zeros = {"realtimePeriod": 0, "realtimeRuntime": 0}
    assert lines(NEW, {"cpu": zeros, "network": {"classID": 0}, "memory": {"swappiness": -1}}) == []


def test_a_swappiness_above_100_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="0 to 100, not 101"):
        lines(OLD, {"memory": {"swappiness": 101}})


def test_a_controller_that_is_not_mounted_is_an_error_that_names_the_limit() -> None:
    bare = Hierarchy([HierarchyMount("/none", 1, ("cpu",))])
    with pytest.raises(InvalidArgument, match=r"no cgroup controller net_cls: it cannot limit network\.classID"):
        lines(bare, {"network": {"classID": 1}})


def value(group: Group, controller: str, *files: str) -> str:
    directory = group.directory(controller)
    assert directory is not None
    return next(path for file in files if (path := Path(directory, file)).exists()).read_text().strip()


def test_the_kernel_takes_idle_and_a_burst_that_needs_a_greater_quota(group: Group) -> None:
    if group.directory("cpu") is None:
        pytest.skip("this machine has no cpu controller")
    for quota in (50_000, 20_000, 80_000):
        group.apply(Limits.from_oci({"cpu": {"quota": quota, "period": 100_000, "burst": quota}}))
        assert value(group, "cpu", "cpu.max.burst", "cpu.cfs_burst_us") == str(quota)
    for idle in (1, 0, 1):
        group.apply(Limits.from_oci({"cpu": {"shares": 512, "idle": idle}} if idle else {"cpu": {"idle": 0}}))
        assert value(group, "cpu", "cpu.idle") == str(idle)
    with pytest.raises(InvalidArgument, match=r"cpu\.idle"):
        group.apply(Limits.from_oci({"cpu": {"idle": 2}}))


def test_a_period_or_a_quota_alone_keeps_the_other(group: Group) -> None:
    if group.directory("cpu") is None:
        pytest.skip("this machine has no cpu controller")
    group.apply(Limits(cpu_quota=50_000, cpu_period=100_000))
    group.apply(Limits(cpu_period=90_000))
    assert value(group, "cpu", "cpu.max", "cpu.cfs_quota_us").split()[0] == "50000"
    group.apply(Limits(cpu_quota=60_000))
    assert value(group, "cpu", "cpu.max", "cpu.cfs_period_us").split()[-1] == "90000"


def test_a_limit_of_memory_plus_swap_alone_keeps_the_memory_limit(group: Group) -> None:
    if not counts_swap():
        pytest.skip("this kernel does not count swap")
    with pytest.raises(InvalidArgument, match="needs a memory limit"):
        group.apply(Limits(memory_swap=48 * MIB))
    group.apply(Limits(memory=32 * MIB, memory_swap=32 * MIB))
    group.apply(Limits(memory_swap=48 * MIB))
    swap = int(value(group, "memory", "memory.swap.max", "memory.memsw.limit_in_bytes"))
    assert (
        swap == (48 if Path(group.directory("memory") or "", "memory.memsw.limit_in_bytes").exists() else 16) * MIB
    )
    assert group.stats().memory_limit == 32 * MIB


def test_a_shorter_period_is_written_after_a_quota_that_it_needs(group: Group) -> None:
    """Below a parent with 50 %, the old quota in the new period would exceed what the parent has."""
    if group.directory("cpu") is None:
        pytest.skip("this machine has no cpu controller")
    below = Group(f"{group.path}/below", group.hierarchy)
    below.create()
    group.apply(Limits(cpu_quota=50_000, cpu_period=100_000))
    below.apply(Limits(cpu_quota=40_000, cpu_period=100_000))
    below.apply(Limits(cpu_quota=3_000, cpu_period=10_000))
    assert value(below, "cpu", "cpu.max", "cpu.cfs_quota_us").split()[0] == "3000"
    if below.hierarchy.controllers["cpu"].version == 1:  # version 2 permits more than the parent has
        with pytest.raises(InvalidArgument, match="cpu"):
            below.apply(Limits(cpu_quota=60_000, cpu_period=100_000))


def test_a_memory_limit_below_the_usage_is_refused_before_version_2_kills(group: Group) -> None:
    if group.directory("memory") is None:
        pytest.skip("this machine has no memory controller")
    mount = group.hierarchy.of("memory")
    assert mount is not None
    wanted = Limits.from_oci({"memory": {"limit": 64 * MIB, "checkBeforeUpdate": True}})
    group.apply(wanted)
    if mount.version == 2:
        with pytest.raises(InvalidArgument, match="rejecting the memory limit 0"):
            rare.files(group, Limits(memory=0, rare=wanted.rare))
    else:
        group.apply(Limits.from_oci({"memory": {"swappiness": 7}}))
        assert value(group, "memory", "memory.swappiness") == "7"
