"""The pytest plugin inside the sandbox: a learner's functions put in, a line of JSON for each check.

A check is a test named after its exercise: `test_3_2_nothing_of_the_old_root_is_left`. It runs only where the
exercise is the learner's; then its reference is out of reach (see `swap`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labs.kit.checks import expect
from labs.kit.exercises import manifest, swap
from labs.kit.isolation import sandbox
from pyctr_lite.cgroups import group as groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyctr_lite.cgroups.hierarchy import Hierarchy

BY_HAND = "by-hand"
TOKEN = os.environ.get("PYCTR_LABS_TOKEN", BY_HAND)
"""What all cgroups of one run have in their names, for the sandbox to find them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--labs", default=str(manifest.LABS), help="the directory of the learner's files")
    parser.addoption("--exercise", action="append", default=[], help="check these alone (3.2)")
    parser.addoption("--results", default=os.devnull, help="where a line of JSON a check goes")


def pytest_configure(config: pytest.Config) -> None:
    swap.activate(Path(config.getoption("--labs")))
    config.pluginmanager.register(_Recorder(config.getoption("--results")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--exercise")
    if wanted:
        items[:] = [item for item in items if exercise_of(item) in wanted]


def exercise_of(item: pytest.Item) -> str:
    """The id in a check's name; "" for a test that is none."""
    found = re.match(r"test_(\d+)_(\d+)_", item.name)
    return f"{found[1]}.{found[2]}" if found else ""


class _Recorder:
    """Writes what begins and what comes of it at once: also of a run that is killed the last line is there."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self.failed: set[str] = set()

    def write(self, item: pytest.Item, outcome: str, **more: Any) -> None:
        line = {"exercise": exercise_of(item), "check": item.name, "outcome": outcome} | more
        os.write(self.fd, json.dumps(line).encode() + b"\n")

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """An exercise is checked with its own function alone: a fault is told of the one that has it.

        After its first failure it is not checked any further: what hangs once would hang again.
        """
        assert swap.active is not None
        if exercise_of(item) in self.failed:
            pytest.skip("an earlier check of the exercise has failed")
        swap.active.leave(exercise_of(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        assert swap.active is not None
        state = swap.active.states.get(exercise_of(item), "yours")
        if state != "yours":
            place = manifest.find(exercise_of(item)).place
            self.write(item, state, message=swap.active.errors.get(place, ""))
            pytest.skip(state)
        self.write(item, "begun")
        began = time.monotonic()
        try:
            yield
        except BaseException as error:
            more = {"message": expect.told(error), "traceback": expect.whole_traceback(error)}
            self.failed.add(exercise_of(item))
            self.write(item, "failed", seconds=time.monotonic() - began, **more)
            raise
        self.write(item, "passed", seconds=time.monotonic() - began)


@pytest.fixture
def new_group() -> Iterator[Callable[..., groups.Group]]:
    """`new_group(hierarchy)`: a control group of the check's own, not made yet; killed and removed afterwards."""
    made: list[groups.Group] = []

    def new(hierarchy: Hierarchy | None = None) -> groups.Group:
        made.append(groups.Group(f"/pyctr_lite-labs-{TOKEN}-{os.urandom(4).hex()}", hierarchy))
        return made[-1]

    yield new
    for group in made:
        _end(group)


@pytest.fixture
def group(new_group: Callable[..., groups.Group]) -> groups.Group:
    """One such group, in every hierarchy of the machine."""
    return new_group()


def _end(group: groups.Group) -> None:
    """By hand, not by the functions under test. First all is thawed: the frozen do not die in version 1."""
    sandbox.thaw(group.directories)
    for directory in group.directories:
        for place, _, _ in os.walk(directory, topdown=False):
            sandbox.remove_group(Path(place))


class Pyctr:
    """The real engine with the function of one exercise in it: `pyctr("run", "--rm", "busybox", "true")`."""

    def __init__(self, root: Path, labs: str, exercise: str) -> None:
        self.root, self.labs, self.exercise = root, labs, exercise

    def __call__(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command; `check` fails with what the engine says, which names the learner's line."""
        command = [sys.executable, "-m", "pyctr_lite", "--root", str(self.root), f"--labs={self.labs}", *words]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            env={**os.environ, swap.ONLY: self.exercise},
            capture_output=True,
            text=True,
            timeout=60,
        )
        if check and done.returncode:
            raise expect.CheckFailed(
                f"with your function in it, `pyctr_lite {' '.join(words)}` fails "
                f"with exit status {done.returncode}:\n    {done.stderr.strip()}"
            )
        return done


@pytest.fixture(scope="session")
def _engine() -> Path:
    """A state directory with the image busybox; the sandbox knows its place."""
    if TOKEN == BY_HAND:
        pytest.fail("without the sandbox its engine has no place: make check EX=…")
    directory = Path(os.environ["TMPDIR"]) / "engine"
    command = [sys.executable, "-m", "pyctr_lite", "--root", str(directory), "image", "bootstrap", "busybox"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return directory


@pytest.fixture
def pyctr(_engine: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """The engine with the learner's function and the image busybox; its containers are removed afterwards."""
    engine = Pyctr(_engine, request.config.getoption("--labs"), exercise_of(request.node))
    yield engine
    if ids := engine("ps", "-aq", check=False).stdout.split():
        engine("rm", "-f", "-v", *ids, check=False)
