"""A Dockerfile: its stages, and which of them a target needs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pyctr_lite import suggest
from pyctr_lite.build import checks, syntax
from pyctr_lite.build.syntax import DockerfileError, Instruction
from pyctr_lite.formats import number

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
SCRATCH = "scratch"
"""The base of an image without a base."""


@dataclass
class Stage:
    """A stage: from FROM to before the next one. `name` is the name after AS, in lower case, "" without one."""

    index: int
    name: str
    start: Instruction
    base: str
    """The base as it is written: an image, a stage, or `scratch`, perhaps with variables."""
    platform: str
    instructions: list[Instruction] = field(default_factory=list)


@dataclass
class Dockerfile:
    """A parsed Dockerfile. `arguments` are the ARGs before the first FROM."""

    text: str
    arguments: list[Instruction]
    stages: list[Stage]
    escape: str
    warnings: list[str]

    def target(self, name: str) -> Stage:
        """Return the stage that is named or numbered `name`; the last one for "". Raises DockerfileError."""
        found = self.find(name, len(self.stages)) if name else self.stages[-1]
        if found is None:
            hint = suggest.did_you_mean(name.lower(), [stage.name for stage in self.stages if stage.name])
            raise DockerfileError(f'target stage "{name}" could not be found', hint)
        return found

    def find(self, name: str, before: int) -> Stage | None:
        """Return the last stage before stage number `before` with a name or number; None if there is none."""
        if number.is_whole(name, before - 1):
            return self.stages[int(name)]
        return self.find_named(name, before)

    def find_named(self, name: str, before: int) -> Stage | None:
        """Return the last stage before stage number `before` with a name. FROM knows stages by name only."""
        for stage in reversed(self.stages[:before]):
            if stage.name and stage.name == name.lower():
                return stage
        return None

    def excerpt(self, first: int, last: int) -> str:
        """Return lines with the ones around them, in BuildKit's form: `>>>` marks the lines themselves."""
        lines = self.text.split("\n")
        shown = range(max(1, first - 2), min(len(lines), last + 2) + 1)
        rows = [
            f"{number:4} | {'>>>' if first <= number <= last else '   '} {lines[number - 1]}" for number in shown
        ]
        return "\n".join(["-" * 20, *rows, "-" * 20])


def parse(text: str) -> Dockerfile:
    """Parse a Dockerfile. Raises DockerfileError with the line."""
    instructions, escape, warnings = syntax.parse(text)
    found = Dockerfile(text, [], [], escape, warnings)
    for instruction in instructions:
        checks.check(instruction)
        if instruction.name == "FROM":
            found.stages.append(_stage(instruction, len(found.stages)))
        elif found.stages:
            found.stages[-1].instructions.append(instruction)
        elif instruction.name == "ARG":
            found.arguments.append(instruction)
        else:
            raise instruction.error("no build stage in current context", "only ARG may come before FROM")
    if not found.stages:
        raise DockerfileError("dockerfile contains no stages to build", "it needs a FROM")
    return found


def _stage(start: Instruction, index: int) -> Stage:
    args, name = start.args, ""
    if len(args) == 3 and args[1].lower() == "as":
        name = args[2].lower()
        if not _STAGE_NAME.fullmatch(name):
            raise start.error(
                f'invalid name for build stage: "{args[2]}", name can\'t start with a number or contain symbols'
            )
    elif len(args) != 1:
        raise start.error("FROM requires either one or three arguments", "FROM IMAGE [AS NAME]")
    return Stage(index, name, start, args[0], start.flag("platform"))
