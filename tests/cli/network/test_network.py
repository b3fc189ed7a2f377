"""`network create`, `ls`, `inspect`, `rm` and `prune`, end to end."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from pyctr_lite.networks import bridge, link, removal
from tests.conftest import REPOSITORY
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
        (["create", *SUBNET, "--gateway", "foo", "x"], 1, "no matching subnet for gateway foo"),
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


@pytest.mark.parametrize(("text", "is_explained"), [("foo", True), ("10.2.0.1", False)])
def test_a_gateway_that_is_not_an_address_is_named(pyctr: Pyctr, text: str, is_explained: bool) -> None:
    error = pyctr("network", "create", *SUBNET, "--gateway", text, "x").stderr
    assert (f"{text!r} is not an address such as 172.30.0.1" in error) == is_explained


def test_a_state_directory_is_removed_with_its_networks(pyctr: Pyctr) -> None:
    """By the commands in README.md."""
    pyctr("run", "-d", "-p", "127.0.0.1::80", "busybox", "sleep", "60", check=True)
    pyctr("network", "create", "red", check=True)
    pyctr("run", "-d", "--network", "red", "-v", "data:/data", "busybox", "sleep", "60", check=True)
    script = re.search(
        r"```sh\n(export PYCTR_LITE_ROOT=DIR\n.*?)```", (REPOSITORY / "README.md").read_text(), re.S
    )
    assert script is not None
    commands = script[1].replace("DIR", str(pyctr.root)).replace("pyctr_lite ", f"{pyctr.launcher} ")
    subprocess.run(["sh", "-ec", commands], check=True, stdout=subprocess.DEVNULL)
    assert not pyctr.root.exists()
    with bridge.Sockets() as sockets:
        ours = [name for name, path in removal.bridges(sockets).items() if path.startswith(f"{pyctr.root}/")]
    assert ours == []


def test_a_machine_without_a_free_subnet_is_reported(pyctr: Pyctr) -> None:
    with namespaces(1) as (host,):
        with host.route() as sock:
            for address, prefix in (("172.16.0.1", 12), ("192.168.0.1", 16)):
                link.add_address(sock, link.index(sock, "lo"), address, prefix)
        command = host.enter(*pyctr.command("run", "--rm", "busybox", "true"))
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 125
    assert "all predefined address pools have been fully subnetted" in done.stderr


@pytest.mark.parametrize("verb", ["run", "create"])
def test_links_are_refused_with_what_to_use_instead(pyctr: Pyctr, verb: str) -> None:
    done = pyctr(verb, "--link", "db:database", "busybox", "true")
    assert done.returncode == (125 if verb == "run" else 1)
    assert done.stderr.startswith(
        "pyctr_lite: --link is not supported\n  use --network NAME for both containers: "
    )
    assert pyctr("ps", "-aq").stdout == ""
    assert "--link" not in pyctr(verb, "--help").stdout


def test_an_alias_that_is_not_a_dns_name_is_a_warning(pyctr: Pyctr) -> None:
    """Docker accepts it without a word, and resolves it for nobody."""
    pyctr("network", "create", "red", check=True)
    for alias, is_usable in (
        ("", False),
        ("a b", False),
        ("a" * 64, False),
        ("web", True),
        ("web_1.example", True),
    ):
        done = pyctr("run", "--rm", "--network", "red", "--network-alias", alias, "busybox", "true", check=True)
        text = (
            "" if is_usable else f"WARNING: nobody will find the network alias {alias!r}: it is not a DNS name\n"
        )
        assert done.stderr == text
    pyctr("create", "--name", "box", "busybox", "true", check=True)
    assert "WARNING" in pyctr("network", "connect", "--alias", "", "red", "box", check=True).stderr
