"""The user's end of an attached process, a terminal or pipes: raw mode, resize, detach keys, signals.  [hot]"""

from __future__ import annotations

import _signal
import errno
import fcntl
import os
import select
import struct
import sys

from pyctr_lite import jsonfile, linux
from pyctr_lite.cli.command import output
from pyctr_lite.errors import InvalidArgument, PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.life.attach import Attachment

DETACH_KEYS = "ctrl-p,ctrl-q"
_FAULTS = frozenset(
    (_signal.SIGSEGV, _signal.SIGBUS, _signal.SIGFPE, _signal.SIGILL, _signal.SIGTRAP, _signal.SIGSYS)
)
"""Signals of a fault in this program. A handler would return to the faulting instruction for ever; while they are
blocked, the kernel still ends the process by them."""
_PROXIED = frozenset(range(1, _signal.NSIG)) - {
    *(_signal.SIGKILL, _signal.SIGSTOP, _signal.SIGCHLD, _signal.SIGPIPE, _signal.SIGURG),
    *(32, 33),  # the C library's own
}
"""The signals that Docker's client and podman pass on: all but those that concern the client alone."""
_STOPPING = frozenset((_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU))
_HARMLESS = frozenset((_signal.SIGCONT, _signal.SIGWINCH))
_UNSPECIAL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


class Detached(Exception):
    """The user has pressed the detach keys."""


def parse_keys(text: str) -> bytes:
    """Return the bytes of detach keys such as `ctrl-p,ctrl-q`. Raises InvalidArgument."""
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
    """Return the rows and columns of a terminal; (0, 0) if `fd` is not a terminal."""
    try:
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, linux.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        return 0, 0
    return rows, columns


def hold_signals() -> None:
    """Block signals from here on. They stay pending until `follow` can pass them to the process."""
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _PROXIED - _STOPPING)


def pending_end() -> int:
    """Return a pending signal that would have ended this process; 0 if there is none."""
    ends = _signal.sigpending() - _STOPPING - _HARMLESS
    return min((number for number in ends if _signal.getsignal(number) != _signal.SIG_IGN), default=0)


def follow(
    attachment: Attachment,
    *,
    stdin: bool,
    tty: bool,
    keys: str = DETACH_KEYS,
    proxy: bool = True,
    outputs: str = "12",
) -> int | None:
    """Serve as the process's terminal until it ends. Returns its exit code, or None if the user detached.

    `stdin` gives it our input, `tty` means that it has a terminal, `proxy` sends it every signal that we get.
    Without `proxy` a signal has its usual effect on this process, after the terminal is restored. `outputs` are
    the descriptors of output to show; without any, the session ends with the input, and 0 is returned. On return
    signals are blocked, because the caller has nothing left to do but end.
    """
    loop = _Loop(attachment, stdin, tty, parse_keys(keys), outputs)
    if tty and stdin and os.isatty(0):
        from pyctr_lite.linux import rawmode

        loop.saved = rawmode.mode_of(0)
    detached = False
    try:
        loop.set_raw()
        if tty:
            loop.resize()
        loop.watch_signals(proxy)
        return loop.run()
    except Detached:
        detached = True
        return None
    finally:
        _signal.pthread_sigmask(_signal.SIG_BLOCK, _PROXIED - _STOPPING)
        loop.restore()
        if detached:
            output.write_all(2, b"read escape sequence\n")
        attachment.close()


def _is_in_background() -> bool:
    """Return whether this process is in the background of its terminal."""
    try:
        return os.tcgetpgrp(0) != os.getpgrp()
    except OSError:
        return False  # not the controlling terminal


class _Loop:
    def __init__(self, attachment: Attachment, stdin: bool, tty: bool, keys: bytes, outputs: str) -> None:
        self.attachment, self.tty, self.keys, self.outputs = attachment, tty, keys, outputs
        self.reading = stdin
        self.matched = b""
        self.saved: list[Any] | None = None
        """The mode to restore, or None if the terminal is not made raw."""
        self.proxy = True
        self.faults = -1

    def watch_signals(self, proxy: bool) -> None:
        """Handle every signal that is passed on, or that must not leave the terminal raw."""
        self.proxy = proxy
        handled = _PROXIED if proxy or self.saved is not None else {_signal.SIGWINCH} if self.tty else frozenset()
        for number in handled - _FAULTS:
            if number != _signal.SIGHUP or _signal.getsignal(number) != _signal.SIG_IGN:  # ignored under nohup(1)
                _signal.signal(number, self.on_signal)
        if handled & _FAULTS:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, _FAULTS)
            self.faults = linux.signalfd(_FAULTS)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _PROXIED - (_FAULTS & handled))

    def on_signal(self, number: int, _: object) -> None:
        """Pass a signal on, or act on it."""
        if number == _signal.SIGWINCH and self.tty:
            self.resize()
        if number == _signal.SIGCONT:
            self.set_raw()
        if number in _STOPPING and (not self.proxy or (number != _signal.SIGTSTP and _is_in_background())):
            self._stop(number)
        elif self.proxy:
            self.attachment.signal(number)
        elif number not in _HARMLESS:
            raise SystemExit(128 + number)

    def set_raw(self) -> None:
        """Make the terminal raw if this session needs that and is in the foreground."""
        if self.saved is not None and not _is_in_background():
            from pyctr_lite.linux import rawmode

            rawmode.set_raw(0, self.saved)

    def restore(self) -> None:
        """Restore the terminal's mode."""
        if self.saved is not None:
            from pyctr_lite.linux import rawmode

            rawmode.restore(0, self.saved)

    def _stop(self, number: int) -> None:
        """Stop this process by the signal's default action, as job control expects.

        If a handler only returned, the terminal call that raised the signal would be restarted for ever.
        """
        if not _is_in_background():
            self.restore()
        _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)
        _signal.signal(number, self.on_signal)  # continued: SIGCONT has made the terminal raw again

    def run(self) -> int:
        """Move data until the process ends. Returns its exit code.

        While input waits to be sent, no more input is read; output is still shown.
        """
        self.attachment.sock.setblocking(False)
        while True:
            waiting = self.attachment.waiting
            if not (self.outputs or self.reading or waiting):
                return 0
            poller = select.poll()
            poller.register(self.attachment, select.POLLIN | (select.POLLOUT if waiting else 0))
            if self.reading and not waiting:
                try:
                    poller.register(0, select.POLLIN)
                except OSError as error:
                    if error.errno != errno.EPERM:
                        raise
            if self.faults >= 0:
                poller.register(self.faults, select.POLLIN)
            ready = dict(poller.poll())
            if self.faults in ready:
                self.on_signal(int.from_bytes(os.read(self.faults, 128)[:4], sys.byteorder), None)
            if 0 in ready:
                self._read_input()
            events = ready.get(self.attachment.fileno(), 0)
            if events & select.POLLOUT:
                self.attachment.flush()
            if events & ~select.POLLOUT:
                kind, data = self.attachment.receive()
                if kind in ("1", "2"):
                    if kind in self.outputs:
                        output.write_all(int(kind), data)
                elif kind == "X":
                    return int(jsonfile.loads(data)["ExitCode"])
                elif not kind:
                    raise PyctrError(
                        "the container's monitor was killed: its output is lost", "see its state: pyctr_lite ps -a"
                    )

    def resize(self) -> None:
        """Give the process's terminal the size of ours."""
        rows, columns = size(0)
        if rows:
            self.attachment.resize(rows, columns)

    def _read_input(self) -> None:
        try:
            data = os.read(0, 32 * 1024)
        except BlockingIOError:
            return  # another process has read the input
        except OSError:  # EIO: the terminal has been hung up
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
