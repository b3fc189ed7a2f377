"""inspect and image inspect: Docker's keys, templates, several objects, and missing ones."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import DockerClient
    from tests.conftest import Pyctr


def inspect(pyctr: Pyctr, *arguments: str) -> Any:
    return json.loads(pyctr("inspect", *arguments, check=True).stdout)


def test_a_container_shows_its_options_and_its_state(pyctr: Pyctr) -> None:
    id = pyctr(
        *("run", "-d", "--name", "web", "-m", "64m", "--cpus", "0.5", "-e", "A=b", "-l", "colour=red"),
        *("-v", "data:/data:ro", "--stop-signal", "HUP", "busybox", "sleep", "1000"),
        check=True,
    ).stdout.strip()
    (shown,) = inspect(pyctr, "web")
    assert (shown["Id"], shown["Name"], shown["Path"], shown["Args"]) == (id, "/web", "sleep", ["1000"])
    assert shown["State"]["Running"] is True
    assert os.path.exists(f"/proc/{shown['State']['Pid']}/ns/mnt")
    assert shown["HostConfig"]["Memory"] == 64 << 20
    assert shown["HostConfig"]["NanoCpus"] == 500_000_000
    assert shown["Config"]["Labels"] == {"colour": "red"}
    assert "A=b" in shown["Config"]["Env"]
    assert (shown["Config"]["Image"], shown["Config"]["StopSignal"]) == ("busybox", "HUP")
    (mount,) = shown["Mounts"]
    assert (mount["Type"], mount["Name"], mount["Destination"], mount["RW"]) == ("volume", "data", "/data", False)
    assert os.path.isdir(mount["Source"])
    assert "SizeRw" not in shown


def test_the_state_has_the_exit_code_and_the_times(pyctr: Pyctr) -> None:
    pyctr("run", "--name", "job", "busybox", "sh", "-c", "exit 3")
    (shown,) = inspect(pyctr, "job")
    state = shown["State"]
    assert (state["Status"], state["Running"], state["Pid"], state["ExitCode"]) == ("exited", False, 0, 3)
    assert state["StartedAt"] < state["FinishedAt"]


def test_the_keys_are_dockers(pyctr: Pyctr, docker_server: DockerClient) -> None:
    """Docker's client renders our JSON as it renders Docker's own."""
    pyctr("create", "--name", "web", "-l", "colour=red", "busybox", "ls", "-l", check=True)
    docker_server.answers["/containers/web/json"] = inspect(pyctr, "web")[0]
    for form in (
        "{{.State.Status}} {{.Name}} {{.Config.Image}}",
        '{{json .Config.Cmd}} {{.Path}} {{join .Args ","}}',
        '{{index .Config.Labels "colour"}} {{index .Config.Labels "none"}}',
        "{{range .Config.Env}}{{.}};{{end}}",
        '{{if .State.Running}}up{{else}}down{{end}} {{len .Id}} {{.Id | printf "%.4s" | upper}}',
        "{{.HostConfig.Memory}} {{.State.Nosuch}}",
        "{{.Config.Entrypoint}} {{len .Config.Entrypoint}} {{json .Config.Entrypoint}} {{json .HostConfig.Binds}}",
        "{{.HostConfig.Binds}} {{.HostConfig.CapAdd}} {{.ExecIDs}} {{.HostConfig.PidsLimit}} {{.Config.Volumes}}",
        "{{range .Config.Entrypoint}}{{.}}{{else}}none{{end}}{{with .HostConfig.Tmpfs}}some{{end}}",
        "{{.Nosuch}}",
        "{{.Name",
        "{{nosuch .Name}}",
    ):
        ours, theirs = pyctr("inspect", "-f", form, "web"), docker_server("inspect", "-f", form, "web")
        assert ours.stdout.rstrip("\n") == theirs.stdout.rstrip("\n"), form
        assert ours.returncode == theirs.returncode, form
        assert ours.stderr.splitlines()[:1] == [f"pyctr_lite: {line}" for line in theirs.stderr.splitlines()[:1]]


def test_mounts_are_listed_where_docker_lists_them(pyctr: Pyctr) -> None:
    volumes = ["-v", "/new", "-v", "data:/data", "-v", "/tmp:/host:ro"]
    memory = ["--tmpfs", "/scratch/:size=1m", "--tmpfs", "/run", "--mount", "type=tmpfs,dst=/memory"]
    pyctr("create", "--name", "web", *volumes, *memory, "busybox", check=True)
    (shown,) = inspect(pyctr, "web")
    assert shown["Config"]["Volumes"] == {"/new": {}}
    assert shown["HostConfig"]["Binds"] == ["data:/data", "/tmp:/host:ro"]
    assert shown["HostConfig"]["Tmpfs"] == {"/scratch/": "size=1m", "/run": ""}
    assert sorted(mount["Destination"] for mount in shown["Mounts"]) == ["/data", "/host", "/memory", "/new"]


def test_a_committed_image_has_the_anonymous_volumes(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "web", "-v", "/new", "-v", "data:/data", "busybox", check=True)
    pyctr("commit", "-c", "VOLUME /more", "web", "mine", check=True)
    shown = json.loads(pyctr("image", "inspect", "mine", check=True).stdout)[0]
    assert shown["Config"]["Volumes"] == {"/new": {}, "/more": {}}
    pyctr("create", "--name", "next", "mine", check=True)
    assert sorted(inspect(pyctr, "next")[0]["Config"]["Volumes"]) == ["/more", "/new"]


def test_container_inspect_finds_containers_only(pyctr: Pyctr) -> None:
    done = pyctr("container", "inspect", "busybox")
    assert (done.returncode, done.stdout) == (1, "[]\n")
    pyctr("create", "--name", "busybox", "busybox", check=True)
    assert pyctr("container", "inspect", "-f", "{{.Name}}", "busybox", check=True).stdout == "/busybox\n"


def test_objects_of_several_kinds_are_printed_in_one_array(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "web", "-v", "data:/data", "busybox", check=True)
    container, image, volume = inspect(pyctr, "web", "busybox", "data")
    assert container["Name"] == "/web"
    assert image["RepoTags"] == ["busybox:latest"]
    assert volume["Mountpoint"] == f"{pyctr.root}/volumes/data/_data"
    assert pyctr("inspect", "-f", "{{.Id}}", "web", "busybox").stdout.split() == [container["Id"], image["Id"]]


def test_type_narrows_the_search(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "busybox", "-v", "busybox:/data", "busybox", check=True)
    assert inspect(pyctr, "busybox")[0]["Name"] == "/busybox"
    assert inspect(pyctr, "--type", "container", "busybox")[0]["Name"] == "/busybox"
    assert inspect(pyctr, "--type", "image", "busybox")[0]["RepoTags"] == ["busybox:latest"]
    assert inspect(pyctr, "--type", "volume", "busybox")[0]["Name"] == "busybox"
    wrong = pyctr("inspect", "--type", "galaxy", "busybox")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith('pyctr_lite: unknown type: "galaxy"\n')


def test_a_missing_object_is_reported_and_the_others_are_shown(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "website", "busybox", check=True)
    done = pyctr("inspect", "webiste", "website")
    assert done.returncode == 1
    assert [item["Name"] for item in json.loads(done.stdout)] == ["/website"]
    assert done.stderr == "pyctr_lite: No such object: webiste\n  did you mean website?\n"
    nothing = pyctr("inspect", "nosuch")
    assert (nothing.returncode, nothing.stdout) == (1, "[]\n")
    formatted = pyctr("inspect", "-f", "{{.Id}}", "nosuch")
    assert (formatted.returncode, formatted.stdout) == (1, "")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("container", "No such container: nosuch"),
        ("image", "No such image: nosuch:latest"),
        ("volume", "get nosuch: no such volume"),
    ],
)
def test_a_missing_object_of_a_type_is_reported(pyctr: Pyctr, kind: str, message: str) -> None:
    done = pyctr("inspect", "--type", kind, "nosuch")
    assert (done.returncode, done.stdout) == (1, "[]\n")
    assert done.stderr.splitlines()[0] == f"pyctr_lite: {message}"


def test_an_ambiguous_id_is_reported(pyctr: Pyctr) -> None:
    for last in "01":  # the lookup of names needs only a directory
        (pyctr.root / "containers" / ("a" * 63 + last)).mkdir(parents=True)
    done = pyctr("inspect", "--type", "container", "aaa")
    assert done.returncode == 1
    assert "2 containers have an id that starts with aaa" in done.stderr


def test_sizes_are_computed_only_on_request(pyctr: Pyctr) -> None:
    pyctr("run", "--name", "job", "busybox", "sh", "-c", "head -c 3000 /dev/zero > /f")
    (shown,) = inspect(pyctr, "--size", "job")
    assert shown["SizeRw"] == 3000
    assert shown["SizeRootFs"] > 1_000_000
    refused = pyctr("inspect", "--size", "--type", "image", "busybox")
    assert refused.returncode == 1
    assert '"size" is not supported for type "image"' in refused.stderr


def test_json_is_one_line(pyctr: Pyctr) -> None:
    done = pyctr("inspect", "-f", "json", "busybox")
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout)[0]["Os"] == "linux"


def test_image_inspect_finds_images_only(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "web", "busybox", check=True)
    pyctr("commit", "-m", "why", "-a", "who", "-c", "ENV A=b", "web", "localhost:5000/a/b:1", check=True)
    shown = json.loads(pyctr("image", "inspect", "localhost:5000/a/b:1").stdout)[0]
    assert shown["RepoTags"] == ["localhost:5000/a/b:1"]
    assert shown["RepoDigests"][0].startswith("localhost:5000/a/b@sha256:")
    assert (shown["Comment"], shown["Author"]) == ("why", "who")
    assert "A=b" in shown["Config"]["Env"]
    assert len(shown["RootFS"]["Layers"]) == 1  # a container without changes adds no layer
    assert pyctr("image", "inspect", "-f", "{{.Config.Cmd}}", "busybox").stdout == "[sh]\n"
    done = pyctr("image", "inspect", "web")
    assert (done.returncode, done.stdout) == (1, "[]\n")
    assert done.stderr.splitlines()[0] == "pyctr_lite: No such image: web:latest"


@pytest.mark.parametrize("network", ["none", "host"])
def test_a_container_without_a_bridge_has_an_empty_address(pyctr: Pyctr, network: str) -> None:
    pyctr("create", "--name", "box", "--network", network, "busybox", "true", check=True)
    networks = "{{range $name, $value := .Networks}}{{$name}}:{{$value.IPAddress}}{{end}}"
    template = "{{with .NetworkSettings}}{{.IPAddress}}<" + networks + ">{{end}}"
    assert pyctr("inspect", "-f", template, "box", check=True).stdout == f"<{network}:>\n"
