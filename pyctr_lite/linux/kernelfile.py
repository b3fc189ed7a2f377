"""Kernel files (/proc, /sys, cgroups): written by one unbuffered write, so that the kernel's error surfaces."""

from __future__ import annotations

import os

from pyctr_lite.linux import explain


def write(path: str, text: str) -> None:
    """Write a text to a kernel file in one write(2). Fails with the kernel's own errno and the file's path."""
    if explain.sink is None:
        _write(path, text)
    else:
        explain.step(f'write("{path}", {text!r})', _write, path, text)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)


def read(path: str) -> str:
    """The text of a kernel file, without its last newline."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(fd)
    return b"".join(chunks).decode(errors="surrogateescape").removesuffix("\n")
