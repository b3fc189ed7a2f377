"""Other pulls never get to know that the file is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.images import blob
from pyctr_lite.images.partial import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.images.partial import Body, Partial

HINT = "how do other pulls know that it is complete?"


def receive(self: Partial, body: Body, size: int, report: Callable[[int], None]) -> None:
    name = f"blob {self.digest}"
    self.catch_up()
    while True:
        piece = body.read1(CHUNK)
        if not piece:
            break
        if len(piece) > size - self.size:
            self.remove()
            raise blob.lie(name, "there are more bytes", size)
        self.write(piece)
        self.catch_up()
        report(self.size if self.size < size else size - 1)
    if self.size == size:
        digest = "sha256:" + self.hash.hexdigest()
        if digest != self.digest:
            self.remove()
            raise blob.lie(name, digest, self.digest)
        report(size)
