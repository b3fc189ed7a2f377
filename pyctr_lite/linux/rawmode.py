"""The raw mode of the user's terminal. Imported only if a terminal is made raw: `termios` takes 0.7 ms to load."""

from __future__ import annotations

import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def mode_of(fd: int) -> list[Any]:
    """Return a terminal's mode, for `restore`."""
    return termios.tcgetattr(fd)


def set_raw(fd: int, saved: list[Any], *, keep_output: bool = False) -> None:
    """Make a terminal raw as cfmakeraw(3) does: no echo, no line editing, no signals by keys.

    `saved` is its mode before. With `keep_output` it goes on writing "\\n" as "\\r\\n".
    Does nothing if the terminal has hung up.
    """
    mode = [*saved[:6], list(saved[6])]
    mode[0] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    if not keep_output:
        mode[1] &= ~termios.OPOST
    mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    restore(fd, mode)


def restore(fd: int, mode: list[Any]) -> None:
    """Set a terminal's mode. Does nothing if the terminal has hung up."""
    try:
        termios.tcsetattr(fd, termios.TCSADRAIN, mode)
    except (OSError, termios.error):
        pass
