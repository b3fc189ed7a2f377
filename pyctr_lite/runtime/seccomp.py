"""`linux.seccomp` of a bundle: the program for it from a cache, and its place before the exec.

libseccomp takes 60 ms to be loaded and to compile a profile, which a container's start cannot wait for, nor its
monitor keep in memory: a child does that once, and later starts read the program's bytes by the profile's digest.
"""

from __future__ import annotations

import os

from pyctr_lite import jsonfile
from pyctr_lite.digest import sha256
from pyctr_lite.linux import constants, explain, seccomp
from pyctr_lite.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": constants.SECCOMP_FILTER_FLAG_TSYNC,
    "SECCOMP_FILTER_FLAG_LOG": constants.SECCOMP_FILTER_FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": constants.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
}


_ALLOWS_START = 1 << 32
"""Beside the flags in the header of a cached program."""


class Filter:
    """A program for the kernel, and the flags to install it with.

    `allows_start`: it lets through all calls that are made between the start of a process and its exec.
    """

    __slots__ = ("allows_start", "flags", "program")

    def __init__(self, program: bytes, flags: int, *, allows_start: bool = False) -> None:
        self.program, self.flags, self.allows_start = program, flags, allows_start

    def install(self) -> None:
        """Put the caller under it, for good."""
        seccomp.set_mode_filter(self.program, self.flags)


def load(profile: dict[str, Any] | jsonfile.RawJson | None, cache: str) -> Filter | None:
    """The filter for a profile (OCI runtime spec, config-linux.md, "Seccomp"), None where there is none.

    `cache` is a directory for compiled programs, which is made; only root may write to it. A program is used until
    the kernel changes: a newer libseccomp that knows more calls comes with that, or after a reboot.
    Fails with InvalidArgument for what cannot be compiled, PyctrError where libseccomp is missing.
    """
    if not profile:
        return None
    text = profile if isinstance(profile, jsonfile.RawJson) else jsonfile.dumps(profile)
    digest = sha256(f"2\n{os.uname().release}\n{text}".encode()).hexdigest()
    path = f"{cache}/{digest}"
    try:
        content = _read(path)
    except FileNotFoundError:
        explain.step("compile the seccomp profile to BPF by libseccomp", _compile_in_child, text, path)
        content = _read(path)
    header = int.from_bytes(content[: seccomp.INSTRUCTION_BYTES], "little")
    allows_start = bool(header & _ALLOWS_START)
    return Filter(content[seccomp.INSTRUCTION_BYTES :], header & ~_ALLOWS_START, allows_start=allows_start)


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 1 << 20)  # a program has at most 4096 instructions
    finally:
        os.close(fd)


def _compile_in_child(text: str, path: str) -> None:
    ours, theirs = channels.pair()
    pid = os.fork()
    if pid == 0:
        try:
            _compile(text, path)
        except BaseException as error:
            theirs.send(channels.describe_error(error))
        finally:
            os._exit(0)
    theirs.close()
    try:
        received = ours.receive()
    finally:
        ours.close()
        os.waitpid(pid, 0)
    if received is not None:
        channels.raise_error(received[0])


def _compile(text: str, path: str) -> None:
    from pyctr_lite.runtime import seccomp_compiler

    profile = jsonfile.loads(text)
    flags = profile.get("flags")
    words = ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"] if flags is None else flags  # as runc does without any
    mask = 0
    for word in words:
        if word not in _FLAGS:
            raise seccomp_compiler.refused(f"flag {word!r}")
        mask |= _FLAGS[word]
    program = seccomp_compiler.compile(profile)
    if seccomp_compiler.allows_start(program):
        mask |= _ALLOWS_START
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, mask.to_bytes(seccomp.INSTRUCTION_BYTES, "little") + program)
    finally:
        os.close(fd)
    os.rename(temporary, path)
