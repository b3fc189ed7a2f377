"""White space around the owner is taken off: the file has another text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.errors import Conflict
from pyctr_lite.networks import pool

if TYPE_CHECKING:
    from pyctr_lite.networks.pool import Addresses

HINT = "whose owner is"


def take(self: Addresses, owner: str, wanted: str = "") -> str:
    numbers = [self.subnet.number(wanted)] if wanted else self.within.numbers()
    os.makedirs(self.directory, mode=0o755, exist_ok=True)
    hidden = f"{self.directory}/.{os.urandom(6).hex()}"
    fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, owner.strip().encode())
        for number in numbers:
            if number in self.excluded or number not in self.subnet.hosts():
                continue
            address = pool.text_of(number, self.subnet.family)
            try:
                os.link(hidden, f"{self.directory}/{address}")
                return address
            except FileExistsError:
                pass
    finally:
        os.close(fd)
        os.unlink(hidden)
    if wanted:
        raise Conflict("Address already in use")
    raise Conflict(f"no available addresses in the subnet {self.within}")
