"""The container's terminal, made in its own devpts, so that its path exists inside."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct

from pyctr_lite import linux
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import target

_TIOCGPTPEER, _TIOCSPTLCK = 0x5441, 0x40045431
_TCGETS, _TCSETS, _ONLCR = 0x5401, 0x5402, 0x4
_TERMIOS = struct.Struct("=IIII20s")  # the kernel's struct termios: flags of input, output, control, local; c_cc


def open_console(root_fd: int) -> tuple[int, int]:
    """Open a new pseudoterminal of the devpts at /dev/pts in the root, and return its master and slave.

    The slave is opened through the master (TIOCGPTPEER), not by a path that a process inside could replace.
    Fails with ENODEV if /dev/pts/ptmx is another file. Source: pty(7), ioctl_tty(2).
    """
    master = target.open_in_root(root_fd, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
    found = os.fstat(master)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(5, 2):
        os.close(master)
        raise OSError(errno.ENODEV, "is not a terminal multiplexer", "/dev/pts/ptmx")
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    slave = explain.step(
        "ioctl(ptmx, TIOCGPTPEER)", fcntl.ioctl, master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
    )
    return master, slave


def bind_console(root_fd: int, slave: int) -> None:
    """Bind the terminal to /dev/console (OCI runtime spec, config-linux.md). Only before the root is entered."""
    with linux.closing(target.make_mountpoint(root_fd, "/dev/console", directory=False)) as fd:
        linux.mount(f"/proc/self/fd/{slave}", f"/proc/self/fd/{fd}", None, linux.MS_BIND, shown="/dev/console")


def make_controlling() -> None:
    """Make stdin the controlling terminal of the caller's session (ioctl_tty(2), TIOCSCTTY)."""
    fcntl.ioctl(0, linux.TIOCSCTTY, 0)


def omit_returns(fd: int) -> None:
    """Let a terminal pass `\\n` on as it is, without a carriage return before it (termios(3), ONLCR)."""
    mode = bytearray(_TERMIOS.size)
    fcntl.ioctl(fd, _TCGETS, mode)
    input, output, *others = _TERMIOS.unpack(mode)
    fcntl.ioctl(fd, _TCSETS, _TERMIOS.pack(input, output & ~_ONLCR, *others))


def set_size(fd: int, rows: int, columns: int) -> None:
    """Set a terminal's size in characters; its foreground process group gets SIGWINCH (TIOCSWINSZ)."""
    fcntl.ioctl(fd, linux.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
