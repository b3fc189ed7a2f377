"""Ports as `--publish`, `--expose`, EXPOSE and the filters of `ps` give them.  [hot when --publish is given]

The grammar and the messages are those of Docker's client (go-connections/nat). Refused as in
Docker 29, not in 28: "1-2-3" and "80/tcp/udp". Refused unlike in Docker: port 0 of a container, unknown protocols.
"""

from __future__ import annotations

import _socket

from pyctr_lite.formats import number

PROTOCOLS = ("tcp", "udp", "sctp")
MAX_PORT = 65535


class Binding:
    """A port of the container that is published on one of the host's ports from `first` to `last`.

    Both are 0 for any free port. `host_ip` is "" for all addresses of the host, without brackets for IPv6.
    """

    __slots__ = ("container_port", "first", "host_ip", "last", "protocol")

    def __init__(self, host_ip: str, first: int, last: int, container_port: int, protocol: str = "tcp") -> None:
        self.host_ip, self.first, self.last = host_ip, first, last
        self.container_port, self.protocol = container_port, protocol

    @property
    def host_port(self) -> str:
        """The host's port as Docker's HostPort: "8080", "8000-8010", or "" for any free port."""
        if not self.first:
            return ""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def __str__(self) -> str:
        """Return the text of this binding alone, which `parse_publish` accepts: "[::1]:8080:80/tcp"."""
        address = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        return f"{address and address + ':'}{self.host_port}:{self.container_port}/{self.protocol}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Binding) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    __repr__ = __str__


def parse(text: str, minimum: int = 0) -> tuple[range, str]:
    """Parse `port[-port][/protocol]`: return the ports and the protocol, "tcp" if none is given.

    Raises ValueError with Docker's message. Port 0 is below the `minimum` of EXPOSE, but a filter accepts it.
    """
    ports, _, protocol = text.partition("/")
    numbers = _parse_range(ports, "containerPort", minimum)
    protocol = protocol.lower() or "tcp"
    if protocol not in PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    return numbers, protocol


def parse_publish(text: str) -> list[Binding]:
    """Parse the argument of `--publish`: `[[host_ip:][host_port]:]container_port[/protocol]`, or its long form.

    Ports may be ranges; each port of the container gets a binding. The long form is `target=…,published=…,
    protocol=…`; as in Docker, other fields are ignored. Raises ValueError with Docker's message.
    """
    short = _short_form(text) if "=" in text else text
    before, _, container = short.rpartition(":")
    address, _, host = before.rpartition(":")
    if not container.partition("/")[0]:
        raise ValueError(f"no port specified: {short}<empty>")
    host_ip = _parse_address(address) if address else ""
    numbers, protocol = parse(container, minimum=1)
    if not host:
        return [Binding(host_ip, 0, 0, port, protocol) for port in numbers]
    hosts = _parse_range(host, "hostPort", 0)
    if len(hosts) > 1 and not hosts[0]:
        raise ValueError(f"invalid hostPort: {host}")  # Docker accepts it: port 0 would be any, port 1 itself
    if len(numbers) == 1:
        return [Binding(host_ip, hosts[0], hosts[-1], numbers[0], protocol)]
    if len(numbers) != len(hosts):
        ports = container.partition("/")[0]
        raise ValueError(f"invalid ranges specified for container and host Ports: {ports} and {host}")
    return [Binding(host_ip, port, port, inner, protocol) for port, inner in zip(hosts, numbers, strict=True)]


def parse_expose(text: str) -> list[tuple[int, str]]:
    """Parse the argument of `--expose`, `port[-port][/protocol]`: return each port with the protocol.

    Raises ValueError with Docker's message.
    """
    if ":" in text:
        raise ValueError(f"invalid port format for --expose: {text}")
    ports = text.partition("/")[0]
    try:
        first, dash, last = ports.partition("-")
        if not ports:
            raise ValueError("empty string specified for ports")
        low = _parse_number(first)
        if dash and _parse_number(last) < low:
            raise ValueError(f"invalid range specified for port: {ports}")
    except ValueError as error:
        raise ValueError(f"invalid range format for --expose: {text}, error: {error}") from None
    numbers, protocol = parse(text, minimum=1)
    return [(port, protocol) for port in numbers]


def _short_form(text: str) -> str:
    fields = {"protocol": "tcp"}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        if not equals or not key:
            raise ValueError(f"invalid publish opts format (should be name=value but got '{field}')")
        fields[key] = value
    return f"{fields.get('published', '')}:{fields.get('target', '')}/{fields['protocol']}"


def _parse_address(text: str) -> str:
    """Return an address in its usual form, without the brackets of IPv6."""
    inner, reason = text, ""
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        if not bracket:
            reason = "missing ']' in address"
        elif rest:
            reason = "missing port in address"
        elif not inner:
            return ""
    if reason:
        raise ValueError(f"invalid IP address {text}: address {text}:: {reason}")
    family = _socket.AF_INET6 if ":" in inner else _socket.AF_INET
    try:
        address = _socket.inet_ntop(family, _socket.inet_pton(family, inner))
    except (OSError, ValueError):
        raise ValueError(f"invalid IP address: {inner}") from None
    return address.removeprefix("::ffff:") if "." in address else address  # IPv4 in the form of IPv6


def _parse_range(text: str, name: str, minimum: int) -> range:
    first, dash, last = text.partition("-")
    try:
        low = number.whole(first, MAX_PORT, minimum)
        high = number.whole(last, MAX_PORT, low) if dash else low
    except ValueError:
        raise ValueError(f"invalid {name}: {text}") from None
    return range(low, high + 1)


def _parse_number(text: str) -> int:
    """Parse a port. Raises ValueError with Go's message."""
    try:
        return number.whole(text, MAX_PORT)
    except ValueError:
        reason = "value out of range" if number.is_digits(text) else "invalid syntax"
        raise ValueError(f'strconv.ParseUint: parsing "{text}": {reason}') from None
