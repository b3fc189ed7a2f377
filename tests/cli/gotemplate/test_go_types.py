"""Fields of Docker's structs that our JSON does not have: zero values, as from Docker's own client."""

from __future__ import annotations

import json
from concurrent import futures
from typing import TYPE_CHECKING, Any

import pytest

from pyctr_lite.cli.gotemplate import types

if TYPE_CHECKING:
    from tests.cli.conftest import DockerClient
    from tests.conftest import Pyctr

NOT_IN_EVERY_CLIENT = set(
    "Node ImageManifestDescriptor Capabilities Annotations KernelMemory KernelMemoryTCP GwPriority "
    "DNSNames Container ContainerConfig VirtualSize Manifests Descriptor ArgsEscaped MacAddress "
    "ClusterVolume Bundle Id Isolation CpuShares CpuPeriod CpuQuota CpuRealtimePeriod "
    "CpuRealtimeRuntime NanoCpus CpuCount CpuPercent Dns DnsOptions DnsSearch Parent DockerVersion "
    "Comment Created Author Variant Status Mode SecondaryIPAddresses SecondaryIPv6Addresses "
    "HairpinMode LinkLocalIPv6Address LinkLocalIPv6PrefixLen Bridge".split()
)
"""Fields that only one version of Docker has, or whose Go name differs from the JSON name."""


def paths(known: types.Fields, before: str = "") -> list[str]:
    found = []
    for name, field in known.items():
        if name in NOT_IN_EVERY_CLIENT:
            continue
        found.append(f"{before}.{name}")
        if isinstance(field, types.Fields):
            found += paths(field, f"{before}.{name}")
        if isinstance(field, types.Pointer):
            found += paths(field.fields, f"{before}.{name}")
    return found


EXTRA = [
    "{{if .State.Health}}yes{{else}}no{{end}}",
    "{{with .Config.Healthcheck}}{{.Test}}{{end}}",
    "{{.State.Health.Status}}",
    "{{.Config.Healthcheck.Test}}",
    "{{.State.Helth}}",
    "{{.Config.Nothing}}",
    "{{len .HostConfig.PortBindings}}",
    "{{range $p, $c := .HostConfig.PortBindings}}{{$p}}{{end}}",
    "{{len .HostConfig.Links}}",
    "{{json .SizeRw}}",
    "{{json .Config.Shell}}",
    "{{json .HostConfig.PortBindings}}",
    "{{.SizeRw.x}}",
    "{{(index .Mounts 0).Driver}}|{{(index .Mounts 0).Name}}",
    "{{range .Mounts}}{{.Name}}{{.Driver}};{{end}}",
    "{{.HostConfig.LogConfig.Type}}",
    "{{range .NetworkSettings.Networks}}{{.NetworkID}}{{.Aliases}}{{.IPAMConfig}}{{end}}",
]


def compare(docker_server: DockerClient, kind: str, value: Any, texts: list[str], pyctr: Pyctr, name: str) -> None:
    def docker(text: str) -> str:
        done = docker_server("inspect", "--type", kind, "x", "--format", text)
        return (
            done.stdout
            if done.returncode == 0
            else done.stderr.splitlines()[0].removeprefix("template parsing error: ")
        )

    def ours(text: str) -> str:
        done = pyctr("inspect", "--type", kind, name, "--format", text)
        lines = done.stdout if done.returncode == 0 else done.stderr.splitlines()[0].removeprefix("pyctr_lite: ")
        return lines.removeprefix("template parsing error: ")

    with futures.ThreadPoolExecutor(2) as pool:
        expected = dict(zip(texts, pool.map(docker, texts), strict=True))
        made = dict(zip(texts, pool.map(ours, texts), strict=True))
    assert {text: (made[text], theirs) for text, theirs in expected.items() if made[text] != theirs} == {}


@pytest.mark.timeout(300)
def test_a_container_has_every_field_of_dockers_struct(
    docker_server: DockerClient, pyctr: Pyctr, tmp_path: Any
) -> None:
    pyctr("create", "--name", "box", "-v", f"{tmp_path}:/data", "busybox", check=True)
    value = json.loads(pyctr("inspect", "box", check=True).stdout)[0]
    docker_server.answers["/containers/x/json"] = value
    absent = [path for path in paths(types.CONTAINER) if not is_there(value, path)]
    compare(docker_server, "container", value, [*EXTRA, *(f"{{{{{path}}}}}" for path in absent)], pyctr, "box")


@pytest.mark.timeout(300)
def test_an_image_has_every_field_of_dockers_struct(docker_server: DockerClient, pyctr: Pyctr) -> None:
    value = json.loads(pyctr("image", "inspect", "busybox", check=True).stdout)[0]
    docker_server.answers["/images/x/json"] = value
    older = (".Config.NetworkDisabled", ".Config.StopTimeout", ".RootFS.BaseLayer")  # not in Docker 28's client
    absent = [path for path in paths(types.IMAGE) if not is_there(value, path) and path not in older]
    texts = [*(f"{{{{{path}}}}}" for path in absent), "{{range $p, $c := .Config.ExposedPorts}}{{$p}}{{end}}"]
    compare(docker_server, "image", value, texts, pyctr, "busybox")


def is_there(value: Any, path: str) -> bool:
    for name in path[1:].split("."):
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (["volume", "inspect", "data", "-f", "{{.UsageData}} {{.Status}}"], "<nil> map[]"),
        (
            ["info", "-f", "{{.ClusterStore}}|{{.Plugins.Volume}}|{{.RegistryConfig}}|{{.Swarm.NodeID}}"],
            "|[]|<nil>|",
        ),
        (["image", "inspect", "busybox", "-f", "{{.Config.ExposedPorts}} {{.Config.Healthcheck}}"], "map[] <nil>"),
    ],
)
def test_missing_fields_have_gos_zero_values(pyctr: Pyctr, args: list[str], shown: str) -> None:
    pyctr("volume", "create", "data", check=True)
    assert pyctr(*args, check=True).stdout == shown + "\n"


def test_size_is_set_only_on_request(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "box", "busybox", check=True)
    assert pyctr("inspect", "-f", "{{.SizeRw}}", "box", check=True).stdout == "<nil>\n"
    assert (
        pyctr("inspect", "-s", "-f", "{{if .SizeRw}}{{.SizeRw}}{{else}}0{{end}}", "box", check=True).stdout
        == "0\n"
    )


def test_an_unknown_field_is_an_error_with_the_nearest_known_one(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "box", "busybox", check=True)
    done = pyctr("inspect", "-f", "{{.State.Helth}}", "box")
    assert done.returncode
    assert 'map has no entry for key "Helth"' in done.stderr
    assert "did you mean .Health?" in done.stderr
