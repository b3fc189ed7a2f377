"""The variables of a build: ARGs with their scopes, ENV, and the arguments that every build has.

An ARG before the first FROM is seen only in FROM lines; a stage that declares it again gets its value. In a stage,
ARG and ENV set variables in the order of their lines, and the later one wins (BuildKit; Docker's documentation
promises it only for an ENV after an ARG). The variables of one line see the environment before the line.
"""

from __future__ import annotations

from pyctr_lite.commit import words
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyctr_lite.build.syntax import Instruction

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
"""Arguments, also in lower case, that RUN gets without an ARG. The history and the cache keys lack them."""
SOURCE_DATE_EPOCH = "SOURCE_DATE_EPOCH"


def platform_arguments(platform: str, target_stage: str) -> dict[str, str]:
    """Return the arguments that every build has, for one platform (`linux/amd64`, `linux/arm/v7`)."""
    system, architecture, variant = [*platform.split("/"), "", ""][:3]
    found: dict[str, str] = {}
    for kind in ("BUILD", "TARGET"):
        found |= {f"{kind}PLATFORM": platform, f"{kind}OS": system, f"{kind}OSVERSION": ""}
        found |= {f"{kind}ARCH": architecture, f"{kind}VARIANT": variant}
    return found | {"TARGETSTAGE": target_stage or "default"}


class Arguments:
    """The values of --build-arg, and the ARGs before the first FROM."""

    def __init__(self, given: Mapping[str, str], platform: Mapping[str, str], escape: str) -> None:
        self.given, self.escape = dict(given), escape
        self.globals = dict(platform)
        """The variables of FROM lines."""
        self.used: set[str] = set()
        """The names that some ARG has declared."""

    def declare_global(self, instruction: Instruction) -> None:
        """Apply an ARG before the first FROM."""
        for arg in instruction.args:
            name, equals, default = self.split(arg)
            if name in self.given:
                self.globals[name] = self.given[name]
            elif equals:
                self.globals[name] = self.expand(instruction, default, self.globals)
            self.used.add(name)

    def split(self, arg: str) -> tuple[str, str, str]:
        """Return the name in an ARG, "=" or "", and the default as it is written."""
        return arg.partition("=")

    def expand(self, instruction: Instruction, word: str, variables: Mapping[str, str]) -> str:
        """Expand a word of an instruction. Raises DockerfileError."""
        try:
            return words.expand(word, variables, self.escape)
        except InvalidArgument as error:
            raise instruction.error(error.message) from None

    def proxies(self) -> dict[str, str]:
        """Return the proxies among the given arguments."""
        return {name: value for name, value in self.given.items() if name.upper() in PROXIES}

    def unused(self) -> list[str]:
        """Return the given arguments that no ARG has declared, sorted."""
        automatic = {*self.proxies(), SOURCE_DATE_EPOCH, *(name for name in self.given if "BUILDKIT_" in name)}
        return sorted(set(self.given) - self.used - automatic)


class Scope:
    """The variables of one stage: all in `environment`; `declared` are the names of ARGs, in their order."""

    def __init__(self, arguments: Arguments, environment: Mapping[str, str]) -> None:
        self.arguments = arguments
        self.environment = dict(environment)
        self.declared: list[str] = []

    def declare(self, instruction: Instruction) -> str:
        """Apply an ARG of the stage; return its line in the history."""
        given, shown = self.arguments.given, []
        before = dict(self.environment)
        for arg in instruction.args:
            name, equals, default = self.arguments.split(arg)
            self.arguments.used.add(name)
            value: str | None = given.get(name)
            if value is None:
                value = (
                    self.arguments.expand(instruction, default, before)
                    if equals
                    else self.arguments.globals.get(name)
                )
            if value is not None:
                self.environment[name] = value
            if name not in self.declared:
                self.declared.append(name)
            shown.append(name if value is None else f"{name}={value}")
        return f"ARG {' '.join(shown)}"

    def set(self, name: str, value: str) -> None:
        """Apply one variable of ENV."""
        self.environment[name] = value

    def expand(self, instruction: Instruction, word: str) -> str:
        """Expand one word of an instruction. Raises DockerfileError."""
        return self.arguments.expand(instruction, word, self.environment)

    def document(self, instruction: Instruction, text: str) -> str:
        """Expand the content of a heredoc: quotes in it stay."""
        try:
            return words.expand(text, self.environment, self.arguments.escape, quotes=False)
        except InvalidArgument as error:
            raise instruction.error(error.message) from None

    def prefix(self) -> list[str]:
        """Return what the history shows before the words of a RUN: the ARGs, as in `|1 VERSION=2`."""
        shown = [f"{name}={self.environment.get(name, '')}" for name in self.declared]
        return [f"|{len(shown)}", *shown] if shown else []
