"""Subnets for networks, and addresses in them: plain numbers, and one file per address that is taken.

A taken address is the file <run>/networks/<network>/<address> with the id of its container. It is made by link(2),
so taking one is atomic without a lock, a person can list them, and to find leftovers is to compare them with the
running containers. They are gone after a reboot, as the containers' links are.
"""

from __future__ import annotations

import _socket
import os

from pyctr_lite.digest import sha256
from pyctr_lite.errors import Conflict, InvalidArgument
from pyctr_lite.formats import number as numbers
from pyctr_lite.networks import link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULTS = (
    *(f"172.{number}.0.0/16" for number in range(17, 32)),
    *(f"192.168.{number}.0/20" for number in range(0, 256, 16)),
)
"""The subnets that networks get if none is given, in this order: Docker's."""


class Subnet:
    """A range of addresses: `first` is the lowest, a number; `prefix` the length of its prefix in bits."""

    __slots__ = ("family", "first", "prefix", "size")

    def __init__(self, text: str) -> None:
        """Parse a subnet such as 172.17.0.0/16 or fd00::/64. Raises InvalidArgument."""
        address, slash, prefix = text.partition("/")
        try:
            self.family, packed = link.parse(address)
        except ValueError:
            raise InvalidArgument(f"invalid subnet {text!r}", "such as 172.30.0.0/16 or fd00:1::/64") from None
        bits = len(packed) * 8
        if not slash or not numbers.is_whole(prefix, bits):
            raise InvalidArgument(f"invalid subnet {text!r}: its prefix must be /0 to /{bits}")
        self.prefix, self.size = int(prefix), 1 << (bits - int(prefix))
        self.first = int.from_bytes(packed) & ~(self.size - 1)

    def __contains__(self, number: int) -> bool:
        return self.first <= number < self.first + self.size

    def __str__(self) -> str:
        return f"{text_of(self.first, self.family)}/{self.prefix}"

    def overlaps(self, other: Subnet) -> bool:
        """Return whether both have an address in common."""
        return self.family == other.family and (self.first in other or other.first in self)

    def number(self, address: str) -> int:
        """Return an address of the subnet as a number. Raises InvalidArgument if it is not in the subnet."""
        try:
            family, packed = link.parse(address)
        except ValueError:
            raise InvalidArgument(f"invalid IP address: {address}") from None
        number = int.from_bytes(packed)
        if family != self.family or number not in self:
            raise InvalidArgument(f"address {address} is not in the subnet {self}")
        return number

    def numbers(self) -> range:
        """Return all addresses, as numbers."""
        return range(self.first, self.first + self.size)

    def hosts(self) -> range:
        """Return the addresses that a host may have: not the network's own, nor IPv4's broadcast address."""
        last = self.first + self.size
        if self.size <= 2:
            return range(self.first, last)
        return range(self.first + 1, last - (self.family == _socket.AF_INET))


def choose(taken: Iterable[Subnet]) -> Subnet:
    """Return the first of the default subnets that overlaps none of those taken. Raises Conflict without one."""
    taken = list(taken)
    for text in DEFAULTS:
        subnet = Subnet(text)
        if not any(subnet.overlaps(other) for other in taken):
            return subnet
    raise Conflict(
        "all predefined address pools have been fully subnetted",
        "remove networks that are not used (pyctr_lite network prune), or give --subnet",
    )


def choose_ipv6(taken: Iterable[Subnet]) -> Subnet:
    """Return the first /64 of this machine's unique local prefix that overlaps none of those taken.

    The prefix is derived from the machine's id, so that no two machines are likely to have the same (RFC 4193).
    """
    taken = list(taken)
    try:
        with open("/etc/machine-id") as file:
            machine = file.read().strip()
    except OSError:
        machine = os.uname().nodename
    prefix = b"\xfd" + sha256(f"pyctr_lite {machine}".encode()).digest()[:5]
    for number in range(1 << 16):
        address = int.from_bytes(prefix + number.to_bytes(2) + bytes(8))
        subnet = Subnet(f"{text_of(address, _socket.AF_INET6)}/64")
        if not any(subnet.overlaps(other) for other in taken):
            return subnet
    raise Conflict("could not find an available, non-overlapping IPv6 address pool", "give --subnet")


class Addresses:
    """The taken addresses of one subnet of a network, as files in a directory."""

    __slots__ = ("directory", "excluded", "subnet", "within")

    def __init__(self, directory: str, subnet: Subnet, within: Subnet | None, excluded: Iterable[str]) -> None:
        """`within` limits the addresses that `take` chooses; `excluded` are the gateway's and others'."""
        self.directory, self.subnet, self.within = directory, subnet, within or subnet
        self.excluded = {subnet.number(address) for address in excluded}

    def take(self, owner: str, wanted: str = "") -> str:
        """Take an address for a container: `wanted`, or the lowest that is free in `within`. Returns it.

        The address is taken by its file, the text of which is `owner`. Of several callers at the same time one
        gets it, and nobody, not even after a kill, ever sees the file with less than its text. A file whose name
        begins with a dot is no address; none is left behind. A missing directory is made, with mode 0755.
        The network's own address, IPv4's broadcast address and those in `excluded` are never given.
        Raises InvalidArgument if `wanted` is not in the subnet; Conflict, in Docker's words, if it cannot be given
        ("Address already in use") or if none is left ("no available addresses in the subnet WITHIN").
        """
        numbers = [self.subnet.number(wanted)] if wanted else self.within.numbers()
        usable = self.subnet.hosts()
        os.makedirs(self.directory, 0o755, exist_ok=True)
        temporary = (
            f"{self.directory}/.{os.urandom(8).hex()}"  # a pid comes back: a killed process may have had it
        )
        with open(temporary, "x") as file:
            try:
                file.write(owner)
                file.flush()
                for number in numbers:
                    if number not in usable or number in self.excluded:
                        continue
                    address = text_of(number, self.subnet.family)
                    try:
                        os.link(temporary, f"{self.directory}/{address}")
                    except FileExistsError:
                        continue
                    return address
            finally:
                os.unlink(temporary)
        if wanted:
            raise Conflict("Address already in use", f"{wanted} is taken: {self.directory} lists the owners")
        raise Conflict(f"no available addresses in the subnet {self.within}")

    def release(self, address: str, owner: str) -> None:
        """Give an address back, if this container has it. Idempotent."""
        path = f"{self.directory}/{address}"
        try:
            with open(path) as file:
                if file.read() != owner:
                    return
            os.unlink(path)
        except FileNotFoundError:
            pass

    def owners(self) -> dict[str, str]:
        """Return the containers' ids by address, those of other subnets of the network included."""
        found = {}
        try:
            names = [name for name in os.listdir(self.directory) if not name.startswith(".")]
        except FileNotFoundError:
            return {}
        for name in names:
            try:
                with open(f"{self.directory}/{name}") as file:
                    found[name] = file.read()
            except FileNotFoundError:
                continue
        return found


def text_of(number: int, family: int) -> str:
    """Return the text of an address that is a number."""
    return _socket.inet_ntop(family, number.to_bytes(4 if family == _socket.AF_INET else 16))


def mac_of(address: str) -> str:
    """Return Docker's MAC address for an IPv4 address: 02:42 and its four bytes, so that it never repeats."""
    return "02:42:" + link.parse(address)[1].hex(":")
