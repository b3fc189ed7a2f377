"""Between the user's terminal or pipes and an attached process: raw mode, resize, detach keys, signals.  [hot]"""

from __future__ import annotations

import _signal
import errno
import fcntl
import os
import select
import struct
import termios

from pyctr_lite import jsonfile
from pyctr_lite.cli import output
from pyctr_lite.errors import InvalidArgument, PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.attach import Attachment

DETACH_KEYS = "ctrl-p,ctrl-q"
_PROXIED = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGUSR1, _signal.SIGUSR2)
_UNSPECIAL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


class Detached(Exception):
    """The user has pressed the detach keys."""


def parse_keys(text: str) -> bytes:
    """The bytes of `ctrl-p,ctrl-q`. Fails with InvalidArgument."""
    keys = b""
    for key in text.split(",") if text else []:
        if len(key) == 1 and key.isascii():
            keys += key.encode()
        elif key.startswith("ctrl-") and len(key) == 6 and ("a" <= key[5] <= "z" or key[5] in _UNSPECIAL):
            keys += bytes([_UNSPECIAL.get(key[5], ord(key[5]) - 96)])
        else:
            raise InvalidArgument(f"invalid detach keys: unknown character {key!r} in {text!r}")
    return keys


def size(fd: int = 0) -> tuple[int, int]:
    """The rows and columns of a terminal; (0, 0) where it is none."""
    try:
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        return 0, 0
    return rows, columns


def follow(
    attachment: Attachment, *, stdin: bool, tty: bool, keys: str = DETACH_KEYS, proxy: bool = True
) -> int | None:
    """Be the process's terminal until it ends: its exit code, or None where the user detached.

    `stdin` gives it our input, `tty` says that it has a terminal, `proxy` sends it the signals that we get.
    """
    loop = _Loop(attachment, stdin, tty, parse_keys(keys))
    detached = False
    saved = termios.tcgetattr(0) if tty and stdin and os.isatty(0) else None
    handlers: dict[int, Any] = {}
    try:
        if saved is not None:
            _set_raw(0, saved)
        if tty:
            handlers[_signal.SIGWINCH] = _signal.signal(_signal.SIGWINCH, lambda *_: loop.resize())
            loop.resize()
        if saved is not None:
            for number in (_signal.SIGTERM, _signal.SIGHUP):
                handlers[number] = _signal.signal(number, _leave)  # not without the terminal as it was
        elif proxy:
            for number in _PROXIED:
                handlers[number] = _signal.signal(number, lambda number, _: attachment.signal(number))
        return loop.run()
    except Detached:
        detached = True
        return None
    finally:
        for number, handler in handlers.items():
            _signal.signal(number, handler)
        if saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)
        if detached:
            output.write_all(2, b"read escape sequence\n")
        attachment.close()


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _set_raw(fd: int, saved: list[Any]) -> None:
    """What cfmakeraw(3) does: no echo, no line editing, no signals by keys."""
    mode = [*saved[:6], list(saved[6])]
    mode[0] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    mode[1] &= ~termios.OPOST
    mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSADRAIN, mode)


class _Loop:
    def __init__(self, attachment: Attachment, stdin: bool, tty: bool, keys: bytes) -> None:
        self.attachment, self.tty, self.keys = attachment, tty, keys
        self.reading = stdin
        self.matched = b""

    def run(self) -> int:
        """Move data until the end comes. What is not taken yet keeps us from reading more, not from showing."""
        self.attachment.sock.setblocking(False)
        while True:
            waiting = bool(self.attachment.waiting)
            poller = select.poll()
            poller.register(self.attachment, select.POLLIN | (select.POLLOUT if waiting else 0))
            if self.reading and not waiting:
                try:
                    poller.register(0, select.POLLIN)
                except OSError as error:
                    if error.errno != errno.EPERM:
                        raise
            ready = dict(poller.poll())
            if 0 in ready:
                self._read_input()
            events = ready.get(self.attachment.fileno(), 0)
            if events & select.POLLOUT:
                self.attachment.flush()
            if events & ~select.POLLOUT:
                kind, data = self.attachment.receive()
                if kind in ("1", "2"):
                    output.write_all(int(kind), data)
                elif kind == "X":
                    return int(jsonfile.loads(data)["ExitCode"])
                elif not kind:
                    raise PyctrError(
                        "the container's monitor was killed: its output is lost", "ps tells what is left"
                    )

    def resize(self) -> None:
        """Tell the process how large our terminal is now."""
        rows, columns = size(0)
        if rows:
            self.attachment.resize(rows, columns)

    def _read_input(self) -> None:
        try:
            data = os.read(0, 32 * 1024)
        except OSError:
            data = b""
        if not data:
            self.reading = False
            if not self.tty:
                self.attachment.end_input()
            else:
                self.attachment.send_input(b"\x04")
            return
        if self.tty and self.keys:
            data = self._without_detach_keys(data)
        if data:
            self.attachment.send_input(data)

    def _without_detach_keys(self, data: bytes) -> bytes:
        out = b""
        for byte in data:
            key = bytes([byte])
            if self.keys.startswith(self.matched + key):
                self.matched += key
                if self.matched == self.keys:
                    if out:
                        self.attachment.send_input(out)
                    raise Detached
            else:
                out += self.matched
                self.matched = b""
                if self.keys.startswith(key):
                    self.matched = key
                else:
                    out += key
        return out
