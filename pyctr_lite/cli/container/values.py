"""Values of the less common flags of `run` and `create` from their texts. Imported if one of them is given.

The engine checks them: here too, so that an error names the flag as Docker's client does.
"""

from __future__ import annotations

import os

from pyctr_lite.engine.bundle import device_nodes, etc_files
from pyctr_lite.engine.creation import values
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number, times, units


def host(text: str) -> str:
    """Return the text of a host and its address, "name:10.0.0.1". Raises InvalidArgument."""
    etc_files.parse_host(text)
    return text


def ulimit(text: str) -> tuple[str, int, int]:
    """Parse "nofile=1024:2048": name, soft and hard limit; -1 is no limit. Raises ValueError, InvalidArgument."""
    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    values.check_ulimit((name, 0, 0))  # Docker's client names a wrong type first
    soft, colon, hard = limits.partition(":")
    numbers = [number.go_integer(part, 10) for part in ((soft, hard) if colon else (soft,))]
    parsed = (name, numbers[0], numbers[-1])
    values.check_ulimit(parsed)
    return parsed


def device(text: str) -> tuple[str, str, str]:
    """Parse "/dev/sda:/dev/xvdc:r": path on the host, path inside and access. Raises InvalidArgument."""
    host, *rest = text.split(":")
    access = rest.pop() if rest and values.is_access(rest[-1]) else "rwm"
    inside = rest.pop() if rest else host
    parsed = (host, os.path.normpath(inside) if not rest else "", access)
    values.check_device(parsed)
    return parsed


def device_rate(text: str) -> tuple[str, int]:
    """Parse "/dev/sda:1mb": a device and bytes per second. Raises ValueError, InvalidArgument."""
    path, colon, rate = text.rpartition(":")
    if not colon:
        raise InvalidArgument(f"bad format for path: {text}", "must be /dev/PATH:RATE, as in /dev/sda:1mb")
    parsed = (path, units.bytes_size(rate.removesuffix("ps")))
    values.check_rate(parsed)
    return parsed


def device_rule(text: str) -> str:
    """Return the text of a rule like "c 1:3 rwm". Raises InvalidArgument."""
    device_nodes.rule(text)
    return text


def sysctl(text: str) -> tuple[str, str]:
    """Parse "net.core.somaxconn=1024": name and value. Raises InvalidArgument."""
    name, _, value = text.partition("=")
    values.check_sysctl((name, value))
    return name, value


def address(text: str) -> str:
    """Return an IP address of either version without blanks around it. Raises InvalidArgument."""
    values.check_address(text.strip())
    return text.strip()


def domain(text: str) -> str:
    """Return a domain to search in; "." means none. Raises InvalidArgument."""
    values.check_domain(text)
    return text


def stream(text: str) -> str:
    """Return the name of a standard stream in small letters. Raises ValueError with Docker's message."""
    name = text.lower()
    if name not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return name


def duration(text: str) -> int:
    """Parse "1m30s" to nanoseconds. Raises ValueError with Docker's message."""
    return times.duration(text)


def rate(text: str) -> int:
    """Parse a rate such as "1mbit" into bytes per second. Raises ValueError."""
    from pyctr_lite.formats import rates

    return rates.bytes_per_second(text)
