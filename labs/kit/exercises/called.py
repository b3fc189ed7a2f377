"""The engine's command line, reporting which exercise functions are called: `python -m labs.kit.exercises.called`.

Each call is a step of the narration such as `called 3.2`, or a line on stderr before the narration starts. The
function is the engine's or, with `--labs`, a learner's.
"""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path
from typing import Any

from labs.kit.exercises import manifest, swap
from pyctr_lite.linux import explain


def main() -> None:
    """Run the command line with every function wrapped. Processes forked later inherit the wrappers."""
    labs = next((arg.partition("=")[2] for arg in sys.argv if arg.startswith("--labs=")), "")
    if labs:
        swap.activate(Path(labs))
    for exercise in manifest.exercises():
        _wrap(exercise)
    from pyctr_lite.cli.main import entry

    entry()


def _wrap(exercise: manifest.Exercise) -> None:
    owner = exercise.owner()
    original = getattr(owner, exercise.name)

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if explain.sink is None:
            print(f"called {exercise.id}", file=sys.stderr, flush=True)
        else:
            explain.narrate(f"called {exercise.id}", time.perf_counter_ns())
        return original(*args, **kwargs)

    setattr(owner, exercise.name, wrapper)


if __name__ == "__main__":
    main()
