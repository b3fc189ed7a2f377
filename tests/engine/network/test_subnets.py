"""After a reboot, somebody else may have a network's subnet. A boot is a network namespace of the test's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyctr_lite import jsonfile
from pyctr_lite.networks import elements, link
from tests.conftest import Pyctr
from tests.engine.life.test_survival import end_of
from tests.networks.topology import Namespace, namespaces

FIRST, SECOND = "172.17.0.0/16", "172.18.0.0/16"


class Boot:
    """The time from one boot to the next: the engine's commands, on a machine without links of others."""

    def __init__(self, pyctr: Pyctr, host: Namespace) -> None:
        self.pyctr, self.host = pyctr, host

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command. Returns its output, or its error if it must fail."""
        command = self.host.enter(*self.pyctr.command(*arguments))
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stderr if code else done.stdout.strip()

    def take(self, *addresses: str, name: str = "lo") -> None:
        """Give this machine other addresses, as a VPN does, or an engine with another state directory."""
        with self.host.route() as sock:
            for address in addresses:
                own, _, prefix = address.partition("/")
                link.add_address(sock, link.index(sock, name), own, int(prefix))

    def subnets(self, network: str = "bridge") -> list[str]:
        (shown,) = json.loads(self("network", "inspect", network))
        return [row["Subnet"] for row in shown["IPAM"]["Config"]]

    def moves(self) -> list[dict[str, str]]:
        """The events of networks that got other subnets."""
        filters = "--since", "1h", "--until", "0s", "--filter", "type=network", "--filter", "event=update"
        lines = self("events", *filters, "--format", "{{json .}}").splitlines()
        return [json.loads(line)["Actor"]["Attributes"] for line in lines]


@contextmanager
def neighbour(boot: Boot, store: Path, tmp_path: Path) -> Iterator[Boot]:
    """Another engine on a machine, with the images of a store."""
    subprocess.run(["cp", "-a", store, tmp_path / "other"], check=True)
    other = Boot(Pyctr(boot.pyctr.launcher, tmp_path / "other"), boot.host)
    try:
        yield other
    finally:
        if ids := other("ps", "-aq").split():
            other("rm", "-f", *ids)
        other("network", "prune", "-f")


@pytest.fixture
def boots(pyctr: Pyctr) -> Iterator[list[Boot]]:
    """Two boots of one machine."""
    with namespaces(2) as hosts:
        yield [Boot(pyctr, host) for host in hosts]


def test_the_default_network_gets_another_subnet_if_another_engine_has_taken_its_own(
    boots: list[Boot], busybox_store: Path, tmp_path: Path
) -> None:
    before, after = boots
    show = "ip", "-4", "-o", "address", "show", "eth0"
    assert "172.17.0.2/16" in before("run", "--name", "box", "busybox", *show)
    with neighbour(after, busybox_store, tmp_path) as other:
        other("run", "-d", "--name", "other", "busybox", "sleep", "60")
        assert other.subnets() == [FIRST]
        assert "172.18.0.2/16" in after("start", "-a", "box")
        assert after.subnets() == [SECOND]
        assert after.moves() == [{"name": "bridge", "type": "bridge", "subnet": SECOND, "previous": FIRST}]
        after("start", "-a", "box")
        assert (len(after.moves()), other.moves()) == (1, [])


def test_after_a_power_cut_another_engine_with_the_same_addresses_and_ports_keeps_them(
    boots: list[Boot], busybox_store: Path, tmp_path: Path
) -> None:
    before, after = boots
    run = "run", "-d", "--name", "box", "-p", "8080:80", "busybox", "sleep", "60"
    id = before(*run)
    state = jsonfile.read(f"{before.pyctr.root}/containers/{id}/state.json")
    for pid in (state["MonitorPid"], state["Pid"]):
        os.kill(pid, signal.SIGKILL)
        end_of(pid)
    with neighbour(after, busybox_store, tmp_path) as other, after.host.filter() as sock:
        other(*run)
        known = elements.published(sock), elements.own(sock)
        assert (known[0][0].address, known[1]) == ("172.17.0.2", ["172.17.0.2"])
        assert after("ps", "-a", "--format", "{{.State}}") == "exited"
        assert (elements.published(sock), elements.own(sock)) == known
        assert "port is already allocated" in after("start", "box", code=1)
        assert (elements.published(sock), elements.own(sock)) == known
    assert after("start", "box") == "box"


def test_a_subnet_that_nobody_has_taken_stays(boots: list[Boot]) -> None:
    before, after = boots
    before("network", "create", "other")
    before("run", "--rm", "busybox", "true")
    assert before.subnets() == [SECOND]
    after("run", "--rm", "busybox", "true")
    assert (after.subnets(), after.moves()) == ([SECOND], [])


def test_explain_shows_that_a_network_gets_another_subnet(boots: list[Boot]) -> None:
    before, after = boots
    before("run", "--rm", "busybox", "true")
    after.take("172.17.3.4/24")
    command = after.host.enter(*after.pyctr.command("run", "--rm", "--explain", "busybox", "true"))
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    text = f"network bridge: subnet {SECOND} instead of {FIRST}, which somebody has taken"
    assert [line for line in lines if text in line and line.startswith("[7 networks]")]


def test_only_those_subnets_of_a_network_move_that_the_user_has_not_chosen(boots: list[Boot]) -> None:
    before, after = boots
    before("network", "create", "--ipv6", "red")
    before("network", "create", "--ipv6", "--subnet", "10.81.0.0/24", "blue")
    red, blue = before.subnets("red"), before.subnets("blue")
    after.take("172.17.0.9/32", blue[1])
    for name in ("red", "blue"):
        after("run", "--rm", "--network", name, "busybox", "true")
    assert after.subnets("red") == ["172.18.0.0/16", red[1]]
    assert after.subnets("blue")[0] == "10.81.0.0/24"
    assert after.subnets("blue")[1] not in (blue[1], red[1])


@pytest.mark.parametrize("is_old", [False, True])
def test_a_subnet_that_the_user_may_have_chosen_stays(boots: list[Boot], is_old: bool) -> None:
    before, after = boots
    id = before("network", "create", *([] if is_old else ["--subnet", FIRST]), "red")
    if is_old:
        forget_who_chose(before.pyctr, id)
    after.take("172.17.0.9/32")
    error = after("run", "--rm", "--network", "red", "busybox", "true", code=125)
    assert f"Pool overlaps with other one on this address space: {FIRST}\n" in error
    assert (
        "this machine has an address or a route in 172.17.0.9/32 (ip address, ip route): remove it, or " in error
    )
    assert (after.subnets("red"), after.moves()) == ([FIRST], [])


def test_the_default_network_of_an_older_version_gets_another_subnet(boots: list[Boot]) -> None:
    before, after = boots
    before("run", "--rm", "busybox", "true")
    forget_who_chose(before.pyctr, before("network", "inspect", "-f", "{{.Id}}", "bridge"))
    after.take("172.17.0.9/32")
    after("run", "--rm", "busybox", "true")
    assert after.subnets() == [SECOND]


def test_a_network_whose_addresses_are_in_use_does_not_move(boots: list[Boot]) -> None:
    before, _ = boots
    id = before("run", "-d", "--name", "box", "busybox", "sleep", "60")
    bridge = before("network", "inspect", "-f", '{{index .Options "com.docker.network.bridge.name"}}', "bridge")
    subprocess.run(before.host.enter("ip", "link", "delete", bridge), check=True)
    before.take("172.17.0.9/32")
    error = before("run", "--rm", "busybox", "true", code=125)
    assert f"Pool overlaps with other one on this address space: {FIRST}\n" in error
    assert f"stop its containers, and the next one to start gets another subnet: {id[:12]}" in error
    assert before.subnets() == [FIRST]
    before("rm", "-f", "box")
    before("run", "--rm", "busybox", "true")
    assert before.subnets() == [SECOND]


def test_a_network_does_not_move_from_the_address_that_a_container_wants(boots: list[Boot]) -> None:
    before, after = boots
    before("network", "create", "red")
    after.take("172.17.0.9/32")
    error = after("run", "--rm", "--network", "red", "--ip", "172.17.0.7", "busybox", "true", code=125)
    assert f"Pool overlaps with other one on this address space: {FIRST}\n" in error
    assert "without --ip" in error
    assert after.subnets("red") == [FIRST]


def test_containers_that_start_together_after_a_reboot_get_one_new_subnet(boots: list[Boot]) -> None:
    before, after = boots
    for name in ("one", "two", "three"):
        before("create", "--name", name, "busybox", "sleep", "60")
    before("run", "--rm", "busybox", "true")
    after.take("172.17.0.9/32")
    starts = [
        subprocess.Popen(after.host.enter(*after.pyctr.command("start", name)), stdout=subprocess.DEVNULL)
        for name in ("one", "two", "three")
    ]
    assert [start.wait(60) for start in starts] == [0, 0, 0]
    form = "{{.NetworkSettings.IPAddress}}"
    addresses = {after("inspect", "-f", form, name) for name in ("one", "two", "three")}
    assert addresses == {"172.18.0.2", "172.18.0.3", "172.18.0.4"}
    assert len(after.moves()) == 1


def forget_who_chose(pyctr: Pyctr, id: str) -> None:
    """Make a network's record as older versions wrote it."""
    path = pyctr.root / "networks" / id / "network.json"
    record = jsonfile.read(str(path))
    for row in record["IPAM"]:
        row.pop("Automatic", None)
    jsonfile.write(str(path), record)
