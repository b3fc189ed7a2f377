"""The package as the learner's program finds it: without the engine, and with the learner's functions in it.

The engine, its runtime, its images and its command line are replaced by one line that names the rule. The chapters
stay, for the learner's functions use their helpers; but each function that is an exercise calls the learner's own.
"""

from __future__ import annotations

import ast
import compileall
import py_compile
import shutil
import textwrap
from pathlib import Path

from labs.kit.capstone import program
from labs.kit.exercises import manifest, source

LEFT_OUT = ("cli", "engine", "images", "runtime")


def build(labs: Path, target: Path) -> None:
    """Write `pyctr_lite` and `labs` below a new directory, compiled. `labs` are the learner's files."""
    package = target / "pyctr_lite"
    ignored = shutil.ignore_patterns("__pycache__", *LEFT_OUT)
    shutil.copytree(manifest.CHECKOUT / "pyctr_lite", package, ignore=ignored)
    for name in LEFT_OUT:
        (package / name).mkdir()
        reason = f"pyctr_lite.{name} is not here: {program.RULE}"
        (package / name / "__init__.py").write_text(f"raise ImportError({reason!r})\n")
    by_module: dict[str, list[manifest.Exercise]] = {}
    for exercise in manifest.exercises():
        module = exercise.function.partition(":")[0]
        if module.split(".")[1] not in LEFT_OUT:
            by_module.setdefault(module, []).append(exercise)
    for module, exercises in by_module.items():
        path = target / f"{module.replace('.', '/')}.py"
        path.write_text(_with_the_learners(path.read_text(), exercises))
    for place in ("__init__.py", "kit/__init__.py"):
        _copy(manifest.LABS / place, target / "labs" / place)
    for place in dict.fromkeys(exercise.place for exercise in manifest.exercises()):
        own = labs / place
        _copy(own if own.is_file() else manifest.STARTERS / place, target / "labs" / place)
    _copy(labs / program.FILE, target / "labs" / program.FILE)
    # By content: without it Python would compare times. A file of the learner's may be wrong, and stays as it is.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(target, quiet=2, invalidation_mode=mode)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _with_the_learners(text: str, exercises: list[manifest.Exercise]) -> str:
    """Return a chapter's module in which the exercises call the learner's functions."""
    lines = text.splitlines(keepends=True)
    tree = ast.parse(text)
    found = [(source.find(tree, exercise.function.partition(":")[2]), exercise) for exercise in exercises]
    for node, exercise in sorted(found, key=lambda pair: -pair[0].lineno):
        module = f"labs.{exercise.place.removesuffix('.py').replace('/', '.')}"
        call = f"""\
            def {exercise.name}(*args, **kwargs):
                from {module} import {exercise.name} as yours
                return yours(*args, **kwargs)
            """
        lines[node.lineno - 1 : node.end_lineno] = [textwrap.indent(textwrap.dedent(call), " " * node.col_offset)]
    return "".join(lines)
