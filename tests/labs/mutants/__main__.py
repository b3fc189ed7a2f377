"""A mutation score for each exercise: how many wrong versions of the engine's own function its checks refuse.

Neither mutmut nor cosmic-ray fits: both change a module where it is imported under pytest, and here a function is
put into a learner's file that is checked in a sandbox.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator

from labs.kit.exercises import manifest
from tests.labs.mutants import equivalents, run, score
from tests.labs.mutants.equivalents import Equivalent
from tests.labs.mutants.mutant import BASES, Mutant, mutants_of, original
from tests.labs.mutants.run import Outcome
from tests.labs.mutants.score import Score

BUILD = manifest.CHECKOUT / "build"
TABLE, SURVIVORS, RESULTS = (BUILD / f"labs-check{end}" for end in (".txt", "-survivors.txt", ".json"))


def main() -> int:
    """Check what the command line asks for: 1 where a score is too low or the list of equivalents is wrong."""
    options = _options()
    signal.signal(signal.SIGTERM, run.end_in_order)  # of the workers, too
    try:
        entries = equivalents.load()
        exercises = [manifest.find(id) for id in options.exercise] or manifest.exercises()
    except (ValueError, LookupError) as error:
        print(error, file=sys.stderr)
        return 2
    BUILD.mkdir(exist_ok=True)
    known: dict[str, bool] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    scores = {
        each.id: Score(each, [entry for entry in entries if entry.exercise == each.id]) for each in exercises
    }
    asked: dict[str, list[Mutant]] = {}
    for exercise in exercises:
        asked[exercise.id] = [original(exercise, base) for base in _bases(options.base)]
        for mutant in _sample(_mutants(exercise, options.base), entries, options.sample):
            if options.again and known.get(mutant.key):
                scores[exercise.id].killed += 1
            else:
                asked[exercise.id].append(mutant)
    print(score.HEADER, flush=True)
    for id, mutant, outcome in _outcomes(asked):
        if mutant is not None and outcome is not None:
            scores[id].add(mutant, outcome)
            known[mutant.key] = outcome.killed
            if options.killed and outcome.killed:
                print(f"\n{mutant.operator}\n{mutant.diff}\n{outcome.state}: {outcome.check}\n{outcome.message}")
            continue
        RESULTS.write_text(json.dumps(known))
        print(scores[id].line, flush=True)
        if options.survivors:
            print(scores[id].report, end="", flush=True)
    return _report(list(scores.values()), _stale(entries, exercises), options.sample)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.labs.mutants", description=__doc__)
    parser.add_argument("--exercise", action="append", default=[], metavar="1.1", help="this one alone")
    parser.add_argument("--survivors", action="store_true", help="print the differences of those that survive")
    parser.add_argument(
        "--killed", action="store_true", help="print the others too, with what the learner is told"
    )
    parser.add_argument("--again", action="store_true", help="only those that survived the last time")
    parser.add_argument("--sample", type=int, metavar="N", help="so many of each exercise, always the same ones")
    parser.add_argument("--base", choices=(*BASES, "both"), default="engine", help="the function that is changed")
    return parser.parse_args()


def _mutants(exercise: manifest.Exercise, base: str) -> list[Mutant]:
    return list({each.key: each for name in _bases(base) for each in mutants_of(exercise, name)}.values())


def _bases(base: str) -> tuple[str, ...]:
    return BASES if base == "both" else (base,)


def _sample(mutants: list[Mutant], entries: list[Equivalent], count: int | None) -> list[Mutant]:
    """All, or those whose keys are the smallest: they stay the same when others are added."""
    if count is None:
        return mutants
    wrong = [mutant for mutant in mutants if not any(entry.names(mutant) for entry in entries)]
    return sorted(wrong, key=lambda mutant: mutant.key)[:count]


def _outcomes(asked: dict[str, list[Mutant]]) -> Iterator[tuple[str, Mutant | None, Outcome | None]]:
    """Each mutant with its outcome, and after an exercise's last one its id alone."""
    found = run.outcomes([mutant for mutants in asked.values() for mutant in mutants])
    for id, mutants in asked.items():
        for _ in mutants:
            yield id, *next(found)
        yield id, None, None


def _stale(entries: list[Equivalent], exercises: list[manifest.Exercise]) -> list[str]:
    mutants = [mutant for exercise in exercises for mutant in _mutants(exercise, "both")]
    checked = [entry for entry in entries if entry.exercise in {exercise.id for exercise in exercises}]
    return [
        f"{entry.exercise}: equivalent.toml has an entry that names no mutant any more:\n{entry.before}"
        for entry in equivalents.stale(checked, mutants)
    ]


def _report(scores: list[Score], problems: list[str], sample: int | None) -> int:
    """Write the files, and say what is wrong. A sample of one exercise is too small for a percentage."""
    problems += [problem for each in scores for problem in (each.errors if sample else each.problems)]
    problems += score.too_low("all", scores) if sample else []
    table = "\n".join([score.HEADER, *(each.line for each in scores), score.total(scores)])
    print(score.total(scores))
    TABLE.write_text("\n".join([table, *problems]) + "\n")
    SURVIVORS.write_text("".join(each.report for each in scores))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
