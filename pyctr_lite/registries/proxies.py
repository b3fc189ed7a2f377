"""The proxies that the environment names: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, by the rules of Go's httpproxy."""

from __future__ import annotations

import ipaddress
import os

from pyctr_lite.formats import number
from pyctr_lite.registries import endpoint


def choose(scheme: str, host: str, port: int | None) -> str:
    """Return the proxy for a request to a host, "" for none."""

    def variable(name: str) -> str:
        return os.environ.get(name) or os.environ.get(name.lower()) or ""

    if endpoint.is_loopback(f"[{host}]" if ":" in host else host) or not host:
        return ""
    proxy = variable(f"{scheme.upper()}_PROXY")
    for entry in variable("NO_PROXY").split(",") if proxy else ():
        if _is_excluded(entry.strip().lower(), host.lower(), port or (443 if scheme == "https" else 80)):
            return ""
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _is_excluded(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass
    name, colon, given = entry.rpartition(":")
    if colon and number.is_whole(given):
        if number.whole(given) != port:
            return False
        entry = name
    entry = entry.removeprefix("*")
    return bool(entry) and (host == entry or host.endswith(entry if entry[0] == "." else f".{entry}"))
