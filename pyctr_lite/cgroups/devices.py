"""Device rules: the device nodes that a container may use, from OCI to the lines of version 1.

Version 2 does not have a file for them: a BPF program of the group decides, see `device_filter`.
"""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ALLOWED: list[dict[str, Any]] = [
    {"allow": True, "type": "c", "access": "m"},  # creating a node does not allow using it
    {"allow": True, "type": "b", "access": "m"},
    {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},  # /dev/null
    {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rwm"},  # /dev/zero
    {"allow": True, "type": "c", "major": 1, "minor": 7, "access": "rwm"},  # /dev/full
    {"allow": True, "type": "c", "major": 1, "minor": 8, "access": "rwm"},  # /dev/random
    {"allow": True, "type": "c", "major": 1, "minor": 9, "access": "rwm"},  # /dev/urandom
    {"allow": True, "type": "c", "major": 5, "minor": 0, "access": "rwm"},  # /dev/tty
    {"allow": True, "type": "c", "major": 5, "minor": 2, "access": "rwm"},  # /dev/ptmx
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},  # /dev/pts/*
]
"""Allowed by every OCI runtime, whatever the config (OCI runtime-spec config-linux.md, default devices)."""

DEFAULT: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}, *ALLOWED]
"""The rules for a container without `--device` and `--privileged`, as in Docker."""


def lines(rules: list[dict[str, Any]]) -> list[tuple[bool, str]]:
    """Convert each rule to (allow, line for devices.allow or devices.deny), in order.

    If the rules deny everything, the missing rules of `ALLOWED`, which every container needs, are added.
    Raises InvalidArgument for an invalid rule.
    """
    result = [(bool(rule.get("allow")), _line(rule)) for rule in rules]
    everything = [allow for allow, line in result if line.startswith("a ")]
    if everything and not everything[-1]:
        result += [(True, _line(rule)) for rule in ALLOWED if (True, _line(rule)) not in result]
    return result


def changes(present: list[str], rules: list[tuple[bool, str]]) -> list[tuple[bool, str]]:
    """Return the (allow, line) that lead from a version 1 group's `devices.list` to the result of `rules`.

    A group that already allows nothing but a list of exceptions needs no rule for all devices: the kernel refuses
    one if the group has groups below it (EINVAL), and for a moment nothing would be allowed.
    Source: kernel Documentation/admin-guide/cgroup-v1/devices.rst.
    """
    start = max((index for index, (_, line) in enumerate(rules) if line.startswith("a ")), default=-1)
    if start < 0 or rules[start][0] or any(line.startswith("a ") for line in present):
        return rules
    wanted = rules[start + 1 :]
    removed = [(False, line) for line in present if (True, line) not in wanted]
    return removed + [(allow, line) for allow, line in wanted if not allow or line not in present]


def changed(path: str, files: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Replace the device lines among (controller, file, text) by `changes` to a group's devices.list at `path`."""
    rules = [(file == "devices.allow", text) for controller, file, text in files if controller == "devices"]
    return [line for line in files if line[0] != "devices"] + [
        ("devices", "devices.allow" if allow else "devices.deny", text)
        for allow, text in changes(kernelfile.read(path).splitlines(), rules)
    ]


def _line(rule: dict[str, Any]) -> str:
    kind = {"u": "c", "": "a"}.get(rule.get("type") or "", rule.get("type") or "")
    numbers = [_number(rule.get(name)) for name in ("major", "minor")]
    given = rule.get("access") or "rwm"
    access = "".join(letter for letter in "rwm" if letter in given)  # as devices.list has it; runc ignores an "a"
    if kind not in ("a", "b", "c") or not access or not set(given) <= set("rwma"):
        raise InvalidArgument(f"not a device rule: {rule}", "type is a, b or c; access consists of r, w and m")
    if kind == "a" and (numbers != ["*", "*"] or set(access) != set("rwm")):
        raise InvalidArgument(f"a device rule of type a applies to all devices: {rule}", "set type b or c")
    return f"{kind} {numbers[0]}:{numbers[1]} {access}"


def _number(value: int | None) -> str:
    return "*" if value is None or value < 0 else str(value)
