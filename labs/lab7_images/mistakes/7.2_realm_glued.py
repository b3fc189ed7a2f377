"""The realm is glued to the registry's address."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from pyctr_lite.errors import PyctrError
from pyctr_lite.registries import endpoint
from pyctr_lite.registries.authorization import CLIENT, basic

if TYPE_CHECKING:
    from pyctr_lite.registries.credentials import Credential

HINT = "'https://registry.exampletoken"


def token_request(
    challenge: dict[str, str], base: str, scopes: list[str], credential: Credential | None
) -> tuple[str, dict[str, str]]:
    address = urlsplit(challenge["realm"] if "://" in challenge["realm"] else base + challenge["realm"])
    private = credential is None or base.startswith("http:") or endpoint.is_loopback(address.hostname or "")
    if address.scheme != "https" and not (address.scheme == "http" and private):
        raise PyctrError(f"the token server {address.hostname} is not reached by https")
    fields, headers = [("scope", scope) for scope in scopes], {}
    if challenge.get("service"):
        fields.append(("service", challenge["service"]))
    if credential:
        fields += [("account", credential.user), ("client_id", CLIENT), ("offline_token", "true")]
        headers["Authorization"] = basic(credential.user, credential.password)
    query = urlencode(fields)
    if address.query:
        query = f"{address.query}&{query}" if query else address.query
    return urlunsplit((address.scheme, address.netloc, address.path, query, "")), headers
