"""The changes of a container, as in `docker diff`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyctr_lite.commit import diff
from tests.commit.container import Container


@pytest.fixture
def base(tmp_path: Path) -> Container:
    """Return a container on a layer with /etc (passwd, group, ssl/cert), /bin/sh and /link."""
    base = Container(tmp_path / "base", [str(tmp_path / "empty")])
    (tmp_path / "empty").mkdir()
    base.run(
        "mkdir -p etc/ssl bin; touch etc/passwd etc/group etc/ssl/cert bin/sh; ln -s etc link; chmod 700 etc/ssl"
    )
    return base.next(tmp_path / "container")


def listed(container: Container) -> list[str]:
    return [
        f"{change.kind} /{change.path.lstrip('/')}" for change in diff.changes(container.upper, container.lowers)
    ]


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("true", []),
        ("echo x > new", ["A /new"]),
        ("echo x > etc/new", ["C /etc", "A /etc/new"]),
        ("mkdir -p a/b; touch a/b/c", ["A /a", "A /a/b", "A /a/b/c"]),
        ("echo x >> etc/passwd", ["C /etc", "C /etc/passwd"]),
        ("echo x > etc/ssl/cert", ["C /etc", "C /etc/ssl", "C /etc/ssl/cert"]),
        ("chmod 600 etc/passwd", ["C /etc", "C /etc/passwd"]),
        ("chown 1:1 bin/sh", ["C /bin", "C /bin/sh"]),
        ("rm etc/passwd", ["C /etc", "D /etc/passwd"]),
        ("rm -r etc", ["D /etc"]),
        ("rm -r etc; mkdir etc; touch etc/group", ["C /etc", "C /etc/group", "D /etc/passwd", "D /etc/ssl"]),
        ("rm -r etc; touch etc", ["C /etc"]),
        ("rm bin/sh; mkdir bin/sh; touch bin/sh/x", ["C /bin", "C /bin/sh", "A /bin/sh/x"]),
        ("rm link; ln -s bin link", ["C /link"]),
        ("chmod 755 etc/ssl", ["C /etc", "C /etc/ssl"]),
        ("mv bin/sh bin/ash", ["C /bin", "A /bin/ash", "D /bin/sh"]),
        ("touch x; rm x", []),
        ("touch etc/a etc.b; mkdir etc-c", ["C /etc", "A /etc-c", "A /etc.b", "A /etc/a"]),
        ("setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 bin/sh",
         ["C /bin", "C /bin/sh"]),
    ],
)  # fmt: skip
def test_changes_are_listed_as_in_docker(base: Container, script: str, lines: list[str]) -> None:
    assert listed(base.run(script)) == lines


def test_a_file_that_was_only_copied_up_is_not_a_change(base: Container) -> None:
    base.run("exec 3<> etc/ssl/cert")  # opened for writing: overlayfs copies file and directories up
    assert os.path.exists(base.upper + "/etc/ssl/cert")
    assert listed(base) == []


def test_a_time_truncated_by_an_archive_is_not_a_change(base: Container) -> None:
    lower = base.lowers[0]
    os.utime(lower + "/etc/passwd", ns=(10**18, 10**18))
    base.run("touch -d @1000000000.5 etc/passwd")
    assert listed(base) == []
    base.run("touch -d @1000000001.5 etc/passwd")
    assert listed(base) == ["C /etc", "C /etc/passwd"]


def test_changes_are_relative_to_all_layers_together(base: Container, tmp_path: Path) -> None:
    second = base.run("rm etc/passwd; rm -r etc/ssl; mkdir etc/ssl; touch etc/ssl/key").next(tmp_path / "second")
    second.run("touch etc/passwd etc/ssl/cert; rm etc/ssl/key etc/group")
    assert listed(second) == [
        "C /etc", "D /etc/group", "A /etc/passwd", "C /etc/ssl", "A /etc/ssl/cert", "D /etc/ssl/key",
    ]  # fmt: skip


def test_a_replaced_directory_lists_the_deleted_files_of_all_layers(base: Container, tmp_path: Path) -> None:
    second = base.run("touch etc/ssl/key").next(tmp_path / "second")
    second.run("rm -r etc/ssl; mkdir -m 700 etc/ssl")
    assert listed(second) == ["C /etc", "C /etc/ssl", "D /etc/ssl/cert", "D /etc/ssl/key"]


def test_a_name_that_is_not_utf8_is_listed(base: Container) -> None:
    base.run(r"touch $'caf\xe9'")
    assert listed(base) == ["A /caf\udce9"]


def test_a_link_that_replaces_a_directory_is_not_followed(base: Container) -> None:
    base.run("rm -r etc; ln -s /usr etc")
    assert listed(base) == ["C /etc"]
