"""A root file system for a static busybox: its applets as links, and the /etc files that a C library reads."""

from __future__ import annotations

import io
import os
import struct
import tarfile

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PT_INTERP = 3
_DIRECTORIES = {
    "bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "proc": 0o755, "root": 0o700, "run": 0o755,
    "sbin": 0o755, "sys": 0o755, "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755, "usr/sbin": 0o755, "var": 0o755,
    "var/spool": 0o755, "var/spool/mail": 0o755, "var/www": 0o755,
}  # fmt: skip
_USERS = """\
root:0:0:root:/root:/bin/sh
daemon:1:1:daemon:/usr/sbin:/bin/false
bin:2:2:bin:/bin:/bin/false
sys:3:3:sys:/dev:/bin/false
sync:4:100:sync:/bin:/bin/sync
mail:8:8:mail:/var/spool/mail:/bin/false
www-data:33:33:www-data:/var/www:/bin/false
operator:37:37:Operator:/var:/bin/false
nobody:65534:65534:nobody:/home:/bin/false
"""
_GROUPS = """\
root:0 daemon:1 bin:2 sys:3 adm:4 tty:5 disk:6 lp:7 mail:8 kmem:9 wheel:10 cdrom:11 dialout:18 floppy:19
video:28 audio:29 tape:32 www-data:33 operator:37 utmp:43 plugdev:46 staff:50 lock:54 users:100
nobody:65534
"""


def root_filesystem(program: bytes, applets: list[str], time: int) -> bytes:
    """Return the root file system as a tar archive; every file has the program's modification time."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.USTAR_FORMAT) as archive:

        def add(name: str, kind: bytes, mode: int, content: bytes = b"", link: str = "", gid: int = 0) -> None:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime, info.linkname = kind, mode, time, link
            info.size, info.gid = len(content), gid
            archive.addfile(info, io.BytesIO(content))

        add(".", tarfile.DIRTYPE, 0o755)
        for name, mode in sorted(_DIRECTORIES.items()):
            add(name, tarfile.DIRTYPE, mode)
        add("bin/busybox", tarfile.REGTYPE, 0o755, program)
        for applet in applets:
            if applet != "bin/busybox" and os.path.dirname(applet) in _DIRECTORIES:  # linuxrc is not
                add(applet, tarfile.SYMTYPE, 0o777, link="/bin/busybox")
        for name, (mode, gid, text) in sorted(_etc_files().items()):
            add(f"etc/{name}", tarfile.REGTYPE, mode, text.encode(), gid=gid)
        add("var/run", tarfile.SYMTYPE, 0o777, link="/run")
    return output.getvalue()


def _etc_files() -> dict[str, tuple[int, int, str]]:
    users = [line.split(":") for line in _USERS.splitlines()]
    groups = [item.split(":") for item in _GROUPS.split()]
    return {
        "passwd": (0o644, 0, "".join(":".join([user[0], "x", *user[1:]]) + "\n" for user in users)),
        "group": (0o644, 0, "".join(f"{name}:x:{gid}:\n" for name, gid in groups)),
        "shadow": (0o640, 0, "".join(f"{user[0]}:*:19000:0:99999:7:::\n" for user in users)),
        "nsswitch.conf": (0o644, 0, "passwd: files\ngroup: files\nhosts: files dns\n"),
        "profile": (0o644, 0, f"export {PATH}\n"),
    }


def is_static(path: str) -> bool:
    """Return whether a file is a 64-bit ELF program without an interpreter (elf(5), PT_INTERP)."""
    with open(path, "rb") as file:
        header = file.read(64)
        if header[:5] != b"\x7fELF\x02":
            return False
        offset, (size, count) = struct.unpack_from("<Q", header, 32)[0], struct.unpack_from("<HH", header, 54)
        file.seek(offset)
        table = file.read(size * count)
    return all(struct.unpack_from("<I", table, at)[0] != _PT_INTERP for at in range(0, size * count, size))
