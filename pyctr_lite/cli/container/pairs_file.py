"""Files of `--env-file` and `--label-file`: NAME=VALUE or NAME a line, # begins a comment."""

from __future__ import annotations

import os

from pyctr_lite.errors import InvalidArgument

LONGEST_LINE = 64 << 10
"""Bytes: Go's bufio.Scanner, with which Docker reads these files, takes no more."""
MOST = 8 << 20
"""Bytes of a file: more than the kernel passes to any program, and an end to one that has none."""


def read(path: str) -> list[str]:
    """Return the pairs in a file. Raises InvalidArgument in Docker's words.

    The file may be a FIFO, as with `<(command)`.
    """
    lines = _content(path).split(b"\n")
    pairs = []
    for number, line in enumerate(lines, 1):
        if len(line) >= LONGEST_LINE:
            raise InvalidArgument(f"invalid env file ({path}): bufio.Scanner: token too long", "a line has 64 KiB")
        try:
            text = line.removesuffix(b"\r").decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise InvalidArgument(f"invalid env file ({path}): invalid utf8 bytes at line {number}") from None
        text = text.lstrip()
        if not text or text.startswith("#"):
            continue
        name = text.partition("=")[0]
        wrong = ""
        if not name:
            wrong = f"no variable name on line '{text}'"
        elif " " in name or "\t" in name:
            wrong = f"variable '{name}' contains whitespaces"
        elif "\0" in text:
            wrong = f"line {number} contains a NUL"
        if wrong:
            raise InvalidArgument(f"poorly formatted environment: {wrong}", f"in {path}, line {number}")
        pairs.append(text)
    return pairs


def _content(path: str) -> bytes:
    """The bytes of a file, up to a line that is too long: /dev/zero is one line."""
    data = bytearray()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidArgument(f"open {path}: {_reason(error)}") from None
    try:
        while chunk := os.read(fd, LONGEST_LINE):
            data += chunk
            if len(data) > MOST:
                raise InvalidArgument(f"invalid env file ({path}): it is larger than {MOST >> 20} MiB")
            if len(data) - data.rfind(b"\n") > 2 * LONGEST_LINE:
                break
    except OSError as error:
        raise InvalidArgument(f"read {path}: {_reason(error)}") from None
    finally:
        os.close(fd)
    return bytes(data)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
