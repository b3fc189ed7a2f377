"""Statistics in the form of runc's `events`: the same keys as runc's own, the values of the kernel."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pyctr_lite.cgroups import oci_stats
from pyctr_lite.cgroups.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.cgroups.group import Group
    from tests.cgroups.conftest import Inside

MIB = 1 << 20


def busy() -> None:
    """Use 50 ms of CPU time, and 8 MiB of memory."""
    memory = bytearray(8 * MIB)
    end = time.process_time() + 0.05
    while time.process_time() < end:
        memory[0] = 1


def test_the_statistics_of_a_group_are_the_kernels(group: Group, inside: Callable[..., Inside]) -> None:
    group.apply(Limits(pids=20, memory=64 * MIB, cpuset_cpus="0"))
    assert inside(group, busy).wait() == 0
    event = json.loads(json.dumps(oci_stats.event("stats", "box", group)))
    assert list(event) == ["type", "id", "data"]
    assert (event["type"], event["id"]) == ("stats", "box")
    data = event["data"]
    keys = {"cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"}
    assert set(data) == keys
    assert data["cpu"]["usage"]["total"] > 20_000_000
    assert data["cpu"]["throttling"] == {"periods": 0, "throttledPeriods": 0, "throttledTime": 0}
    if group.hierarchy.of("cpuacct"):
        assert sum(data["cpu"]["usage"]["percpu"]) > 20_000_000
        assert len(data["cpu"]["usage"]["percpu_user"]) == len(data["cpu"]["usage"]["percpu"])
    assert data["cpuset"]["cpus"] == [0]
    assert data["memory"]["usage"]["limit"] == 64 * MIB
    assert data["memory"]["usage"]["max"] > 8 * MIB
    assert data["memory"]["swap"]["limit"] >= 64 * MIB
    assert data["memory"]["raw"]["pgfault"] > 0
    assert data["pids"] == {"current": 0, "limit": 20}
    if group.v2 and Path(group.v2, "cpu.pressure").exists():
        assert data["cpu"]["psi"]["some"].keys() == {"avg10", "avg60", "avg300", "total"}


def test_a_group_without_a_pids_limit_reports_0(group: Group) -> None:
    assert oci_stats.read(group)["pids"]["limit"] == 0
    assert oci_stats.event("oom", "box") == {"type": "oom", "id": "box"}


def test_the_kernels_files_are_parsed() -> None:
    text = "some avg10=0.12 avg60=1.50 avg300=0.00 total=1234\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    assert oci_stats.parse_pressure(text)["some"] == {"avg10": 0.12, "avg60": 1.5, "avg300": 0, "total": 1234}
    assert oci_stats.parse_list("0-2,4") == [0, 1, 2, 4]
    assert oci_stats.parse_list("") == []
    assert oci_stats.parse_blkio("8:0 Read 1\n8:0 Total 1\n8:16 7\nTotal 8\n") == [
        {"major": 8, "minor": 0, "op": "Read", "value": 1},
        {"major": 8, "minor": 0, "op": "Total", "value": 1},
        {"major": 8, "minor": 16, "op": "", "value": 7},
    ]
    bytes_, operations = oci_stats.parse_io_stat("8:0 rbytes=5 wbytes=6 rios=1 wios=2 dbytes=0 dios=0\n")
    assert [(entry["op"], entry["value"]) for entry in bytes_] == [("Read", 5), ("Write", 6)]
    assert [(entry["op"], entry["value"]) for entry in operations] == [("Read", 1), ("Write", 2)]


def test_page_sizes_are_named_as_the_controllers_files() -> None:
    directories = [path.name for path in Path("/sys/kernel/mm/hugepages").glob("hugepages-*")]
    assert len(oci_stats.page_sizes()) == len(directories)
    if "hugepages-2048kB" in directories:
        assert "2MB" in oci_stats.page_sizes()
