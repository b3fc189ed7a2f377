"""The seccomp filter of a bundle (`linux.seccomp`): compiled once, cached, installed before the exec.

Loading libseccomp and compiling a profile takes 60 ms, too long for a container's start, and the library would
stay in the monitor's memory. So a child compiles a profile once; later starts read the program from the cache,
where its name is the profile's digest.
"""

from __future__ import annotations

import os

from pyctr_lite import errors, jsonfile, linux
from pyctr_lite.digest import sha256
from pyctr_lite.linux import constants, explain, seccomp
from pyctr_lite.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,  # for the other threads, of which there are none (so does runc)
    "SECCOMP_FILTER_FLAG_LOG": constants.SECCOMP_FILTER_FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": constants.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": constants.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
}

_ALLOWS_START = 1 << 32
"""A bit beside the flags in the header of a cached program: `Filter.allows_start`."""


class Filter:
    """A BPF program and the flags to install it with.

    `allows_start`: it allows every system call that a process makes between its start and its exec. With `listens`
    it asks an agent, whose socket is `listener_path`, about some calls (`seccomp_listener`).
    """

    __slots__ = ("allows_start", "announce", "flags", "listener_metadata", "listener_path", "program")

    def __init__(self, program: bytes, flags: int, *, allows_start: bool = False) -> None:
        self.program, self.flags, self.allows_start = program, flags, allows_start
        self.listener_path = self.listener_metadata = ""
        self.announce: Callable[[int], None] = lambda fd: None
        """Called after the installation with the listener's descriptor. Only write(2) is sure to be allowed."""

    @property
    def listens(self) -> bool:
        """Whether the filter has a listener."""
        return bool(self.flags & constants.SECCOMP_FILTER_FLAG_NEW_LISTENER)

    def install(self) -> None:
        """Install the filter for the caller, and announce its listener. A filter cannot be removed."""
        fd = seccomp.set_mode_filter(self.program, self.flags)
        if self.listens:
            self.announce(fd)


def load(profile: dict[str, Any] | jsonfile.RawJson | None, cache: str) -> Filter | None:
    """Return the filter for a profile (OCI runtime spec, config-linux.md, "Seccomp"), None for an empty profile.

    `cache` is a directory for compiled programs, created if missing; only root may write to it. A cached program
    is valid for one kernel release: a libseccomp that knows more calls is used from the next kernel on. Raises
    InvalidArgument if the profile cannot be compiled, PyctrError if libseccomp is missing.
    """
    if not profile:
        return None
    text = profile if isinstance(profile, jsonfile.RawJson) else jsonfile.dumps(profile)
    digest = sha256(f"3\n{os.uname().release}\n{text}".encode()).hexdigest()
    path = f"{cache}/{digest}"
    try:
        content = _read(path)
    except FileNotFoundError:
        explain.step("compile the seccomp profile to BPF by libseccomp", _compile_in_child, text, path)
        content = _read(path)
    header = int.from_bytes(content[: seccomp.INSTRUCTION_BYTES], "little")
    allows_start = bool(header & _ALLOWS_START)
    filter = Filter(content[seccomp.INSTRUCTION_BYTES :], header & ~_ALLOWS_START, allows_start=allows_start)
    if filter.listens:
        parsed = jsonfile.loads(text)
        filter.listener_path, filter.listener_metadata = (
            parsed["listenerPath"],
            parsed.get("listenerMetadata") or "",
        )
    return filter


def _read(path: str) -> bytes:
    with linux.closing(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        return os.read(fd, 1 << 20)  # a program has at most 4096 instructions


def _compile_in_child(text: str, path: str) -> None:
    def act() -> tuple[int, ...]:
        _compile(text, path)
        return ()

    channels.in_child(act, "the process that compiles the seccomp profile")


def _compile(text: str, path: str) -> None:
    from pyctr_lite.runtime import seccomp_compiler

    profile = jsonfile.loads(text)
    flags = profile.get("flags")
    names = ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"] if flags is None else flags  # runc's default
    mask = 0
    for name in names:
        if name not in FLAGS:
            raise seccomp_compiler.unsupported(f"flag {name!r}")
        mask |= FLAGS[name]
    if seccomp_compiler.listens(profile):
        mask |= constants.SECCOMP_FILTER_FLAG_NEW_LISTENER
    elif mask & constants.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV:
        raise errors.InvalidArgument("seccomp: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs SCMP_ACT_NOTIFY")
    program = seccomp_compiler.compile(profile)
    if seccomp_compiler.allows_start(program):
        mask |= _ALLOWS_START
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    with linux.closing(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)) as fd:
        os.write(fd, mask.to_bytes(seccomp.INSTRUCTION_BYTES, "little") + program)
    os.rename(temporary, path)
