"""Kernel files (/proc, /sys, cgroups): one unbuffered write each, so that the kernel's error is raised there."""

from __future__ import annotations

import os

from pyctr_lite.linux import explain
from pyctr_lite.linux.scoped import closing


def write(path: str, text: str) -> None:
    """Write a text to a kernel file in one write(2). Raises OSError with the kernel's errno and the path."""
    if explain.sink is None:
        _write(path, text)
    else:
        explain.step(f'write("{path}", {text!r})', _write, path, text)


def _write(path: str, text: str) -> None:
    with closing(os.open(path, os.O_WRONLY | os.O_CLOEXEC)) as fd:
        try:
            os.write(fd, text.encode())
        except OSError as error:
            error.filename = path
            raise


def read(path: str) -> str:
    """Read a kernel file, without its last newline. Raises OSError with the file's path."""
    with closing(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        try:
            chunks = []
            while chunk := os.read(fd, 65536):
                chunks.append(chunk)
        except OSError as error:
            error.filename = path
            raise
    return b"".join(chunks).decode(errors="surrogateescape").removesuffix("\n")
