"""stdout and stderr, made safe against hostile text and a full disk in one place.  [hot]

`prepare` runs before any verb. From then on text printed by `print` cannot control a terminal, so no verb has to
escape it. Use `styled` for text that must reach a terminal unchanged. A container's output is written as bytes to
the descriptor, by `write_all`.
"""

from __future__ import annotations

import codecs
import io
import os
import sys

from pyctr_lite import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO


class WriteError(errors.PyctrError):
    """Writing to stdout or stderr has failed: the disk is full, or the terminal is gone."""

    exit_code = 1

    def __init__(self, fd: int, error: OSError) -> None:
        super().__init__(f"write {_NAMES[fd]}: {(error.strerror or str(error)).lower()}")


class _Stdout(io.FileIO):
    """The descriptor below `sys.stdout`. It raises WriteError, which differs from the errors of other files."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise WriteError(1, error) from None


_NAMES = {1: "/dev/stdout", 2: "/dev/stderr"}
"""Go's names of the two, as in Docker's messages."""


def prepare() -> None:
    """Make both streams accept any text. A terminal shows control characters visibly; elsewhere text is unchanged.

    Bytes that are not UTF-8 are written as they were read. A character that the encoding lacks becomes "?".
    """
    codecs.register_error("pyctr_lite", _encode)
    sys.stdout = _stream(1, sys.stdout.encoding, io.BufferedWriter(_Stdout(1, "w", closefd=False)))
    if os.isatty(2):
        sys.stderr = _stream(2, sys.stderr.encoding, io.BufferedWriter(io.FileIO(2, "w", closefd=False)))
    elif isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="pyctr_lite")


def _stream(fd: int, encoding: str, raw: io.BufferedWriter) -> io.TextIOWrapper:
    if not os.isatty(fd):
        return io.TextIOWrapper(raw, encoding=encoding, errors="pyctr_lite")
    from pyctr_lite import screen

    return screen.Screen(raw, encoding=encoding, errors="pyctr_lite", line_buffering=True)


def styled(text: str) -> None:
    """Write a text to stdout unchanged: one with our own styles, or the output of the user's template."""
    getattr(sys.stdout, "write_raw", sys.stdout.write)(text)


def one_line(text: str, fd: int = 1) -> str:
    """Make line breaks and control characters in a value visible if `fd` is a terminal."""
    if text.isprintable() or not os.isatty(fd):
        return text
    from pyctr_lite import screen

    return screen.visible(text, "")


def show_json(value: Any, indent: int | str | None = None) -> None:
    """Print a value as JSON. On a terminal, control characters are written as JSON escapes."""
    from pyctr_lite import jsonfile

    text = jsonfile.dumps(value, indent=indent)
    if os.isatty(1):
        from pyctr_lite import screen

        text = screen.visible_json(text)
    print(text)


def complain(message: str, more: str = "") -> None:
    """Print an error on one line of stderr, and `more` after it. A failure to write to stderr is ignored."""
    try:
        print(f"pyctr_lite: {one_line(message, 2)}{more}", file=sys.stderr)
    except OSError:
        drop_unwritten(2)


def raw_stream(fd: int) -> TextIO:
    """Open a second stream to a descriptor, for a library that draws on the terminal and prints only our text."""
    return os.fdopen(fd, "w", encoding=sys.stderr.encoding, errors="replace", closefd=False)


def write_all(fd: int, data: bytes) -> None:
    """Write all bytes to stdout (1) or stderr (2).

    Raises BrokenPipeError if the reader has gone, WriteError on any other failure.
    """
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            import select

            poller = select.poll()
            poller.register(fd, select.POLLOUT)
            poller.poll()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise WriteError(fd, error) from None


def finish(code: int) -> int:
    """Flush both streams. Returns the exit code: `code`, or 1 if that is 0 and output was lost."""
    lost = [drop_unwritten(1), drop_unwritten(2)]
    return code or int(any(lost))


def drop_unwritten(fd: int) -> bool:
    """Flush stdout (1) or stderr (2), and report a failure. Returns whether output was lost.

    Output that cannot be written is dropped, so that a later flush succeeds. If the reader has gone, nothing is
    reported.
    """
    try:
        (sys.stdout if fd == 1 else sys.stderr).flush()
        return False
    except (WriteError, OSError, ValueError) as error:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, fd)
        os.close(null)
        if isinstance(error, WriteError):
            complain(error.message)
        return True


def _encode(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return the bytes for characters that an encoding lacks (codecs.register_error)."""
    assert isinstance(error, UnicodeEncodeError)
    wrong = error.object[error.start : error.end]
    unknown = "\ufffd".encode() if error.encoding.lower() in ("utf-8", "utf8") else b"?"
    return b"".join(
        bytes([ord(letter) - 0xDC00]) if 0xDC80 <= ord(letter) <= 0xDCFF else unknown for letter in wrong
    ), error.end
