"""The networks of a state directory: <root>/networks/<id>/network.json, which survives a reboot.

The bridge of a network and the addresses of its containers do not: the first container of a network makes the
bridge again (`bridge.ensure`).
"""

from __future__ import annotations

import fcntl
import os
import time

from pyctr_lite import jsonfile
from pyctr_lite.errors import Conflict, InvalidArgument, NotFound
from pyctr_lite.formats import number as numbers
from pyctr_lite.formats import timestamps
from pyctr_lite.linux.scoped import closing
from pyctr_lite.networks import DEFAULT, link
from pyctr_lite.networks.pool import Subnet, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Rows = list[tuple[str, str, str]]

RESERVED = ("bridge", "host", "none", "default")
"""Names that `create` refuses: they are networks, or modes, of every engine."""

_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_OPTION = "com.docker.network."
OPTIONS = {
    "bridge.name": f"{_OPTION}bridge.name",
    "mtu": f"{_OPTION}driver.mtu",
    "icc": f"{_OPTION}bridge.enable_icc",
    "masquerade": f"{_OPTION}bridge.enable_ip_masquerade",
    "host_binding": f"{_OPTION}bridge.host_binding_ipv4",
}
"""Docker's options of a bridge network."""
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
"""Go's spellings of the values (strconv.ParseBool)."""
_UNUSABLE = ("0.0.0.0/8", "224.0.0.0/3", "::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8")
"""This machine; multicast and reserved; loopback, IPv4 in IPv6, link-local and multicast of IPv6 (RFC 6890)."""
_MAX_NAME = 15
"""Characters of a link's name (IFNAMSIZ, without the zero byte)."""


class Network:
    """One bridge network. `subnets` are rows of subnet, gateway and range: one for IPv4, and one for IPv6."""

    __slots__ = (
        *("attachable", "created", "given", "id", "internal", "labels", "name", "options", "reserved"),
        "subnets",
    )

    def __init__(
        self,
        id: str,
        name: str,
        created: str,
        subnets: Rows,
        *,
        internal: bool = False,
        attachable: bool = False,
        labels: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
        reserved: dict[str, str] | None = None,
        given: list[str] | None = None,
    ) -> None:
        self.id, self.name, self.created, self.subnets, self.internal = id, name, created, subnets, internal
        self.attachable, self.labels, self.options = attachable, labels or {}, options or {}
        self.reserved = reserved or {}
        """Addresses that no container gets, by the names that --aux-address gave them."""
        self.given = [row[0] for row in subnets] if given is None else given
        """The subnets that the user has chosen. The others are the engine's choice, which may change."""

    @property
    def bridge(self) -> str:
        """The name of its bridge. The kernel allows 15 characters, and all of ours start with pc-."""
        return self.options.get(OPTIONS["bridge.name"]) or f"pc-{self.id[:12]}"

    @property
    def ipv6(self) -> bool:
        """Whether its containers have IPv6 addresses."""
        return any(":" in subnet for subnet, _, _ in self.subnets)

    @property
    def mtu(self) -> int:
        """The largest packet, in bytes. Raises ValueError if the option is not a number from 68 to 65535."""
        return numbers.whole(self.options.get(OPTIONS["mtu"], "1500"), 65535, 68)

    @property
    def together(self) -> bool:
        """Whether its containers reach each other."""
        return self.options.get(OPTIONS["icc"]) not in _FALSE

    @property
    def masquerade(self) -> bool:
        """Whether its containers' packets to other machines get an address of this machine."""
        return self.options.get(OPTIONS["masquerade"]) not in _FALSE

    @property
    def host_binding(self) -> str:
        """The address of this machine on which ports are published by default, "" for all."""
        return self.options.get(OPTIONS["host_binding"], "")

    def to_json(self) -> dict[str, Any]:
        """Return the content of network.json, with Docker's names."""
        return {
            "Name": self.name,
            "Id": self.id,
            "Created": self.created,
            "Driver": "bridge",
            "Internal": self.internal,
            "Attachable": self.attachable,
            "IPAM": [
                {
                    "Subnet": subnet,
                    "Gateway": gateway,
                    **({"IPRange": within} if within else {}),
                    **({} if subnet in self.given else {"Automatic": True}),
                }
                for subnet, gateway, within in self.subnets
            ],
            "Options": self.options,
            "Labels": self.labels,
            "AuxiliaryAddresses": self.reserved,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Network:
        """Return the network that `to_json` has described.

        Older versions did not write who chose a subnet, but nobody can choose the default network's.
        """
        rows = [(row["Subnet"], row["Gateway"], row.get("IPRange", "")) for row in record["IPAM"]]
        is_default = record["Name"] == DEFAULT
        return cls(
            *(record["Id"], record["Name"], record["Created"], rows),
            internal=record["Internal"],
            attachable=record.get("Attachable", False),
            labels=record["Labels"],
            options=record["Options"],
            reserved=record.get("AuxiliaryAddresses"),
            given=[row["Subnet"] for row in record["IPAM"] if not row.get("Automatic", is_default)],
        )


class NetworkStore:
    """The networks in a state directory. Several processes may use it at the same time."""

    def __init__(self, root: str) -> None:
        self.directory = os.path.join(root, "networks")

    def create(self, name: str, subnets: Callable[[list[Network]], Rows], **more: Any) -> Network:
        """Create a network. `subnets` chooses its rows, given all other networks, while no other is created.

        `more` are arguments of `Network`. Raises InvalidArgument for an invalid name, Conflict for one in use.
        """
        if not name or name[0] not in _NAME or not all(letter in _NAME + "_.-" for letter in name):
            raise InvalidArgument(f"invalid name {name!r}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(self.directory, 0o700)  # whoever can open the directory can hold its lock
        with closing(os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            others = self.list()
            if any(other.name == name for other in others):
                raise Conflict(f"network with name {name} already exists")
            created = timestamps.format(time.time_ns())
            check_options(more.get("options") or {})
            network = Network(os.urandom(32).hex(), name, created, subnets(others), **more)
            if any(other.bridge == network.bridge for other in others):
                raise Conflict(f"the bridge {network.bridge} belongs to another network")
            directory = f"{self.directory}/{network.id}"
            os.mkdir(f"{directory}.creating")
            jsonfile.write(f"{directory}.creating/network.json", network.to_json(), durable=True)
            os.rename(f"{directory}.creating", directory)
        return network

    def change(self, network: Network) -> None:
        """Replace a network's record."""
        jsonfile.write(f"{self.directory}/{network.id}/network.json", network.to_json(), durable=True)

    def read(self, id: str) -> Network:
        """Return the network with an id. Raises FileNotFoundError."""
        return Network.from_json(jsonfile.read(f"{self.directory}/{id}/network.json"))

    def get(self, reference: str) -> Network:
        """Return a network by its id, its name, or the beginning of its id. Raises NotFound or Conflict."""
        networks = self.list()
        for network in networks:
            if reference in (network.id, network.name):
                return network
        found = [network for network in networks if reference and network.id.startswith(reference)]
        if len(found) > 1:
            raise Conflict(f"network {reference} is ambiguous ({len(found)} matches found on name)")
        if found:
            return found[0]
        raise NotFound(f"network {reference} not found", "pyctr_lite network ls lists them")

    def list(self) -> list[Network]:
        """Return all networks, sorted by name."""
        found = []
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        for name in names:
            if name.endswith((".creating", ".removing")):
                continue
            try:
                found.append(self.read(name))
            except FileNotFoundError:
                continue  # removed meanwhile
        return sorted(found, key=lambda network: network.name)

    def remove(self, network: Network) -> None:
        """Remove a network's record. Idempotent. The caller has made sure that no container needs it."""
        directory = f"{self.directory}/{network.id}"
        try:
            os.rename(directory, f"{directory}.removing")
            os.unlink(f"{directory}.removing/network.json")
            os.rmdir(f"{directory}.removing")
        except FileNotFoundError:
            pass


def check_options(options: dict[str, str]) -> None:
    """Check the values of Docker's options; others are kept as they are. Raises InvalidArgument."""
    for name in ("icc", "masquerade"):
        value = options.get(OPTIONS[name], "true")
        if value not in _TRUE + _FALSE:
            raise InvalidArgument(f"invalid value for {OPTIONS[name]}: {value!r}", "give true or false")
    mtu = options.get(OPTIONS["mtu"], "1500")
    if not numbers.is_whole(mtu, 65535) or int(mtu) < 68:
        raise InvalidArgument(f"invalid value for {OPTIONS['mtu']}: {mtu!r}", "a number of bytes from 68 to 65535")
    address = options.get(OPTIONS["host_binding"], "0.0.0.0")
    try:
        link.parse(address)
    except ValueError:
        raise InvalidArgument(
            f"invalid value for {OPTIONS['host_binding']}: {address!r}", "an IP address"
        ) from None
    bridge = options.get(OPTIONS["bridge.name"], "pc-")
    if len(bridge) > _MAX_NAME or bridge in ("", ".", "..") or not set(bridge) <= set(_NAME + "_.-"):
        raise InvalidArgument(
            f"invalid value for {OPTIONS['bridge.name']}: {bridge!r}", f"at most {_MAX_NAME} letters, digits, _.-"
        )


def rows(given: Rows, choose: Callable[[], Subnet], choose_ipv6: Callable[[], Subnet] | None = None) -> Rows:
    """Complete rows of subnet, gateway and range: an IPv4 subnet if none is given, the first address as gateway.

    With `choose_ipv6` also an IPv6 subnet if none is given. Raises InvalidArgument for an address or a range
    outside its subnet, or for two subnets of one kind.
    """
    result: Rows = []
    for subnet_text, gateway, within in given:
        subnet = Subnet(subnet_text)
        _check_usable(subnet)
        if within:
            part = Subnet(within)
            if not subnet.overlaps(part) or part.prefix < subnet.prefix:
                raise InvalidArgument(f"the range {within} is not a part of the subnet {subnet}")
        result.append((str(subnet), _gateway(subnet, gateway), within))
    if not any(":" not in subnet for subnet, _, _ in result):
        subnet = choose()
        result.insert(0, (str(subnet), _gateway(subnet, ""), ""))
    if choose_ipv6 is not None and not any(":" in subnet for subnet, _, _ in result):
        subnet = choose_ipv6()
        result.append((str(subnet), _gateway(subnet, ""), ""))
    if len(result) > len({":" in subnet for subnet, _, _ in result}):
        raise InvalidArgument(
            "bridge driver doesn't support multiple subnets", "at most one for IPv4, and one for IPv6"
        )
    return result


def _check_usable(subnet: Subnet) -> None:
    """Raise InvalidArgument for a subnet whose addresses hosts cannot have, or with room for the gateway alone."""
    for text in _UNUSABLE:
        if subnet.overlaps(Subnet(text)):
            hint = "such as 172.30.0.0/16"
            raise InvalidArgument(f"invalid subnet {subnet}: {text} has a meaning of its own", hint)
    if len(subnet.hosts()[:2]) < 2:
        hint = "at most /30, or /126"
        raise InvalidArgument(f"invalid subnet {subnet}: it has no address for a container", hint)


def _gateway(subnet: Subnet, given: str) -> str:
    number = subnet.number(given) if given else subnet.hosts()[0]
    if number not in subnet.hosts():
        raise InvalidArgument(f"invalid gateway {given}: no host of the subnet {subnet} may have that address")
    return text_of(number, subnet.family)
