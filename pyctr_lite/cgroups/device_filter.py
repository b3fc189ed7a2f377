"""Device rules of version 2: a BPF program that the kernel runs at each open and mknod of a device node.

Its input is (access << 16 | type, major, minor), its result 1 to allow or 0 (kernel cgroup-v2.rst, "Device
controller"; include/uapi/linux/bpf.h, struct bpf_cgroup_dev_ctx). Imported only if version 2 has the devices.
"""

from __future__ import annotations

import struct

from pyctr_lite import linux
from pyctr_lite.cgroups import devices
from pyctr_lite.linux import bpf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Rule = tuple[bool, str, int, int, int]

ANY = -1
_TYPES = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_ALL = 7
# Operation codes: load a word; 32-bit AND, right shift and move; 64-bit move; jump if not equal, if equal; exit.
_LOAD, _AND, _SHIFT_RIGHT, _COPY, _SET, _UNLESS, _IF, _EXIT = 0x61, 0x54, 0x74, 0xBC, 0xB7, 0x55, 0x15, 0x95
_RESULT, _CONTEXT, _TYPE, _REQUESTED, _MAJOR, _MINOR = range(6)


def attach(directory: str, rules: list[dict[str, Any]]) -> None:
    """Enforce rules on a version 2 group and all groups below it, in place of earlier rules."""
    with linux.closing(bpf.load_device_program(compile_rules(rules))) as program:
        bpf.replace_device_programs(directory, program)


def compile_rules(rules: list[dict[str, Any]]) -> bytes:
    """Compile OCI rules: the last matching rule decides; without a match access is allowed, as in version 1.

    An allow rule matches if it covers all of the requested access, a deny rule if it covers any of it.
    """
    code = [
        _instruction(_LOAD, _TYPE, _CONTEXT, 0),
        _instruction(_COPY, _REQUESTED, _TYPE),
        _instruction(_AND, _TYPE, number=0xFFFF),
        _instruction(_SHIFT_RIGHT, _REQUESTED, number=16),
        _instruction(_LOAD, _MAJOR, _CONTEXT, 4),
        _instruction(_LOAD, _MINOR, _CONTEXT, 8),
    ]
    for allow, kind, major, minor, access in reversed(_merged(rules)):
        code += _rule(allow, kind, major, minor, access)
        if kind == "a":
            return b"".join(code)  # it matches always, and the verifier rejects unreachable code
    return b"".join([*code, _instruction(_SET, _RESULT, number=1), _instruction(_EXIT)])


def _rule(allow: bool, kind: str, major: int, minor: int, access: int) -> list[bytes]:
    """Compile a rule: tests, each of which jumps past the rule if it does not match, then the result."""
    tests: list[tuple[int, int, int]] = []
    code: list[bytes] = []
    if kind != "a":
        tests.append((_UNLESS, _TYPE, _TYPES[kind]))
    if major != ANY:
        tests.append((_UNLESS, _MAJOR, major))
    if minor != ANY:
        tests.append((_UNLESS, _MINOR, minor))
    result = [_instruction(_SET, _RESULT, number=int(allow)), _instruction(_EXIT)]
    masked = []
    if access != _ALL:
        # Compute the requested access that is not allowed, or is denied, in the context's register, now free.
        masked = [
            _instruction(_COPY, _CONTEXT, _REQUESTED),
            _instruction(_AND, _CONTEXT, number=_ALL & ~access if allow else access),
            _instruction(_UNLESS if allow else _IF, _CONTEXT, offset=len(result)),
        ]
    for position, (operation, register, number) in enumerate(tests):
        remaining = len(tests) - position - 1 + len(masked) + len(result)
        code.append(_instruction(operation, register, offset=remaining, number=number))
    return [*code, *masked, *result]


def _merged(rules: list[dict[str, Any]]) -> list[Rule]:
    """Parse the lines of `devices.lines`, and merge allow rules for the same device without a deny rule between.

    So `c 1:3 r` and `c 1:3 w` allow opening it for both, as version 1's list of exceptions does.
    """
    merged: list[Rule] = []
    run = 0  # start of the current run of allow rules
    for allow, line in devices.lines(rules):
        kind, numbers, letters = line.split()
        major, minor = (ANY if number == "*" else int(number) for number in numbers.split(":"))
        access = sum(_ACCESS[letter] for letter in set(letters))
        device = (kind, major, minor)
        same = [index for index in range(run, len(merged)) if allow and merged[index][1:4] == device]
        if same:
            merged[same[0]] = (allow, *device, merged[same[0]][4] | access)
        else:
            merged.append((allow, *device, access))
        if not allow:
            run = len(merged)
    return merged


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, number: int = 0) -> bytes:
    return struct.pack("<BBhi", code, source << 4 | target, offset, number)
