"""The flags of networks: --network, with its long form, --ip, --ip6, --network-alias and --mac-address."""

from __future__ import annotations

import sys

from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_KEYS = {"ip": "ip", "ip6": "ip6", "mac-address": "mac"}


def options(flags: Any) -> dict[str, Any]:
    """Return the engine's options `network` and `networks`. --ip and the like belong to the first network.

    Raises InvalidArgument for a wrong long form, if --ip and the like are given besides one, and for --link.
    """
    if flags.link:
        refuse_links("--network NAME for both containers")
    networks: dict[str, dict[str, Any]] = {}
    is_long = False
    for text in flags.network:
        name, row = parse(text)
        is_long = is_long or bool(row)
        if name in networks:
            raise InvalidArgument(f'network "{name}" is specified multiple times')
        networks[name] = row
    first = networks.setdefault(next(iter(networks), "bridge"), {})
    given = {"ip": flags.ip, "ip6": flags.ip6, "aliases": flags.network_alias, "mac": flags.mac_address}
    for key, value in given.items():
        if value:
            if is_long:
                name = {"aliases": "network-alias", "mac": "mac-address"}.get(key, key)
                raise InvalidArgument(
                    f"conflicting options: cannot specify both --{name} and per-network options",
                    "give it in --network name=…",
                )
            first[key] = value
    return {"network": next(iter(networks)), "networks": networks if len(networks) > 1 or first else {}}


def refuse_links(instead: str) -> None:
    """Raise InvalidArgument for Docker's legacy --link, with what to use instead."""
    hint = f"use {instead}: containers on a network of your own find each other by name and --network-alias"
    raise InvalidArgument("--link is not supported", hint)


def warn_of_aliases(aliases: Iterable[str]) -> None:
    """Warn on stderr about aliases that DNS cannot express. Docker accepts them, too, and nobody finds them."""
    from pyctr_lite.networks import names

    for alias in aliases:
        if not names.spelled(alias):
            print(f"WARNING: nobody will find the network alias {alias!r}: it is not a DNS name", file=sys.stderr)


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Parse `NAME`, or `name=NAME,ip=…,ip6=…,alias=…,mac-address=…`. Raises InvalidArgument."""
    if "=" not in text:
        return text, {}
    name = ""
    row: dict[str, Any] = {}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals:
            raise InvalidArgument(f"invalid field {field} in --network {text}", "write key=value,…")
        if key == "name":
            name = value
        elif key in _KEYS:
            row[_KEYS[key]] = value
        elif key == "alias":
            row.setdefault("aliases", []).append(value)
        else:
            raise InvalidArgument(
                f"invalid field key {key} in --network {text}", "the keys are name, alias, ip, ip6, mac-address"
            )
    if not name:
        raise InvalidArgument("network name/id is not specified", f"--network {text}: write name=NAME,…")
    return name, row
