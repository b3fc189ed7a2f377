"""The same OCI resources, set by runc and by the engine, give the same contents of the kernel's files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pyctr_lite.cgroups.group import Group
from pyctr_lite.cgroups.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.cgroups.hierarchy import HierarchyMount

MIB = 1 << 20

COMPARED = {
    1: [
        ("cpu", "cpu.shares"),
        ("cpu", "cpu.cfs_quota_us"),
        ("cpu", "cpu.cfs_period_us"),
        ("cpuset", "cpuset.cpus"),
        ("cpuset", "cpuset.mems"),
        ("memory", "memory.limit_in_bytes"),
        ("memory", "memory.memsw.limit_in_bytes"),
        ("memory", "memory.soft_limit_in_bytes"),
        ("pids", "pids.max"),
        ("io", "blkio.throttle.read_bps_device"),
        ("io", "blkio.throttle.write_iops_device"),
        ("devices", "devices.list"),
    ],
    2: [
        ("cpu", "cpu.weight"),
        ("cpu", "cpu.max"),
        ("cpuset", "cpuset.cpus"),
        ("memory", "memory.max"),
        ("memory", "memory.swap.max"),
        ("memory", "memory.low"),
        ("pids", "pids.max"),
        ("io", "io.max"),
    ],
}


TUN = {"c 10:200 rwm"}
"""/dev/net/tun: runc up to 1.1 allows it to every container, runc from 1.2 on does not."""

NEWER_WEIGHT = {"39": "12"}
"""cpu.weight of 300 shares: runc from 1.3.2 on has another formula (`v2.cpu_weight`)."""


def resources() -> dict[str, Any]:
    major, minor = map(int, next(Path("/sys/block").iterdir()).joinpath("dev").read_text().split(":"))
    return {
        "cpu": {"quota": 30000, "period": 60000, "shares": 300, "cpus": "0"},
        "memory": {"limit": 64 * MIB, "swap": 96 * MIB, "reservation": 32 * MIB},
        "pids": {"limit": 33},
        "blockIO": {
            "throttleReadBpsDevice": [{"major": major, "minor": minor, "rate": MIB}],
            "throttleWriteIOPSDevice": [{"major": major, "minor": minor, "rate": 50}],
        },
        "devices": [
            {"allow": False, "access": "rwm"},
            *({"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},) * _has_device_rules(),
        ],
    }


def _has_device_rules() -> bool:
    return Path("/sys/fs/cgroup/devices").exists()


def contents(group: Group) -> dict[str, Any]:
    """Read the compared files. Their lines are sorted, because the kernel chooses the order."""
    found = {}
    for controller, file in [*COMPARED[1], *COMPARED[2]]:
        directory = group.directory(controller)
        if directory and (path := Path(directory, file)).exists():
            lines = set(path.read_text().splitlines()) - TUN
            if file == "cpu.weight":
                lines = {NEWER_WEIGHT.get(line, line) for line in lines}
            found[f"{controller}/{file}"] = sorted(lines)
    return found


@pytest.fixture
def runc_group(group: Group, needs: Callable[[str], str], tmp_path: Path) -> Any:
    """Create a container with runc, without starting it, in a group beside ours."""
    runc, busybox = needs("runc"), needs("busybox")
    (tmp_path / "rootfs/bin").mkdir(parents=True)
    shutil.copy(busybox, tmp_path / "rootfs/bin/busybox")
    subprocess.run([runc, "spec"], cwd=tmp_path, check=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config["process"].update(terminal=False, args=["/bin/busybox", "true"], rlimits=[])
    config["linux"]["resources"] = resources()
    config["linux"]["cgroupsPath"] = os.path.dirname(group.path) + "/runc"
    (tmp_path / "config.json").write_text(json.dumps(config))
    name = f"pyctr-test-{os.getpid()}"
    command = [runc, "--root", str(tmp_path / "runc")]
    subprocess.run(
        [*command, "create", "-b", str(tmp_path), name],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    yield Group(config["linux"]["cgroupsPath"], group.hierarchy)
    subprocess.run([*command, "delete", "--force", name], check=True)
    Group(config["linux"]["cgroupsPath"], group.hierarchy).remove()


def test_runc_writes_the_same_values(group: Group, runc_group: Group) -> None:
    before = contents(group)
    assert before.keys() == contents(runc_group).keys() != set()
    assert before != contents(runc_group)
    group.apply(Limits.from_oci(resources()))
    assert contents(group) == contents(runc_group)


def test_runc_is_in_the_same_hierarchies(group: Group, runc_group: Group) -> None:
    (pid,) = runc_group.pids()
    there = {
        line.split(":")[1]
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        if line.endswith(runc_group.path)
    }
    ours = {_as_in_proc(mount) for mount in group.hierarchy.mounts}
    assert there <= ours
    assert ours - there <= {""}  # runc does not use version 2 on a hybrid machine


def _as_in_proc(mount: HierarchyMount) -> str:
    if mount.name:
        return f"name={mount.name}"
    return ",".join(mount.controllers) if mount.version == 1 else ""
