"""The scenarios of builds: a Dockerfile of ten RUN steps, without the cache and with all of it in the cache."""

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


def cold(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`build --no-cache` of a Dockerfile with ten RUN steps."""
    return _builds(contestants, max(1, rounds // 10), work, "--no-cache")


def cached(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`build` of the same Dockerfile with all steps in the cache."""
    return _builds(contestants, max(1, rounds // 3), work)


def _builds(contestants: Sequence[Contestant], rounds: int, work: Workplace, *flags: str) -> list[Sample]:
    context = work.path / "build"
    context.mkdir(exist_ok=True)
    steps = [f"RUN echo {number} > /f{number}" for number in range(STEPS)]
    (context / "Dockerfile").write_text("\n".join([f"FROM {IMAGE}", *steps, ""]))

    def measured(it: Engine) -> float:
        return timing.one(it.build(str(context), RESULT, *flags))

    engines = [it for it in contestants if isinstance(it, Engine)]
    return timing.interleave({it.name: partial(measured, it) for it in engines}, rounds)
