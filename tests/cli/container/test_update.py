"""`update`: the kernel's files of a running container, the record of a stopped one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyctr_lite.engine.engine import Engine
from pyctr_lite.engine.network.settings import NetworkSettings
from pyctr_lite.linux import netlink
from pyctr_lite.networks import bridge, guard, link, queue
from tests.conftest import Pyctr

MIB = 1 << 20


def start(pyctr: Pyctr, *flags: str) -> None:
    pyctr("run", "-d", "--name", "box", *flags, "busybox", "sleep", "1000", check=True)


def limit(root: Path, controller: str, old: str, new: str) -> str:
    """Return the text of a limit's file, given its names under version 1 and version 2."""
    group = Engine(str(root)).containers.get("box").group
    mount = group.hierarchy.of(controller)
    assert mount is not None
    return Path(f"{mount.mountpoint}{group.path}/{old if mount.version == 1 else new}").read_text().strip()


def host_config(pyctr: Pyctr) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(pyctr("inspect", "-f", "{{json .HostConfig}}", "box", check=True).stdout)
    return shown


def memory(root: Path) -> int:
    return int(limit(root, "memory", "memory.limit_in_bytes", "memory.max"))


def test_limits_of_a_running_container_change_at_once_and_are_kept(pyctr: Pyctr, root: Path) -> None:
    start(pyctr, "-m", "64m")
    done = pyctr(
        "update", "-m", "96m", "--cpus", "0.5", "--pids-limit", "50", "--cpu-shares", "512", "box", check=True
    )
    assert (done.stdout, done.stderr) == ("box\n", "")
    for _ in ("at once", "after a restart"):
        assert memory(root) == 96 * MIB
        assert limit(root, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
        assert limit(root, "pids", "pids.max", "pids.max") == "50"
        pyctr("restart", "-t", "0", "box", check=True)
    shown = host_config(pyctr)
    assert (shown["Memory"], shown["NanoCpus"], shown["PidsLimit"]) == (96 * MIB, 5 * 10**8, 50)


def test_memory_and_swap_are_raised_and_lowered_in_the_order_that_the_kernel_accepts(
    pyctr: Pyctr, root: Path
) -> None:
    start(pyctr, "-m", "64m", "--memory-swap", "64m")
    for size, swap in (("256m", "512m"), ("32m", "32m"), ("128m", "-1")):
        pyctr("update", "-m", size, "--memory-swap", swap, "box", check=True)
        assert memory(root) == int(size[:-1]) * MIB


def test_a_stopped_container_has_the_new_limits_from_its_next_start(pyctr: Pyctr, root: Path) -> None:
    pyctr("create", "--name", "box", "busybox", "sleep", "1000", check=True)
    pyctr("update", "-m", "64m", "box", check=True)
    pyctr("start", "box", check=True)
    assert memory(root) == 64 * MIB


def test_several_containers_are_updated_and_a_missing_one_is_reported(pyctr: Pyctr) -> None:
    start(pyctr)
    pyctr("create", "--name", "other", "busybox", check=True)
    done = pyctr("update", "--pids-limit", "9", "box", "nobody", "other")
    assert (done.returncode, done.stdout) == (1, "box\nother\n")
    assert "No such container: nobody" in done.stderr


@pytest.mark.parametrize(
    ("made", "args", "message"),
    [
        ([], [], "you must provide one or more flags"),
        ([], ["-m", "1m"], "Minimum memory limit allowed is 6MB"),
        ([], ["--cpus", "1000"], "Range of CPUs is from 0.01"),
        ([], ["--restart", "sometimes"], "invalid restart policy"),
        ([], ["--cpuset-cpus", "999"], "cpuset.cpus"),
        (["-m", "64m"], ["-m", "256m"], "update the memoryswap at the same time"),
        (["-m", "64m"], ["--memory-swap", "32m"], "should be larger than memory limit"),
        (["--cpus", "1"], ["--cpu-quota", "20000"], "CPU Period or Quota cannot be updated"),
        (["--cpu-quota", "20000"], ["--cpus", "1"], "Nano CPUs cannot be updated"),
        (["--rm"], ["--restart", "always"], "AutoRemove is enabled"),
    ],
)
def test_an_impossible_limit_is_refused_and_changes_nothing(
    pyctr: Pyctr, made: list[str], args: list[str], message: str
) -> None:
    start(pyctr, *made)
    before = host_config(pyctr)
    done = pyctr("update", *args, "box")
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert host_config(pyctr) == before


def test_a_refused_limit_reverts_those_before_it(pyctr: Pyctr, root: Path) -> None:
    start(pyctr, "--cpu-shares", "700", "--cpuset-cpus", "0")
    before = limit(root, "cpu", "cpu.shares", "cpu.weight")
    assert pyctr("update", "--cpu-shares", "300", "--cpuset-cpus", "999", "box").returncode == 1
    assert limit(root, "cpu", "cpu.shares", "cpu.weight") == before


def test_a_restart_policy_is_set_and_removed_while_the_container_runs(pyctr: Pyctr) -> None:
    end = "until [ -e /go ]; do usleep 10000; done; rm /go; exit 1"
    pyctr("run", "-d", "--name", "box", "busybox", "sh", "-c", end, check=True)
    pyctr("update", "--restart", "on-failure:1", "box", check=True)
    pyctr("exec", "box", "touch", "/go", check=True)
    while pyctr("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "box").stdout != "running 1\n":
        pass
    pyctr("update", "--restart", "no", "box", check=True)
    pyctr("exec", "box", "touch", "/go", check=True)
    pyctr("wait", "box", check=True)
    assert pyctr("inspect", "-f", "{{.State.Status}}", "box").stdout == "exited\n"


def test_rates_of_a_running_containers_networks_change_at_once_and_are_kept(pyctr: Pyctr) -> None:
    start(pyctr)
    pyctr("update", "--network-rate-in", "8mbit", "--network-rate-out", "16mbit", "box", check=True)
    for _ in ("at once", "after a restart"):
        found = Engine(str(pyctr.root)).containers.get("box")
        (endpoint,) = NetworkSettings.read(found.runtime).networks.values()
        with netlink.Socket() as sock, bridge.socket_inside(found.state.Pid) as inside:
            received = queue.get(sock, link.index(sock, endpoint["Link"]))
            sent = queue.get(inside, link.index(inside, endpoint["Interface"]))
        assert received is not None
        assert sent is not None
        assert (received.rate, sent.rate) == (10**6, 2 * 10**6)
        pyctr("restart", "-t", "0", "box", check=True)
    shown = host_config(pyctr)
    assert (shown["NetworkRateIn"], shown["NetworkRateOut"]) == (10**6, 2 * 10**6)


def test_a_rate_of_zero_lifts_the_limit_at_once_and_for_good(pyctr: Pyctr) -> None:
    start(pyctr, "--network-rate-in", "8mbit", "--network-rate-out", "8mbit")
    for direction, others in (("in", (0, 10**6)), ("out", (0, 0))):
        pyctr("update", f"--network-rate-{direction}", "0", "box", check=True)
        for _ in ("at once", "after a restart"):
            assert rates(pyctr) == others
            pyctr("restart", "-t", "0", "box", check=True)
    shown = host_config(pyctr)
    assert (shown["NetworkRateIn"], shown["NetworkRateOut"]) == (0, 0)
    pyctr("network", "create", "red", check=True)
    pyctr("network", "connect", "red", "box", check=True)
    pyctr("update", "--network-rate-out", "8mbit", "box", check=True)
    assert rates(pyctr) == (0, 10**6)
    pyctr("update", "--network-rate-out", "0", "box", check=True)
    assert rates(pyctr) == (0, 0)


def rates(pyctr: Pyctr) -> tuple[int, int]:
    """Return the rates that limit what a container receives and sends, the same on each of its networks."""
    box = Engine(str(pyctr.root)).containers.get("box")
    found = set()
    with bridge.Sockets() as sockets, bridge.socket_inside(box.state.Pid) as inside:
        for endpoint in NetworkSettings.read(box.runtime).networks.values():
            queues = (
                queue.get(sockets.route, link.index(sockets.route, endpoint["Link"])),
                queue.get(inside, link.index(inside, endpoint["Interface"])),
            )
            received, sent = (each.rate if each else 0 for each in queues)
            assert (endpoint["Link"] in guard.names(sockets.filter)) == bool(sent)
            found.add((received, sent))
    (only,) = found
    return only


def test_a_container_without_a_network_has_no_rate(pyctr: Pyctr) -> None:
    start(pyctr, "--network", "none")
    done = pyctr("update", "--network-rate-in", "8mbit", "box")
    assert (done.returncode, "--network-rate-in and --network none" in done.stderr) == (1, True)
