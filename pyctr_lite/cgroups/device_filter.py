"""Device rules under version 2: a BPF program that the kernel asks at each open and mknod of a device node.

It gets (access << 16 | type, major, minor) and answers 1 or 0 (kernel cgroup-v2.rst, "Device controller";
include/uapi/linux/bpf.h, struct bpf_cgroup_dev_ctx). Only imported where version 2 has to do it.
"""

from __future__ import annotations

import os
import struct

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
# Operation codes: load a word, 32-bit AND, >> and move, 64-bit move, jump if not equal, if equal; leave.
_LOAD, _AND, _SHIFT_RIGHT, _COPY, _SET, _UNLESS, _IF, _EXIT = 0x61, 0x54, 0x74, 0xBC, 0xB7, 0x55, 0x15, 0x95
_ANSWER, _CONTEXT, _TYPE, _WANTED, _MAJOR, _MINOR = range(6)


def attach(directory: str, rules: list[dict[str, Any]]) -> None:
    """Enforce the rules on a group of version 2 and all below it, in place of earlier ones."""
    program = bpf.load_device_program(compile_rules(rules))
    try:
        bpf.replace_device_programs(directory, program)
    finally:
        os.close(program)


def compile_rules(rules: list[dict[str, Any]]) -> bytes:
    """The program of OCI's rules: the last one that matches decides; none: it is allowed, as in version 1.

    An allowing rule matches if it has all that is wanted, a forbidding one if it has any of it.
    """
    code = [
        _instruction(_LOAD, _TYPE, _CONTEXT, 0),
        _instruction(_COPY, _WANTED, _TYPE),
        _instruction(_AND, _TYPE, number=0xFFFF),
        _instruction(_SHIFT_RIGHT, _WANTED, number=16),
        _instruction(_LOAD, _MAJOR, _CONTEXT, 4),
        _instruction(_LOAD, _MINOR, _CONTEXT, 8),
    ]
    for allow, kind, major, minor, access in reversed(_merged(rules)):
        code += _rule(allow, kind, major, minor, access)
        if kind == "a":
            return b"".join(code)  # nothing gets past it, and the verifier refuses what is never reached
    return b"".join([*code, _instruction(_SET, _ANSWER, number=1), _instruction(_EXIT)])


def _rule(allow: bool, kind: str, major: int, minor: int, access: int) -> list[bytes]:
    """Tests, each of which jumps past the rule where it does not match, and the answer."""
    tests: list[tuple[int, int, int]] = []
    code: list[bytes] = []
    if kind != "a":
        tests.append((_UNLESS, _TYPE, _TYPES[kind]))
    if major != ANY:
        tests.append((_UNLESS, _MAJOR, major))
    if minor != ANY:
        tests.append((_UNLESS, _MINOR, minor))
    answer = [_instruction(_SET, _ANSWER, number=int(allow)), _instruction(_EXIT)]
    masked = []
    if access != _ALL:
        # What is wanted beyond an allowing rule, or is forbidden, goes into the context's register: it is read.
        masked = [
            _instruction(_COPY, _CONTEXT, _WANTED),
            _instruction(_AND, _CONTEXT, number=_ALL & ~access if allow else access),
            _instruction(_UNLESS if allow else _IF, _CONTEXT, offset=len(answer)),
        ]
    for position, (operation, register, number) in enumerate(tests):
        behind = len(tests) - position - 1 + len(masked) + len(answer)
        code.append(_instruction(operation, register, offset=behind, number=number))
    return [*code, *masked, *answer]


def _merged(rules: list[dict[str, Any]]) -> list[Rule]:
    """The lines of `devices.lines`, with the accesses to one device allowed by neighbouring rules in one.

    So that `c 1:3 r` and `c 1:3 w` allow to open it for both, as version 1's list of exceptions does.
    """
    merged: list[Rule] = []
    since = 0  # where the run of allowing rules began that we are in
    for allow, line in devices.lines(rules):
        kind, numbers, letters = line.split()
        major, minor = (ANY if number == "*" else int(number) for number in numbers.split(":"))
        access = sum(_ACCESS[letter] for letter in set(letters))
        device = (kind, major, minor)
        same = [place for place in range(since, len(merged)) if allow and merged[place][1:4] == device]
        if same:
            merged[same[0]] = (allow, *device, merged[same[0]][4] | access)
        else:
            merged.append((allow, *device, access))
        if not allow:
            since = len(merged)
    return merged


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, number: int = 0) -> bytes:
    return struct.pack("<BBhi", code, source << 4 | target, offset, number)
