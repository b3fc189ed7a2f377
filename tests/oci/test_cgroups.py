"""The cgroup of a container of `pyctr-oci`: made, limited, updated, refused if in use, and removed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pyctr_lite.cgroups import hierarchy, paths
from pyctr_lite.cgroups.group import Group
from tests.oci.conftest import Oci


def group_of(oci: Oci, path: str | None = None) -> Group:
    return paths.resolve(path or oci.config["linux"]["cgroupsPath"], "")


def value(group: Group, controller: str, *files: str) -> str:
    directory = group.directory(controller)
    assert directory is not None
    return next(path for file in files if (path := Path(directory, file)).exists()).read_text().strip()


def test_limits_of_the_configuration_are_in_force_and_updated(oci: Oci) -> None:
    oci.config["linux"]["resources"] |= {
        "memory": {"limit": 64 << 20, "swappiness": None},
        "cpu": {"quota": 50_000, "period": 100_000, "burst": 1000, "idle": 0},
        "pids": {"limit": 20},
        "network": None,
        "unified": {},
        "notInTheSpec": {"limit": 1},
    }
    oci.write("sleep", "60")
    oci("run", "--detach", "--bundle", oci.bundle, "box", check=True)
    group = group_of(oci)
    assert value(group, "pids", "pids.max") == "20"
    assert value(group, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert value(group, "cpu", "cpu.cfs_burst_us", "cpu.max.burst") == "1000"
    oci("update", "--pids-limit", "0", "--cpu-period", "90000", "--memory", "48M", "box", check=True)
    assert value(group, "pids", "pids.max") == "1"
    assert value(group, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
    assert value(group, "memory", "memory.limit_in_bytes", "memory.max") == str(48 << 20)
    oci("update", "--pids-limit", "-1", "--cpu-idle", "1", "box", check=True)
    assert value(group, "pids", "pids.max") == "max"
    assert value(group, "cpu", "cpu.idle") == "1"
    assert "cpu.idle" in oci("update", "--cpu-idle", "7", "box").stderr
    oci("delete", "--force", "box", check=True)
    assert not group.exists()


def test_a_group_in_use_or_frozen_is_refused(oci: Oci) -> None:
    oci.write("sleep", "60")
    oci("run", "-d", "-b", oci.bundle, "box", check=True)
    refused = oci("run", "-d", "-b", oci.bundle, "other")
    assert refused.returncode == 1
    assert "container's cgroup is not empty: 1 process(es) found" in refused.stderr
    group = group_of(oci)
    oci("delete", "-f", "box", check=True)
    group.create()
    group.freeze()
    assert "container's cgroup unexpectedly frozen" in oci("create", "-b", oci.bundle, "box").stderr
    group.thaw()
    oci("create", "-b", oci.bundle, "box", check=True)
    oci("delete", "-f", "box", check=True)
    assert not group.exists()


def test_delete_kills_a_process_that_was_moved_into_a_frozen_group_of_version_1(oci: Oci) -> None:
    mount = hierarchy.detect().of("freezer")
    if mount is None or mount.version == 2:
        pytest.skip("this machine has no freezer of version 1")
    oci.write("sleep", "60")
    oci("run", "-d", "-b", oci.bundle, "box", check=True)
    frozen = Path(f"{mount.mountpoint}/pyctr_oci-{oci.directory.name}/frozen")
    frozen.mkdir()
    (frozen / "cgroup.procs").write_text(str(oci.state()["pid"]))
    (frozen / "freezer.state").write_text("FROZEN")
    oci("delete", "-f", "box", check=True)
    frozen.rmdir()


def test_an_exec_joins_a_group_below_the_containers(oci: Oci) -> None:
    oci.write("sleep", "60")
    oci("run", "-d", "-b", oci.bundle, "box", check=True)
    group = group_of(oci)
    below = Path(group.directory("pids") or "", "below")
    below.mkdir()
    oci("exec", "--cgroup", "below", "box", "cat", "/proc/self/cgroup", check=True)
    assert "/below\n" in oci.output()
    assert "bad sub cgroup path" in oci("exec", "--cgroup", "below/..", "box", "true").stderr
    assert "no such file or directory" in oci("exec", "--cgroup", "none", "box", "true").stderr
    oci("delete", "-f", "box", check=True)
    assert not below.exists()


def test_a_relative_path_starts_at_the_group_of_pyctr_oci(oci: Oci) -> None:
    oci.config["linux"]["cgroupsPath"] = f"pyctr_oci-{oci.directory.name}/relative"
    oci.write("sleep", "60")
    oci("run", "-d", "-b", oci.bundle, "box", check=True)
    groups = {
        line.split(":")[1]: line for line in Path(f"/proc/{oci.state()['pid']}/cgroup").read_text().splitlines()
    }
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        name, own = line.split(":", 2)[1:]
        start = os.path.dirname(own) if name == "" else own
        assert groups[name].endswith(f":{start.rstrip('/')}/pyctr_oci-{oci.directory.name}/relative")
    state = json.loads((oci.root / "box/state.json").read_text())
    found = paths.from_state(state["cgroup"])
    assert found.pids() == [oci.state()["pid"]]
    oci("delete", "-f", "box", check=True)
    assert not found.exists()
    paths.from_state({**state["cgroup"], "path": f"/pyctr_oci-{oci.directory.name}"}).remove()


def test_without_systemd_there_is_one_line(oci: Oci, tmp_path: Path) -> None:
    oci.config["linux"]["cgroupsPath"] = "system.slice:pyctr:box"
    oci.write("true")
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/none"}
    failed = oci("--systemd-cgroup", "run", "-b", oci.bundle, "box", env=environment)
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "cannot connect to systemd at" in failed.stderr
    oci.config["linux"]["cgroupsPath"] = "/absolute"
    oci.write("true")
    assert 'of format "slice:prefix:name"' in oci("--systemd-cgroup", "run", "-b", oci.bundle, "box").stderr


def test_kill_reaches_what_a_first_process_in_a_shared_pid_namespace_has_left(oci: Oci) -> None:
    oci.config["linux"]["namespaces"] = [
        entry for entry in oci.config["linux"]["namespaces"] if entry["type"] != "pid"
    ]
    oci.write("sleep", "60")
    oci("run", "-d", "-b", oci.bundle, "box", check=True)
    oci("exec", "--detach", "box", "sleep", "60", check=True)
    group = group_of(oci)
    first = oci.state()["pid"]
    assert oci("kill", "box", "0").returncode == 0
    os.kill(first, 9)
    oci.wait("stopped")
    assert len(group.pids()) == 1
    assert oci("kill", "box", "TERM").stderr == "container not running: box\n"
    oci("kill", "box", "KILL", check=True)
    assert len(oci("ps", "box", check=True).stdout.splitlines()) == 1
    assert oci("kill", "--all", "box", "0").returncode == 0
    oci("delete", "box", check=True)
    assert not group.exists()
    assert oci("kill", "box", "0").returncode == 1


@pytest.mark.skipif(not os.path.isdir("/run/systemd/system"), reason="this machine does not run systemd")
def test_systemd_makes_limits_and_removes_the_group_of_a_container(oci: Oci) -> None:
    unit = f"pyctr-{oci.directory.name.replace('_', '')}.scope"
    oci.config["linux"]["cgroupsPath"] = f"system.slice:pyctr:{unit.removeprefix('pyctr-').removesuffix('.scope')}"
    oci.config["linux"]["resources"]["pids"] = {"limit": 20}
    oci.config["annotations"] = {"org.systemd.property.TimeoutStopUSec": "uint64 5000000"}
    oci.write("sleep", "60")
    oci("--systemd-cgroup", "run", "-d", "-b", oci.bundle, "box", check=True)
    show = ["systemctl", "show", unit, "--property=ActiveState,TasksMax,TimeoutStopUSec"]
    assert set(subprocess.check_output(show, text=True).split()) == {
        "ActiveState=active",
        "TasksMax=20",
        "TimeoutStopUSec=5s",
    }
    group = group_of(oci, f"/system.slice/{unit}")
    assert group.pids() == [oci.state()["pid"]]
    oci("exec", "box", "cat", "/proc/self/cgroup", check=True)
    oci("update", "--pids-limit", "30", "box", check=True)
    assert "TasksMax=30" in subprocess.check_output(show, text=True)
    oci("delete", "-f", "box", check=True)
    assert not group.exists()
    assert "ActiveState=inactive" in subprocess.check_output(show, text=True)
