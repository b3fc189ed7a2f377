"""The networks and ports of a new container: which the options name, and whether they fit together."""

from __future__ import annotations

from pyctr_lite.engine.network import wanted
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import ports
from pyctr_lite.networks import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.home import Home
    from pyctr_lite.engine.state.options import ContainerOptions


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
        wanted.check(name, row)
    if options.publish or options.publish_all or options.expose:
        _check_ports(options)
    for name in ("network_rate_in", "network_rate_out"):
        if getattr(options, name) and not given:
            flag = name.replace("_", "-")
            raise InvalidArgument(f"conflicting options: --{flag} and --network {mode}", "it needs a network")


def is_special(mode: str) -> bool:
    """Return whether a mode is not a network with a bridge."""
    return mode in ("none", "host") or mode.startswith("container:")


def resolve(home: Home, options: ContainerOptions) -> None:
    """Give the networks their full names; a network may be given by its id. Raises NotFound."""
    if list(options.networks) == [DEFAULT]:
        return
    found = {}
    for reference, row in options.networks.items():
        network = home.networks.get(reference)
        wanted.check(network.name, row, network)
        found[network.name] = row
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
    for text in exposed:
        try:
            numbers, protocol = ports.parse(text)
        except ValueError as error:
            raise InvalidArgument(f"the image's ExposedPorts: {error}") from None
        names += [f"{port}/{protocol}" for port in numbers]
    for name in names:
        found.setdefault(name, [{"HostIp": "", "HostPort": ""}] if options.publish_all else None)
    return found


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
