"""The BPF program of a profile, run for each system call as the kernel runs it."""

from __future__ import annotations

import errno
import json
import struct
from typing import Any

import pyseccomp
import pytest

from pyctr_lite.engine.bundle import seccomp_profile
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.runtime import features, seccomp_compiler

Arch = pyseccomp.Arch
EPERM, ENOSYS = pyseccomp.ERRNO(errno.EPERM), pyseccomp.ERRNO(errno.ENOSYS)


def result_of(program: bytes, number: int, arch: int, *arguments: int) -> int:
    """Return a program's result for a call, by the classic BPF that the kernel allows (seccomp(2))."""
    # x32's calls differ from x86-64's only by their number.
    arch = Arch.X86_64 if arch == Arch.X32 else arch
    data = struct.pack("<IIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    lines = list(struct.iter_unpack("<HBBI", program))
    at, value = 0, 0
    while True:
        code, yes, no, k = lines[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, k)
        elif code == 0x54:
            value &= k
        elif code == 0x06:
            return int(k)
        elif code == 0x05:
            at += k
        else:
            holds = {0x15: value == k, 0x25: value > k, 0x35: value >= k, 0x45: bool(value & k)}[code]
            at += yes if holds else no


def result(program: bytes, name: str, arch: int, *arguments: int) -> int:
    return result_of(program, pyseccomp.resolve_syscall(arch, name), arch, *arguments)


def default(machine: str, *capabilities: str) -> bytes:
    return seccomp_compiler.compile(json.loads(seccomp_profile.default(list(capabilities), machine)))


MACHINES = {"x86_64": [Arch.X86_64, Arch.X86, Arch.X32], "aarch64": [Arch.AARCH64, Arch.ARM]}
CASES = [(machine, arch) for machine, archs in MACHINES.items() for arch in archs]


@pytest.mark.parametrize(("machine", "arch"), CASES)
def test_every_call_gets_the_result_in_the_default_profile(machine: str, arch: int) -> None:
    program = default(machine, "CAP_SYS_CHROOT")
    allowed = {*seccomp_profile.ALWAYS.split(), *seccomp_profile.OF_MACHINE[machine].split(), "chroot"}
    by_argument = {"socket", "personality", "clone", "clone3"}
    base = 0x40000000 if arch == Arch.X32 else 0
    last = max(pyseccomp.resolve_syscall(arch, name) for name in allowed | by_argument)
    known = 0
    for number in range(base, base + 700):
        try:
            name = pyseccomp.resolve_syscall(arch, number).decode()
        except ValueError:
            name = ""
        found = result_of(program, number, arch)
        if number > last:
            assert found == ENOSYS, (name, number)
        elif name not in by_argument and name not in ("newfstatat", "fstatat64"):
            assert found == (pyseccomp.ALLOW if name in allowed else EPERM), (name, number)
            known += bool(name)
    assert known > 300


@pytest.mark.parametrize(("machine", "arch"), CASES)
def test_arguments_of_a_call_decide_the_result(machine: str, arch: int) -> None:
    program = default(machine)
    if arch != Arch.X86:  # on x86 socketcall(2) makes sockets, too: its arguments are in memory
        assert result(program, "socket", arch, 2) == pyseccomp.ALLOW
        assert result(program, "socket", arch, 38) == EPERM  # AF_ALG
        assert result(program, "socket", arch, 40) == EPERM  # AF_VSOCK
    assert result(program, "personality", arch, 0xFFFFFFFF) == pyseccomp.ALLOW
    assert result(program, "personality", arch, 0x0400000) == EPERM  # READ_IMPLIES_EXEC
    assert result(program, "clone", arch, 17) == pyseccomp.ALLOW
    assert result(program, "clone", arch, 0x10000000) == EPERM  # CLONE_NEWUSER
    assert result(program, "clone3", arch) == ENOSYS


@pytest.mark.parametrize(("machine", "arch"), CASES)
def test_a_capability_allows_its_calls(machine: str, arch: int) -> None:
    for capability, names in seccomp_profile.OF_CAPABILITY.items():
        program = default(machine, capability)
        for name in names.split():
            if pyseccomp.resolve_syscall(arch, name) >= 0:
                assert result(program, name, arch) == pyseccomp.ALLOW, (capability, name)
    assert result(default(machine, "CAP_SYS_ADMIN"), "clone", arch, 0x10000000) == pyseccomp.ALLOW
    assert result(default(machine), "mount", arch) == EPERM


def test_calls_of_another_architecture_kill() -> None:
    assert result_of(default("x86_64"), 0, Arch.AARCH64) == pyseccomp.KILL_THREAD


def compiled(**profile: Any) -> bytes:
    return seccomp_compiler.compile({"architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"], **profile})


def rule(action: str, name: str, **more: Any) -> dict[str, Any]:
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [name], "action": action, **more}]}


def test_actions_errnos_and_conditions_follow_the_spec() -> None:
    rules = [
        {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
        {"names": ["chdir", "no_such_call"], "action": "SCMP_ACT_KILL_PROCESS"},
        {"names": ["fchdir"], "action": "SCMP_ACT_TRAP"},
        {"names": ["chroot"], "action": "SCMP_ACT_LOG"},
        {
            "names": ["dup3"],
            "action": "SCMP_ACT_ERRNO",
            "args": [{"index": index, "value": 7, "op": "SCMP_CMP_EQ"} for index in (0, 1)],
        },
        {
            "names": ["kill"],
            "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 1, "value": number, "op": "SCMP_CMP_EQ"} for number in (9, 15)],
        },
    ]
    program = compiled(defaultAction="SCMP_ACT_ALLOW", syscalls=rules)
    arch = Arch.X86_64
    assert result(program, "mkdir", arch) == pyseccomp.ERRNO(5)
    assert result(program, "chdir", arch) == pyseccomp.KILL_PROCESS
    assert result(program, "fchdir", arch) == pyseccomp.TRAP
    assert result(program, "chroot", arch) == pyseccomp.LOG
    assert result(program, "dup3", arch, 7, 7) == EPERM  # conditions on different arguments must all hold
    assert result(program, "dup3", arch, 7, 8) == pyseccomp.ALLOW
    assert result(program, "kill", arch, 1, 15) == EPERM  # of several on one argument, any
    assert result(program, "kill", arch, 1, 1) == pyseccomp.ALLOW
    assert result_of(program, 5000, arch) == pyseccomp.ALLOW  # the default applies to newer calls, too


@pytest.mark.parametrize(
    ("operator", "holds", "fails"),
    [
        ("NE", [6, 8, 1 << 40], [7]),
        ("LT", [0, 6], [7, 8, 1 << 40]),
        ("LE", [0, 7], [8, 1 << 40]),
        ("EQ", [7], [6, 1 << 32 | 7]),
        ("GE", [7, 8, 1 << 40], [6]),
        ("GT", [8, 1 << 40], [6, 7]),
    ],
)
def test_every_operator_compares_all_64_bits(operator: str, holds: list[int], fails: list[int]) -> None:
    condition = {"index": 2, "value": 7, "op": f"SCMP_CMP_{operator}"}
    program = compiled(
        defaultAction="SCMP_ACT_ALLOW",
        syscalls=[{"names": ["dup3"], "action": "SCMP_ACT_ERRNO", "args": [condition]}],
    )
    assert {result(program, "dup3", Arch.X86_64, 0, 0, value) for value in holds} == {EPERM}
    assert {result(program, "dup3", Arch.X86_64, 0, 0, value) for value in fails} == {pyseccomp.ALLOW}


def test_a_masked_comparison_and_the_actions_with_a_listener_or_a_tracer() -> None:
    masked = {"index": 0, "value": 0xF0, "valueTwo": 0x30, "op": "SCMP_CMP_MASKED_EQ"}
    program = compiled(
        defaultAction="SCMP_ACT_ALLOW",
        listenerPath="/x",
        architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_SHEB"],
        syscalls=[
            {"names": ["dup3"], "action": "SCMP_ACT_NOTIFY", "args": [masked]},
            {"names": ["mkdir"], "action": "SCMP_ACT_TRACE", "errnoRet": 7},
            {"names": ["rmdir"], "action": "SCMP_ACT_TRACE"},
            {"names": ["chdir"], "action": "SCMP_ACT_KILL_THREAD"},
        ],
    )
    assert result(program, "dup3", Arch.X86_64, 0x1234_0035) == pyseccomp.NOTIFY
    assert result(program, "dup3", Arch.X86_64, 0x45) == pyseccomp.ALLOW
    assert result(program, "mkdir", Arch.X86_64) == pyseccomp.TRACE(7)
    assert result(program, "rmdir", Arch.X86_64) == pyseccomp.TRACE(errno.EPERM)
    assert result(program, "chdir", Arch.X86_64) == pyseccomp.KILL_THREAD


def test_the_features_are_those_of_the_compiler() -> None:
    described = features.describe()["seccomp"]
    actions = {*seccomp_compiler._ACTIONS, *seccomp_compiler._WITH_NUMBER}
    assert set(described["actions"]) == actions
    assert set(described["operators"]) == set(seccomp_compiler._COMPARISONS)
    names = {*seccomp_compiler._ARCHITECTURES, *seccomp_compiler._UNKNOWN_ARCHITECTURES} - {"SCMP_ARCH_NATIVE"}
    assert set(described["archs"]) == names
    assert "SECCOMP_FILTER_FLAG_LOG" in described["supportedFlags"]
    assert not features.is_supported(1 << 20)


def test_a_newer_call_gets_enosys_unless_the_default_is_to_allow() -> None:
    rules = [{"names": ["read", "openat2"], "action": "SCMP_ACT_ALLOW"}]
    for default_action, newer in (("SCMP_ACT_ERRNO", ENOSYS), ("SCMP_ACT_KILL", ENOSYS)):
        program = compiled(defaultAction=default_action, syscalls=rules)
        for arch in (Arch.X86_64, Arch.AARCH64):
            assert result(program, "openat2", arch) == pyseccomp.ALLOW
            assert result(program, "faccessat2", arch) == newer
            assert result(program, "keyctl", arch) == (EPERM if default_action == "SCMP_ACT_ERRNO" else 0)
    # Unless x32 is among the architectures, its calls get the default.
    assert result_of(compiled(defaultAction="SCMP_ACT_ERRNO", syscalls=rules), 0x40000000, Arch.X86_64) in (
        0,
        EPERM,
    )


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/x"}, "NOTIFY cannot be used as default action"),
        ({**rule("SCMP_ACT_NOTIFY", "read")}, "SCMP_ACT_NOTIFY needs a listenerPath"),
        ({**rule("SCMP_ACT_NOTIFY", "write"), "listenerPath": "/x"}, "cannot be used for the write syscall"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}, "listenerMetadata without listenerPath"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}, "errnoRet 1: SCMP_ACT_ALLOW has no errno"),
        ({**rule("SCMP_ACT_LOG", "read", errnoRet=0)}, "errnoRet 0: SCMP_ACT_LOG has no errno"),
        ({}, "action None"),
        (
            {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"]},
            "architecture 'SCMP_ARCH_PDP11'",
        ),
        (
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [
                    {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "op": "LIKE"}]}
                ],
            },
            "comparison 'LIKE'",
        ),
    ],
)
def test_an_unsupported_profile_is_refused(profile: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        seccomp_compiler.compile(profile)
