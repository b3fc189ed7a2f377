"""Published ports as `port`, `ps` and `inspect` show them, compared with Docker's client."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import DockerClient
    from tests.conftest import Pyctr


def free_port() -> int:
    """Return the first of three adjacent ports of the host that are free."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
            try:
                for number in (1, 2):
                    socket.create_server(("", port + number)).close()
            except (OSError, OverflowError):
                continue
        return port


def inspect(pyctr: Pyctr, name: str) -> dict[str, Any]:
    shown: list[dict[str, Any]] = json.loads(pyctr("inspect", name, check=True).stdout)
    return shown[0]


def start(pyctr: Pyctr, *options: str) -> None:
    pyctr("run", "-d", "--name", "web", *options, "busybox", "sleep", "60", check=True)


def test_port_and_ps_print_what_dockers_client_prints(pyctr: Pyctr, docker_server: DockerClient) -> None:
    port = free_port()
    options = ["-p", f"{port}-{port + 2}:90-92/udp", "-p", "127.0.0.1::443", "-p", f"{port}:{port}"]
    start(pyctr, *options, "-p", f"127.0.0.1:{port + 1}:{port + 1}", "--expose", "99", "--expose", "7-9/udp")
    shown = inspect(pyctr, "web")
    rows = []
    for name, bindings in shown["NetworkSettings"]["Ports"].items():
        inner, kind = name.split("/")
        common = {"PrivatePort": int(inner), "Type": kind}
        rows += [
            {"IP": item["HostIp"], "PublicPort": int(item["HostPort"]), **common} for item in bindings or ()
        ] or [common]
    docker_server.answers["/containers/json"] = [
        {"Id": shown["Id"], "Names": ["/web"], "Ports": rows, "NetworkSettings": {"Networks": {"bridge": {}}}}
    ]
    docker_server.answers["/containers/web/json"] = shown
    form = "{{.Ports}}|{{.Networks}}"
    assert pyctr("ps", "--format", form).stdout == docker_server("ps", "--format", form).stdout
    assert "7-9/udp, 99/tcp" in pyctr("ps").stdout
    for arguments in (["web"], ["web", "443"], ["web", "90/udp"], ["web", str(port)]):
        ours, theirs = pyctr("port", *arguments, check=True).stdout, docker_server("port", *arguments).stdout
        assert ours == theirs
        assert f":{port}" in ours or arguments[1:] == ["443"]
    assert pyctr("container", "port", "web", "92/udp", check=True).stdout.startswith(f"0.0.0.0:{port + 2}\n")
    names = {
        f"publish={port}/udp": "web\n",
        f"publish={port - 1}": "",
        "expose=99": "web\n",
        "network=bridge": "web\n",
    }
    for text, found in names.items():
        assert pyctr("ps", "-f", text, "--format", "{{.Names}}", check=True).stdout == found, text
    pyctr("stop", "-t", "0", "web", check=True)
    assert pyctr("ps", "-a", "--format", form, check=True).stdout == "|bridge\n"
    assert pyctr("port", "web", check=True).stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["web", "90"], "No public port '90' published for web"),
        (["web", "443/foo"], "No public port '443/foo' published for web"),
        (["web", "odd"], 'invalid port (odd): strconv.ParseUint: parsing "odd": invalid syntax'),
        (["nope"], "No such container: nope"),
        ([], "requires at least 1 and at most 2 arguments"),
    ],
)
def test_a_port_that_is_not_published_is_an_error(pyctr: Pyctr, arguments: list[str], message: str) -> None:
    pyctr("create", "--name", "web", "-p", "443", "busybox", "true", check=True)
    done = pyctr("port", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr.splitlines()[0]


def test_inspect_has_dockers_keys(pyctr: Pyctr) -> None:
    pyctr("network", "create", "--subnet", "10.219.0.0/24", "red", check=True)
    options = ["--network", "name=red,ip=10.219.0.8,alias=al", "--network", "bridge", "--expose", "9/udp"]
    options += ["--dns", "192.0.2.53", "--add-host", "a:192.0.2.1", "-p", "127.0.0.1::80"]
    start(pyctr, *options)
    shown = inspect(pyctr, "web")
    settings, host = shown["NetworkSettings"], shown["HostConfig"]
    port = settings["Ports"]["80/tcp"][0]["HostPort"]
    assert settings["Ports"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}], "9/udp": None}
    assert settings["SandboxKey"] == f"/proc/{shown['State']['Pid']}/ns/net"
    red, bridge = settings["Networks"]["red"], settings["Networks"]["bridge"]
    assert list(settings["Networks"]) == ["bridge", "red"]
    assert settings["IPAddress"] == bridge["IPAddress"] != ""
    assert settings["MacAddress"] == bridge["MacAddress"]
    network = json.loads(pyctr("network", "inspect", "red", check=True).stdout)[0]
    endpoint = red.pop("EndpointID")
    assert network["Containers"][shown["Id"]]["EndpointID"] == endpoint
    assert red == {
        "IPAMConfig": {"IPv4Address": "10.219.0.8"},
        "Links": None,
        "Aliases": ["al"],
        "DriverOpts": None,
        "GwPriority": 0,
        "NetworkID": network["Id"],
        "Gateway": "10.219.0.1",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": "10.219.0.8",
        "IPPrefixLen": 24,
        "IPv6Gateway": "",
        "MacAddress": "02:42:0a:db:00:08",
        "DNSNames": ["web", "al", shown["Id"][:12]],
    }
    assert host["NetworkMode"] == "red"
    assert host["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    assert (host["PublishAllPorts"], host["Dns"], host["ExtraHosts"]) == (False, ["192.0.2.53"], ["a:192.0.2.1"])
    assert shown["Config"]["ExposedPorts"] == {"80/tcp": {}, "9/udp": {}}
    pyctr("stop", "-t", "0", "web", check=True)
    stopped = inspect(pyctr, "web")["NetworkSettings"]
    assert (stopped["Ports"], stopped["IPAddress"], stopped["SandboxKey"]) == ({}, "", "")
    assert {name: item["IPAddress"] for name, item in stopped["Networks"].items()} == {"bridge": "", "red": ""}
    assert pyctr("ps", "-a", "--format", "{{.Networks}}", check=True).stdout == "bridge,red\n"
    assert pyctr("ps", "-aq", "-f", "network=red", check=True).stdout != ""
    assert pyctr("ps", "-aq", "-f", f"network={network['Id']}", check=True).stdout != ""


def test_a_commit_keeps_the_ports_of_the_container(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "web", "-p", "127.0.0.1::80", "--expose", "9/udp", "busybox", "true", check=True)
    pyctr("commit", "-c", "EXPOSE 7", "web", "site", check=True)
    form = ["image", "inspect", "-f", "{{json .Config.ExposedPorts}}", "site"]
    ports = {"7/tcp": {}, "80/tcp": {}, "9/udp": {}}
    assert json.loads(pyctr(*form, check=True).stdout) == ports
    pyctr("run", "-d", "-P", "--name", "all", "site", "sleep", "60", check=True)
    host = inspect(pyctr, "all")["HostConfig"]
    assert (host["PortBindings"], host["PublishAllPorts"]) == ({}, True)
    lines = pyctr("port", "all", check=True).stdout.splitlines()
    assert {line.split(" -> ")[0] for line in lines} == set(ports)


def test_events_name_the_network_and_the_container(pyctr: Pyctr) -> None:
    pyctr("network", "create", "red", check=True)
    start(pyctr, "--network", "red")
    pyctr("rm", "-f", "web", check=True)
    pyctr("network", "rm", "red", check=True)
    options = ["--since", "1h", "--until", "0s", "--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"]
    shown = pyctr("events", *options, "-f", "network=red", check=True).stdout.splitlines()
    assert shown == [f"network {action} red" for action in ("create", "connect", "disconnect", "destroy")]
    assert pyctr("events", *options, "-f", "type=network", check=True).stdout.splitlines() == shown
    assert pyctr("events", *options, "-f", "network=blue", check=True).stdout == ""


def test_stats_add_the_bytes_of_all_interfaces(pyctr: Pyctr) -> None:
    pyctr("network", "create", "red", check=True)
    start(pyctr, "--network", "bridge", "--network", "red")
    read = "cat /sys/class/net/eth0/statistics/rx_bytes /sys/class/net/eth1/statistics/rx_bytes"
    pyctr("exec", "web", "sh", "-c", "ping -c1 -W1 -s 60000 $(ip route | awk '/default/ {print $3}')", check=True)
    least = sum(map(int, pyctr("exec", "web", "sh", "-c", read, check=True).stdout.split()))
    shown = pyctr("stats", "--no-stream", "--format", "{{.NetIO}}", "web", check=True).stdout
    assert least > 60000
    assert shown.split("kB")[0] != "0B"
    assert float(shown.split("kB")[0]) * 1000 >= least * 0.9


def test_system_prune_removes_networks_that_no_container_uses(pyctr: Pyctr) -> None:
    pyctr("network", "create", "used", check=True)
    pyctr("network", "create", "--label", "keep", "kept", check=True)
    pyctr("network", "create", "free", check=True)
    start(pyctr, "--network", "used")
    asked = pyctr("system", "prune", input="n\n", check=True).stdout
    assert "  - all stopped containers\n  - all networks not used by at least one container\n" in asked
    pruned = pyctr("system", "prune", "-f", "--filter", "label!=keep", check=True).stdout
    assert pruned == "Deleted Networks:\nfree\n\nTotal reclaimed space: 0B\n"
    left = pyctr("network", "ls", "-f", "type=custom", "--format", "{{.Name}}", check=True).stdout
    assert left == "kept\nused\n"
