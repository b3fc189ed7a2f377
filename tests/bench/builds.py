"""The scenarios of builds, without the cache and with everything in it: ten RUN steps, a COPY of 100,000 files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.bench import timing
from tests.bench.contestants import IMAGE, Contestant, Engine
from tests.bench.timing import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.workplace import Workplace

RESULT = "bench-built:latest"
STEPS = 10
DIRECTORIES, FILES = 100, 1000
"""The directories of the big context, and the files in each."""


def cold(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`build --no-cache` of a Dockerfile with ten RUN steps."""
    return _builds(contestants, max(1, rounds // 10), work, "--no-cache")


def cached(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`build` of the same Dockerfile with all steps in the cache."""
    return _builds(contestants, max(1, rounds // 3), work)


def context_cold(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`build --no-cache` with COPY of a context of 100,000 files."""
    return _copies(contestants, max(1, rounds // 30), work, "--no-cache")


def context_cached(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`build` with COPY of an unchanged context of 100,000 files."""
    return _copies(contestants, max(1, rounds // 10), work)


def _copies(contestants: Sequence[Contestant], rounds: int, work: Workplace, *flags: str) -> list[Sample]:
    context = work.path / "files"
    if not context.exists():
        context.mkdir()
        (context / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY . /files/\n")
        for number in range(DIRECTORIES):
            directory = context / f"d{number}"
            directory.mkdir()
            for file in range(FILES):
                (directory / f"f{file}").write_text(f"{number} {file}\n")
    return _measured(contestants, rounds, str(context), flags, warm=not flags)


def _builds(contestants: Sequence[Contestant], rounds: int, work: Workplace, *flags: str) -> list[Sample]:
    context = work.path / "build"
    context.mkdir(exist_ok=True)
    steps = [f"RUN echo {number} > /f{number}" for number in range(STEPS)]
    (context / "Dockerfile").write_text("\n".join([f"FROM {IMAGE}", *steps, ""]))

    return _measured(contestants, rounds, str(context), flags)


def _measured(
    contestants: Sequence[Contestant], rounds: int, context: str, flags: Sequence[str], *, warm: bool = True
) -> list[Sample]:
    def measured(it: Engine) -> float:
        return timing.one(it.build(context, RESULT, *flags))

    engines = [it for it in contestants if isinstance(it, Engine)]
    return timing.interleave({it.name: partial(measured, it) for it in engines}, rounds, warm=warm)
