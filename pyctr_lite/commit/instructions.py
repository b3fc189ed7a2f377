"""The Dockerfile instructions of `commit -c`, applied to an image's `config` object (OCI image-spec config.md)."""

from __future__ import annotations

import posixpath

from pyctr_lite import jsonfile
from pyctr_lite.commit import words
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number, ports, signals, times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Config = dict[str, Any]


def environment(config: Config) -> dict[str, str]:
    """Return the variables that an instruction can use as `$NAME`: those of `config["Env"]`."""
    return dict(item.partition("=")[::2] for item in config.get("Env") or [])


def set_cmd(config: Config, text: str) -> None:
    """Apply CMD: the default program, or the arguments of the entry point."""
    config["Cmd"] = _program(config, text)


def set_entrypoint(config: Config, text: str) -> None:
    """Apply ENTRYPOINT: the program. (It drops the image's CMD; see `config.apply_changes`.)"""
    config["Entrypoint"] = _program(config, text)


def set_env(config: Config, text: str) -> None:
    """Apply ENV: `NAME=value …`, or the old form `NAME the whole rest`. An existing name keeps its position."""
    items: list[str] = list(config.get("Env") or [])
    names = [item.partition("=")[0] for item in items]
    for name, value in _pairs("ENV", text, environment(config)):
        if name in names:
            items[names.index(name)] = f"{name}={value}"
        else:
            items.append(f"{name}={value}")
            names.append(name)
    config["Env"] = items


def set_label(config: Config, text: str) -> None:
    """Apply LABEL: `key=value …`."""
    config["Labels"] = {**(config.get("Labels") or {}), **dict(_pairs("LABEL", text, environment(config)))}


def add_expose(config: Config, text: str) -> None:
    """Apply EXPOSE: `port[-port][/tcp|udp|sctp] …`, each port a key of ExposedPorts."""
    exposed = dict(config.get("ExposedPorts") or {})
    for word in _arguments("EXPOSE", words.expand(text, environment(config)).split()):
        try:
            numbers, protocol = ports.parse(word.rpartition(":")[2], minimum=1)
        except ValueError as error:
            raise InvalidArgument(
                str(error), "A port is 1 to 65535, or a range like 8000-8010, with /tcp, /udp or /sctp."
            ) from None
        exposed |= {f"{port}/{protocol}": {} for port in numbers}
    config["ExposedPorts"] = exposed


def add_onbuild(config: Config, text: str) -> None:
    """Apply ONBUILD: an instruction for the images that are built from this one."""
    trigger = _arguments("ONBUILD", text.split())[0].upper()
    if trigger == "ONBUILD":
        raise InvalidArgument("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("FROM", "MAINTAINER"):
        raise InvalidArgument(f"{trigger} isn't allowed as an ONBUILD trigger")
    config["OnBuild"] = [*(config.get("OnBuild") or []), text]


def set_user(config: Config, text: str) -> None:
    """Apply USER: `name|uid[:group|gid]`."""
    config["User"] = words.expand(_arguments("USER", [text] if text else [])[0], environment(config))


def add_volume(config: Config, text: str) -> None:
    """Apply VOLUME: `["/a", "/b"]` or `/a /b`, each path a key of Volumes."""
    listed = _json_list(text)
    paths = text.split() if listed is None else [item.strip() for item in listed]
    if "" in _arguments("VOLUME", paths):
        raise InvalidArgument("VOLUME specified can not be an empty string")
    expanded = [words.expand(path, environment(config)) for path in paths]
    config["Volumes"] = {**(config.get("Volumes") or {}), **{path: {} for path in expanded}}


def set_workdir(config: Config, text: str) -> None:
    """Apply WORKDIR: a path, relative to the current one unless it is absolute."""
    path = words.expand(_arguments("WORKDIR", [text] if text else [])[0], environment(config))
    joined = posixpath.join("/", config.get("WorkingDir") or "/", path)
    config["WorkingDir"] = posixpath.normpath(joined).replace("//", "/")


def set_stopsignal(config: Config, text: str) -> None:
    """Apply STOPSIGNAL: a signal by name, with or without SIG, or by number."""
    name = words.expand(_arguments("STOPSIGNAL", [text] if text else [])[0], environment(config))
    signals.number(name)
    config["StopSignal"] = name


def set_healthcheck(config: Config, text: str) -> None:
    """Apply HEALTHCHECK `[--interval= --timeout= --start-period= --start-interval= --retries=] CMD …` or NONE."""
    flags: dict[str, str] = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        text = text.strip()
        name, _, flags[name] = option[2:].partition("=")
    kind, _, program = text.partition(" ")
    listed = _json_list(program)
    words = ([program.strip()] if program.strip() else []) if listed is None else listed
    config["Healthcheck"] = healthcheck(kind, words, flags, is_exec=listed is not None)


def healthcheck(kind: str, command: list[str], flags: Mapping[str, str], *, is_exec: bool) -> Config:
    """Return the Healthcheck of a config. `kind` is CMD or NONE, `command` a line for the shell or, with
    `is_exec`, a program and its arguments; `flags` are those of HEALTHCHECK. Raises InvalidArgument.
    """
    check: Config = {}
    for name, value in flags.items():
        if name in _HEALTH_TIMES:
            check[_HEALTH_TIMES[name]] = _nanoseconds(name, value)
        elif name != "retries":
            raise InvalidArgument(f"unknown flag: --{name}", f"flags: {', '.join(_HEALTH_TIMES)}, retries")
        elif number.is_whole(value, 2**31 - 1):
            check["Retries"] = int(value)
        elif value.startswith("-"):
            raise InvalidArgument(f"--retries cannot be negative ({value})")
        else:
            raise InvalidArgument(f"invalid value for --retries: {value}", "write a number, like 3")
    if kind.upper() == "NONE":
        if command:
            raise InvalidArgument("HEALTHCHECK NONE takes no arguments")
        return {"Test": ["NONE"]}
    if kind.upper() != "CMD":
        raise InvalidArgument(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    if not command:
        raise InvalidArgument("Missing command after HEALTHCHECK CMD")
    given = {name: value for name, value in check.items() if value}  # 0 is the default, which is not written
    return {"Test": ["CMD" if is_exec else "CMD-SHELL", *command], **given}


INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": set_cmd,
    "ENTRYPOINT": set_entrypoint,
    "ENV": set_env,
    "EXPOSE": add_expose,
    "HEALTHCHECK": set_healthcheck,
    "LABEL": set_label,
    "ONBUILD": add_onbuild,
    "STOPSIGNAL": set_stopsignal,
    "USER": set_user,
    "VOLUME": add_volume,
    "WORKDIR": set_workdir,
}

_HEALTH_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}


def _program(config: Config, text: str) -> list[str]:
    """Return the exec form `["program", "argument"]` as it is, and the shell form as an argument of `sh -c`."""
    listed = _json_list(text)
    if listed is not None:
        return listed
    return [*(config.get("Shell") or ["/bin/sh", "-c"]), text] if text else []


def _json_list(text: str) -> list[str] | None:
    """Parse a JSON list of strings; return None for other text, such as the shell's `[ -f x ]`."""
    try:
        value = jsonfile.loads(text) if text.lstrip().startswith("[") else None
    except ValueError:
        return None
    if not isinstance(value, list):
        return None
    if not all(isinstance(item, str) for item in value):
        raise InvalidArgument("only string type is allowed in JSON format arrays")
    return value


def _pairs(keyword: str, text: str, variables: dict[str, str]) -> list[tuple[str, str]]:
    """Parse `a=1 b="2 3"` into pairs; the old form `a 2 3` is one pair. New values do not affect `$NAME` here."""
    parts = _arguments(keyword, words.split_words(text))
    if "=" not in parts[0]:
        name, *rest = text.split(None, 1)
        if not rest:
            raise InvalidArgument(f"{keyword} must have two arguments")
        parts = [f"{name}={rest[0]}"]
    pairs = []
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            raise InvalidArgument(f"Syntax error - can't find = in {part!r}. Must be of the form: name=value")
        name = words.expand(name, variables)
        if not name:
            raise InvalidArgument(f"{keyword} names can not be blank")
        pairs.append((name, words.expand(value, variables)))
    return pairs


def _arguments(keyword: str, arguments: list[str]) -> list[str]:
    if not arguments:
        raise InvalidArgument(f"{keyword} requires at least one argument")
    return arguments


def _nanoseconds(name: str, text: str) -> int:
    """Parse a duration of a health check, as in `1m30s` or `500ms`: 0, or at least 1 ms."""
    try:
        duration = times.duration(text)
    except ValueError:
        raise InvalidArgument(
            f"invalid duration {text!r} for --{name}", "Write it like 30s, 1m30s or 500ms."
        ) from None
    if duration and duration < times.MILLISECOND:
        raise InvalidArgument(f'Interval "{name}" cannot be less than 1ms')
    return duration
