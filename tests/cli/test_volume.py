"""The volume verbs, end to end: creation, listing, errors, removal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

    from tests.conftest import Pyctr


def one_line(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """Return the message of a verb that fails with an exit code and one line (and a hint)."""
    assert done.returncode == code, done
    first, *hints = done.stderr.splitlines()
    assert first.startswith("pyctr_lite: ")
    assert all(hint.startswith("  ") for hint in hints)
    return first.removeprefix("pyctr_lite: ")


def test_create_prints_the_name_and_is_idempotent(pyctr: Pyctr, root: Path) -> None:
    assert pyctr("volume", "create", "data", check=True).stdout == "data\n"
    (root / "volumes/data/_data/kept").write_text("x")
    assert pyctr("volume", "create", "data", check=True).stdout == "data\n"
    assert (root / "volumes/data/_data/kept").read_text() == "x"
    anonymous = pyctr("volume", "create", check=True).stdout.strip()
    assert len(anonymous) == 64
    assert (root / "volumes" / anonymous / "_data").is_dir()


def test_ls_lists_filters_and_formats(pyctr: Pyctr) -> None:
    pyctr("volume", "create", "--label", "a=b", "one", check=True)
    pyctr("volume", "create", "two", check=True)
    pyctr("create", "-v", "two:/two", "busybox", check=True)
    header, *lines = pyctr("volume", "ls", check=True).stdout.splitlines()
    assert header.split() == ["DRIVER", "VOLUME", "NAME"]
    assert [line.split() for line in lines] == [["local", "one"], ["local", "two"]]
    assert pyctr("volume", "ls", "-q", check=True).stdout == "one\ntwo\n"
    for filters, names in {
        "dangling=true": "one\n",
        "dangling=false": "two\n",
        "label=a=b": "one\n",
        "label=a=c": "",
        "name=tw": "two\n",
    }.items():
        assert pyctr("volume", "ls", "-q", "-f", filters, check=True).stdout == names, filters
    form = '{{.Name}} {{.Links}} {{.Size}} {{.Label "a"}}'
    assert pyctr("volume", "ls", "--format", form, check=True).stdout == "one 0 0B b\ntwo 1 0B \n"
    shown = [
        json.loads(line) for line in pyctr("volume", "ls", "--format", "json", check=True).stdout.splitlines()
    ]
    assert [volume["Name"] for volume in shown] == ["one", "two"]
    assert shown[0]["Labels"] == "a=b"
    assert "labels" not in shown[0]


def test_inspect_shows_dockers_keys(pyctr: Pyctr, root: Path) -> None:
    pyctr("volume", "create", "--label", "a=b", "data", check=True)
    (shown,) = json.loads(pyctr("volume", "inspect", "data", check=True).stdout)
    assert shown.pop("CreatedAt").endswith("Z")
    assert shown == {
        "Driver": "local",
        "Labels": {"a": "b"},
        "Mountpoint": f"{root}/volumes/data/_data",
        "Name": "data",
        "Options": None,
        "Scope": "local",
    }
    form = "{{.Name}} {{.Labels.a}} {{.Labels.none}}"
    assert pyctr("volume", "inspect", "-f", form, "data", check=True).stdout == "data b <no value>\n"


def test_inspect_shows_found_volumes_and_reports_missing_ones(pyctr: Pyctr) -> None:
    pyctr("volume", "create", "data", check=True)
    done = pyctr("volume", "inspect", "data", "date")
    assert one_line(done) == "get date: no such volume"
    assert "data" in done.stderr.splitlines()[1]  # the suggestion
    assert [volume["Name"] for volume in json.loads(done.stdout)] == ["data"]
    nothing = pyctr("volume", "inspect", "nope")
    assert json.loads(nothing.stdout) == []
    assert one_line(nothing) == "get nope: no such volume"


def test_a_volume_in_use_is_not_removed(pyctr: Pyctr) -> None:
    pyctr("volume", "create", "free", check=True)
    container = pyctr("create", "--name", "user", "-v", "data:/d", "busybox", check=True).stdout.strip()
    for force in ([], ["-f"]):
        done = pyctr("volume", "rm", *force, "data")
        assert one_line(done) == f"remove data: volume is in use - [{container}]"
    mixed = pyctr("volume", "rm", "data", "free", "nope")
    assert mixed.stdout == "free\n"
    assert mixed.returncode == 1
    assert "get nope: no such volume" in mixed.stderr
    pyctr("rm", "user", check=True)
    assert pyctr("volume", "rm", "data", check=True).stdout == "data\n"
    assert pyctr("volume", "ls", "-q", check=True).stdout == ""
    assert pyctr("volume", "rm", "-f", "data", check=True).returncode == 0


def test_prune_removes_unused_anonymous_volumes(pyctr: Pyctr, root: Path) -> None:
    free = pyctr("volume", "create", check=True).stdout.strip()
    (root / "volumes" / free / "_data/file").write_bytes(bytes(1500))
    pyctr("volume", "create", "named", check=True)
    pyctr("create", "-v", "/anonymous", "busybox", check=True)
    asked = pyctr("volume", "prune", input="\n", check=True).stdout
    assert "WARNING! This will remove anonymous local volumes not used by at least one container." in asked
    assert len(pyctr("volume", "ls", "-q", check=True).stdout.split()) == 3
    pruned = pyctr("volume", "prune", "-f", check=True).stdout
    assert pruned == f"Deleted Volumes:\n{free}\n\nTotal reclaimed space: 1.5kB\n"
    assert "named" in pyctr("volume", "ls", "-q", check=True).stdout
    assert pyctr("volume", "prune", "-f", check=True).stdout == "Total reclaimed space: 0B\n"


def test_prune_all_removes_named_volumes_too_unless_filtered(pyctr: Pyctr) -> None:
    pyctr("volume", "create", "--label", "keep", "one", check=True)
    pyctr("volume", "create", "two", check=True)
    pyctr("create", "-v", "used:/d", "busybox", check=True)
    pruned = pyctr("volume", "prune", "-af", "--filter", "label!=keep", check=True).stdout
    assert pruned.startswith("Deleted Volumes:\ntwo\n\n")
    assert pyctr("volume", "prune", "-f", "--filter", "all=1", check=True).stdout.startswith(
        "Deleted Volumes:\none\n"
    )
    assert pyctr("volume", "ls", "-q", check=True).stdout == "used\n"


def test_a_volume_may_be_a_directory_of_the_host(pyctr: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    options = ["-o", "type=none", "-o", "o=bind", "-o", f"device={tmp_path}/host"]
    pyctr("volume", "create", *options, "shared", check=True)
    pyctr("run", "--rm", "-v", "shared:/s", "busybox", "touch", "/s/new", check=True)
    assert (tmp_path / "host/new").exists()
    pyctr("volume", "rm", "shared", check=True)
    assert (tmp_path / "host/new").exists()  # the host's directory is not removed


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["create", "one", "two"], 1, "requires at most 1 argument"),
        (["create", "-d", "nfs", "x1"], 1, 'plugin "nfs" not found'),
        (["create", "x"], 1, "volume name is too short"),
        (["create", "a/b"], 1, "includes invalid characters for a local volume name"),
        (["create", "-o", "size=1", "x1"], 1, 'invalid option: "size"'),
        (["ls", "-f", "colour=red"], 1, "invalid filter 'colour'"),
        (["ls", "-f", "dangling"], 125, "bad format of filter (expected name=value)"),
        (["ls", "-f", "dangling=maybe"], 1, "invalid filter 'dangling=maybe'"),
        (["ls", "--format", "{{.Nope}}", "--nope"], 125, "unknown flag: --nope"),
        (["rm"], 1, "requires at least 1 argument"),
        (["rm", "nope"], 1, "get nope: no such volume"),
        (["inspect"], 1, "requires at least 1 argument"),
        (["inspect", "-f", "{{"], 64, "template parsing error"),
        (["prune", "-f", "--filter", "all=maybe"], 1, "invalid filter 'all=maybe'"),
        (["prune", "-af", "--filter", "all=1"], 1, "cannot specify both --all and --filter all=1"),
        (["shrink"], 1, "'shrink' is not a pyctr_lite volume command"),
    ],
)
def test_an_error_is_reported_in_one_line(
    pyctr: Pyctr, root: Path, arguments: list[str], code: int, message: str
) -> None:
    if arguments[:2] == ["inspect", "-f"]:
        arguments = [*arguments, "nope"]
    assert message in one_line(pyctr("volume", *arguments), code)
    assert not (root / "volumes").exists() or not list((root / "volumes").iterdir())


def test_a_container_that_cannot_be_created_leaves_no_anonymous_volume(pyctr: Pyctr) -> None:
    """An image with such a path would leave one at each run."""
    for volumes in (["-v", "/etc/hosts"], ["-v", "/data", "-v", "/bin/sh"]):
        done = pyctr("run", "--rm", *volumes, "busybox", "true")
        assert "cannot mount volume over existing file" in one_line(done, 125)
    assert pyctr("volume", "ls", "-q", check=True).stdout == ""
