"""The fixture `leaves_nothing` finds every kind of leftover."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.engine.state.paths import Paths
from pyctr_lite.engine.stores.networks import Networks
from pyctr_lite.networks import bridge, elements, rules
from tests import leaks, network_leaks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def before(tmp_path: Path) -> Iterator[leaks.Snapshot]:
    """Take a snapshot. Whatever the test then leaves on purpose is removed afterwards."""
    snapshot = leaks.Snapshot.take(tmp_path)
    yield snapshot
    leaks.Snapshot.take(tmp_path).remove_new_since(snapshot)


def test_a_mount_in_the_tests_directory_is_found_and_removed(tmp_path: Path, before: leaks.Snapshot) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True)
    after = leaks.Snapshot.take(tmp_path)
    assert after.new_since(before) == [f"mount {tmp_path} (tmpfs)"]
    after.remove_new_since(before)
    assert leaks.Snapshot.take(tmp_path).new_since(before) == []


def test_a_mount_elsewhere_of_the_tests_files_is_found(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, before: leaks.Snapshot
) -> None:
    source, elsewhere = tmp_path / "source", tmp_path_factory.mktemp("elsewhere")
    source.mkdir()
    subprocess.run(["mount", "--bind", source, elsewhere], check=True)
    (line,) = leaks.Snapshot.take(tmp_path).new_since(before)
    assert line.startswith(f"mount {elsewhere} ")


def test_another_users_mount_is_ignored(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, before: leaks.Snapshot
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", elsewhere], check=True)
    try:
        assert leaks.Snapshot.take(tmp_path).new_since(before) == []
    finally:
        subprocess.run(["umount", elsewhere], check=True)


def test_the_cgroup_of_a_state_directory_is_found_with_its_children(
    tmp_path: Path, before: leaks.Snapshot
) -> None:
    root = tmp_path / "state"
    root.mkdir()
    group = leaks.hierarchies()[0] / leaks.cgroup_name(root)
    (group / "container").mkdir(parents=True)
    after = leaks.Snapshot.take(tmp_path)
    assert after.new_since(before) == [f"cgroup {group}", f"cgroup {group}/container"]
    after.remove_new_since(before)
    assert not group.exists()


def test_an_orphan_of_an_orphan_becomes_our_child_and_is_found() -> None:
    before = leaks.children()
    daemon = "import os; os.fork() or (os.setsid(), os.fork() or os.execvp('sleep', ['sleep', '600']))"
    subprocess.run([sys.executable, "-c", daemon], check=True)
    left = leaks.wait_for_children(known=before, seconds=0.2)
    assert list(left.values()) == ["sleep 600"]
    leaks.end(left)
    assert leaks.children() == before


def test_a_child_that_ends_by_itself_is_reaped() -> None:
    before = leaks.children()
    os.posix_spawn("/bin/sleep", ["sleep", "0.2"], {})
    assert leaks.wait_for_children(known=before, seconds=10) == {}


def test_the_cgroup_of_another_state_directory_is_ignored_even_in_ci(
    tmp_path: Path, before: leaks.Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    group = leaks.hierarchies()[0] / leaks.cgroup_name(tmp_path.parent / f"other-{os.getpid()}")
    group.mkdir()
    try:
        assert leaks.Snapshot.take(tmp_path).new_since(before) == []
    finally:
        group.rmdir()


def test_a_cgroup_named_after_this_process_is_found(tmp_path: Path, before: leaks.Snapshot) -> None:
    group = leaks.hierarchies()[0] / f"pyctr_test_{os.getpid()}"
    group.mkdir()
    assert leaks.Snapshot.take(tmp_path).new_since(before) == [f"cgroup {group}"]


def test_a_bridge_is_found_by_its_network_and_by_its_alias(tmp_path: Path, before: leaks.Snapshot) -> None:
    network = Networks(Paths(str(tmp_path / "state"))).make("red")
    name = f"pc{os.getpid()}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    subprocess.run(["ip", "link", "set", name, "alias", f"pyctr_lite {tmp_path}/other"], check=True)
    after = leaks.Snapshot.take(tmp_path)
    assert after.new_since(before) == [f"link {network.bridge}", f"link {name}"]
    after.remove_new_since(before)
    assert leaks.Snapshot.take(tmp_path).new_since(before) == []
    with bridge.Sockets() as sockets:
        assert network.bridge not in elements.bridges(sockets.filter)


def test_what_a_container_leaves_in_a_network_is_found(
    tmp_path: Path, before: leaks.Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_leaks, "PATIENCE", 0.1)
    networks = Networks(Paths(str(tmp_path / "state")))
    network = networks.make("red", [("10.254.253.0/29", "", "")])
    assert network_leaks.of_containers(tmp_path / "state", [network]) == {}
    networks.addresses(network)[0].take("id")
    subprocess.run(
        ["ip", "link", "add", "pvtest", "master", network.bridge, "up", "type", "veth", "peer", "pvpeer"],
        check=True,
    )
    subprocess.run(["ip", "link", "set", "pvpeer", "up"], check=True)
    with bridge.Sockets() as sockets:
        rules.publish(sockets.filter, "tcp", "0.0.0.0", 64999, "10.254.253.2", 80)
        rules.add_own(sockets.filter, "10.254.253.2")
    found = network_leaks.of_containers(tmp_path / "state", [network])
    assert [line.split(" ")[0] for line in found] == ["address", "link", "published", "element"]
    assert {*found, f"link {network.bridge}"} == set(leaks.Snapshot.take(tmp_path).new_since(before))
    leaks.Snapshot.take(tmp_path).remove_new_since(before)
    assert leaks.Snapshot.take(tmp_path).new_since(before) == []
