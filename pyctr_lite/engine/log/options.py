"""Log drivers and their options: the values of `--log-driver` and `--log-opt`."""

from __future__ import annotations

from pyctr_lite.engine.log import attributes
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

JSON_FILE = "json-file"
_NAMES = (
    *("max-size", "max-file", "mode", "max-buffer-size"),
    *("labels", "labels-regex", "env", "env-regex", "tag"),
)
_MAX_FILES = 1000
"""Maximum of max-file: a reader of the log has all files open."""


def parse(driver: str, given: Mapping[str, str]) -> tuple[int, int]:
    """Check a driver and its options. Return the max bytes of a log file (0: no limit) and the max files.

    Raises InvalidArgument.
    """
    if driver not in (JSON_FILE, "none"):
        raise InvalidArgument(
            f"logger: no log driver named '{driver}' is registered", "the log drivers are json-file and none"
        )
    for name in given:
        if driver == "none" or name not in _NAMES:
            hint = f"supported: {', '.join(_NAMES)}" if driver != "none" else "omit --log-opt"
            raise InvalidArgument(f"unknown log opt '{name}' for {driver} log driver", hint)
    _check_mode(given)
    if not given.keys().isdisjoint(attributes.KEYS):
        attributes.check(given)
    size, files = given.get("max-size", "-1"), given.get("max-file", "1")
    if not number.is_whole(files, _MAX_FILES) or not int(files):
        raise InvalidArgument(
            f"max-file cannot be less than 1: '{files}'", f"give a number from 1 to {_MAX_FILES}"
        )
    return 0 if size == "-1" else _size(size), int(files)


def _check_mode(given: Mapping[str, str]) -> None:
    """Check the options of the buffer between container and driver (moby, daemon/logger/factory.go).

    The options have no effect here: the monitor writes to a file, which never blocks the container.
    """
    mode = given.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidArgument(
            f"logger: logging mode not supported: {mode}", "the modes are blocking and non-blocking"
        )
    if "max-buffer-size" in given:
        if mode != "non-blocking":
            raise InvalidArgument("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        try:
            units.bytes_size(given["max-buffer-size"])
        except ValueError as error:
            raise InvalidArgument(f"error parsing option max-buffer-size: {error}") from None


def _size(text: str) -> int:
    try:
        size = units.decimal_size(text)
    except ValueError:
        size = 0
    if not 0 < size < units.MAX_SIZE:
        raise InvalidArgument(f"invalid max-size: '{text}': it must be a positive number", "for example 10m")
    return size
