"""The texts of the rarer flags of `run` and `create` as the engine's values. Imported where one is given."""

from __future__ import annotations

import os
import re

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

ULIMITS = (
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
).split()
_LOG_OPTIONS = (
    "max-size",
    "max-file",
    "mode",
    "max-buffer-size",
    "labels",
    "labels-regex",
    "env",
    "env-regex",
    "tag",
)
_MOST_FILES = 1000
"""Of a log: each is looked at when it is read."""


def ulimit(text: str) -> list[object]:
    """Name, soft and hard limit of "nofile=1024:2048"; -1 is no limit. Fails with ValueError in Docker's words."""
    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    soft, colon, hard = limits.partition(":")
    numbers = [number.go_integer(part, 10) for part in ((soft, hard) if colon else (soft,))]
    if len(numbers) == 2 and numbers[1] != -1 and (numbers[0] == -1 or numbers[0] > numbers[1]):
        raise ValueError("ulimit soft limit must be less than or equal to hard limit: "
                         f"{numbers[0]} > {numbers[1]}")  # fmt: skip
    return [name, numbers[0], numbers[-1]]


def device(text: str) -> list[str]:
    """Path on the host, path inside and access of "/dev/sda:/dev/xvdc:r". Fails with InvalidArgument."""
    host, *rest = text.split(":")
    access = rest.pop() if rest and _is_access(rest[-1]) else "rwm"
    inside = rest.pop() if rest else host
    if rest or not host.startswith("/") or not inside.startswith("/"):
        raise InvalidArgument("it is /dev/PATH[:/PATH/INSIDE][:rwm]")
    return [host, os.path.normpath(inside), access]


def device_rule(text: str) -> str:
    """The text of a rule "c 1:3 rwm". Fails with InvalidArgument where it is none."""
    from pyctr_lite.engine.bundle import device_nodes

    device_nodes.rule(text)
    return text


def sysctl(text: str) -> tuple[str, str]:
    """Name and value of "net.core.somaxconn=1024"."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InvalidArgument("it is NAME=VALUE, as in net.core.somaxconn=1024")
    return name, value


def address(text: str) -> str:
    """An IP address of either version. Fails with ValueError in Docker's words."""
    from pyctr_lite.engine.bundle import etc_files

    if not etc_files.is_address(text.strip()):
        raise ValueError(f"{text} is not an ip address")
    return text.strip()


def domain(text: str) -> str:
    """A domain to search in; "." is for none."""
    if text != "." and not re.fullmatch(r"([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.?)+", text):
        raise InvalidArgument("not a domain")
    return text


def log(driver: str, texts: list[str]) -> dict[str, object]:
    """The engine's options for --log-driver and each NAME=VALUE of --log-opt. Fails with InvalidArgument."""
    from pyctr_lite.engine.log import attributes as log_attributes

    if driver not in ("json-file", "none"):
        raise InvalidArgument(
            f"logger: no log driver named '{driver}' is registered", "there are json-file and none"
        )
    given = dict(text.partition("=")[::2] for text in texts)
    for name in given:
        if driver == "none" or name not in _LOG_OPTIONS:
            hint = f"supported: {', '.join(_LOG_OPTIONS)}" if driver != "none" else "leave --log-opt out"
            raise InvalidArgument(f"unknown log opt '{name}' for {driver} log driver", hint)
    _check_log_mode(given)
    if not given.keys().isdisjoint(log_attributes.KEYS):
        log_attributes.check(given)
    size, files = given.get("max-size", "-1"), given.get("max-file", "1")
    if "max-file" in given and "max-size" not in given:
        raise InvalidArgument("max-file cannot be set without max-size")
    if not number.is_whole(files, _MOST_FILES) or not int(files):
        raise InvalidArgument(f"max-file cannot be less than 1: '{files}'", f"it is 1 to {_MOST_FILES}")
    options: dict[str, object] = {"log_driver": driver, "log_options": given, "log_max_files": int(files)}
    return options | ({} if size == "-1" else {"log_max_size": _decimal_size(size)})


def _check_log_mode(given: dict[str, str]) -> None:
    """Docker's rules for the buffer between container and driver (daemon/logger/factory.go).

    Ours has none: the monitor writes to a file, which does not keep the container waiting.
    """
    mode = given.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidArgument(f"logger: logging mode not supported: {mode}", "it is blocking or non-blocking")
    if "max-buffer-size" in given:
        if mode != "non-blocking":
            raise InvalidArgument("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        from pyctr_lite.formats import units

        try:
            units.bytes_size(given["max-buffer-size"])
        except ValueError as error:
            raise InvalidArgument(f"error parsing option max-buffer-size: {error}") from None


def _decimal_size(text: str) -> int:
    """Parse the size of a log, a positive one."""
    from pyctr_lite.formats import units

    try:
        size = units.decimal_size(text)
    except ValueError:
        size = 0
    if not 0 < size < units.MAX_SIZE:
        raise InvalidArgument(f"invalid max-size: '{text}': it must be a positive number", "as in 10m")
    return size


def duration(text: str) -> int:
    """Nanoseconds of "1m30s"; 0, or at least a millisecond. Fails with ValueError in Docker's words."""
    from pyctr_lite.formats import times

    nanoseconds = times.duration(text)
    if nanoseconds < 0 or 0 < nanoseconds < 10**6:
        raise ValueError("it cannot be less than 1ms")
    return nanoseconds


def _is_access(text: str) -> bool:
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)
