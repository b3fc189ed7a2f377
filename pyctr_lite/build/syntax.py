"""The instructions of a Dockerfile, as they are written: the only module that knows the parser's library.

e2b-dockerfile-utils is a port of BuildKit's parser (frontend/dockerfile/parser): continuation lines, comments,
parser directives, JSON forms, builder flags and heredocs. It keeps variables as they are; `scope` replaces them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyctr_lite import suggest, thirdparty
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


MAX_SIZE = 16 << 20
"""Bytes of a Dockerfile."""

FLAGS: dict[str, tuple[str, ...]] = {
    "ADD": ("checksum", "chmod", "chown", "exclude", "keep-git-dir", "link", "unpack"),
    "COPY": ("chmod", "chown", "exclude", "from", "link", "parents"),
    "FROM": ("platform",),
    "HEALTHCHECK": ("interval", "timeout", "start-period", "start-interval", "retries"),
    "RUN": ("mount", "network", "security"),
}
"""The flags of each instruction; others have none."""
NAMES = (
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER "
    "VOLUME WORKDIR"
).split()
_TRIGGER = re.compile(r"^[ \t]*(ONBUILD)(?:[ \t]|[\\`][ \t]*\r?\n)+(?:ADD|COPY|RUN)\s", re.I | re.M)
_REPEATED = ("mount", "exclude")
_SWITCHES = ("link", "parents", "keep-git-dir", "unpack")


class DockerfileError(InvalidArgument):
    """An error in a Dockerfile. `first` and `last` are the numbers of its lines, from 1; 0 for the whole file."""

    def __init__(self, message: str, hint: str = "", first: int = 0, last: int = 0) -> None:
        super().__init__(message, hint)
        self.first, self.last = first, last or first


@dataclass(frozen=True)
class Heredoc:
    """A document in a Dockerfile. `expand` is whether variables in it are replaced: its name has no quotes."""

    name: str
    content: str
    expand: bool


@dataclass(frozen=True)
class Instruction:
    """An instruction on the lines `first` to `last`. `original` is its text with joined lines.

    `flags` holds the values of each flag, in their order ("true" for one without a value). The `args` of ENV and
    LABEL are key, value, and "=" or "" for the old form without it; of a JSON form its strings; of a shell form
    the whole command.
    """

    name: str
    original: str
    flags: dict[str, list[str]]
    args: list[str]
    json: bool
    heredocs: list[Heredoc]
    first: int
    last: int

    def flag(self, name: str) -> str:
        """Return the last value of a flag, "" without one."""
        return self.flags.get(name, [""])[-1]

    def switch(self, name: str, default: bool = False) -> bool:
        """Return the value of a flag that is on or off."""
        return self.flags[name][-1] == "true" if name in self.flags else default

    @property
    def rest(self) -> str:
        """The text after the instruction's name."""
        return self.original.strip()[len(self.name) :].strip()

    def error(self, message: str, hint: str = "") -> DockerfileError:
        """Return an error at the lines of this instruction."""
        return DockerfileError(message, hint, self.first, self.last)


def parse(text: str) -> tuple[list[Instruction], str, list[str]]:
    """Return the instructions of a Dockerfile, its escape character, and warnings.

    Raises DockerfileError with BuildKit's message, also for a Dockerfile without an instruction.
    """
    thirdparty.enable()
    try:
        import e2b_dockerfile_utils as parser
    except ImportError:
        raise InvalidArgument(
            "Python's package e2b-dockerfile-utils, which reads Dockerfiles, is not installed", "run `make setup`"
        ) from None
    text, triggers = _unwrap_triggers(parser, text) if "<<" in text else (text, set())
    try:
        ast = parser.parse_dockerfile_ast(text)
    except parser.DockerfileSyntaxError as error:
        raise _syntax_error(str(error), error.line or 0) from None
    if not ast.instructions:
        raise DockerfileError("file with no instructions", "a Dockerfile begins with FROM")
    instructions = [
        (_trigger if item.start_line in triggers else _instruction)(parser, item) for item in ast.instructions
    ]
    return instructions, ast.escape_token, [f"{it.message} (line {it.line})" for it in ast.warnings]


def _unwrap_triggers(parser: Any, text: str) -> tuple[str, set[int]]:
    """Remove ONBUILD from before ADD, COPY and RUN, and return the lines of these: it hides a heredoc.

    In BuildKit a trigger may have heredocs, which the library does not read. An ONBUILD that does not begin an
    instruction stays: it is in a heredoc, or on a continued line.
    """
    lines, position = set(), 0
    while found := _TRIGGER.search(text, position):
        position = found.start(1)
        number = text.count("\n", 0, position) + 1
        try:
            last = parser.parse_dockerfile_ast(f"{text[:position]}USER x").instructions[-1]
        except parser.DockerfileSyntaxError:
            position = found.end()
            continue
        if last.start_line == number:
            text = text[:position] + text[found.end(1) :]
            lines.add(number)
        else:
            position = found.end()
    return text, lines


def _syntax_error(text: str, line: int) -> DockerfileError:
    message = text.partition(": ")[2] or text
    if message.startswith("unknown instruction: "):
        word = message.partition(": ")[2].upper()
        return DockerfileError(f"unknown instruction: {word}", suggest.did_you_mean(word, NAMES), line)
    return DockerfileError(message, first=line)


def _heredocs(parser: Any, item: Any) -> list[Heredoc]:
    return [
        Heredoc(it.name, parser.chomp_heredoc_content(it.content) if it.chomp else it.content, it.expand)
        for it in item.heredocs
    ]


def _trigger(parser: Any, item: Any) -> Instruction:
    """Return the ONBUILD of an unwrapped instruction, with its heredocs in the text, as BuildKit stores them."""
    documents = "".join(f"\n{it.content}{it.name}" for it in item.heredocs)
    text = f"ONBUILD {item.original.strip()}{documents}"
    return Instruction("ONBUILD", text, {}, [], False, _heredocs(parser, item), item.start_line, item.end_line)


def _instruction(parser: Any, item: Any) -> Instruction:
    heredocs = _heredocs(parser, item)
    found = Instruction(
        item.name, item.original, {}, list(item.args), item.json, heredocs, item.start_line, item.end_line
    )
    for text in item.flags:
        name, equals, value = text.removeprefix("--").partition("=")
        known = FLAGS.get(item.name, ())
        if name not in known:
            hint = suggest.did_you_mean(name, known, "--") or (
                f"flags of {item.name}: --{', --'.join(known)}" if known else f"{item.name} has no flags"
            )
            raise found.error(f"unknown flag: --{name}", hint)
        if name in _SWITCHES:
            if value not in ("", "true", "false"):
                raise found.error(f"expecting boolean value for flag --{name}, not: {value}")
            value = value or "true"
        elif not equals:
            raise found.error(f"missing a value on flag: --{name}")
        if name in found.flags and name not in _REPEATED:
            raise found.error(f"duplicate flag specified: --{name}")
        found.flags.setdefault(name, []).append(value)
    return found
