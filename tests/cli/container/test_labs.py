"""`--labs`: a learner's functions in every process of the real engine, for the life of the container."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from labs.kit.exercises import manifest
from tests.conftest import Pyctr

MARK = 'raise RuntimeError("the learner\'s own")'


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    """Return a labs directory of starters."""
    directory = tmp_path / "labs"
    for exercise in manifest.exercises():
        (directory / exercise.place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(manifest.STARTERS / exercise.place, directory / exercise.place)
    return directory


def write(labs: Path, id: str, body: str) -> None:
    exercise = manifest.find(id)
    path = labs / exercise.place
    path.write_text(path.read_text().replace(f'raise Todo("{id}")', body))


def test_with_starters_the_engine_uses_its_own_functions(pyctr: Pyctr, labs: Path) -> None:
    done = pyctr(f"--labs={labs}", "run", "--rm", "busybox", "echo", "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


def test_labs_without_a_directory_means_the_labs_of_the_checkout(pyctr: Pyctr) -> None:
    assert pyctr("--labs", "run", "--rm", "busybox", "echo", "hello").stdout == "hello\n"


def test_a_containers_labs_are_remembered(pyctr: Pyctr, labs: Path) -> None:
    """`diff` finds them in the record, without --labs."""
    pyctr(f"--labs={labs}", "run", "--name", "box", "busybox", "touch", "/new", check=True)
    write(labs, "5.2", MARK)
    done = pyctr("diff", "box")
    assert done.returncode == 1
    assert done.stderr.startswith("pyctr_lite: RuntimeError: the learner's own\n")
    assert f"{labs}/lab5_commit/diff.py, line " in done.stderr
    assert "in entry_changes: raise RuntimeError" in done.stderr
    assert pyctr("rm", "box").returncode == 0


def test_without_labs_no_function_of_the_learner_is_called(pyctr: Pyctr, labs: Path) -> None:
    write(labs, "5.2", MARK)
    pyctr("run", "--name", "box", "busybox", "touch", "/new", check=True)
    assert "A /new" in pyctr("diff", "box").stdout


def test_a_container_whose_labs_were_deleted_can_be_removed(pyctr: Pyctr, labs: Path) -> None:
    pyctr(f"--labs={labs}", "run", "--name", "box", "busybox", "true", check=True)
    shutil.rmtree(labs)
    assert pyctr("rm", "box").returncode == 0


def test_a_broken_file_is_reported_and_the_engines_own_function_is_used(pyctr: Pyctr, labs: Path) -> None:
    path = labs / "lab5_commit/diff.py"
    path.write_text("def (:\n")
    done = pyctr(f"--labs={labs}", "run", "--rm", "busybox", "echo", "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert f"{path}, line 1" in done.stderr
    assert "the engine's own functions are used instead" in done.stderr


def test_a_missing_directory_is_refused(pyctr: Pyctr, tmp_path: Path) -> None:
    done = pyctr(f"--labs={tmp_path}/none", "run", "--rm", "busybox", "true")
    assert done.returncode == 125
    assert done.stderr.splitlines()[0] == f"pyctr_lite: --labs: no directory {tmp_path}/none"
