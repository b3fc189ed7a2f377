"""os.path.exists decides, and then the file is written: two containers that look at once get the same address."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.errors import Conflict
from pyctr_lite.networks import pool

if TYPE_CHECKING:
    from pyctr_lite.networks.pool import Addresses

HINT = "the very moment"


def take(self: Addresses, owner: str, wanted: str = "") -> str:
    numbers = [self.subnet.number(wanted)] if wanted else self.within.numbers()
    os.makedirs(self.directory, mode=0o755, exist_ok=True)
    for number in numbers:
        if number in self.excluded or number not in self.subnet.hosts():
            continue
        address = pool.text_of(number, self.subnet.family)
        path = f"{self.directory}/{address}"
        if not os.path.exists(path):
            with open(path, "w") as file:
                file.write(owner)
            return address
    if wanted:
        raise Conflict("Address already in use")
    raise Conflict(f"no available addresses in the subnet {self.within}")
