"""Addresses (URLs) of requests: as an error shows them, and which of them belong to one server."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_USER = re.compile(r"([a-z]+://)([^/?#]*)@", re.I)


def origin(url: str) -> tuple[str, str, int | None]:
    """Return what must be equal for two addresses to belong to one server: scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def shown(method: str, url: str) -> str:
    """Return a request as an error shows it, without the query: a signed address is a secret."""
    return f'{method.capitalize()} "{bare(url)}"'


def bare(url: str) -> str:
    """Return an address without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def split_user(url: str) -> tuple[str, str]:
    """Return an address without user and password, and `user:password` as they are in it, "" without."""
    found = _USER.match(url)
    return (found[1] + url[found.end() :], found[2]) if found else (url, "")
