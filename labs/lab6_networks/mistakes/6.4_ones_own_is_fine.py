"""An address that the owner has already is given once more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pyctr_lite.errors import Conflict
from pyctr_lite.networks import pool

if TYPE_CHECKING:
    from pyctr_lite.networks.pool import Addresses

HINT = "if by the same owner"


def take(self: Addresses, owner: str, wanted: str = "") -> str:
    numbers = [self.subnet.number(wanted)] if wanted else self.within.numbers()
    os.makedirs(self.directory, mode=0o755, exist_ok=True)
    hidden = f"{self.directory}/.{os.urandom(6).hex()}"
    fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, owner.encode())
        for number in numbers:
            if number in self.excluded or number not in self.subnet.hosts():
                continue
            address = pool.text_of(number, self.subnet.family)
            path = f"{self.directory}/{address}"
            try:
                os.link(hidden, path)
                return address
            except FileExistsError:
                if wanted and Path(path).read_text() == owner:
                    return address
    finally:
        os.close(fd)
        os.unlink(hidden)
    if wanted:
        raise Conflict("Address already in use")
    raise Conflict(f"no available addresses in the subnet {self.within}")
