"""The compiler of seccomp profiles of the OCI config to classic BPF programs, by libseccomp.

`pyseccomp` binds Debian's libseccomp2 by ctypes, with the interface of libseccomp's own Python binding. The latter
(python3-seccomp) is compiled only for Debian's own Python; a virtual environment of another Python lacks it.
"""

from __future__ import annotations

import errno
import os
import struct

from pyctr_lite import thirdparty
from pyctr_lite.errors import InvalidArgument, PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

thirdparty.enable()
try:
    import pyseccomp
except RuntimeError:
    raise PyctrError(
        "libseccomp.so.2 is missing: cannot compile a seccomp filter",
        "apt-get install libseccomp2, or --security-opt seccomp=unconfined",
    ) from None

_ACTIONS = {
    "SCMP_ACT_KILL": pyseccomp.KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": pyseccomp.KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": pyseccomp.KILL_PROCESS,
    "SCMP_ACT_TRAP": pyseccomp.TRAP,
    "SCMP_ACT_ALLOW": pyseccomp.ALLOW,
    "SCMP_ACT_LOG": pyseccomp.LOG,
    "SCMP_ACT_NOTIFY": pyseccomp.NOTIFY,
}
_WITH_NUMBER = {"SCMP_ACT_ERRNO": pyseccomp.ERRNO, "SCMP_ACT_TRACE": pyseccomp.TRACE}
_COMPARISONS = {
    "SCMP_CMP_" + name: getattr(pyseccomp, name) for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
}
_ARCHITECTURES = {
    "SCMP_ARCH_" + name: number for name, number in vars(pyseccomp.Arch).items() if not name.startswith("_")
}
_UNKNOWN_ARCHITECTURES = {"SCMP_ARCH_" + name for name in ("LOONGARCH64", "M68K", "SH", "SHEB")}
"""Of the spec, but not of every libseccomp: no machine that it supports can make their calls."""
_PERMISSIVE = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
_UNKNOWN = -1
"""libseccomp's number for an unknown name; other negative numbers are calls that an architecture lacks."""
_BINARY_TREE = 2
"""How libseccomp sorts the calls (SCMP_FLTATR_CTL_OPTIMIZE): the kernel runs it in half the time of a list."""
_X32 = 0x40000000
"""The bit of the x32 calls, which share x86-64's audit architecture (arch/x86/include/uapi/asm/unistd.h)."""


def unsupported(feature: str) -> InvalidArgument:
    """Return the error for a profile that uses an unsupported feature."""
    return InvalidArgument(f"seccomp: {feature} is not supported", "OCI runtime spec, config-linux.md, Seccomp")


def compile(profile: dict[str, Any]) -> bytes:
    """Return the BPF program of a profile (`linux.seccomp`). Names unknown to libseccomp are ignored, as in runc.

    Raises InvalidArgument for an unknown action, comparison or architecture.
    """
    _check_listener(profile)
    default = _action(profile.get("defaultAction"), profile.get("defaultErrnoRet"))
    architectures = [pyseccomp.system_arch()]
    for name in profile.get("architectures") or []:
        if name not in _UNKNOWN_ARCHITECTURES and (number := _architecture(name)) not in architectures:
            architectures.append(number)
    made = pyseccomp.SyscallFilter(default)
    made.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, _BINARY_TREE)
    for number in architectures[1:]:  # a new filter has the machine's own
        made.add_arch(number)
    names: list[str] = []
    for rule in profile.get("syscalls") or []:
        named = rule.get("names") or []
        names += named
        action = _action(rule.get("action"), rule.get("errnoRet"))
        if action != default:
            for name in named:
                _add(made, name, action, [_argument(item) for item in rule.get("args") or []])
    program = _exported(made)
    if profile["defaultAction"] in _PERMISSIVE or default == pyseccomp.ERRNO(errno.ENOSYS):
        return program
    return _newer_calls(names, architectures) + program


def listens(profile: dict[str, Any]) -> bool:
    """Return whether a profile asks an agent about some calls (SCMP_ACT_NOTIFY, seccomp_unotify(2))."""
    rules = [profile, *(profile.get("syscalls") or [])]
    return any("SCMP_ACT_NOTIFY" in (rule.get("action"), rule.get("defaultAction")) for rule in rules)


def _check_listener(profile: dict[str, Any]) -> None:
    """Refuse a profile whose agent could not be reached, or would be asked before it can answer (so does runc)."""
    if profile.get("listenerMetadata") and not profile.get("listenerPath"):
        raise InvalidArgument("seccomp: listenerMetadata without listenerPath")
    if not listens(profile):
        return
    if not profile.get("listenerPath"):
        raise InvalidArgument("seccomp: SCMP_ACT_NOTIFY needs a listenerPath", "the UNIX socket of the agent")
    if profile.get("defaultAction") == "SCMP_ACT_NOTIFY":
        raise InvalidArgument("seccomp: SCMP_ACT_NOTIFY cannot be used as default action")
    for rule in profile.get("syscalls") or []:
        if rule.get("action") == "SCMP_ACT_NOTIFY" and "write" in (rule.get("names") or []):
            raise InvalidArgument(
                "seccomp: SCMP_ACT_NOTIFY cannot be used for the write syscall",
                "the process announces the listener by write(2), before the agent has it",
            )


def _action(name: Any, number: int | None) -> int:
    if number is not None and name not in _WITH_NUMBER:
        raise InvalidArgument(f"seccomp: errnoRet {number}: {name} has no errno", "only ERRNO and TRACE have one")
    if name in _WITH_NUMBER:
        return int(_WITH_NUMBER[name](errno.EPERM if number is None else number))
    if name not in _ACTIONS:
        raise unsupported(f"action {name!r}")
    return int(_ACTIONS[name])


def _architecture(name: str) -> int:
    if name not in _ARCHITECTURES:
        raise unsupported(f"architecture {name!r}")
    return int(_ARCHITECTURES[name])


def _argument(item: dict[str, Any]) -> tuple[int, Any]:
    if item.get("op") not in _COMPARISONS:
        raise unsupported(f"comparison {item.get('op')!r}")
    values = (item.get("value", 0), item.get("valueTwo", 0))
    return item["index"], pyseccomp.Arg(item["index"], _COMPARISONS[item["op"]], *values)


def _add(made: Any, name: str, action: int, arguments: list[tuple[int, Any]]) -> None:
    """Add a rule. Conditions on different arguments must all hold; two on the same argument become rules each."""
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    if number == _UNKNOWN:
        return
    indices = [index for index, _ in arguments]
    rules = [[argument for _, argument in arguments]]
    if len(set(indices)) < len(indices):
        rules = [[argument] for _, argument in arguments]
    for conditions in rules:
        try:
            made.add_rule(action, number, *conditions)
        except OSError as error:
            raise InvalidArgument(f"seccomp: libseccomp refuses the rule for {name}: {error.strerror}") from None


def _exported(made: Any) -> bytes:
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    with open(fd, "r+b") as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()


_LD_NR, _LD_ARCH = (0x20, 0, 0, 0), (0x20, 0, 0, 4)
_JEQ, _JGT, _JGE, _JA, _RET = 0x15, 0x25, 0x35, 0x05, 0x06


def _newer_calls(names: list[str], architectures: list[int]) -> bytes:
    """Return the start of a program: a call with a higher number than every call in the profile fails with ENOSYS.

    A profile cannot name the calls of future kernels. With ENOSYS a C library falls back to the older call; with
    EPERM it would report an error (runc does the same since 1.0.0-rc93).
    """
    highest = {
        number: max(0, *(pyseccomp.resolve_syscall(number, name) for name in [*names, "read"]))
        for number in architectures
    }
    x86_64, x32 = pyseccomp.Arch.X86_64, pyseccomp.Arch.X32
    blocks: list[tuple[int, list[tuple[int, int, int, int]]]] = []
    for number in architectures:
        if number == x32:
            continue
        block = [_LD_NR]
        if number == x86_64:
            # An x32 call jumps to its own comparison, or over the block to the program.
            block += [(_JGE, 0, 1, _X32)]
            block += [(_JGT, 1, 2, highest[x32])] if x32 in highest else [(_JA, 0, 0, 2)]
        block += [(_JGT, 0, 1, highest[number]), (_RET, 0, 0, pyseccomp.ERRNO(errno.ENOSYS))]
        blocks.append((number, block))
    lines: list[tuple[int, int, int, int]] = [_LD_ARCH]
    for number, block in blocks:
        lines += [(_JEQ, 0, len(block) + 1, number), *block, (_JA, 0, 0, 0)]
    ends = len(lines)
    fixed = [
        (code, yes, no, ends - index - 1) if (code, value) == (_JA, 0) else (code, yes, no, value)
        for index, (code, yes, no, value) in enumerate(lines)
    ]
    return b"".join(struct.pack("<HBBI", *line) for line in fixed)


_START_CALLS = (
    ("clone", 0x8000 | 17),  # CLONE_PARENT, SIGCHLD
    ("ioctl", 0, 0x540E),  # TIOCSCTTY
    *((name,) for name in "brk close exit_group futex madvise mmap mremap munmap".split()),
    *((name,) for name in "poll ppoll read recvmsg rt_sigreturn sendmsg setsid write".split()),
    *((name,) for name in "execve execveat".split()),
)
"""The calls of a process between its start and its exec, with the arguments that a profile may restrict."""


def allows_start(program: bytes) -> bool:
    """Return whether a program allows every call that a process makes between its start and its exec."""
    lines = list(struct.iter_unpack("<HBBI", program))
    for name, *arguments in _START_CALLS:
        number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
        if number < 0:
            continue  # this architecture lacks the call, so Python does not make it
        data = struct.pack("<iIQ6Q", number, _NATIVE, 0, *arguments, *[0] * (6 - len(arguments)))
        if _verdict(lines, data) not in (pyseccomp.ALLOW, pyseccomp.LOG):
            return False
    return True


_NATIVE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}.get(os.uname().machine, 0)
"""AUDIT_ARCH_* of this machine (include/uapi/linux/audit.h)."""


def _verdict(lines: list[tuple[int, ...]], data: bytes) -> int:
    """Return a program's result for a struct seccomp_data, by running the instructions that libseccomp generates.

    An unknown instruction gives 0: SECCOMP_RET_KILL_THREAD.
    """
    accumulator = at = 0
    while at < len(lines):
        code, yes, no, value = lines[at]
        at += 1
        if code == _LD_NR[0]:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == _AND:
            accumulator &= value
        elif code == _JA:
            at += value
        elif code in _TESTS:
            at += yes if _TESTS[code](accumulator, value) else no
        else:
            return value if code == _RET else 0
    return 0


_AND, _JSET = 0x54, 0x45
_TESTS = {
    _JEQ: lambda accumulator, value: accumulator == value,
    _JGT: lambda accumulator, value: accumulator > value,
    _JGE: lambda accumulator, value: accumulator >= value,
    _JSET: lambda accumulator, value: accumulator & value != 0,
}
