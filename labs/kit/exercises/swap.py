"""A learner's functions in the place of the engine's own: by attribute, before anything is forked.

Each exercise function that is written replaces the engine's; the rest stay the engine's. The engine calls its
chapters through their modules, so that it finds whatever stands there.
"""

from __future__ import annotations

import importlib.util
import linecache
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from labs.kit import ReferenceCalled
from labs.kit.exercises import manifest, source

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


ONLY = "PYCTR_LITE_LABS_ONLY"
"""An environment variable with the id of the one exercise to put in; without it all that are written are."""


@dataclass
class Swapped:
    """The functions put in: `states` maps an id to "yours", "to do", "gone", "unfit", "broken" or "left out".

    `errors` maps a file below the labs' directory to what is wrong with it.
    """

    directory: Path
    version: tuple[int, ...]
    states: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    put_in: dict[str, tuple[Any, str, Any, Any]] = field(default_factory=dict)
    """By id: the module or class, the function's name, the engine's own, and the learner's."""

    @property
    def yours(self) -> list[str]:
        """The ids of the exercises whose functions are the learner's."""
        return [id for id, state in self.states.items() if state == "yours"]

    def take_out(self) -> None:
        """Put the engine's own functions back."""
        self.leave("")

    def leave(self, id: str) -> None:
        """Leave the function of one exercise where it is; for all others put the engine's own back."""
        for each, (owner, name, original, learners) in self.put_in.items():
            setattr(owner, name, learners if each == id else original)


UNFIXED = "without_fix.py"
"""A file with the engine's functions as they were before a fix. Its directory has no labs (labs/escapes)."""

active: Swapped | None = None
"""The functions that are put in, in this process."""


def activate(directory: Path) -> Swapped:
    """Put in all that is written in a labs directory; again is quick, unless a file was changed meanwhile.

    A file that cannot be read or run takes out its own exercises only. A directory with the file UNFIXED has no
    exercises: the functions of that file are put in (labs/escapes).
    """
    global active
    directory = directory.resolve()
    unfixed = (directory / UNFIXED).is_file()
    by_file: dict[str, list[manifest.Exercise]] = {UNFIXED: []} if unfixed else {}
    for exercise in () if unfixed else manifest.exercises():
        by_file.setdefault(exercise.place, []).append(exercise)
    version = tuple(_changed(directory / place) for place in by_file)
    if active is not None:
        if (active.directory, active.version) == (directory, version):
            return active
        active.take_out()
    active = swapped = Swapped(directory, version)
    linecache.checkcache()
    for place, exercises in by_file.items():
        if unfixed:
            _put_in_unfixed(swapped, place)
        else:
            _put_in_file(swapped, place, exercises)
    return swapped


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _put_in_file(swapped: Swapped, place: str, exercises: list[manifest.Exercise]) -> None:
    only = os.environ.get(ONLY)
    written = []
    for exercise in exercises:
        state, problem = source.state(swapped.directory, exercise)
        if problem:
            swapped.errors[place] = problem
        if state == "written":
            state = "left out" if only and exercise.id != only else "yours"
        swapped.states[exercise.id] = state
        if state == "yours":
            written.append(exercise)
    if not written:
        return
    # Whoever takes the engine's own function at the top of the file gets a guard: it scores nothing.
    originals = {}
    for exercise in written:
        owner = exercise.owner()
        originals[exercise.id] = (owner, exercise.name, vars(owner)[exercise.name])
        setattr(owner, exercise.name, _guard(exercise))
    try:
        module = run_file(swapped.directory / place)
        put_in = {id: (*original, getattr(module, original[1])) for id, original in originals.items()}
    except BaseException as error:
        for owner, name, original in originals.values():
            setattr(owner, name, original)
        if not isinstance(error, Exception | SystemExit):
            raise
        swapped.errors[place] = describe_error(error, swapped.directory / place)
        swapped.states |= dict.fromkeys((exercise.id for exercise in written), "broken")
    else:
        for owner, name, _, learners in put_in.values():
            setattr(owner, name, learners)
        swapped.put_in |= put_in


def _put_in_unfixed(swapped: Swapped, place: str) -> None:
    """Put in the functions that REPLACES of a file names: its own name, and the engine's, "package.module:name".

    None if the file says that it is not SAFE_HERE.
    """
    path = swapped.directory / place
    try:
        module = run_file(path)
        for name, function in module.REPLACES.items() if getattr(module, "SAFE_HERE", True) else ():
            owner, attribute = manifest.owner_of(function), function.rpartition(":")[2].rpartition(".")[2]
            swapped.put_in[function] = (owner, attribute, vars(owner)[attribute], getattr(module, name))
    except Exception as error:
        swapped.put_in.clear()
        swapped.errors[place] = describe_error(error, path)
    for owner, attribute, _, unfixed in swapped.put_in.values():
        setattr(owner, attribute, unfixed)


def _guard(exercise: manifest.Exercise) -> Callable[..., NoReturn]:
    def guard(*args: Any, **kwargs: Any) -> NoReturn:
        raise ReferenceCalled(exercise.id, exercise.name)

    return guard


def run_file(path: Path) -> ModuleType:
    """Run a learner's file as the module labs.<lab>.<name>; its lines are kept, a child cannot read them later."""
    name = f"labs.{path.parent.name}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    linecache.getlines(str(path))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def describe_error(error: BaseException, path: Path) -> str:
    """Describe why a file cannot be run, with the file's own line."""
    traceback, line = error.__traceback__, 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return (
        f"{path}, line {line}: {type(error).__name__}: {error}\n    {linecache.getline(str(path), line).strip()}"
    )
