"""Check single values of the less common options of a new container.

The command line calls the same checks while it parses a flag, because Docker's client names the flag in the error.
"""

from __future__ import annotations

from pyctr_lite.engine.bundle import device_nodes, etc_files
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

ULIMITS = (
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
).split()
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
"""Those of a domain's labels, which may have "-" between them."""


def check_each(name: str, values: Any) -> None:
    """Check every value of the option `name` of ContainerOptions. Raises InvalidArgument, with the name."""
    for value in values.items() if isinstance(values, dict) else values:
        try:
            _CHECKS[name](value)
        except InvalidArgument as error:
            raise InvalidArgument(f"{name}: {error.message}", error.hint) from None


def check_ulimit(value: tuple[str, int, int]) -> None:
    """Check a name, a soft and a hard limit; -1 is no limit."""
    name, soft, hard = value
    if name not in ULIMITS:
        raise InvalidArgument(f"invalid ulimit type: {name}")
    if hard != -1 and (soft == -1 or soft > hard):
        raise InvalidArgument(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")


def check_device(value: tuple[str, str, str]) -> None:
    """Check a device's path on the host, its path inside, and its access."""
    host, inside, access = value
    if not host.startswith("/") or not inside.startswith("/") or not is_access(access):
        raise InvalidArgument("must be /dev/PATH[:/PATH/INSIDE][:rwm]")


def is_access(text: str) -> bool:
    """Return whether a text is a kind of access to a device: some of the letters r, w and m."""
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)


def check_rate(value: tuple[str, int]) -> None:
    """Check the path of a device and a number of bytes per second."""
    path, rate = value
    if not path.startswith("/dev/") or rate < 0:
        raise InvalidArgument(f"bad format for path: {path}:{rate}", "must be /dev/PATH:RATE, as in /dev/sda:1mb")


def check_sysctl(value: tuple[str, str]) -> None:
    """Check the name and the value of a kernel parameter."""
    name, text = value
    if not name or not text:
        raise InvalidArgument("must be NAME=VALUE, as in net.core.somaxconn=1024")


def check_address(text: str) -> None:
    """Check an IP address, version 4 or 6."""
    if not etc_files.is_address(text):
        raise InvalidArgument(f"{text} is not an ip address")


def check_domain(text: str) -> None:
    """Check a search domain; "." means none."""
    labels = text.removesuffix(".").split(".")
    if text != "." and not all(
        label and _LETTERS.issuperset(label.replace("-", "")) and "-" not in (label[0], label[-1])
        for label in labels
    ):
        raise InvalidArgument(f"{text} is not a domain")


_CHECKS: dict[str, Callable[[Any], object]] = {
    "ulimits": check_ulimit,
    "devices": check_device,
    "device_rules": device_nodes.rule,
    "device_read_bps": check_rate,
    "device_write_bps": check_rate,
    "sysctls": check_sysctl,
    "dns": check_address,
    "dns_search": check_domain,
    "add_hosts": etc_files.parse_host,
}
