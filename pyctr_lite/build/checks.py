"""The checks of instructions that do not depend on variables: they are made when the Dockerfile is read.

Each instruction has a check with BuildKit's messages, also in a stage that is not built. The plan of a stage
(`engine.build.stage`) checks what depends on variables or on other stages, before the first step.
"""

from __future__ import annotations

from pyctr_lite.build import mounts, syntax
from pyctr_lite.build.syntax import DockerfileError, Instruction
from pyctr_lite.commit import instructions
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_NETWORKS = ("default", "none", "host")
_SECURITY = ("sandbox", "insecure")
_NO_TRIGGERS = ("FROM", "MAINTAINER")


def check(instruction: Instruction) -> None:
    """Check an instruction. Raises DockerfileError."""
    try:
        CHECKS[instruction.name](instruction)
    except DockerfileError:
        raise
    except InvalidArgument as error:
        raise instruction.error(error.message, error.hint) from None


def parse_trigger(text: str) -> Instruction:
    """Parse and check an instruction of ONBUILD. Raises DockerfileError."""
    found, _, _ = syntax.parse(text)
    if len(found) != 1:
        raise DockerfileError(f"ONBUILD: {text!r} is not one instruction")
    trigger = found[0]
    if trigger.name == "ONBUILD":
        raise DockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger.name in _NO_TRIGGERS:
        raise DockerfileError(f"{trigger.name} isn't allowed as an ONBUILD trigger")
    check(trigger)
    return trigger


def healthcheck(instruction: Instruction) -> dict[str, Any]:
    """Return the Healthcheck of an image's config. Raises InvalidArgument."""
    kind, words = instruction.args[0], instruction.args[1:]
    flags = {name: values[-1] for name, values in instruction.flags.items()}
    return instructions.healthcheck(kind, words, flags, is_exec=instruction.json)


def _some_arguments(instruction: Instruction) -> None:
    if not instruction.args:
        raise instruction.error(f"{instruction.name} requires at least one argument")


def _one_argument(instruction: Instruction) -> None:
    if len(instruction.args) != 1:
        raise instruction.error(f"{instruction.name} requires exactly one argument")


def _nothing(instruction: Instruction) -> None:
    """CMD and ENTRYPOINT may be empty; `dockerfile` checks the names in FROM."""


def _names(instruction: Instruction) -> None:
    _some_arguments(instruction)
    names = [arg.partition("=")[0] for arg in instruction.args]
    if "" in (names if instruction.name == "ARG" else instruction.args[::3]):
        raise instruction.error(f"{instruction.name} names can not be blank")


def _copy(instruction: Instruction) -> None:
    name, args = instruction.name, instruction.args
    if len(args) < 2:
        raise instruction.error(
            f"{name} requires at least two arguments, but only one was provided. Destination could not be "
            "determined"
        )
    if instruction.heredocs and args[-1].lstrip("0123456789").startswith("<<"):
        raise instruction.error(f"{name} cannot accept a heredoc as a destination")
    if "$" in instruction.flag("from"):
        raise instruction.error(
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global "
            "scope as a workaround"
        )


def _healthcheck(instruction: Instruction) -> None:
    _some_arguments(instruction)
    healthcheck(instruction)


def _onbuild(instruction: Instruction) -> None:
    if not instruction.rest:
        raise instruction.error("ONBUILD requires at least one argument")
    try:
        parse_trigger(instruction.rest)
    except DockerfileError as error:
        raise instruction.error(error.message, error.hint) from None


def _run(instruction: Instruction) -> None:
    if not instruction.args:
        raise instruction.error("RUN requires a command")
    network, security = instruction.flag("network"), instruction.flag("security")
    if network not in ("", *_NETWORKS):
        raise instruction.error(f'invalid network mode "{network}"', f"one of {', '.join(_NETWORKS)}")
    if security not in ("", *_SECURITY):
        raise instruction.error(f'security "{security}" is not valid', f"one of {', '.join(_SECURITY)}")
    for text in instruction.flags.get("mount", []):
        mounts.check(text)


def _shell(instruction: Instruction) -> None:
    _some_arguments(instruction)
    if not instruction.json:
        raise instruction.error(
            "SHELL requires the arguments to be in JSON form", 'for example SHELL ["/bin/bash", "-c"]'
        )


def _volume(instruction: Instruction) -> None:
    _some_arguments(instruction)
    if any(not path.strip() for path in instruction.args):
        raise instruction.error("VOLUME specified can not be an empty string")


CHECKS: dict[str, Callable[[Instruction], None]] = {
    "ADD": _copy,
    "ARG": _names,
    "CMD": _nothing,
    "COPY": _copy,
    "ENTRYPOINT": _nothing,
    "ENV": _names,
    "EXPOSE": _some_arguments,
    "FROM": _nothing,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _names,
    "MAINTAINER": _one_argument,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _one_argument,
    "USER": _one_argument,
    "VOLUME": _volume,
    "WORKDIR": _one_argument,
}
"""The check of each instruction."""
