"""Cache and bandwidth groups. Without the hardware, plain files stand for those of resctrl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.runtime import resctrl
from tests.runtime.bundles import Box


def group(root: Path, name: str = "", schemata: str = "L3:0=00f;1=f\nMB:0= 20;1= 70\n") -> Path:
    made = root / name
    made.mkdir(exist_ok=True)
    (made / "tasks").touch()
    (made / "schemata").write_text(schemata)
    return made


def enter(tmp_path: Path, **config: Any) -> None:
    resctrl.enter(config, "box", 7, str(tmp_path), str(tmp_path / "fs"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return group(tmp_path / "fs")


def test_a_group_that_exists_is_joined_if_its_values_are_the_configured_ones(tmp_path: Path, root: Path) -> None:
    gold = group(root, "gold")
    enter(tmp_path, closID="gold")
    assert (gold / "tasks").read_text() == "7"
    enter(tmp_path, closID="gold", l3CacheSchema="L3:1=0F", memBwSchema="MB:0=20", schemata=["L3:0=f"])
    with pytest.raises(PyctrError, match="group gold exists with other values of L3"):
        enter(tmp_path, closID="gold", schemata=["L3:0=ff"])
    with pytest.raises(PyctrError, match="no group silver"):
        enter(tmp_path, closID="silver")
    enter(tmp_path, closID="/")
    assert (root / "tasks").read_text() == "7"
    resctrl.remove(str(tmp_path))
    assert gold.exists()  # not made by us


def test_a_further_process_joins_the_containers_groups(tmp_path: Path, root: Path) -> None:
    def join(**config: Any) -> None:
        resctrl.join(config, "box", 8, str(root))

    for name, clos in (("gold", "gold"), ("box", ""), ("", "/")):
        made = group(root, name)
        monitor = made / "mon_groups/box"
        monitor.mkdir(parents=True)
        (monitor / "tasks").touch()
        join(closID=clos)
        assert ((made / "tasks").read_text(), (monitor / "tasks").read_text()) == ("8", "")
        join(closID=clos, enableMonitoring=True)
        assert (monitor / "tasks").read_text() == "8"
    with pytest.raises(PyctrError, match=f"intelRdt: No such file or directory: {root}/silver/tasks"):
        join(closID="silver")


def test_a_new_group_is_removed_again_only_if_it_is_the_containers_own(tmp_path: Path, root: Path) -> None:
    for clos, name, stays in (("", "box", False), ("silver", "silver", True)):
        with pytest.raises(PyctrError, match=f"intelRdt: No such file or directory: {root / name / 'schemata'}"):
            enter(tmp_path, closID=clos, schemata=["L3:0=f"])  # only resctrl makes a group's files
        assert (root / name).is_dir()
        resctrl.remove(str(tmp_path))
        assert (root / name).exists() == stays
        resctrl.remove(str(tmp_path))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"closID": ".."}, "invalid intelRdt.closID '..'"),
        ({"closID": "a/b"}, "invalid intelRdt.closID 'a/b'"),
        ({"schemata": ["L3:0=f\nMB:0=1"]}, "invalid line"),
        ({"l3CacheSchema": "f"}, "invalid line 'f'"),
        ({"memBwSchema": "L3:0=f"}, "must start with MB:"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(
    config: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resctrl, "mountpoint", lambda: "/x")
    resctrl.check({"closID": "/", "memBwSchema": "MB:0=1", "l3CacheSchema": "L3:0=f"})
    with pytest.raises(InvalidArgument, match=message):
        resctrl.check(config)


def test_without_resctrl_it_is_refused_and_an_empty_object_accepted(box: Box) -> None:
    box.linux["intelRdt"] = {}
    assert box.run("true").returncode == 0
    if not resctrl.mountpoint():
        box.linux["intelRdt"] = {"closID": "gold"}
        assert box.fails("true")["message"] == ("intelRdt is specified in config, but Intel RDT is not enabled")
