"""Search: by version 1 of the registry protocol, as Docker's; else in a registry's own list of repositories."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

from pyctr_lite import jsonfile
from pyctr_lite.errors import PyctrError
from pyctr_lite.registries.session import Session

_HUB = "https://index.docker.io"
_MAX_BODY = 4 << 20
_CATALOG = 1000


class Result(NamedTuple):
    """A repository that matches a search."""

    name: str
    description: str
    stars: int
    official: bool


def search(term: str, limit: int = 25, *, insecure: bool = False) -> list[Result]:
    """Search Docker Hub for a word, or a registry for `host/word`. Raises PyctrError if it cannot search."""
    first, slash, rest = term.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    domain, word = (first, rest) if named else ("docker.io", term)
    session = Session(domain, ["registry:catalog:*"] if named else [], insecure=insecure)
    base = session.base if named else _HUB
    value = _get(session, f"{base}/v1/search?q={quote(word)}&n={limit}")
    if isinstance(value, dict) and isinstance(value.get("results"), list):
        return [_result(each) for each in value["results"] if isinstance(each, dict)][:limit]
    value = _get(session, f"{base}/v2/_catalog?n={_CATALOG}")
    names = value.get("repositories") if isinstance(value, dict) else None
    if not isinstance(names, list):
        raise PyctrError(f"the registry {domain} does not support search", "ask whoever runs it for a name")
    matching = [name for name in names if isinstance(name, str) and word in name][:limit]
    return [Result(f"{domain}/{name}", "", 0, False) for name in matching]


def _get(session: Session, url: str) -> Any:
    """Return the JSON value at an address, None if the registry does not have it."""
    response = session.request("GET", url, expected=(200, 404, 405, 501))
    body = session.transport.read_all(response, _MAX_BODY)
    try:
        return jsonfile.loads(body.decode(errors="replace")) if response.status == 200 else None
    except ValueError:
        return None


def _result(value: dict[str, Any]) -> Result:
    def text(key: str) -> str:
        return value[key] if isinstance(value.get(key), str) else ""

    stars = value.get("star_count")
    official = value.get("is_official") is True
    return Result(text("name"), text("description"), stars if isinstance(stars, int) else 0, official)
