"""The files and texts of both versions for the same limits: pure functions, tested on any machine."""

from __future__ import annotations

from typing import Any

import pytest

from pyctr_lite.cgroups import devices, v1, v2
from pyctr_lite.cgroups.limits import Limits
from pyctr_lite.errors import InvalidArgument

MIB = 1 << 20

SAMPLES: list[tuple[dict[str, Any], list[tuple[str, str]], list[tuple[str, str]]]] = [
    ({}, [], []),
    (
        {"cpu_quota": 50000, "cpu_period": 100000},
        [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "50000")],
        [("cpu.max", "50000 100000")],
    ),
    ({"cpu_quota": 150000}, [("cpu.cfs_quota_us", "150000")], [("cpu.max", "150000 100000")]),
    ({"cpu_quota": -1}, [("cpu.cfs_quota_us", "-1")], [("cpu.max", "max 100000")]),
    ({"cpu_shares": 2}, [("cpu.shares", "2")], [("cpu.weight", "1")]),
    ({"cpu_shares": 1024}, [("cpu.shares", "1024")], [("cpu.weight", "39")]),
    ({"cpu_shares": 262144}, [("cpu.shares", "262144")], [("cpu.weight", "10000")]),
    (
        {"cpuset_cpus": "0-1", "cpuset_mems": "0"},
        [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")],
        [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")],
    ),
    (
        {"memory": 64 * MIB},
        [("memory.limit_in_bytes", "67108864")],
        [("memory.max", "67108864")],
    ),
    (
        {"memory": 64 * MIB, "memory_swap": 96 * MIB},
        [("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "100663296")],
        [("memory.swap.max", "33554432"), ("memory.max", "67108864")],
    ),
    (
        {"memory": 64 * MIB, "memory_swap": 64 * MIB},
        [("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "67108864")],
        [("memory.swap.max", "0"), ("memory.max", "67108864")],
    ),
    (
        {"memory": 64 * MIB, "memory_swap": -1},
        [("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "-1")],
        [("memory.swap.max", "max"), ("memory.max", "67108864")],
    ),
    (
        {"memory": -1},
        [("memory.limit_in_bytes", "-1"), ("memory.memsw.limit_in_bytes", "-1")],
        [("memory.swap.max", "max"), ("memory.max", "max")],
    ),
    (
        {"memory_reservation": 32 * MIB},
        [("memory.soft_limit_in_bytes", "33554432")],
        [("memory.low", "33554432")],
    ),
    ({"pids": 20}, [("pids.max", "20")], [("pids.max", "20")]),
    ({"pids": -1}, [("pids.max", "max")], [("pids.max", "max")]),
    ({"blkio_weight": 500}, [("blkio.bfq.weight", "500")], [("io.bfq.weight", "500")]),
    (
        {"device_read_bps": [(8, 0, MIB)], "device_write_iops": [(8, 16, 100), (8, 0, 0)]},
        [
            ("blkio.throttle.read_bps_device", "8:0 1048576"),
            ("blkio.throttle.write_iops_device", "8:16 100"),
            ("blkio.throttle.write_iops_device", "8:0 0"),
        ],
        [("io.max", "8:0 rbps=1048576"), ("io.max", "8:16 wiops=100"), ("io.max", "8:0 wiops=max")],
    ),
    (
        {"hugepages": [("2MB", 4 * MIB)]},
        [("hugetlb.2MB.limit_in_bytes", "4194304"), ("hugetlb.2MB.rsvd.limit_in_bytes", "4194304")],
        [("hugetlb.2MB.max", "4194304"), ("hugetlb.2MB.rsvd.max", "4194304")],
    ),
    ({"unified": {"memory.high": "60M"}}, [], [("memory.high", "60M")]),
]


@pytest.mark.parametrize(("given", "old", "new"), SAMPLES)
def test_limits_become_the_files_of_each_version(
    given: dict[str, Any], old: list[tuple[str, str]], new: list[tuple[str, str]]
) -> None:
    limits = Limits(**given)
    assert [(file, text) for _, file, text in v1.files(limits)] == old
    assert [(file, text) for _, file, text in v2.files(limits)] == new


@pytest.mark.parametrize("version", [v1, v2])
@pytest.mark.parametrize(
    "given",
    [
        {"memory": 64 * MIB, "memory_swap": 32 * MIB},
        {"memory_swap": 64 * MIB},
        {"memory": -1, "memory_swap": 64 * MIB},
        {"memory": -2},
        {"cpu_shares": 1},
        {"cpu_shares": 262145},
        {"blkio_weight": 9},
    ],
)
def test_inconsistent_limits_are_refused(version: Any, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        version.files(Limits(**given))


@pytest.mark.parametrize(("version", "disks"), [(v1, "blkio"), (v2, "io")])
def test_each_file_is_listed_with_its_controller(version: Any, disks: str) -> None:
    limits = Limits(memory=MIB, pids=1, blkio_weight=10, cpuset_cpus="0")
    assert [controller for controller, _, _ in version.files(limits)] == ["cpuset", "memory", "pids", disks]
    assert [controller for controller, _, _ in version.files(limits, {"pids"})] == ["pids"]


def test_raising_limits_writes_swap_first() -> None:
    lines = v1.files(Limits(memory=MIB, memory_swap=2 * MIB, memory_reservation=MIB))
    names = [file for _, file, _ in v1.raised(lines)]
    assert names[:2] == ["memory.memsw.limit_in_bytes", "memory.limit_in_bytes"]
    assert sorted(v1.raised(lines)) == sorted(lines)


def test_without_bfq_the_weight_is_converted_to_io_weight() -> None:
    assert [v2.io_weight(Limits(blkio_weight=weight))[0][2] for weight in (10, 100, 1000)] == ["1", "910", "10000"]
    assert v2.io_weight(Limits()) == []


@pytest.mark.parametrize("name", ["../memory.max", "memory", "a/b.c"])
def test_unified_accepts_only_file_names(name: str) -> None:
    with pytest.raises(InvalidArgument):
        v2.files(Limits(unified={name: "1"}))


def test_device_rules_become_lines_in_order() -> None:
    rules = [
        {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
        {"allow": False, "type": "b", "major": 8},
    ]
    assert v1.files(Limits(devices=rules)) == [
        ("devices", "devices.allow", "c 10:229 rw"),
        ("devices", "devices.deny", "b 8:* rwm"),
    ]


def test_the_letter_a_in_an_access_is_ignored_as_in_runc() -> None:
    assert devices.lines([{"allow": False, "type": "c", "access": "arw"}]) == [(False, "c *:* rw")]


def test_forbidding_all_devices_still_allows_the_standard_devices() -> None:
    lines = v1.files(Limits(devices=[{"allow": False, "access": "rwm"}]))
    assert lines[0] == ("devices", "devices.deny", "a *:* rwm")
    assert ("devices", "devices.allow", "c 1:3 rwm") in lines
    assert lines == v1.files(Limits(devices=devices.DEFAULT))


def test_allowing_all_devices_adds_nothing() -> None:
    everything = [{"allow": True, "access": "rwm"}]
    assert v1.files(Limits(devices=everything)) == [("devices", "devices.allow", "a *:* rwm")]


@pytest.mark.parametrize(
    "rule", [{"type": "p"}, {"type": "c", "access": "x"}, {"type": "a", "access": "m"}, {"major": 1}]
)
def test_a_rule_that_the_kernel_would_misread_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        devices.lines([{"allow": True, **rule}])
