"""events: past and current events, filters, formats."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.person import at_terminal

if TYPE_CHECKING:
    from tests.cli.conftest import DockerClient
    from tests.conftest import Pyctr


def past(pyctr: Pyctr, *flags: str, form: str = "{{.Action}} {{.Actor.Attributes.name}}") -> list[str]:
    """Return the lines of all past events."""
    done = pyctr("events", "--since", "1h", "--until", "0s", "--format", form, *flags, check=True)
    return done.stdout.splitlines()


def test_the_events_of_a_containers_life_in_order(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "web", "busybox", "sleep", "1000", check=True)
    for args in (("pause",), ("unpause",), ("restart", "-t", "0"), ("kill",), ("rm",)):
        pyctr(*args, "web", check=True)
    pyctr("run", "--rm", "--name", "job", "busybox", "sh", "-c", "exit 3")
    assert past(pyctr, "-f", "container=web") == [
        f"{action} web"
        for action in ("create start pause unpause kill die stop start restart kill die destroy").split()
    ]
    assert past(pyctr, "-f", "container=job", form="{{.Action}}") == ["create", "start", "die", "destroy"]
    (die,) = past(pyctr, "-f", "container=job", "-f", "event=die", form="{{.Actor.Attributes.exitCode}} {{.From}}")
    assert die == "3 busybox"


def test_an_exec_and_a_health_check_have_events_that_are_found_without_what_follows_the_colon(
    pyctr: Pyctr,
) -> None:
    health = ["--health-cmd", "true", "--health-interval", "100ms"]
    pyctr("run", "-d", "--name", "web", *health, "busybox", "sleep", "1000", check=True)
    pyctr("exec", "web", "sh", "-c", "exit 3")
    assert past(pyctr, "-f", "event=exec_start", form="{{.Action}}") == ["exec_start: sh -c exit 3"]
    assert past(pyctr, "-f", "event=exec_die", form="{{.Actor.Attributes.exitCode}}") == ["3"]
    ids = past(pyctr, "-f", "event=exec_create", "-f", "event=exec_die", form="{{.Actor.Attributes.execID}}")
    assert (len(ids), len(set(ids))) == (2, 1)
    while not past(pyctr, "-f", "event=health_status"):
        time.sleep(0.05)


def test_images_and_volumes_have_events_too(pyctr: Pyctr) -> None:
    id = pyctr("image", "inspect", "-f", "{{.Id}}", "busybox").stdout.strip()
    archive = str(pyctr.root / "archive.tar")
    for args in (
        ("tag", "busybox", "other"),
        ("rmi", "other"),
        ("save", "-o", archive, "busybox"),
        ("load", "-i", archive),
        ("volume", "create", "data"),
        ("volume", "create", "data"),
        ("volume", "rm", "data"),
        ("volume", "rm", "-f", "data"),
    ):
        pyctr(*args, check=True)
    assert past(pyctr, form="{{.Type}} {{.Action}} {{.Actor.ID}}") == [
        f"image tag {id}",
        "image untag other:latest",
        f"image load {id}",
        "volume create data",
        "volume destroy data",
    ]
    assert past(pyctr, "-f", "volume=data", form="{{.Action}}{{.Status}}") == ["create", "destroy"]
    assert past(pyctr, "-f", "image=busybox:latest", form="{{.Action}}") == ["load"]


def test_the_volumes_of_a_container_have_events(pyctr: Pyctr) -> None:
    pyctr("run", "--rm", "-v", "/anonymous", "-v", "named:/named", "busybox", "true", check=True)
    found = past(pyctr, "-f", "type=volume", form="{{.Action}} {{len .Actor.ID}}")
    assert found == ["create 64", "create 5", "destroy 64"]


def test_a_line_has_dockers_format(pyctr: Pyctr, docker_server: DockerClient) -> None:
    pyctr("create", "--name", "web", "-l", "colour=red", "busybox", check=True)
    ours = pyctr("events", "--since", "1h", "--until", "0s", env={"TZ": "UTC"})
    (event,) = (json.loads(line) for line in past(pyctr, form="json"))
    docker_server.answers["/events"] = event
    assert ours.stdout == docker_server("events", "--since", "1h", "--until", "0s").stdout
    for form in ("{{.Type}} {{.Action}} {{.Actor.ID}} {{.Status}} {{.ID}} {{.From}} {{.Time}} {{.TimeNano}}",):
        assert past(pyctr, form=form) == docker_server("events", "--format", form).stdout.splitlines()


def test_events_are_filtered(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "web", "-l", "colour=red", "busybox", "sleep", "1000", check=True)
    pyctr("run", "-d", "--name", "other", "busybox", "sleep", "1000", check=True)
    for filters, count in {
        ("type=container",): 4,
        ("type=image",): 0,
        ("event=create",): 2,
        ("event=create", "event=start"): 4,
        ("container=web",): 2,
        ("image=busybox",): 4,
        ("image=nosuch",): 0,
        ("label=colour",): 2,
        ("label=colour=red", "event=start"): 1,
        ("label=colour=red", "label=size"): 0,
        ("scope=local", "event=start"): 2,
        ("type=network", "network=bridge", "event=connect"): 2,
    }.items():
        assert len(past(pyctr, *(arg for text in filters for arg in ("-f", text)))) == count, filters


def test_since_and_until_limit_by_time(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "one", "busybox", check=True)
    between = f"{time.time():.9f}"
    pyctr("create", "--name", "two", "busybox", check=True)
    form = "{{.Actor.Attributes.name}}"
    assert pyctr("events", "--since", between, "--until", "0s", "--format", form).stdout == "two\n"
    assert pyctr("events", "--since", "1h", "--until", between, "--format", form).stdout == "one\n"
    assert pyctr("events", "--until", "0s").stdout == ""  # without --since no past events


def test_events_come_as_they_happen(pyctr: Pyctr) -> None:
    command = pyctr.command(
        "events", "--format", "{{.Action}}", "--since", "1h", "--until", f"{time.time() + 3600:.3f}"
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        pyctr("create", "--name", "web", "busybox", check=True)
        assert following.stdout.readline() == "create\n"
        pyctr("rm", "web", check=True)
        assert following.stdout.readline() == "destroy\n"
        following.kill()


def test_events_end_at_the_time_of_until(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "web", "busybox", check=True)
    end = time.time() + 0.6
    command = ("events", "--format", "{{.Action}}", "--until", f"{end:.3f}", "--since", "1h")
    assert pyctr(*command, check=True).stdout == "create\n"
    assert time.time() >= end


def test_ctrl_c_ends_events(pyctr: Pyctr) -> None:
    with at_terminal(pyctr.command("events", "--since", "1h", "--format", "{{.Action}}")) as person:
        pyctr("create", "busybox", check=True)
        person.sees("create")
        person.press("\x03")
        assert person.leaves() == 130
        assert "Traceback" not in person.shown


def test_a_follower_continues_in_the_next_file_and_misses_nothing(pyctr: Pyctr) -> None:
    from pyctr_lite.engine.events.reader import EventReader

    path = pyctr.root / "run/events.jsonl"
    path.parent.mkdir()

    def write(*numbers: int) -> None:
        with path.open("a") as file:
            file.writelines(f'{{"n":{number}}}\n' for number in numbers)

    def new() -> list[Any]:
        return [event["n"] for event in reader.events()]

    write(1)
    with EventReader(str(path), history=False) as reader:
        assert new() == []
        write(2)
        assert new() == [2]
        write(3)
        path.rename(f"{path}.1")
        assert new() == [3]
        write(4)
        assert new() == [4]
        write(5)
        assert new() == [5]
    with EventReader(str(path), history=True) as reader:
        assert new() == [1, 2, 3, 4, 5]


def test_the_event_log_is_bounded(pyctr: Pyctr) -> None:
    run = pyctr.root / "run"
    run.mkdir()
    (run / "events.jsonl").write_text(json.dumps({"Action": "x" * (1 << 20)}) + "\n")
    pyctr("create", "--name", "one", "busybox", check=True)
    assert os.path.exists(run / "events.jsonl.1")
    pyctr("create", "--name", "two", "busybox", check=True)
    assert (run / "events.jsonl").stat().st_size < 2000


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--since", "soon"), 1, 'invalid value for "since": failed to parse value as time or duration: "soon"'),
        (("--until", "soon"), 1, 'invalid value for "until": failed to parse value as time or duration: "soon"'),
        (("-f", "colour=red"), 1, "invalid filter 'colour'"),
        (
            ("-f", "start"),
            125,
            'invalid argument "start" for "-f, --filter" flag: bad format of filter (expected name=value)',
        ),
        (("--format", "{{.Action"), 64, "template parsing error: template: :1: unclosed action"),
        (
            ("--format", "{{.Colour}}", "--until", "0s"),
            64,
            'template parsing error: template: :1:2: executing "" at <.Colour>: map has no entry for key "Colour"',
        ),
    ],
)
def test_a_bad_value_is_one_clear_line(pyctr: Pyctr, flags: tuple[str, ...], code: int, message: str) -> None:
    done = pyctr("events", *flags)
    assert (done.returncode, done.stdout) == (code, "")
    assert re.sub(" +", " ", done.stderr.splitlines()[0]) == f"pyctr_lite: {message}"
