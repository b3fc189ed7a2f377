"""`system df`, `system prune` and `image tree`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Pyctr


@pytest.fixture
def used(pyctr: Pyctr) -> Pyctr:
    """A running and a stopped container with a kilobyte of changes each, an image of one of them, two volumes."""
    for name in ("one", "two"):
        write = "head -c 1000 /dev/zero >/file; head -c 3000 /dev/zero >/data/file; sleep 1000"
        pyctr("run", "-d", "--name", name, "-v", "/data", "busybox", "sh", "-c", write, check=True)
        while pyctr("exec", name, "stat", "-c", "%s", "/data/file").stdout != "3000\n":
            pass
    pyctr("commit", "one", "mine:1", check=True)
    pyctr("kill", "two", check=True)
    return pyctr


def df(pyctr: Pyctr) -> dict[str, dict[str, Any]]:
    lines = pyctr("system", "df", "--format", "json", check=True).stdout.splitlines()
    return {row["Type"]: row for row in map(json.loads, lines)}


def test_df_counts_objects_and_reclaimable_space(used: Pyctr) -> None:
    rows = df(used)
    assert (rows["Images"]["TotalCount"], rows["Images"]["Active"]) == ("2", "1")
    expected = {"Type": "Containers", "TotalCount": "2", "Active": "1", "Size": "2kB", "Reclaimable": "1kB (50%)"}
    assert rows["Containers"] == expected
    volumes = {"TotalCount": "2", "Active": "2", "Size": "6kB", "Reclaimable": "0B (0%)"}
    assert rows["Local Volumes"] == volumes | {"Type": "Local Volumes"}
    used("rm", "two", check=True)
    rows = df(used)
    assert rows["Local Volumes"]["Reclaimable"] == "3kB (50%)"
    assert used("system", "df").stdout.splitlines()[0].split() == "TYPE TOTAL ACTIVE SIZE RECLAIMABLE".split()


def test_df_v_lists_each_object(used: Pyctr) -> None:
    text = used("system", "df", "-v", check=True).stdout
    assert [line for line in text.splitlines() if line.endswith("space usage:")] == [
        "Images space usage:",
        "Containers space usage:",
        "Local Volumes space usage:",
    ]
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert lines["mine"][-2:] == [
        "3.072kB",
        "0",
    ]  # two headers, the data and the end of the archive; no container
    assert lines["busybox"][-2:] == ["0B", "2"]


def test_prune_removes_unused_objects_and_nothing_in_use(used: Pyctr) -> None:
    ids = used("ps", "-aq", "--no-trunc").stdout.split()
    done = used("system", "prune", "-a", "--volumes", "-f", check=True)
    assert done.stdout.startswith(f"Deleted Containers:\n{ids[0]}\n\nDeleted Images:\nuntagged: mine:1\n")
    assert "Deleted Volumes:\n" in done.stdout
    assert "Total reclaimed space: " in done.stdout.splitlines()[-1]
    assert used("ps", "-a", "--format", "{{.Names}}").stdout == "one\n"
    assert used("images", "--format", "{{.Repository}}").stdout == "busybox\n"
    assert len(os.listdir(used.root / "volumes")) == len(used("volume", "ls", "-q").stdout.split()) == 1


def test_prune_asks_first_and_leaves_volumes_and_named_images_alone(used: Pyctr) -> None:
    asked = used("system", "prune", input="n\n")
    assert "all stopped containers" in asked.stdout
    assert "volumes" not in asked.stdout
    assert len(used("ps", "-aq").stdout.split()) == 2
    used("system", "prune", "-f", "--filter", "label=none", check=True)
    assert len(used("ps", "-aq").stdout.split()) == 2
    used("system", "prune", input="y\n", check=True)
    assert len(used("ps", "-aq").stdout.split()) == 1
    assert len(used("volume", "ls", "-q").stdout.split()) == 2
    assert len(used("images", "-q").stdout.split()) == 2


def test_tree_shows_each_layer_under_the_one_below_it(used: Pyctr, root: Path) -> None:
    used("tag", "busybox", "same:2", check=True)
    used("exec", "one", "touch", "/more", check=True)
    used("commit", "one", "other", check=True)
    lines = used("image", "tree", check=True).stdout.splitlines()
    assert [line.rpartition("  ")[2] for line in lines] == [
        "[busybox:latest, same:2]",
        "[mine:1]",
        "[other:latest]",
    ]
    assert [line[:3] for line in lines[1:]] == ["├─ ", "└─ "]
    whole = used("image", "tree", "--no-trunc", "mine:1", check=True).stdout.splitlines()
    assert len(whole) == 2
    assert os.path.isdir(root / "layers" / whole[0].split()[0])
    assert used("image", "tree", "nothing").returncode == 1
