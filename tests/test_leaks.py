"""The fixture that proves that nothing was left has to see what can be left."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import leaks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def before(tmp_path: Path) -> Iterator[leaks.Snapshot]:
    """The machine as it was; what the test then leaves on purpose is taken away."""
    snapshot = leaks.Snapshot.take(tmp_path)
    yield snapshot
    leaks.Snapshot.take(tmp_path).remove_what_is_new(snapshot)


def test_a_mount_in_the_directory_of_the_test_is_seen_and_removed(tmp_path: Path, before: leaks.Snapshot) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True)
    after = leaks.Snapshot.take(tmp_path)
    assert after.what_is_new(before) == [f"mount {tmp_path} (tmpfs)"]
    after.remove_what_is_new(before)
    assert leaks.Snapshot.take(tmp_path).what_is_new(before) == []


def test_a_mount_elsewhere_whose_files_are_the_tests_is_seen(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, before: leaks.Snapshot
) -> None:
    source, elsewhere = tmp_path / "source", tmp_path_factory.mktemp("elsewhere")
    source.mkdir()
    subprocess.run(["mount", "--bind", source, elsewhere], check=True)
    (line,) = leaks.Snapshot.take(tmp_path).what_is_new(before)
    assert line.startswith(f"mount {elsewhere} ")


def test_a_mount_of_somebody_else_is_not_ours(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, before: leaks.Snapshot
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", elsewhere], check=True)
    try:
        assert leaks.Snapshot.take(tmp_path).what_is_new(before) == []
    finally:
        subprocess.run(["umount", elsewhere], check=True)


def test_a_cgroup_of_a_state_directory_is_seen_with_those_below(tmp_path: Path, before: leaks.Snapshot) -> None:
    root = tmp_path / "state"
    root.mkdir()
    group = leaks.hierarchies()[0] / leaks.cgroup_name(root)
    (group / "container").mkdir(parents=True)
    after = leaks.Snapshot.take(tmp_path)
    assert after.what_is_new(before) == [f"cgroup {group}", f"cgroup {group}/container"]
    after.remove_what_is_new(before)
    assert not group.exists()


def test_an_orphan_of_an_orphan_comes_to_us_and_is_seen() -> None:
    before = leaks.children()
    daemon = "import os; os.fork() or (os.setsid(), os.fork() or os.execvp('sleep', ['sleep', '600']))"
    subprocess.run([sys.executable, "-c", daemon], check=True)
    left = leaks.wait_for_children(besides=before, seconds=0.2)
    assert list(left.values()) == ["sleep 600"]
    leaks.end(left)
    assert leaks.children() == before


def test_a_child_that_ends_on_its_own_is_waited_for_and_reaped() -> None:
    before = leaks.children()
    os.posix_spawn("/bin/sleep", ["sleep", "0.2"], {})
    assert leaks.wait_for_children(besides=before, seconds=10) == {}


def test_a_cgroup_of_another_state_directory_is_not_ours_even_on_a_machine_of_our_own(
    tmp_path: Path, before: leaks.Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    group = leaks.hierarchies()[0] / leaks.cgroup_name(tmp_path.parent / f"somebody-{os.getpid()}")
    group.mkdir()
    try:
        assert leaks.Snapshot.take(tmp_path).what_is_new(before) == []
    finally:
        group.rmdir()


def test_a_cgroup_that_is_named_after_this_process_is_ours(tmp_path: Path, before: leaks.Snapshot) -> None:
    group = leaks.hierarchies()[0] / f"pyctr_test_{os.getpid()}"
    group.mkdir()
    assert leaks.Snapshot.take(tmp_path).what_is_new(before) == [f"cgroup {group}"]
