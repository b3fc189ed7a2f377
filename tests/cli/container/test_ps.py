"""ps: rows, formats and filters."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import DockerClient
    from tests.conftest import Pyctr


def make(pyctr: Pyctr, name: str, *command: str, flags: tuple[str, ...] = ()) -> str:
    return pyctr("create", "--name", name, *flags, "busybox", *(command or ("true",)), check=True).stdout.strip()


def run(pyctr: Pyctr, name: str, *flags: str) -> str:
    return pyctr("run", "-d", "--name", name, *flags, "busybox", "sleep", "1000", check=True).stdout.strip()


def names(pyctr: Pyctr, *flags: str) -> list[str]:
    return pyctr("ps", "--format", "{{.Names}}", *flags, check=True).stdout.split()


def test_an_empty_list_prints_only_the_header(pyctr: Pyctr) -> None:
    header = "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
    assert pyctr("ps").stdout == header
    assert pyctr("ps", "-a").stdout == header
    assert pyctr("ps", "-q").stdout == ""


def test_only_running_containers_are_shown_and_with_a_all_newest_first(pyctr: Pyctr) -> None:
    make(pyctr, "new")
    run(pyctr, "web")
    make(pyctr, "job", "sh", "-c", "exit 3")
    pyctr("start", "-a", "job")
    run(pyctr, "paused")
    pyctr("pause", "paused", check=True)
    assert names(pyctr) == ["paused", "web"]
    assert names(pyctr, "-a") == ["paused", "job", "web", "new"]
    rows = [line.split("  ") for line in pyctr("ps", "-a").stdout.splitlines()[1:]]
    status = [[cell.strip() for cell in row if cell][4] for row in rows]
    patterns = [r"Up .* \(Paused\)", r"Exited \(3\) .* ago", r"Up [^()]*", r"Created"]
    assert all(re.fullmatch(*pair) for pair in zip(patterns, status, strict=True)), status


def test_a_row_has_dockers_format(pyctr: Pyctr, docker_server: DockerClient) -> None:
    id = run(pyctr, "web", "-l", "colour=red")
    record = json.loads(pyctr("inspect", "-f", "json", "web").stdout)[0]
    docker_server.answers["/containers/json"] = [
        {
            "Id": id,
            "Names": ["/web"],
            "Image": "busybox",
            "ImageID": record["Image"],
            "Command": "sleep 1000",
            "Created": 1,
            "Ports": [],
            "Labels": {"colour": "red"},
            "State": "running",
            "Status": "Up 1 second",
            "Mounts": [],
        }
    ]
    for form in (
        "{{.ID}} {{.Image}} {{.Command}} {{.Names}} {{.State}} {{.Labels}} {{.Label `colour`}}",
        "table {{.ID}}\t{{.Names}}\t{{.Ports}}",
        "table {{.Label `colour`}} {{.Image}}",
        "{{.Nosuch}}",
        "{{.ID",
    ):
        ours, theirs = pyctr("ps", "--format", form), docker_server("ps", "--format", form)
        assert ours.stdout == theirs.stdout, form
        assert bool(ours.returncode) == bool(theirs.returncode), form
    assert pyctr("ps", "-q").stdout == docker_server("ps", "-q").stdout
    assert pyctr("ps", "-q", "--no-trunc").stdout == docker_server("ps", "-q", "--no-trunc").stdout


@pytest.mark.parametrize(
    ("command", "short", "whole"),
    [
        (["true"], '"true"', '"true"'),
        (["sleep", "100000000000000"], '"sleep 1000000000000…"', '"sleep 100000000000000"'),
        (["echo", "a b"], "\"echo 'a b'\"", "\"echo 'a b'\""),
        (["echo", 'say "x"\n'], '"echo \'say \\"x\\"\\n\'"', '"echo \'say \\"x\\"\\n\'"'),
    ],
)
def test_the_command_is_quoted_and_truncated_as_in_docker(
    pyctr: Pyctr, command: list[str], short: str, whole: str
) -> None:
    make(pyctr, "job", *command)
    assert pyctr("ps", "-a", "--format", "{{.Command}}").stdout == short + "\n"
    assert pyctr("ps", "-a", "--no-trunc", "--format", "{{.Command}}").stdout == whole + "\n"


def test_no_trunc_shows_full_ids(pyctr: Pyctr) -> None:
    id = make(pyctr, "job")
    assert id in pyctr("ps", "-a", "--no-trunc").stdout
    assert id not in pyctr("ps", "-a").stdout
    assert id[:12] in pyctr("ps", "-a").stdout


def test_an_image_whose_name_moved_to_another_is_shown_by_its_id(pyctr: Pyctr) -> None:
    make(pyctr, "old")
    id = pyctr("inspect", "-f", "{{.Image}}", "old").stdout.strip()
    pyctr("commit", "old", "busybox:latest", check=True)
    assert pyctr("ps", "-a", "--format", "{{.Image}}").stdout == id[7:19] + "\n"
    assert pyctr("ps", "-a", "--no-trunc", "--format", "{{.Image}}").stdout == id + "\n"


def test_last_and_latest_show_the_newest_containers(pyctr: Pyctr) -> None:
    for name in ("one", "two", "three"):
        make(pyctr, name)
    assert names(pyctr, "-l") == ["three"]
    assert names(pyctr, "-n", "2") == ["three", "two"]
    assert names(pyctr, "-n", "9") == ["three", "two", "one"]
    assert names(pyctr, "-n", "-1") == []
    assert pyctr("ps", "-n", "few").returncode == 125


def test_size_is_the_containers_changes_and_the_total_with_its_image(pyctr: Pyctr) -> None:
    make(pyctr, "job", "sh", "-c", "head -c 3000 /dev/zero > /f")
    pyctr("start", "-a", "job", check=True)
    lines = pyctr("ps", "-a", "-s").stdout.splitlines()
    assert lines[0].endswith("   SIZE")
    assert re.search(r"   3kB \(virtual [\d.]+MB\)$", lines[1])
    assert "SIZE" not in pyctr("ps", "-a").stdout


def test_json_is_one_object_per_line(pyctr: Pyctr) -> None:
    make(pyctr, "one", flags=("-v", "data:/data", "--network", "none"))
    make(pyctr, "two")
    rows = [json.loads(line) for line in pyctr("ps", "-a", "--format", "json").stdout.splitlines()]
    assert [row["Names"] for row in rows] == ["two", "one"]
    assert {key: rows[1][key] for key in ("Mounts", "LocalVolumes", "Networks", "State", "Ports")} == {
        "Mounts": "data",
        "LocalVolumes": "1",
        "Networks": "none",
        "State": "created",
        "Ports": "",
    }


def test_containers_are_filtered(pyctr: Pyctr) -> None:
    web = run(pyctr, "web", "-l", "colour=red", "-l", "size=big", "-v", "data:/data")
    make(pyctr, "webby", "true", flags=("-l", "colour=blue"))
    make(pyctr, "job", "sh", "-c", "exit 3")
    pyctr("start", "-a", "job")
    pyctr("commit", "job", "child", check=True)
    pyctr("create", "--name", "ofchild", "child", "true", check=True)
    for filters, found in {
        ("status=running",): ["web"],
        ("status=created",): ["ofchild", "webby"],
        ("status=exited", "status=running"): ["job", "web"],
        ("name=web",): ["webby", "web"],
        ("name=^web$",): ["web"],
        ("name=^/web$",): ["web"],
        ("name=(",): [],
        (f"id={web[:6]}",): ["web"],
        ("label=colour",): ["webby", "web"],
        ("label=colour=red",): ["web"],
        ("label=colour=red", "label=size=small"): [],
        ("exited=3",): ["job"],
        ("exited=0",): [],
        ("ancestor=child",): ["ofchild"],
        ("ancestor=busybox",): ["ofchild", "job", "webby", "web"],
        ("ancestor=nosuch",): [],
        ("volume=data",): ["web"],
        ("volume=/data",): ["web"],
        ("network=bridge", "name=job"): ["job"],
        ("before=job",): ["webby", "web"],
        ("since=webby",): ["ofchild", "job"],
    }.items():
        flags = [arg for text in filters for arg in ("--filter", text)]
        assert names(pyctr, "-a", *flags) == found, filters
    assert names(pyctr, "--filter", "status=exited") == ["job"]  # a filter by status does not need -a
    assert names(pyctr, "--filter", "exited=3") == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("status=asleep", "invalid filter 'status=asleep'"),
        ("colour=red", "invalid filter 'colour'"),
        ("exited=soon", "invalid filter 'exited=soon'"),
        ("before=nosuch", "No such container: nosuch"),
    ],
)
def test_an_unknown_filter_is_reported_in_one_clear_line(pyctr: Pyctr, given: str, message: str) -> None:
    done = pyctr("ps", "--filter", given)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == f"pyctr_lite: {message}"


def test_a_filter_without_a_value_is_a_usage_error(pyctr: Pyctr) -> None:
    done = pyctr("ps", "--filter", "running")
    assert (done.returncode, done.stdout) == (125, "")
    why = "bad format of filter (expected name=value)"
    assert done.stderr == f'pyctr_lite: invalid argument "running" for "-f, --filter" flag: {why}\n'


def test_ps_imports_nothing_slow(pyctr: Pyctr, root: Path) -> None:
    make(pyctr, "job")
    script = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from pyctr_lite.cli import main
main.main(["--root", {str(root)!r}, "ps", "-a"])
print("slow:", *set("re json enum typing datetime subprocess contextlib".split()) & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-ISc", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "slow:"


def test_containers_are_filtered_by_bind_and_port(pyctr: Pyctr, tmp_path: Path) -> None:
    pyctr("run", "--name", "base", "busybox", "true", check=True)
    pyctr("commit", "-c", "EXPOSE 80 8000-8002/udp", "base", "web", check=True)
    pyctr("create", "--name", "bound", "-v", f"{tmp_path}:/data", "-v", "named:/named", "busybox", check=True)
    pyctr("create", "--name", "exposed", "web", check=True)

    def names(*filters: str) -> list[str]:
        args = [arg for text in filters for arg in ("--filter", text)]
        return pyctr("ps", "-a", *args, "--format", "{{.Names}}", check=True).stdout.split()

    assert names(f"volume={tmp_path}") == ["bound"]
    assert names("volume=/data") == ["bound"]
    assert names("volume=named") == ["bound"]
    assert names("volume=/nowhere") == []
    assert names("expose=80") == ["exposed"]
    assert names("expose=80/tcp", "expose=9") == ["exposed"]
    assert names("expose=80/udp") == []
    assert names("expose=8001-9000/udp") == ["exposed"]
    assert names("publish=80") == []
    for wrong in ("expose=x", "expose=80/x", "publish=9-8", "expose=65536"):
        assert "invalid filter" in pyctr("ps", "--filter", wrong).stderr
