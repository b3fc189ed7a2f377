"""`network connect` and `network disconnect` of containers: running, paused, stopped, without a monitor."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from pyctr_lite.engine.api.client import Client
from pyctr_lite.errors import Conflict
from tests.conftest import SLOWNESS
from tests.leases import leased

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Pyctr


def start(pyctr: Pyctr, name: str, *options: str) -> None:
    pyctr("run", "-d", "--name", name, *options, "busybox", "sleep", "60", check=True)


def inside(pyctr: Pyctr, name: str, *command: str) -> str:
    return pyctr("exec", name, *command, check=True).stdout


def interfaces(pyctr: Pyctr, name: str) -> list[str]:
    """Return name and address of each interface but lo, such as eth0 10.217.0.2/24."""
    lines = inside(pyctr, name, "ip", "-4", "-o", "address").splitlines()
    return [" ".join(line.split()[1:4:2]) for line in lines if " lo " not in line]


def members(pyctr: Pyctr, network: str) -> list[str]:
    shown = json.loads(pyctr("network", "inspect", network, check=True).stdout)
    return sorted(member["Name"] for member in shown[0]["Containers"].values())


def taken(root: Path) -> list[Any]:
    return [path.name for path in (root / "run/networks").glob("*/*/*") if not path.name.startswith(".")]


def refusal(pyctr: Pyctr, *arguments: str) -> str:
    done = pyctr("network", *arguments)
    assert (done.returncode, done.stdout) == (1, ""), done
    return done.stderr.splitlines()[0].removeprefix("pyctr_lite: ")


def call(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), 5) as connection:
        return connection.recv(10)


@pytest.fixture
def red(pyctr: Pyctr) -> str:
    pyctr("network", "create", "--subnet", "10.217.0.0/24", "red", check=True)
    return "red"


def test_a_running_container_joins_and_leaves_a_network(pyctr: Pyctr, red: str, root: Path) -> None:
    start(pyctr, "web")
    start(pyctr, "other", "--network", red)
    inside(pyctr, "web", "sh", "-c", "echo 192.0.2.1 mine >> /etc/hosts")
    (first,) = interfaces(pyctr, "web")
    before = taken(root)
    pyctr("network", "connect", "--ip", "10.217.0.40", "--alias", "al", red, "web", check=True)
    assert interfaces(pyctr, "web") == [first, "eth1 10.217.0.40/24"]
    assert members(pyctr, red) == ["other", "web"]
    for sender, name in (("other", "al"), ("other", "web"), ("web", "other")):
        assert " 0% packet loss" in inside(pyctr, sender, "ping", "-c1", "-W2", name)
    assert "nameserver 127.0.0.11" in inside(pyctr, "web", "cat", "/etc/resolv.conf")
    hosts = inside(pyctr, "web", "cat", "/etc/hosts")
    assert "192.0.2.1 mine\n" in hosts
    assert "\n10.217.0.40\t" in hosts
    error = refusal(pyctr, "connect", red, "web")
    assert error == "endpoint with name web already exists in network red"
    pyctr("network", "disconnect", red, "web", check=True)
    assert interfaces(pyctr, "web") == [first]
    assert members(pyctr, red) == ["other"]
    assert inside(pyctr, "web", "cat", "/etc/hosts") == hosts.replace(hosts.splitlines()[-1] + "\n", "")
    assert sorted(taken(root)) == sorted(before)
    assert refusal(pyctr, "disconnect", red, "web").endswith(" is not connected to network red")


def test_the_default_route_and_published_ports_move_to_the_network_that_remains(pyctr: Pyctr, red: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = ["nc", "-ll", "-p", str(port), "-e", "echo", "here"]
    pyctr("run", "-d", "--name", "web", "-p", f"{port}:{port}", "busybox", *server, check=True)
    inside(pyctr, "web", "sh", "-c", f"until nc 127.0.0.1 {port} < /dev/null; do :; done")
    assert call("::1", port) == b"here\n"
    pyctr("network", "connect", red, "web", check=True)
    gateway = inside(pyctr, "web", "ip", "route").split()[2]
    pyctr("network", "disconnect", "bridge", "web", check=True)
    assert inside(pyctr, "web", "ip", "route").split()[2] == "10.217.0.1" != gateway
    assert (call("127.0.0.1", port), call("::1", port)) == (b"here\n", b"here\n")
    pyctr("network", "connect", "bridge", "web", check=True)
    assert [line.split()[0] for line in interfaces(pyctr, "web")] == ["eth1", "eth0"]


def test_a_stopped_container_has_the_change_at_its_next_start(pyctr: Pyctr, red: str) -> None:
    pyctr("create", "--name", "web", "busybox", "sleep", "60", check=True)
    pyctr("network", "connect", "--ip", "10.217.0.7", red, "web", check=True)
    pyctr("network", "disconnect", "bridge", "web", check=True)
    assert members(pyctr, red) == []
    pyctr("start", "web", check=True)
    assert interfaces(pyctr, "web") == ["eth0 10.217.0.7/24"]
    pyctr("network", "disconnect", red, "web", check=True)
    pyctr("restart", "-t", "0", "web", check=True)
    assert interfaces(pyctr, "web") == []


def test_a_paused_container_changes_its_networks(pyctr: Pyctr, red: str) -> None:
    start(pyctr, "web")
    pyctr("pause", "web", check=True)
    pyctr("network", "connect", red, "web", check=True)
    pyctr("network", "disconnect", "bridge", "web", check=True)
    pyctr("unpause", "web", check=True)
    assert interfaces(pyctr, "web") == ["eth1 10.217.0.2/24"]


def test_a_container_whose_monitor_was_killed_changes_its_networks(pyctr: Pyctr, red: str, root: Path) -> None:
    start(pyctr, "web")
    state = next((root / "containers").glob("*/state.json"))
    os.kill(json.loads(state.read_text())["MonitorPid"], signal.SIGKILL)
    pyctr("network", "connect", red, "web", check=True)
    assert len(interfaces(pyctr, "web")) == 2
    pyctr("rm", "-f", "web", check=True)
    assert taken(root) == []


def test_a_failed_connect_leaves_nothing(pyctr: Pyctr, red: str, root: Path) -> None:
    start(pyctr, "one", "--network", red)
    start(pyctr, "two", "--network", "none")
    pyctr("network", "disconnect", "none", "two", check=True)
    before = taken(root)
    for option, message in {
        "--ip=10.217.0.2": "Address already in use",
        "--ip=10.99.0.2": "address 10.99.0.2 is not in the subnet 10.217.0.0/24",
        "--ip=odd": "invalid IPv4 address: odd",
        "--ip6=fd00::9": "network red has no IPv6 subnet for fd00::9",
        "--link=a:b": "--link is not supported",
    }.items():
        assert refusal(pyctr, "connect", option, red, "two") == message
    alias = refusal(pyctr, "connect", "--alias", "x", "bridge", "two")
    assert alias == "network-scoped alias is supported only for containers in user defined networks"
    assert taken(root) == before
    assert interfaces(pyctr, "two") == []
    pyctr("network", "connect", red, "two", check=True)
    assert interfaces(pyctr, "two") == ["eth0 10.217.0.3/24"]


def test_the_modes_host_and_none_have_no_further_networks(pyctr: Pyctr, red: str) -> None:
    start(pyctr, "web")
    start(pyctr, "hosts", "--network", "host")
    start(pyctr, "alone", "--network", "none")
    start(pyctr, "guest", "--network", "container:web")
    host = "container cannot be disconnected from host network or connected to host network"
    none = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
    shared = "container sharing network namespace with another container or host cannot be connected to any other"
    assert refusal(pyctr, "connect", "host", "web") == host
    assert refusal(pyctr, "connect", "none", "web") == none
    assert refusal(pyctr, "connect", red, "alone") == none
    for name in ("hosts", "guest"):
        assert refusal(pyctr, "connect", red, name) == f"{shared} network"
    assert refusal(pyctr, "disconnect", "host", "hosts") == host
    assert refusal(pyctr, "disconnect", "host", "web").endswith("is not connected to network host")
    assert refusal(pyctr, "connect", "nope", "web") == "network nope not found"
    assert refusal(pyctr, "connect", red, "nope") == "No such container: nope"
    assert refusal(pyctr, "disconnect", "-f", red, "nope") == "endpoint nope not found"


def test_a_renamed_container_is_found_by_its_new_name_only(pyctr: Pyctr, red: str) -> None:
    start(pyctr, "web", "--network", red)
    start(pyctr, "other", "--network", red)
    pyctr("rename", "web", "shop", check=True)
    assert " 0% packet loss" in inside(pyctr, "other", "ping", "-c1", "-W2", "shop")
    assert "bad address" in pyctr("exec", "other", "ping", "-c1", "web").stderr


def test_the_python_api_connects_and_disconnects(pyctr: Pyctr, red: str, root: Path) -> None:
    start(pyctr, "web", "--network", "none")
    with Client(str(root)) as client:
        client.disconnect("none", "web")
        client.connect(red, "web", ip="10.217.0.9", aliases=["al"])
        assert members(pyctr, red) == ["web"]
        with pytest.raises(Conflict, match="already exists in network red"):
            client.connect(red, "web")
        client.disconnect(red, "web")
    assert members(pyctr, red) == []


def test_a_container_that_has_left_all_networks_gives_its_ports_back(pyctr: Pyctr) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        publish = ["-p", f"{free.getsockname()[1]}:53/udp"]
    start(pyctr, "web", *publish)
    pyctr("network", "disconnect", "bridge", "web", check=True)
    assert json.loads(pyctr("inspect", "-f", "{{json .NetworkSettings.Networks}}", "web").stdout) == {}
    pyctr("rm", "-f", "web", check=True)
    start(pyctr, "web", *publish)
    assert pyctr("port", "web", check=True).stdout.startswith("53/udp -> 0.0.0.0:")


@pytest.mark.parametrize("then", ["connect", "disconnect", "rm"])
def test_what_a_killed_connect_has_begun_is_undone_by_the_next_command(
    pyctr: Pyctr, red: str, root: Path, then: str
) -> None:
    start(pyctr, "web")
    before = taken(root)
    pyctr("network", "connect", red, "web", check=True)
    file = next((root / "run/containers").glob("*/network.json"))
    content = json.loads(file.read_text())
    del content["Networks"][red]
    file.write_text(json.dumps(content))  # as if it had been killed just before it wrote this
    if then == "rm":
        pyctr("rm", "-f", "web", check=True)
        assert taken(root) == []
    else:
        pyctr("network", then, red, "web", check=True)
        assert len(interfaces(pyctr, "web")) == (2 if then == "connect" else 1)
        assert (sorted(taken(root)) == sorted(before)) == (then == "disconnect")


def test_a_bridge_that_is_gone_does_not_hide_the_end_of_a_container(pyctr: Pyctr) -> None:
    pyctr("network", "create", "red", check=True)
    pyctr("run", "-d", "--name", "box", "--network", "red", "busybox", "sleep", "60", check=True)
    id = pyctr("network", "inspect", "-f", "{{.Id}}", "red", check=True).stdout.strip()
    subprocess.run(["ip", "link", "delete", f"pc-{id[:12]}"], check=True)
    pyctr("stop", "-t", "0", "box", check=True)
    assert pyctr("inspect", "-f", "{{.State.ExitCode}} {{.State.Error}}", "box").stdout == "137 \n"
    pyctr("rm", "box", check=True)


def test_a_lease_of_the_container_delays_no_change_of_its_networks(pyctr: Pyctr, root: Path, red: str) -> None:
    """Nobody else could change or remove the container during the 45 s that the kernel gives the holder."""
    start(pyctr, "box", "--network", red)
    id = pyctr("inspect", "-f", "{{.Id}}", "box", check=True).stdout.strip()
    pyctr("network", "create", "blue", check=True)
    with leased(*(root / "containers" / id / name for name in ("hosts", "resolv.conf"))):
        began = time.monotonic()
        pyctr("network", "connect", "blue", "box", check=True)
        pyctr("network", "disconnect", red, "box", check=True)
        assert time.monotonic() - began < 10 * SLOWNESS
    assert len(interfaces(pyctr, "box")) == 1


def test_a_container_that_renames_its_links_does_not_hinder_a_disconnect(
    pyctr: Pyctr, root: Path, red: str
) -> None:
    """Else it would keep an address that another container gets, whose rules it then takes along at its end."""
    pyctr("network", "create", "blue", check=True)
    start(pyctr, "box", "--network", red, "--cap-add", "NET_ADMIN")
    pyctr("network", "connect", "blue", "box", check=True)
    for command in ("set eth0 down", "set eth0 name odd", "set odd up", "delete eth1"):
        inside(pyctr, "box", "ip", "link", *command.split())
    pyctr("network", "disconnect", "blue", "box", check=True)
    assert members(pyctr, "blue") == []
    assert json.loads(pyctr("inspect", "box").stdout)[0]["NetworkSettings"]["Networks"].keys() == {red}
    pyctr("network", "disconnect", red, "box", check=True)
    assert taken(root) == []
