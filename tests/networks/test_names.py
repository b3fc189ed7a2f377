"""Names of containers as files: registered, found by a resolver, withdrawn, by several processes at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyctr_lite.networks import names
from pyctr_lite.networks.names import Names

WEB, DB, OTHER = "1" * 64, "2" * 64, "3" * 64


@pytest.fixture
def lab(tmp_path: Path) -> str:
    directory = str(tmp_path / "lab")
    names.register(directory, WEB, "web", ["www", "Shared", "a.b"], ["172.18.0.2", "fd00::2"])
    names.register(directory, DB, "db", ["shared"], ["172.18.0.3"])
    return directory


def test_a_container_is_found_by_each_of_its_names(lab: str) -> None:
    known = Names([(lab, "Lab")])
    for name in ("web", "www", "a.b", WEB[:12], "web.lab", "a.b.lab", "shared.lab"):
        assert "172.18.0.2" in (known.addresses(name) or []), name
    assert known.addresses("web") == ["172.18.0.2", "fd00::2"]
    assert known.addresses("shared") == ["172.18.0.2", "fd00::2", "172.18.0.3"]
    for name in ("nosuch", "web.other", "b", "lab", WEB, "x" * 200):
        assert known.addresses(name) is None, name
    assert (known.name_of("fd00::2"), known.name_of("172.18.0.3")) == ("web.Lab", "db.Lab")
    assert known.name_of("172.18.0.4") == ""
    assert names.containers(lab) == {WEB, DB}


def test_the_meanings_of_a_name_with_dots() -> None:
    assert list(names.name_and_network("web")) == [("web", "")]
    assert list(names.name_and_network("a.b.c")) == [("a.b.c", ""), ("a.b", "c"), ("a", "b.c")]


def test_the_first_network_that_has_a_name_answers(lab: str, tmp_path: Path) -> None:
    names.register(str(tmp_path / "two"), OTHER, "web", ["only"], ["172.19.0.2"])
    known = Names([(lab, "lab"), (str(tmp_path / "two"), "two"), (str(tmp_path / "none"), "none")])
    assert known.addresses("web") == ["172.18.0.2", "fd00::2"]
    assert known.addresses("web.two") == known.addresses("only") == ["172.19.0.2"]
    known.networks = [(str(tmp_path / "two"), "two")]
    assert known.addresses("web") == ["172.19.0.2"]
    assert known.addresses("db") is None


def test_a_withdrawn_container_leaves_nothing(lab: str) -> None:
    names.withdraw(lab, WEB)
    names.withdraw(lab, WEB)
    known = Names([(lab, "lab")])
    assert (known.addresses("web"), known.addresses("shared"), known.name_of("fd00::2")) == (
        None,
        ["172.18.0.3"],
        "",
    )
    names.withdraw(lab, DB)
    assert os.listdir(lab) == []
    names.withdraw(lab + "/none", DB)
    assert names.containers(lab + "/none") == set()


def test_registering_twice_does_nothing_and_otherwise_is_refused(lab: str) -> None:
    names.register(lab, DB, "db", ["shared"], ["172.18.0.3"])
    with pytest.raises(FileExistsError):
        names.register(lab, DB, "db", ["shared"], ["172.18.0.4"])
    assert Names([(lab, "lab")]).addresses("db") == ["172.18.0.3"]
    assert not [entry for entry in os.listdir(lab) if entry.startswith(".")]


def test_a_registration_that_was_interrupted_can_be_withdrawn(lab: str) -> None:
    os.unlink(f"{lab}/a.b/{WEB}")
    os.rmdir(f"{lab}/a.b")
    names.withdraw(lab, WEB)
    assert names.containers(lab) == {DB}


@pytest.mark.parametrize("name", ["x" * 64, "..", "a/b", "../up", "a b", ".a", "ü", ""])
def test_a_name_that_dns_cannot_express_is_left_out(lab: str, tmp_path: Path, name: str) -> None:
    names.register(lab, OTHER, name, [name, "fine"], ["172.18.0.9"])
    assert Names([(lab, "lab")]).addresses("fine") == ["172.18.0.9"]
    assert Names([(lab, "lab")]).name_of("172.18.0.9") == "fine.lab"
    assert os.listdir(tmp_path) == ["lab"]
    names.withdraw(lab, OTHER)
    assert names.containers(lab) == {WEB, DB}


def test_containers_with_one_alias_come_and_go_at_once(tmp_path: Path) -> None:
    """Each removes the directory of the alias if it is the last one, while others make it."""
    directory, children = str(tmp_path / "lab"), []
    for number in range(4):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for _ in range(150):
                    names.register(directory, str(number) * 64, f"box{number}", ["shared"], [f"10.0.0.{number}"])
                    assert f"10.0.0.{number}" in (Names([(directory, "lab")]).addresses("shared") or [])
                    names.withdraw(directory, str(number) * 64)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert os.listdir(directory) == []
