"""commit and diff: a container's changes, listed, and packed as the next layer of its image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Pyctr

CHANGES = "echo new > /new; mkdir -p /d/e; echo x >> /etc/passwd; rm /bin/ls; mkdir /tmp/t; echo y > /data/f"


def changed(pyctr: Pyctr, name: str = "web", script: str = CHANGES, *flags: str) -> None:
    """A container that has made changes and exited."""
    pyctr("run", "--name", name, "-v", "/data", *flags, "busybox", "sh", "-c", script, check=True)


def config(pyctr: Pyctr, image: str) -> Any:
    return json.loads(pyctr("image", "inspect", "-f", "{{json .Config}}", image, check=True).stdout)


def inside(pyctr: Pyctr, image: str, script: str) -> str:
    return pyctr("run", "--rm", image, "sh", "-c", script, check=True).stdout


# --- diff -----------------------------------------------------------------------------------------------


def test_diff_shows_added_changed_and_deleted_files(pyctr: Pyctr) -> None:
    changed(pyctr)
    assert pyctr("diff", "web").stdout.splitlines() == [
        "C /bin",
        "D /bin/ls",
        "A /d",
        "A /d/e",
        "A /data",
        "C /etc",
        "C /etc/passwd",
        "A /new",
        "C /tmp",
        "A /tmp/t",
    ]


def test_diff_of_a_container_without_changes_is_empty(pyctr: Pyctr) -> None:
    pyctr(
        "run", "--name", "job", "busybox", "sh", "-c", "cat /etc/passwd > /dev/null; touch /dev/shm/x", check=True
    )
    assert pyctr("diff", "job").stdout == ""
    pyctr("create", "--name", "new", "busybox", check=True)
    assert pyctr("diff", "new").stdout == ""


def test_diff_shows_the_current_changes_of_a_running_container(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "web", "busybox", "sleep", "1000", check=True)
    assert pyctr("diff", "web").stdout == ""
    pyctr("exec", "web", "touch", "/now", check=True)
    assert pyctr("diff", "web").stdout == "A /now\n"


# --- commit ---------------------------------------------------------------------------------------------


def test_a_commit_contains_the_changes_but_no_volume(pyctr: Pyctr) -> None:
    changed(pyctr)
    id = pyctr("commit", "web", "site:1", check=True).stdout.strip()
    assert id == pyctr("image", "inspect", "-f", "{{.Id}}", "site:1").stdout.strip()
    assert inside(pyctr, "site:1", "cat /new; ls -d /d/e; tail -n 1 /etc/passwd; ls /data") == "new\n/d/e\nx\n"
    assert pyctr("run", "--rm", "site:1", "test", "-e", "/bin/ls").returncode == 1
    assert inside(pyctr, "busybox", "ls -d /new /bin/ls 2>/dev/null || :") == "/bin/ls\n"


def test_a_commit_without_a_name_makes_an_image_without_a_name(pyctr: Pyctr) -> None:
    changed(pyctr)
    id = pyctr("commit", "web", check=True).stdout.strip()
    assert id.startswith("sha256:")
    assert pyctr("image", "inspect", "-f", "{{json .RepoTags}}", id).stdout == "[]\n"
    assert inside(pyctr, id, "cat /new") == "new\n"


def test_a_commit_of_a_commit_adds_a_layer_and_a_line_of_history(pyctr: Pyctr) -> None:
    changed(pyctr)
    pyctr("commit", "-m", "first", "-a", "A. Author", "web", "one", check=True)
    pyctr("run", "--name", "second", "one", "sh", "-c", "rm /new; echo 2 > /second", check=True)
    pyctr("commit", "-m", "second", "second", "two", check=True)
    layers = pyctr(
        "image", "inspect", "-f", "{{len .RootFS.Layers}} {{.Author}} {{.Comment}}", "one", "two"
    ).stdout
    assert layers.splitlines() == ["2 A. Author first", "3 A. Author second"]
    assert inside(pyctr, "two", "cat /second; echo /d/*") == "2\n/d/e\n"
    assert pyctr("run", "--rm", "two", "test", "-e", "/new").returncode == 1
    history = pyctr("history", "--format", "{{.Comment}}", "two").stdout.split()
    assert history[:2] == ["second", "first"]


def test_a_commit_without_changed_files_adds_no_layer(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "same", "busybox", "true", check=True)
    pyctr("commit", "-c", 'CMD ["echo", "hi"]', "same", "one", check=True)
    layers = pyctr("image", "inspect", "-f", "{{json .RootFS.Layers}}", "busybox", "one", check=True).stdout
    assert len(set(layers.splitlines())) == 1
    assert pyctr("history", "--format", "{{.Size}}", "one").stdout.splitlines()[0] == "0B"
    assert pyctr("run", "--rm", "one", check=True).stdout == "hi\n"
    assert (
        len(pyctr("rmi", "one", check=False).stdout.splitlines()) == 2
    )  # the lines for the tag and for the image


def test_the_history_has_the_command_without_the_entry_point(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "box", "--entrypoint", "sh", "busybox", "-c", "true", check=True)
    pyctr("commit", "box", "made", check=True)
    shown = pyctr("history", "--format", "{{.CreatedBy}}", "made", check=True).stdout
    assert shown.splitlines()[0] == "-c true"


def test_a_commit_has_the_containers_config_with_the_changes_applied(pyctr: Pyctr) -> None:
    changed(pyctr, "web", "true", "-e", "A=b", "-w", "/tmp", "-l", "colour=red", "-u", "7")
    flags = [
        word
        for change in ('CMD ["cat", "/etc/hostname"]', "ENV C=d", "LABEL size=big", "EXPOSE 80", "USER 0")
        for word in ("-c", change)
    ]
    pyctr("commit", *flags, "web", "site", check=True)
    found = config(pyctr, "site")
    assert found["Cmd"] == ["cat", "/etc/hostname"]
    assert {"A=b", "C=d"} <= set(found["Env"])
    assert found["Labels"] == {"colour": "red", "size": "big"}
    assert (found["WorkingDir"], found["User"]) == ("/tmp", "0")
    assert found["ExposedPorts"] == {"80/tcp": {}}
    assert len(pyctr("run", "--rm", "site").stdout.strip()) == 12


def test_a_running_container_is_paused_during_a_commit_unless_pause_is_false(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "web", "busybox", "sleep", "1000", check=True)
    pyctr("commit", "web", "paused", check=True)
    pyctr("commit", "--pause=false", "web", "busy", check=True)
    events = pyctr("events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}").stdout.split()
    assert events == ["create", "connect", "start", "pause", "unpause", "commit", "commit"]
    assert pyctr("ps", "--format", "{{.State}}").stdout == "running\n"


def test_a_paused_container_stays_paused_after_a_commit(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "web", "busybox", "sleep", "1000", check=True)
    pyctr("pause", "web", check=True)
    pyctr("commit", "web", "site", check=True)
    assert pyctr("ps", "--format", "{{.State}}").stdout == "paused\n"


def test_explain_narrates_a_commit_which_is_otherwise_silent(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "web", "busybox", "sleep", "1000", check=True)
    narrated = pyctr("commit", "--explain", "web", check=True).stderr
    assert "[5 commit]" in narrated
    assert "freeze" in narrated
    steps = [json.loads(line) for line in pyctr("commit", "--explain=json", "web").stderr.splitlines()]
    assert {step["name"] for step in steps} == {"commit", "cgroups"}
    assert pyctr("commit", "web").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nosuch",), "No such container: nosuch"),
        (("-c", "COPY a b", "web"), "COPY is not a valid change command"),
        (("-c", "EXPOSE nosuch", "web"), "nosuch"),
        (("web", "UPPER"), "invalid reference format"),
        (("web", "a:b:c"), "invalid reference format"),
    ],
)
def test_a_failed_commit_prints_one_clear_line_and_changes_nothing(
    pyctr: Pyctr, arguments: tuple[str, ...], message: str
) -> None:
    pyctr("create", "--name", "web", "busybox", check=True)
    done = pyctr("commit", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    first, *hints = done.stderr.splitlines()
    assert first.startswith("pyctr_lite: ")
    assert message in first
    assert len(hints) <= 1
    assert pyctr("images", "-q").stdout.count("\n") == 1


def test_commit_takes_one_container_and_one_name(pyctr: Pyctr) -> None:
    assert pyctr("commit").returncode == 1
    done = pyctr("commit", "a", "b", "c")
    assert done.returncode == 1
    assert "requires at least 1 and at most 2 arguments." in done.stderr
