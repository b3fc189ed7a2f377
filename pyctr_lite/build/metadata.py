"""The instructions that only change an image's config, each with BuildKit's line for the history."""

from __future__ import annotations

import os

from pyctr_lite.build import checks
from pyctr_lite.commit import instructions, words
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import ports, quoting, signals, times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.build.scope import Scope
    from pyctr_lite.build.syntax import Instruction

    Config = dict[str, Any]

_TIMES = ("Interval", "Timeout", "StartPeriod", "StartInterval")
DEFAULT_SHELL = ["/bin/sh", "-c"]


def with_shell(config: Config, instruction: Instruction, args: list[str]) -> list[str]:
    """Return the words of a JSON form, or of a shell form with the image's shell before them."""
    return args if instruction.json else [*(config.get("Shell") or DEFAULT_SHELL), " ".join(args)]


def working_directory(config: Config, path: str) -> str:
    """Return a path of WORKDIR as an absolute one. As in BuildKit, an absolute one stays as it is written."""
    if path.startswith("/"):
        return path
    return "/" + os.path.normpath(os.path.join("/", config.get("WorkingDir") or "/", path)).lstrip("/")


def apply(config: Config, scope: Scope, instruction: Instruction, cmd_set: bool) -> str:
    """Apply an instruction to a config; return its line in the history, "" for none.

    `cmd_set` is whether the stage has a CMD: without one, ENTRYPOINT drops the CMD of the base.
    Raises DockerfileError.
    """
    try:
        if instruction.name == "ENTRYPOINT" and not cmd_set:
            config.pop("Cmd", None)
        return APPLY[instruction.name](config, scope, instruction)
    except InvalidArgument as error:
        raise instruction.error(error.message, error.hint) from None


def _arg(config: Config, scope: Scope, instruction: Instruction) -> str:
    return scope.declare(instruction)


def _cmd(config: Config, scope: Scope, instruction: Instruction) -> str:
    config["Cmd"] = with_shell(config, instruction, instruction.args)
    return f"CMD {_quoted(config['Cmd'])}"


def _entrypoint(config: Config, scope: Scope, instruction: Instruction) -> str:
    config["Entrypoint"] = with_shell(config, instruction, instruction.args)
    return f"ENTRYPOINT {_quoted(config['Entrypoint'])}"


def _quoted(words: list[str]) -> str:
    """Return words as Go's %q shows a list: `["sh" "-c" "ls"]`."""
    return f"[{' '.join(map(quoting.quoted, words))}]"


def _pairs(scope: Scope, instruction: Instruction) -> tuple[list[tuple[str, str]], str]:
    """Return the expanded pairs of ENV or LABEL, and their line in the history."""
    args, pairs, shown = instruction.args, [], []
    for name, value, delimiter in zip(args[::3], args[1::3], args[2::3], strict=True):
        pairs.append((scope.expand(instruction, name), scope.expand(instruction, value)))
        shown.append((delimiter or "=").join(pairs[-1]))
    return pairs, f"{instruction.name} {' '.join(shown)}"


def _env(config: Config, scope: Scope, instruction: Instruction) -> str:
    pairs, line = _pairs(scope, instruction)
    variables = dict(item.partition("=")[::2] for item in config.get("Env") or []) | dict(pairs)
    config["Env"] = [f"{name}={value}" for name, value in variables.items()]
    for name, value in pairs:
        scope.set(name, value)
    return line


def _label(config: Config, scope: Scope, instruction: Instruction) -> str:
    pairs, line = _pairs(scope, instruction)
    config["Labels"] = {**(config.get("Labels") or {}), **dict(pairs)}
    return line


def _expose(config: Config, scope: Scope, instruction: Instruction) -> str:
    exposed: dict[str, Any] = {}
    for arg in sorted(instruction.args):
        for word in words.expand_words(arg, scope.environment, scope.arguments.escape):
            try:
                numbers, protocol = ports.parse(word.rpartition(":")[2], minimum=1)
            except ValueError as error:
                raise InvalidArgument(str(error), "a port is 1 to 65535, or a range, with /tcp or /udp") from None
            exposed |= {f"{port}/{protocol}": {} for port in numbers}
    config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **exposed}
    return f"EXPOSE [{' '.join(exposed)}]"


def _healthcheck(config: Config, scope: Scope, instruction: Instruction) -> str:
    check = config["Healthcheck"] = checks.healthcheck(instruction)
    shown = [f"{name}:{times.show_duration(check.get(name, 0))}" for name in _TIMES]
    return f"HEALTHCHECK {{Test:[{' '.join(check['Test'])}] {' '.join(shown)} Retries:{check.get('Retries', 0)}}}"


def _maintainer(config: Config, scope: Scope, instruction: Instruction) -> str:
    return f"MAINTAINER {instruction.args[0]}"


def _onbuild(config: Config, scope: Scope, instruction: Instruction) -> str:
    instructions.add_onbuild(config, instruction.rest)
    return ""


def _shell(config: Config, scope: Scope, instruction: Instruction) -> str:
    config["Shell"] = list(instruction.args)
    return f"SHELL [{' '.join(instruction.args)}]"


def _stopsignal(config: Config, scope: Scope, instruction: Instruction) -> str:
    config["StopSignal"] = scope.expand(instruction, instruction.args[0])
    signals.number(config["StopSignal"])
    return f"STOPSIGNAL {config['StopSignal']}"


def _user(config: Config, scope: Scope, instruction: Instruction) -> str:
    config["User"] = scope.expand(instruction, instruction.args[0])
    return f"USER {config['User']}"


def _volume(config: Config, scope: Scope, instruction: Instruction) -> str:
    paths = [scope.expand(instruction, path.strip()) for path in instruction.args]
    if "" in paths:
        raise InvalidArgument("VOLUME specified can not be an empty string")
    config["Volumes"] = {**(config.get("Volumes") or {}), **{path: {} for path in paths}}
    return f"VOLUME [{' '.join(paths)}]"


APPLY: dict[str, Callable[[Config, Scope, Instruction], str]] = {
    "ARG": _arg,
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
}
