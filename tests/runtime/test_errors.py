"""Errors of a container's first process, raised in its parent with call, path, errno and a hint."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.bundles import Box

AARCH64, X86_64 = 183, 62


def elf(machine: int, interpreter: str = "") -> bytes:
    """Return a 64-bit ELF file with only a header and, if it has an interpreter, the segment that names it."""
    name = interpreter.encode() + b"\0"
    segments = 1 if interpreter else 0
    header = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400000, 64, 0, 0, 64, 56, segments, 64, 0, 0)
    if interpreter:
        header += struct.pack("<IIQQQQQQ", 3, 4, 120, 0x400078, 0x400078, len(name), len(name), 1) + name
    return header


def put(path: Path, content: bytes, mode: int = 0o755) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def program_error(box: Box, *args: str) -> tuple[int, str, str]:
    error = box.fails(*args)
    assert error["class"] == "ProgramError"
    return error["exit_code"], error["message"], error["hint"]


def test_a_missing_program_is_exit_code_127(box: Box) -> None:
    code, message, _ = program_error(box, "nothing")
    assert (code, message) == (127, 'exec: "nothing": executable file not found in $PATH')
    code, message, _ = program_error(box, "/no/thing")
    assert (code, message) == (127, 'exec: "/no/thing": stat /no/thing: no such file or directory')


def test_a_file_without_x_or_a_directory_is_exit_code_126(box: Box) -> None:
    put(box.rootfs / "file", b"#!/bin/sh\n", 0o644)
    code, message, hint = program_error(box, "/file")
    assert (code, message) == (126, 'exec: "/file": permission denied')
    assert "0644" in hint
    assert program_error(box, "/etc")[:2] == (126, 'exec: "/etc": is a directory')
    (box.rootfs / "file").chmod(0o755)
    assert box.run("/file").returncode == 0


def test_a_program_that_only_root_may_execute_fails_for_a_user(box: Box) -> None:
    put(box.rootfs / "file", b"#!/bin/sh\n", 0o700)
    box.process["user"] = {"uid": 1000, "gid": 1000}
    assert program_error(box, "/file")[:2] == (126, "exec /file: permission denied")
    box.process["user"] = {"uid": 0, "gid": 0}
    assert box.run("/file").returncode == 0


def test_a_program_for_another_architecture_gets_a_hint(box: Box) -> None:
    other = AARCH64 if os.uname().machine == "x86_64" else X86_64
    put(box.rootfs / "file", elf(other))
    code, message, hint = program_error(box, "/file")
    assert (code, message) == (126, "exec /file: exec format error")
    assert hint.startswith("it is built for ")


def test_a_file_that_is_not_a_program_is_an_exec_format_error(box: Box) -> None:
    put(box.rootfs / "file", b"echo no first line\n")
    assert "#!/bin/sh" in program_error(box, "/file")[2]
    put(box.rootfs / "empty", b"")
    assert program_error(box, "/empty")[:2] == (126, "exec /empty: exec format error")
    put(box.rootfs / "blank", b"#!  \n")
    assert program_error(box, "/blank")[0] == 126


def test_a_missing_interpreter_is_exit_code_127(box: Box) -> None:
    put(box.rootfs / "script", b"#!/bin/bash\n")
    code, message, hint = program_error(box, "/script")
    assert (code, message) == (127, "exec /script: no such file or directory")
    assert "interpreter" in hint
    ours = X86_64 if os.uname().machine == "x86_64" else AARCH64
    put(box.rootfs / "dynamic", elf(ours, "/lib64/ld-missing.so"))
    code, message, hint = program_error(box, "/dynamic")
    assert (code, message) == (127, "exec /dynamic: no such file or directory")
    assert "interpreter" in hint


@pytest.mark.parametrize(("scripts", "code"), [(5, 0), (6, 125)])
def test_nested_scripts_run_up_to_the_kernels_limit(box: Box, scripts: int, code: int) -> None:
    for number in range(scripts):
        put(
            box.rootfs / f"s{number}", f"#!{f'/s{number + 1}' if number + 1 < scripts else '/bin/true'}\n".encode()
        )
    assert box.run("/s0").returncode == code


def child_error(box: Box) -> tuple[int, str, str, str]:
    error = box.fails("true")
    assert error["class"] == "ChildError"
    return error["errno"], error["path"], error["message"], error["hint"]


def test_a_missing_source_of_a_bind_is_named(box: Box) -> None:
    box.config["mounts"].append({"destination": "/x", "type": "bind", "source": "/no/such", "options": ["rbind"]})
    number, path, message, hint = child_error(box)
    assert (number, path) == (errno.ENOENT, "/no/such")
    assert message == "cannot mount on /x: No such file or directory: /no/such"
    assert hint == "", "the source location is shown only with --debug"


@pytest.mark.parametrize(
    ("mount", "number", "call"),
    [
        ({"destination": "/x", "type": "tmpfs", "source": "x", "options": ["size=lots"]}, errno.EINVAL, "mount: "),
        ({"destination": "/x", "type": "moonfs", "source": "x"}, errno.ENODEV, "mount: "),
        (
            {"destination": "/bin/sh/x", "type": "tmpfs", "source": "x"},
            errno.ENOTDIR,
            "cannot mount a directory on",
        ),
    ],
)
def test_a_mount_that_the_kernel_refuses_is_named(box: Box, mount: dict[str, Any], number: int, call: str) -> None:
    box.config["mounts"].append(mount)
    found, path, message, _ = child_error(box)
    assert (found, path) == (number, mount["destination"])
    assert message.startswith(call)
    assert message.endswith(mount["destination"])


def test_binding_a_directory_on_a_file_or_the_reverse_fails(box: Box) -> None:
    bind = {"destination": "/bin/sh", "type": "bind", "source": "/tmp", "options": ["rbind"]}
    box.config["mounts"].append(bind)
    assert child_error(box)[:2] == (errno.ENOTDIR, "/bin/sh")
    bind.update(source="/etc/passwd", destination="/bin")
    assert child_error(box)[:2] == (errno.EISDIR, "/bin")


def test_an_unknown_option_of_a_bind_is_refused(box: Box) -> None:
    bind = {"destination": "/x", "type": "bind", "source": "/tmp", "options": ["rbind", "upside"]}
    box.config["mounts"].append(bind)
    assert box.fails("true")["message"].endswith("mount /x: a bind has no option upside")
    bind["options"] = ["rbind", "nosuid"]
    assert box.run("true").returncode == 0


def test_a_missing_root_is_named(box: Box) -> None:
    box.config["root"]["path"] = "elsewhere"
    assert box.fails("true")["message"] == f"root.path: {box.directory}/elsewhere is not a directory"
