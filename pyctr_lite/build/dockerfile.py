"""A Dockerfile: its stages, and which of them a target needs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pyctr_lite import suggest
from pyctr_lite.build import syntax
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
        for stage in reversed(self.stages[:before]):
            if stage.name and stage.name == name.lower():
                return stage
        return self.stages[int(name)] if number.is_whole(name, before - 1) else None

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
        check(instruction)
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


def parse_trigger(text: str) -> Instruction:
    """Parse an instruction of ONBUILD, which an image brings. Raises DockerfileError."""
    instructions, _, _ = syntax.parse(text)
    if len(instructions) != 1:
        raise DockerfileError(f"ONBUILD: {text!r} is not one instruction")
    check(instructions[0])
    if instructions[0].name in ("FROM", "ONBUILD", "MAINTAINER"):
        raise DockerfileError(f"{instructions[0].name} isn't allowed as an ONBUILD trigger")
    return instructions[0]


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


_ONE_ARGUMENT = ("MAINTAINER", "STOPSIGNAL", "USER", "WORKDIR")
_SOME_ARGUMENTS = ("ARG", "ENV", "EXPOSE", "LABEL", "VOLUME", "ONBUILD", "HEALTHCHECK")


def check(instruction: Instruction) -> None:
    """Check what does not depend on variables. Raises DockerfileError with BuildKit's message."""
    name, args = instruction.name, instruction.args
    if name in _ONE_ARGUMENT and len(args) != 1:
        raise instruction.error(f"{name} requires exactly one argument")
    if name in _SOME_ARGUMENTS and not (args or (name == "ONBUILD" and instruction.rest)):
        raise instruction.error(f"{name} requires at least one argument")
    if name == "SHELL" and not (instruction.json and args):
        raise instruction.error(
            "SHELL requires the arguments to be in JSON form", 'for example SHELL ["/bin/bash", "-c"]'
        )
    if name == "RUN" and not args:
        raise instruction.error("RUN requires a command")
    if name in ("ADD", "COPY"):
        _check_copy(instruction)
    if name in ("ENV", "LABEL") and "" in args[::3]:
        raise instruction.error(f"{name} names can not be blank")
    if name == "ARG" and any(not arg.partition("=")[0] for arg in args):
        raise instruction.error("ARG names can not be blank")


def _check_copy(instruction: Instruction) -> None:
    name, args = instruction.name, instruction.args
    if len(args) < 2:
        raise instruction.error(
            f"{name} requires at least two arguments, but only {len(args)} were provided. Destination could not "
            "be determined"
        )
    if len(args) > 2 and not args[-1].endswith("/") and args[-1] not in (".", "..") and "$" not in args[-1]:
        raise instruction.error(
            f"When using {name} with more than one source file, the destination must be a directory and end with "
            "a /"
        )


def quoted(words: list[str]) -> str:
    """Return words in the form of Go's %q, as the history shows CMD: `["sh" "-c" "ls"]`."""
    return "[" + " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"
