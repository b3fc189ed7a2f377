"""The commands behind the Makefile's targets: `python -m labs.kit lab 3`."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from pathlib import Path

from labs.kit.exercises import levels, manifest
from pyctr_lite import caller

VERBOSE = bool(os.environ.get("VERBOSE"))


def main() -> int:
    """Run one command; a wrong id or a missing file is one clear line."""
    caller.settle()
    parser = argparse.ArgumentParser(
        prog="labs.kit", description="The labs' commands, as the Makefile calls them."
    )
    parser.add_argument("--labs", type=Path, default=manifest.LABS, help="the directory of the learner's files")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, argument, help in (
        ("lab", "number", "check a lab"),
        ("watch", "number", "check a lab again on each save"),
        ("reset", "number", "back to the starter, with a backup"),
        ("level", "", "give out what is still to do, guided or bare (LEVEL)"),
        ("check", "exercise", "check one exercise"),
        ("hint", "exercise", "one hint more"),
        ("solution", "exercise", "the engine's function beside yours"),
        ("trace", "exercise", "the kernel steps of a run, yours beside the engine's"),
        ("break", "exercise", "a faulty function: see the symptom, name the fault (ANSWER)"),
        ("mine", "", "which functions on the way of a run are yours"),
        ("capstone", "", "check the capstone, the learner's own run"),
        ("grade", "work", "all labs, as a table and JSON"),
        ("yours", "", "how many functions are yours"),
        ("orchestrators", "", "podman, Docker, Swarm, containerd and CRI on our OCI runtime"),
        ("clean", "", "remove what labs have left on this machine"),
    ):
        one = verbs.add_parser(verb, help=help)
        if argument == "number":
            one.add_argument("number")
        elif argument == "exercise":
            one.add_argument("exercise", nargs="+" if verb == "check" else None)
        elif argument:
            one.add_argument("--work", type=Path, default=manifest.CHECKOUT)
            one.add_argument("--output", type=Path, default=manifest.CHECKOUT / "build/grade.json")
    given = parser.parse_args()
    if os.geteuid() != 0 and given.verb not in ("hint", "level", "reset", "solution", "yours"):
        return _fail(f"{given.verb} needs root: it makes namespaces, mounts and cgroups", "run it with sudo")
    try:
        return _run(given)
    except (manifest.NoSuchExercise, levels.NoSuchLevel) as error:
        return _fail(str(error), "")
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if VERBOSE:
            raise
        return _fail(*_told(error))


def _told(error: OSError) -> tuple[str, str]:
    """What could not be done to which file, and what helps."""
    place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    message = f"{place}{error.strerror or error}"
    if error.errno == errno.EROFS:
        return message, "it lies in a file system that can only be read: use a copy of this checkout elsewhere"
    return message, "VERBOSE=1 shows where"


def _run(given: argparse.Namespace) -> int:
    labs: Path = given.labs.resolve()
    if given.verb == "yours":
        from labs.kit import screen

        print(screen.yours(labs))
        return 0
    if any(value in ("capstone", ["capstone"]) for value in vars(given).values()):
        from labs.kit.commands import capstone

        return capstone.run(given.verb, labs)
    modules = {"check": "lab", "hint": "hints", "break": "faults"}
    module = importlib.import_module(f"labs.kit.commands.{modules.get(given.verb, given.verb)}")
    code: int
    if given.verb == "clean":
        code = module.clean()
    elif given.verb == "orchestrators":
        code = module.show()
    elif given.verb == "level":
        code = module.give_out(labs)
    elif given.verb == "mine":
        code = module.show(labs)
    elif given.verb == "grade":
        code = module.grade(given.work, given.output)
    elif given.verb == "lab":
        code = module.run(manifest.find_lab(given.number).number, labs)
    elif given.verb in ("watch", "reset"):
        code = getattr(module, given.verb)(manifest.find_lab(given.number).number, labs)
    elif given.verb == "check":
        code = module.check([id for word in given.exercise for id in word.replace(",", " ").split()], labs)
    else:
        code = module.show(given.exercise, labs)
    return code


def _fail(message: str, hint: str) -> int:
    print(message, file=sys.stderr)
    if hint:
        print(f"  {hint}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
