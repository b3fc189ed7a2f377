"""The networks and ports of a new container: which the options name, and whether they fit together."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import ports
from pyctr_lite.networks import DEFAULT, link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.home import Home
    from pyctr_lite.engine.state.options import ContainerOptions

_KEYS = {"ip": str, "ip6": str, "mac": str, "aliases": list}


def normalize(options: ContainerOptions) -> None:
    """Bring `network` and `networks` into one form: the mode, and a row for each network of a bridge.

    Raises InvalidArgument if they, or the options for ports, contradict each other.
    """
    given = {DEFAULT if name == "default" else name: row for name, row in options.networks.items()}
    options.network = DEFAULT if options.network == "default" else options.network
    mode = options.network or next(iter(given), DEFAULT)
    if is_special(mode) or any(map(is_special, given)):
        if len(given) > (mode in given):
            raise InvalidArgument(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
                f"{mode} cannot be combined with another network",
            )
        if any(given.values()):
            _refuse_addresses(mode, given[mode])
        given = {}
    elif mode not in given:
        given = {mode: {}, **given}
    options.network, options.networks = mode, given
    for name, row in given.items():
        _check_row(name, row)
    if options.publish or options.publish_all or options.expose:
        _check_ports(options)
    for name in ("network_rate_in", "network_rate_out"):
        rate = getattr(options, name)
        if rate is not None and rate <= 0:
            raise InvalidArgument(f"invalid {name}: {rate}", "a number of bytes per second above 0")
        if rate is not None and not given:
            flag = name.replace("_", "-")
            raise InvalidArgument(f"conflicting options: --{flag} and --network {mode}", "it needs a network")


def is_special(mode: str) -> bool:
    """Return whether a mode is not a network with a bridge."""
    return mode in ("none", "host") or mode.startswith("container:")


def resolve(home: Home, options: ContainerOptions) -> None:
    """Give the networks their full names; a network may be given by its id. Raises NotFound."""
    if list(options.networks) == [DEFAULT]:
        return
    found = {home.networks.get(name).name: row for name, row in options.networks.items()}
    options.network, options.networks = next(iter(found), options.network), found


def bindings(options: ContainerOptions, exposed: dict[str, Any]) -> dict[str, list[dict[str, str]] | None]:
    """Return the ports of a container: Docker's PortBindings, None for a port that is exposed only.

    `exposed` are the image's ExposedPorts.
    """
    found: dict[str, list[dict[str, str]] | None] = {}
    for text in options.publish:
        for binding in ports.parse_publish(text):
            rows = found.setdefault(f"{binding.container_port}/{binding.protocol}", [])
            row = {"HostIp": binding.host_ip, "HostPort": binding.host_port}
            if rows is not None and row not in rows:
                rows.append(row)
    names = [f"{port}/{protocol}" for text in options.expose for port, protocol in ports.parse_expose(text)]
    names += [
        f"{port}/{protocol}" for text in exposed for numbers, protocol in [ports.parse(text)] for port in numbers
    ]
    for name in names:
        found.setdefault(name, [{"HostIp": "", "HostPort": ""}] if options.publish_all else None)
    return found


def _check_row(name: str, row: Any) -> None:
    if not isinstance(row, dict) or any(type(value) is not _KEYS.get(key) for key, value in row.items()):
        raise InvalidArgument(f"networks[{name!r}] must be a dict with ip, ip6, mac (text) and aliases (a list)")
    if name == DEFAULT:
        if row.get("ip") or row.get("ip6"):
            raise InvalidArgument(
                "user specified IP address is supported on user defined networks only",
                "pyctr_lite network create --subnet … NAME",
            )
        if row.get("aliases"):
            raise InvalidArgument(
                "network-scoped alias is supported only for containers in user defined networks",
                "pyctr_lite network create NAME",
            )
    for key, version in (("ip", "."), ("ip6", ":")):
        if row.get(key):
            try:
                link.parse(row[key])
            except ValueError:
                raise InvalidArgument(f"invalid IPv{'4' if key == 'ip' else '6'} address: {row[key]}") from None
            if version not in row[key]:
                raise InvalidArgument(f"invalid IPv{'4' if key == 'ip' else '6'} address: {row[key]}")
    if row.get("mac"):
        check_mac(row["mac"])


def check_mac(text: str) -> None:
    """Raise InvalidArgument unless a text is the MAC address of one interface, such as 02:42:ac:11:00:02."""
    parts = text.replace("-", ":").split(":")
    valid = len(parts) == 6 and all(
        len(part) == 2 and set(part) <= set("0123456789abcdefABCDEF") for part in parts
    )
    if not valid:
        raise InvalidArgument(f"invalid MAC address: {text}", "such as 02:42:ac:11:00:02")
    if parts[0][1] in "13579bBdDfF" or set("".join(parts)) == {"0"}:
        raise InvalidArgument(f"invalid MAC address: {text}", "it is a multicast address, or all zeros")


def _refuse_addresses(mode: str, row: dict[str, Any]) -> None:
    flags = {"ip": "ip", "ip6": "ip6", "mac": "mac-address", "aliases": "network-alias"}
    given = ", ".join(f"--{flags.get(key, key)}" for key, value in row.items() if value)
    raise InvalidArgument(f"conflicting options: {given} and the network mode {mode}", "they need a network")


def _check_ports(options: ContainerOptions) -> None:
    if options.network.startswith("container:"):
        if options.publish or options.publish_all:
            raise InvalidArgument(
                "conflicting options: port publishing and the container type network mode",
                "publish the ports of the container whose network is used",
            )
        raise InvalidArgument("conflicting options: port exposing and the container type network mode")
    try:
        bindings(options, {})
    except ValueError as error:
        raise InvalidArgument(str(error)) from None
