"""stdout and stderr: one place decides what they do with hostile text and with a full disk.  [hot]

`prepare` runs before any verb. From then on `print` cannot let a text drive a terminal, so no verb has to think
of it. What must reach a terminal as it is goes through `styled`; what a container writes goes as bytes to the
descriptor, by `write_all`.
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
    """stdout or stderr did not take what was written: the disk under it is full, or the terminal is gone."""

    exit_code = 1

    def __init__(self, fd: int, error: OSError) -> None:
        super().__init__(f"write {_NAMES[fd]}: {(error.strerror or str(error)).lower()}")


class _Stdout(io.FileIO):
    """The descriptor below `sys.stdout`. An error names it, which tells it from all other errors."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise WriteError(1, error) from None


_NAMES = {1: "/dev/stdout", 2: "/dev/stderr"}
"""Go's names of the two, which Docker's messages have."""


def prepare() -> None:
    """Make the two streams take any text: on a terminal it is made visible, elsewhere its bytes are kept.

    Bytes that are not UTF-8 leave as they came. A character that the stream's encoding lacks becomes "?".
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
    """Write a text to stdout as it is: it holds styles of ours, or what a person's own template makes."""
    getattr(sys.stdout, "write_raw", sys.stdout.write)(text)


def one_line(text: str, fd: int = 1) -> str:
    """Return a value that cannot begin a line of its own on a terminal; the value itself if `fd` is not one."""
    if text.isprintable() or not os.isatty(fd):
        return text
    from pyctr_lite import screen

    return screen.visible(text, "")


def show_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON. On a terminal it has no control characters, and means the same."""
    from pyctr_lite import jsonfile

    text = jsonfile.dumps(value, indent=indent)
    if os.isatty(1):
        from pyctr_lite import screen

        text = screen.visible_json(text)
    print(text)


def complain(message: str, more: str = "") -> None:
    """Print one line about an error to stderr, and `more` behind it. A stderr that takes nothing is left alone."""
    try:
        print(f"pyctr_lite: {one_line(message, 2)}{more}", file=sys.stderr)
    except OSError:
        lose_unwritten(2)


def raw_stream(fd: int) -> TextIO:
    """A second stream to a descriptor, for a library that draws on the terminal and shows no text of others."""
    return os.fdopen(fd, "w", encoding=sys.stderr.encoding, errors="replace", closefd=False)


def write_all(fd: int, data: bytes) -> None:
    """Write bytes to stdout (1) or stderr (2), all of them.

    Raises BrokenPipeError if the reader has gone, WriteError if they cannot be written.
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
    """Write what the streams still hold, and return the exit code: 1 if they do not take it and `code` is 0."""
    lost = [lose_unwritten(1), lose_unwritten(2)]
    return code or int(any(lost))


def lose_unwritten(fd: int) -> bool:
    """Flush stdout (1) or stderr (2), and say so if that fails. Returns whether anything was lost.

    What cannot be written is dropped, so a later flush succeeds. A reader that has gone is not worth a message.
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
    """The bytes of what an encoding does not take (codecs.register_error)."""
    assert isinstance(error, UnicodeEncodeError)
    wrong = error.object[error.start : error.end]
    unknown = "\ufffd".encode() if error.encoding.lower() in ("utf-8", "utf8") else b"?"
    return b"".join(
        bytes([ord(letter) - 0xDC00]) if 0xDC80 <= ord(letter) <= 0xDCFF else unknown for letter in wrong
    ), error.end
