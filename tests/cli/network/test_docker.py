"""Docker's client formats our networks, and refuses the same command lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import DockerClient
    from tests.conftest import Pyctr


def test_networks_are_formatted_as_by_dockers_client(pyctr: Pyctr, docker_server: DockerClient) -> None:
    pyctr("network", "create", "--label", "a=1", "--internal", "net10", check=True)
    pyctr("network", "create", "--ipv6", "net9", check=True)
    pyctr("run", "-d", "--name", "web", "--network", "net9", "busybox", "sleep", "60", check=True)
    names = ["bridge", "host", "none", "net9", "net10"]
    shown = json.loads(pyctr("network", "inspect", *names, check=True).stdout)
    docker_server.answers["/networks"] = shown
    for network in shown:
        docker_server.answers[f"/networks/{network['Name']}"] = network
    for arguments in (
        [],
        ["-q"],
        ["--no-trunc"],
        ["--format", "{{.ID}} {{.CreatedAt}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.Internal}} {{.Labels}}"],
        ["--format", 'table {{.Name}}\\t{{.Label "a"}}\\t{{.Labels}}'],
        ["--format", "{{.Nope}}"],
    ):
        ours, theirs = pyctr("network", "ls", *arguments), docker_server("network", "ls", *arguments)
        assert ours.stdout == theirs.stdout, arguments
        assert ours.returncode == theirs.returncode, arguments
    for form in (
        "{{.Name}} {{.Id}} {{.Driver}} {{.EnableIPv6}} {{.Internal}} {{.Attachable}}",
        "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}} {{.IPRange}} {{len .AuxAddress}}{{end}}",
        "{{range $id, $member := .Containers}}{{$id}} {{$member.Name}} {{$member.IPv4Address}}{{end}}",
        "{{json .Options}} {{json .Labels}} {{len .Containers}} {{.ConfigFrom.Network}}",
        "{{range $key, $value := .Labels}}{{$key}}={{$value}} {{end}}",
        "{{.ID}}",
    ):
        ours, theirs = (each("network", "inspect", "-f", form, *names) for each in (pyctr, docker_server))
        assert ours.stdout == theirs.stdout, form
        assert ours.returncode == theirs.returncode, form


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "--gateway", "10.3.0.1", "x"],
        ["create", "--subnet", "10.2.0.0/16", "--gateway", "10.3.0.1", "x"],
        ["create", "--subnet", "10.2.0.0/16", "--ip-range", "10.3.0.0/24", "x"],
        ["create", "--subnet", "10.2.0.0/16", "--subnet", "10.2.3.0/24", "x"],
        ["create", "--subnet", "10.2.0.0/16", "--aux-address", "a=10.3.0.1", "x"],
        [
            *("create", "--subnet", "10.2.0.0/16", "--subnet", "10.3.0.0/16"),
            *("--gateway", "10.2.0.1", "--gateway", "10.2.0.2", "x"),
        ],
        [
            *("create", "--subnet", "10.2.0.0/16", "--subnet", "10.3.0.0/16"),
            *("--ip-range", "10.2.0.0/24", "--ip-range", "10.2.1.0/24", "x"),
        ],
    ],
)
def test_create_refuses_what_dockers_client_refuses(
    pyctr: Pyctr, docker: DockerClient, arguments: list[str]
) -> None:
    done = pyctr("network", *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].removeprefix("pyctr_lite: ") == docker.complaint("network", *arguments)
