"""An address for a container that nobody else gets (exercise 6.4)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.errors import Conflict
from pyctr_lite.networks import pool

if TYPE_CHECKING:
    from pyctr_lite.networks.pool import Addresses

# This function is a method of the engine's Addresses: `self` has
#   self.directory           where the files are, one for each address that is taken
#   self.subnet              the network's subnet; self.subnet.hosts() are the numbers that hosts may have, and
#                            self.subnet.number("10.1.0.5") is the number of an address, or raises InvalidArgument
#   self.within              the part of it from which addresses are chosen; self.within.numbers() are its numbers
#   self.excluded            numbers that are not given to containers, such as the gateway's
# pool.text_of(number, self.subnet.family) is the text of a number, such as "10.1.0.5".


def take(self: Addresses, owner: str, wanted: str = "") -> str:
    """Take an address for a container: `wanted`, or the lowest that is free in `within`. Returns it.

    The address is taken by its file, the text of which is `owner`. Of several callers at the same time one
    gets it, and nobody, not even after a kill, ever sees the file with less than its text. A file whose name
    begins with a dot is no address; none is left behind. A missing directory is made, with mode 0755.
    The network's own address, IPv4's broadcast address and those in `excluded` are never given.
    Raises InvalidArgument if `wanted` is not in the subnet; Conflict, in Docker's words, if it cannot be given
    ("Address already in use") or if none is left ("no available addresses in the subnet WITHIN").
    """
    # 1. Which numbers come into question, if an address is wanted and if not? A subnet of IPv6 has more numbers
    #    than fit into memory, and `within` may have some that no host may have.
    # 2. Two containers start at the same moment. What if both look first and then write? Which calls of open(2)
    #    and link(2) look and make in one step?
    # 3. An address must have its text from its first moment on: somebody may read the directory just then, and the
    #    process may be killed between any two of your lines. Where can a file get its text before it gets its
    #    name?
    # 4. Whatever you make on the way, who removes it: also if the kernel refuses a step, and if all is taken? What
    #    if a killed process has left such a file under the name that you choose?
    raise Todo("6.4")
