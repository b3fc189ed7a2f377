"""`network create`, `ls`, `inspect`, `rm` and `prune`, end to end."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from pyctr_lite.networks import link
from tests.networks.topology import namespaces

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Pyctr


def inspect(pyctr: Pyctr, *names: str) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = json.loads(pyctr("network", "inspect", *names, check=True).stdout)
    return shown


def names(pyctr: Pyctr, *filters: str) -> list[str]:
    arguments = [word for text in filters for word in ("-f", text)]
    return pyctr("network", "ls", *arguments, "--format", "{{.Name}}", check=True).stdout.split()


def test_create_prints_the_id_and_inspect_shows_dockers_keys(pyctr: Pyctr) -> None:
    options = ["--subnet", "10.213.0.0/16", "--gateway", "10.213.0.9", "--ip-range", "10.213.4.0/24"]
    options += ["--aux-address", "printer=10.213.4.0", "--internal", "--attachable", "--label", "a=b"]
    id = pyctr(
        "network", "create", *options, "-o", "com.docker.network.driver.mtu=1400", "back", check=True
    ).stdout.strip()
    (shown,) = inspect(pyctr, "back")
    assert shown.pop("Created").endswith("Z")
    assert shown == {
        "Name": "back",
        "Id": id,
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": [
                {
                    "Subnet": "10.213.0.0/16",
                    "IPRange": "10.213.4.0/24",
                    "Gateway": "10.213.0.9",
                    "AuxiliaryAddresses": {"printer": "10.213.4.0"},
                }
            ],
        },
        "Internal": True,
        "Attachable": True,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {"com.docker.network.driver.mtu": "1400"},
        "Labels": {"a": "b"},
    }


def test_a_container_gets_an_address_of_the_range_but_none_that_is_reserved(pyctr: Pyctr) -> None:
    subnet = ["--subnet", "10.214.0.0/16", "--ip-range", "10.214.4.0/30"]
    pyctr("network", "create", *subnet, "--aux-address", "x=10.214.4.0", "back", check=True)
    id = pyctr(
        "run", "-d", "--name", "web", "--network", "back", "busybox", "sleep", "60", check=True
    ).stdout.strip()
    (member,) = inspect(pyctr, "back")[0]["Containers"].items()
    assert member[0] == id
    assert member[1].pop("EndpointID")
    assert member[1] == {
        "Name": "web",
        "MacAddress": "02:42:0a:d6:04:01",
        "IPv4Address": "10.214.4.1/16",
        "IPv6Address": "",
    }
    assert names(pyctr, "dangling=true") == []
    assert names(pyctr, "dangling=false") == ["back", "bridge", "host", "none"]
    done = pyctr("network", "rm", "back")
    assert (done.returncode, done.stdout) == (1, "")
    network = inspect(pyctr, "back")[0]["Id"]
    error = f"pyctr_lite: error while removing network: network back id {network} has active endpoints\n"
    assert done.stderr.startswith(error)
    assert pyctr("network", "prune", "-f", check=True).stdout == ""
    pyctr("rm", "-f", "web", check=True)
    assert pyctr("network", "rm", "back", check=True).stdout == "back\n"


def test_an_ipv6_network_without_a_subnet_gets_a_unique_local_one(pyctr: Pyctr) -> None:
    pyctr("network", "create", "--ipv6", "one", check=True)
    pyctr("network", "create", "--ipv6", "--subnet", "fd00:213::/64", "two", check=True)
    one, two = inspect(pyctr, "one", "two")
    assert one["EnableIPv6"]
    assert two["EnableIPv6"]
    own = one["IPAM"]["Config"][1]["Subnet"]
    assert own.startswith("fd")
    assert own.endswith("/64")
    assert two["IPAM"]["Config"][1] == {"Subnet": "fd00:213::/64", "Gateway": "fd00:213::1"}
    address = ["ip", "-6", "-o", "address", "show", "eth0", "scope", "global"]
    seen = pyctr("run", "--rm", "--network", "two", "busybox", *address, check=True).stdout
    assert "inet6 fd00:213::2/64" in seen


def test_ls_shows_the_predefined_networks_and_sorts_numbers(pyctr: Pyctr) -> None:
    for name in ("net10", "net2"):
        pyctr("network", "create", "--label", f"who={name}", name, check=True)
    header, *lines = pyctr("network", "ls", check=True).stdout.splitlines()
    assert header.split() == ["NETWORK", "ID", "NAME", "DRIVER", "SCOPE"]
    assert [line.split()[1:] for line in lines] == [
        ["bridge", "bridge", "local"],
        ["host", "host", "local"],
        ["net2", "bridge", "local"],
        ["net10", "bridge", "local"],
        ["none", "null", "local"],
    ]
    short = pyctr("network", "ls", "-q", check=True).stdout.split()
    whole = pyctr("network", "ls", "-q", "--no-trunc", check=True).stdout.split()
    assert short == [id[:12] for id in whole]
    assert {len(id) for id in whole} == {64}
    assert [item["Name"] for item in inspect(pyctr, *short)] == ["bridge", "host", "net2", "net10", "none"]
    for filters, expected in {
        ("driver=null",): ["none"],
        ("type=builtin",): ["bridge", "host", "none"],
        ("type=custom", "name=10$"): ["net10"],
        ("label=who=net2",): ["net2"],
        ("label=who",): ["net2", "net10"],
        ("scope=swarm",): [],
        (f"id={whole[2][:8]}",): ["net2"],
        ("dangling=1",): ["net2", "net10"],
    }.items():
        assert names(pyctr, *filters) == expected, filters
    form = '{{.Driver}} {{.IPv4}} {{.IPv6}} {{.Internal}} {{.Label "who"}} {{.CreatedAt}}'
    shown = pyctr("network", "ls", "-f", "name=net2", "--format", form, check=True).stdout
    assert shown.startswith("bridge true false false net2 2")
    assert shown.endswith(" +0000 UTC\n")


def test_prune_removes_what_no_running_container_uses(pyctr: Pyctr) -> None:
    pyctr("network", "create", "--label", "keep", "one", check=True)
    pyctr("network", "create", "two", check=True)
    asked = pyctr("network", "prune", input="n\n", check=True).stdout
    assert asked.startswith(
        "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure"
    )
    assert pyctr("network", "prune", "-f", "--filter", "until=1h", check=True).stdout == ""
    pruned = pyctr("network", "prune", "-f", "--filter", "label!=keep", check=True).stdout
    assert pruned == "Deleted Networks:\ntwo\n\n"
    assert names(pyctr) == ["bridge", "host", "none", "one"]


def test_rm_forces_only_past_what_is_missing(pyctr: Pyctr) -> None:
    id = pyctr("network", "create", "one", check=True).stdout.strip()
    done = pyctr("network", "rm", "nope", "bridge", "none", id[:10])
    assert (done.returncode, done.stdout) == (1, f"{id[:10]}\n")
    assert [line for line in done.stderr.splitlines() if not line.startswith("  ")] == [
        "pyctr_lite: network nope not found",
        "pyctr_lite: bridge is a pre-defined network and cannot be removed",
        "pyctr_lite: none is a pre-defined network and cannot be removed",
    ]
    assert pyctr("network", "rm", "-f", "nope", check=True).stdout == ""
    assert pyctr("network", "rm", "-f", "host").returncode == 1


SUBNET = ["--subnet", "10.215.0.0/16"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["create"], 1, "requires exactly 1 argument"),
        (["create", "bridge"], 1, "operation is not permitted on predefined bridge network"),
        (["create", "none"], 1, "operation is not permitted on predefined none network"),
        (["create", "-d", "macvlan", "x"], 1, 'plugin "macvlan" not found'),
        (["create", "-d", "host", "x"], 1, 'only one instance of "host" network is allowed'),
        (["create", "--scope", "swarm", "x"], 1, "cannot create a swarm scoped network when swarm is not active"),
        (
            ["create", "--gateway", "10.215.0.1", "x"],
            1,
            "every ip-range or gateway must have a corresponding subnet",
        ),
        (["create", *SUBNET, "--gateway", "10.2.0.1", "x"], 1, "no matching subnet for gateway 10.2.0.1"),
        (["create", *SUBNET, "--ip-range", "10.2.0.0/24", "x"], 1, "no matching subnet for range 10.2.0.0/24"),
        (["create", *SUBNET, "--aux-address", "a=1.1.1.1", "x"], 1, "no matching subnet for aux-address 1.1.1.1"),
        (["create", *SUBNET, *SUBNET, "x"], 1, "multiple overlapping subnet configuration is not supported"),
        (
            ["create", *SUBNET, "--subnet", "10.216.0.0/16", "x"],
            1,
            "bridge driver doesn't support multiple subnets",
        ),
        (["create", "--subnet", "10.215.0.0/33", "x"], 1, "invalid subnet '10.215.0.0/33'"),
        (["create", "--subnet", "127.0.0.0/8", "x"], 1, "Pool overlaps with other one on this address space"),
        (["create", "-o", "com.docker.network.bridge.enable_icc=maybe", "x"], 1, "enable_icc"),
        (["inspect", "nope"], 1, "network nope not found"),
        (["ls", "-f", "type=odd"], 1, "invalid filter: 'type'='odd'"),
        (["ls", "-f", "colour=red"], 1, "invalid filter 'colour'"),
        (["ls", "--format", "{{.Nope}}"], 1, 'no entry for key "Nope"'),
        (["prune", "-f", "--filter", "dangling=true"], 1, "invalid filter 'dangling'"),
        (["shrink"], 1, "'shrink' is not a pyctr_lite network command"),
    ],
)
def test_an_error_is_reported_in_one_line(
    pyctr: Pyctr, root: Path, arguments: list[str], code: int, message: str
) -> None:
    done = pyctr("network", *arguments)
    first, *hints = done.stderr.splitlines()
    assert first.startswith("pyctr_lite: ")
    assert message in first
    assert all(hint.startswith("  ") for hint in hints)
    assert done.returncode == code
    directory = root / "networks"
    assert arguments[0] != "create" or not directory.exists() or not list(directory.iterdir())


def test_a_machine_without_a_free_subnet_is_reported(pyctr: Pyctr) -> None:
    with namespaces(1) as (host,):
        with host.route() as sock:
            for address, prefix in (("172.16.0.1", 12), ("192.168.0.1", 16)):
                link.add_address(sock, link.index(sock, "lo"), address, prefix)
        command = host.enter(*pyctr.command("run", "--rm", "busybox", "true"))
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 125
    assert "all predefined address pools have been fully subnetted" in done.stderr
