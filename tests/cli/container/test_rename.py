"""`rename` of running and stopped containers."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Pyctr


def names(pyctr: Pyctr) -> list[str]:
    return sorted(os.listdir(pyctr.root / "names"))


def test_rename_gives_the_new_name_and_frees_the_old_one(pyctr: Pyctr) -> None:
    id = pyctr("create", "--name", "old", "busybox", "true", check=True).stdout.strip()
    assert (done := pyctr("rename", "old", "new", check=True)).stdout == done.stderr == ""
    assert pyctr("inspect", "-f", "{{.Id}} {{.Name}}", "new").stdout == f"{id} /new\n"
    assert pyctr("inspect", "old").returncode == 1
    assert names(pyctr) == ["new"]
    pyctr("create", "--name", "old", "busybox", "true", check=True)


def test_a_name_may_begin_with_the_slash_that_inspect_shows(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "/old", "busybox", "true", check=True)
    pyctr("rename", "/old", "/new", check=True)
    assert pyctr("inspect", "-f", "{{.Name}}", "/new").stdout == "/new\n"
    assert pyctr("create", "--name", "/", "busybox", "true").returncode == 1
    assert names(pyctr) == ["new"]


def test_a_running_container_is_removed_under_its_new_name(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--rm", "--name", "old", "busybox", "sleep", "1000", check=True)
    pyctr("rename", "old", "new", check=True)
    pyctr("kill", "new", check=True)
    pyctr("wait", "new")
    assert names(pyctr) == []
    died = [json.loads(line) for line in (pyctr.root / "run/events.jsonl").read_text().splitlines()]
    assert {event["Actor"]["Attributes"]["name"] for event in died if event["Action"] in ("die", "destroy")} == {
        "new"
    }


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("old", "Renaming a container with the same name as its current name"),
        ("other", 'the container name "other" is already in use'),
        ("", "Neither old nor new names may be empty"),
        ("a b", "Invalid container name (a b)"),
    ],
)
def test_an_invalid_name_is_refused_and_changes_nothing(pyctr: Pyctr, new: str, message: str) -> None:
    for name in ("old", "other"):
        pyctr("create", "--name", name, "busybox", "true", check=True)
    done = pyctr("rename", "old", new)
    assert done.returncode == 1
    assert message in done.stderr
    assert names(pyctr) == ["old", "other"]
    assert pyctr("ps", "-a", "--format", "{{.Names}}").stdout.split() == ["other", "old"]


def test_doctor_removes_a_second_name_left_by_a_killed_rename(pyctr: Pyctr) -> None:
    id = pyctr("create", "--name", "old", "busybox", "true", check=True).stdout.strip()
    left = pyctr.root / "names" / "new"
    left.symlink_to(id)
    os.utime(left, (0, 0), follow_symlinks=False)
    assert f"removed name {left}" in pyctr("doctor", "--fix").stderr
    assert names(pyctr) == ["old"]
