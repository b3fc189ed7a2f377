"""The text is still in Python's buffer when the file gets its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.errors import Conflict
from pyctr_lite.networks import pool

if TYPE_CHECKING:
    from pyctr_lite.networks.pool import Addresses

HINT = "What would somebody make of it"


def take(self: Addresses, owner: str, wanted: str = "") -> str:
    numbers = [self.subnet.number(wanted)] if wanted else self.within.numbers()
    os.makedirs(self.directory, mode=0o755, exist_ok=True)
    hidden = f"{self.directory}/.{os.urandom(6).hex()}"
    file = open(hidden, "x")  # noqa: SIM115
    try:
        file.write(owner)
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
        file.close()
        os.unlink(hidden)
    if wanted:
        raise Conflict("Address already in use")
    raise Conflict(f"no available addresses in the subnet {self.within}")
