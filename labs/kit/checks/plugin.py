"""The judge's pytest plugin: it gives each check a learner's function in the arena, and records the outcome.

A check is a test named after its exercise: `test_3_2_nothing_of_the_old_root_is_left`. It runs only if the
exercise is written. The judge never runs a learner's code itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from labs.kit.checks import expect
from labs.kit.checks.arena import Arena, BrokenFile
from labs.kit.checks.yours import Yours
from labs.kit.exercises import manifest, source, swap
from labs.kit.isolation import sandbox
from pyctr_lite import linux
from pyctr_lite.cgroups import group as groups
from pyctr_lite.images import bootstrap, store

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from pyctr_lite.cgroups.hierarchy import Hierarchy

BY_HAND = "by-hand"
TOKEN = os.environ.get("PYCTR_LABS_TOKEN", BY_HAND)
"""A word in the names of all cgroups of one run, by which the sandbox finds them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--labs", default=str(manifest.LABS), help="the directory of the learner's files")
    parser.addoption("--exercise", action="append", default=[], help="check these alone (3.2)")
    parser.addoption("--results", default=os.devnull, help="where a line of JSON a check goes")


def pytest_configure(config: pytest.Config) -> None:
    labs = Path(config.getoption("--labs")).resolve()
    config.pluginmanager.register(_Recorder(labs, config.getoption("--results")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--exercise")
    if wanted:
        items[:] = [item for item in items if exercise_of(item) in wanted]


def exercise_of(item: pytest.Item) -> str:
    """Return the id in a check's name; "" for another test."""
    found = re.match(r"test_(\d+)_(\d+)_", item.name)
    return f"{found[1]}.{found[2]}" if found else ""


class _Recorder:
    """Writes what begins and what comes of it at once: also of a run that is killed the last line is there."""

    def __init__(self, labs: Path, path: str) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self.labs = labs
        self.ended: set[str] = set()

    def write(self, item: pytest.Item, outcome: str, **more: Any) -> None:
        line = {"exercise": exercise_of(item), "check": item.name, "outcome": outcome} | more
        os.write(self.fd, json.dumps(line).encode() + b"\n")

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """After its first failure an exercise is not checked any further: what hangs once would hang again."""
        if exercise_of(item) in self.ended:
            pytest.skip("an earlier check of the exercise has failed, or it is not written")
        state, problem = source.state(self.labs, manifest.find(exercise_of(item)))
        if state != "written":
            self.ended.add(exercise_of(item))
            self.write(item, state, message=problem)
            pytest.skip(state)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        self.write(item, "begun")
        began = time.monotonic()
        try:
            yield
            _finish(item)
        except BaseException as error:
            error = _first_cause(item, error)
            self.ended.add(exercise_of(item))
            outcome = "broken" if isinstance(error, BrokenFile) else "failed"
            more = {"message": _shortened(expect.told(error)), "traceback": getattr(error, "traceback", "")}
            if isinstance(error, BrokenFile):
                more["message"] = str(error)
            self.write(item, outcome, seconds=time.monotonic() - began, **more)
            raise
        self.write(item, "passed", seconds=time.monotonic() - began)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Record a check whose fixtures cannot be made as failed."""
        report = yield
        if call.when == "setup" and report.failed and call.excinfo is not None:
            self.ended.add(exercise_of(item))
            self.write(item, "failed", message=_shortened(expect.told(call.excinfo.value)))
        return report


def _shortened(message: str) -> str:
    """Paths below a check's own temporary directory begin with an ellipsis."""
    return re.sub(rf"{re.escape(os.environ['TMPDIR'])}/pytest-of-\w+/pytest-\d+/\w+/", "…/", message)


def _finish(item: pytest.Item) -> None:
    if isinstance(yours := item.funcargs.get("yours"), Yours):  # type: ignore[attr-defined]
        yours.finish()


def _first_cause(item: pytest.Item, error: BaseException) -> BaseException:
    """A wrong value may only be the consequence of what the function keeps between calls: that is said instead."""
    try:
        if isinstance(error, expect.CheckFailed):
            _finish(item)
    except expect.CheckFailed as cause:
        return cause
    return error


class _Arenas:
    """One arena at a time, of the exercise that is checked now."""

    def __init__(self, labs: Path) -> None:
        self.labs, self.shared = labs, Path(os.environ["TMPDIR"])
        self.current: Arena | None = None
        self.top: Path | None = None
        linux.mount(str(self.shared), str(self.shared), None, linux.MS_BIND | linux.MS_REC)
        linux.mount(None, str(self.shared), None, linux.MS_SHARED)

    def of(self, exercise: manifest.Exercise) -> Arena:
        if self.current is None or self.current.exercise != exercise:
            self.close()
            self.top = self.shared.parent / f"arena-{exercise.id}"
            self.top.mkdir(mode=0o700)
            self.current = Arena(exercise, self.labs, self.top, self.shared)
        return self.current

    def close(self) -> None:
        if self.current is not None and self.top is not None:
            self.current.close()
            shutil.rmtree(self.top, ignore_errors=True)
        self.current = self.top = None


@pytest.fixture(scope="session")
def _arenas(request: pytest.FixtureRequest) -> Iterator[_Arenas]:
    if TOKEN == BY_HAND:
        pytest.fail("checks run in the sandbox: make check EX=…")
    arenas = _Arenas(Path(request.config.getoption("--labs")).resolve())
    yield arenas
    arenas.close()


@pytest.fixture
def arena(_arenas: _Arenas, request: pytest.FixtureRequest) -> Arena:
    """The arena of the check's exercise."""
    return _arenas.of(manifest.find(exercise_of(request.node)))


@pytest.fixture
def yours(arena: Arena) -> Iterator[Yours]:
    """The learner's function. What it may change beyond its result, the check allows: `yours.allow(opens=1)`."""
    function = Yours(arena, arena.exercise)
    yield function
    function.close()


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


class Done:
    """How a command ended: as subprocess.CompletedProcess has it."""

    def __init__(self, returncode: int, stdout: str, stderr: str) -> None:
        self.returncode, self.stdout, self.stderr = returncode, stdout, stderr


class Pyctr:
    """The real engine with the function of one exercise in it: `pyctr("run", "--rm", "busybox", "true")`."""

    def __init__(self, root: Path, arena: Arena) -> None:
        self.root, self.arena = root, arena

    def __call__(self, *words: str, check: bool = True) -> Done:
        """Run a command in the arena; `check` fails with what the engine says, which names the learner's line."""
        argv = [sys.executable, "-m", "pyctr_lite", "--root", str(self.root), f"--labs={manifest.LABS}", *words]
        environment = {"PATH": os.environ["PATH"], "HOME": "/root", "TMPDIR": str(self.root.parent)}
        environment |= {"PYTHONPATH": str(manifest.CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}
        environment |= {swap.ONLY: self.arena.exercise.id}
        with _memory("stdout") as out, _memory("stderr") as err, open(os.devnull) as nothing:
            stdio = [nothing.fileno(), out.fileno(), err.fileno()]
            inner, pidfd = self.arena.command(argv, environment, stdio)
            try:
                status = self.arena.status_of(inner, pidfd, 60)
            finally:
                os.close(pidfd)
            out.seek(0)
            err.seek(0)
            done = Done(
                -1 if status is None else status, *(file.read().decode(errors="replace") for file in (out, err))
            )
        if check and done.returncode:
            how = "does not end" if status is None else f"fails with exit status {done.returncode}"
            raise expect.CheckFailed(
                f"with your function in it, `pyctr_lite {' '.join(words)}` {how}:\n    {done.stderr.strip()}"
            )
        return done


def _memory(name: str) -> BinaryIO:
    """A file without a name, for what a command prints."""
    return os.fdopen(os.memfd_create(name), "w+b")


@pytest.fixture(scope="session")
def _engine(_arenas: _Arenas) -> Path:
    """A state directory with the image busybox; the sandbox knows its path."""
    directory = _arenas.shared / "engine"
    directory.mkdir()
    bootstrap.bootstrap_busybox(store.ImageStore(str(directory)))
    return directory


@pytest.fixture
def pyctr(_engine: Path, arena: Arena) -> Iterator[Callable[..., Any]]:
    """The engine with the learner's function and the image busybox; its containers are removed afterwards."""
    engine = Pyctr(_engine, arena)
    yield engine
    with contextlib.suppress(OSError):
        if ids := [name for name in os.listdir(_engine / "containers") if re.fullmatch("[0-9a-f]{64}", name)]:
            engine("rm", "-f", "-v", *ids, check=False)
