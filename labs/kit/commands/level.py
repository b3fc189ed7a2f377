"""`make level LEVEL=bare`: functions that are still to do, given out again with or without their steps."""

from __future__ import annotations

from pathlib import Path

from labs.kit import screen
from labs.kit.exercises import levels, manifest, source
from labs.kit.isolation import scratch


def give_out(labs: Path) -> int:
    """Give out every function that is still to do at the chosen level; whatever a learner has written stays."""
    level = levels.chosen()
    given, begun = [], []
    for exercise in manifest.exercises():
        path = labs / exercise.place
        current = source.of_file(path, exercise.name)
        if source.state(labs, exercise)[0] != "to do" or current == levels.starter(exercise, level):
            continue
        if current in {levels.starter(exercise, other) for other in levels.LEVELS}:
            text = path.read_text().replace(current, levels.starter(exercise, level))
            scratch.write(path, text.encode())
            given.append(exercise.id)
        else:
            begun.append(exercise.id)
    console = screen.console()
    if begun:
        console.print(f"Left as they are, for you have begun to write them: {', '.join(begun)}")
    console.print(
        f"Given out at the level {level}: {', '.join(given)}"
        if given
        else f"Every other function that is still to do is at the level {level}."
        if begun
        else f"Every function that is still to do is at the level {level}: nothing to change."
    )
    return 0
