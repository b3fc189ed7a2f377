"""Authorization: the answer to a registry's challenge (RFC 6750, RFC 7617; distribution's token specification)."""

from __future__ import annotations

import base64
import re
import threading
import time
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from pyctr_lite import jsonfile
from pyctr_lite.errors import PyctrError
from pyctr_lite.registries import addresses, answers, endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.registries import transport
    from pyctr_lite.registries.credentials import Credential

CLIENT = "pyctr_lite"
_DEFAULT_SECONDS = 60
"""A token without `expires_in` is valid that long."""
_MARGIN = 10
_MAX_TOKEN = 1 << 20
# Possessive: a registry cannot make the search for a match take long.
_PARAMETER = re.compile(r'[\s,]*+([A-Za-z0-9_-]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s,"]++))')
_SCHEME = re.compile(r"[\s,]*+([A-Za-z][A-Za-z0-9_-]*+)(?:\s++|$)(?!=)")


class NoCredentials(PyctrError):
    """The registry wants a user name and a password, and there are none."""


class Authorization:
    """The Authorization header of a transfer, for its `scopes`; its threads share one token."""

    def __init__(
        self,
        transport_: transport.Transport,
        base: Callable[[], str],
        find: Callable[[], Credential | None],
        scopes: list[str],
    ) -> None:
        """`base` returns the registry's address, `find` the user's credential: both are called if needed."""
        self._transport, self._base, self._find = transport_, base, find
        self.scopes = scopes
        self._lock = threading.Lock()
        self._header, self._expires = "", 0.0
        self._bearer: dict[str, str] = {}
        self.identity_token = ""
        """A refresh token that the token server gave at `login`."""

    @property
    def is_basic(self) -> bool:
        """Whether the registry itself gets the password, and no token server."""
        return self._header.startswith("Basic ")

    def header(self) -> str:
        """Return the header, "" before the first challenge. A token that expires soon is replaced."""
        with self._lock:
            if self._bearer and time.monotonic() > self._expires - _MARGIN:
                self._fetch(self._find())
            return self._header

    def answer(self, response: transport.Response, used: str) -> bool:
        """Prepare another header after a refusal (401) of the header `used`. Returns False if there is no other.

        Raises NoCredentials if the registry asks for a password and there is none.
        """
        challenges = parse_challenges(response.headers.getlist("WWW-Authenticate"))
        with self._lock:
            if self._header != used:
                return True  # another thread was first
            bearer = next((values for scheme, values in challenges if scheme == "bearer"), None)
            if bearer and bearer.get("realm"):
                self._bearer = bearer
                if (scope := bearer.get("scope")) and not self.scopes:
                    self.scopes.append(scope)
                self._fetch(self._find())
            elif any(scheme == "basic" for scheme, _ in challenges):
                credential = self._find()
                if credential is None:
                    raise NoCredentials("no basic auth credentials", "pyctr_lite login stores them")
                self._header = basic(credential.user, credential.password)
            return self._header != used

    def _fetch(self, credential: Credential | None) -> None:
        """Get a token from the token server, with the user's credential if there is one."""
        try:
            response, url = self._ask(credential)
        except ValueError:
            where = self._bearer["realm"]
            raise PyctrError(f"the registry sends its users to {where!r}, which is not an address") from None
        try:
            if response.status != 200:
                raise answers.refusal(response, addresses.shown("GET", url))
            body = self._transport.read_all(response, _MAX_TOKEN)
        finally:
            self._transport.close(response)
        self._take(body, url)

    def _ask(self, credential: Credential | None) -> tuple[transport.Response, str]:
        """Send the request for a token; return the answer and the address. Raises ValueError for an odd realm."""
        if credential and credential.identity_token:
            url = realm(self._bearer, self._base(), secret=True)
            form = {
                "grant_type": "refresh_token",
                "service": self._bearer.get("service", ""),
                "client_id": CLIENT,
                "refresh_token": credential.identity_token,
                "scope": " ".join(self.scopes),
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._transport.request("POST", url, headers, urlencode(form)), url
        url, headers = token_request(self._bearer, self._base(), self.scopes, credential)
        return self._transport.request("GET", url, headers), url

    def _take(self, body: bytes, url: str) -> None:
        try:
            value: Any = jsonfile.loads(body.decode(errors="replace"))
        except ValueError:
            value = None
        value = value if isinstance(value, dict) else {}
        token = value.get("token") or value.get("access_token")
        if not isinstance(token, str) or not token.isprintable() or not token.isascii():
            raise PyctrError(f"{addresses.shown('GET', url)}: the token server's answer has no token")
        seconds = value.get("expires_in")
        self._expires = time.monotonic() + (seconds if isinstance(seconds, int) and seconds else _DEFAULT_SECONDS)
        refresh = value.get("refresh_token")
        self.identity_token = refresh if isinstance(refresh, str) else ""
        self._header = f"Bearer {token}"


def token_request(
    challenge: dict[str, str], base: str, scopes: list[str], credential: Credential | None
) -> tuple[str, dict[str, str]]:
    """Return the address and the headers of the GET request that answers a Bearer challenge.

    The address is the challenge's `realm`, perhaps relative to `base`, the address of the registry. A query that
    the realm has stays, its fragment goes. The query gets the challenge's `service` unless it has none or an
    empty one, and each of `scopes` as a `scope`; with a credential also the user as `account`, CLIENT as
    `client_id`, and "true" as `offline_token`. The password goes into the header Authorization (`basic`), and
    nowhere else. Without a credential (None) there are no headers.
    The realm is an https address. With http it is allowed if its host is this machine, if there is no credential,
    or if `base` is http, too. Raises PyctrError for any other realm.
    Source: distribution, spec/auth/token.md; RFC 6750, 3; RFC 7617.
    """
    parts = urlsplit(realm(challenge, base, secret=credential is not None))
    query = [("service", challenge["service"])] if challenge.get("service") else []
    query += [("scope", scope) for scope in scopes]
    headers = {}
    if credential is not None:
        query += [("account", credential.user), ("client_id", CLIENT), ("offline_token", "true")]
        headers["Authorization"] = basic(credential.user, credential.password)
    whole = "&".join(text for text in (parts.query, urlencode(query)) if text)
    return urlunsplit(parts._replace(query=whole, fragment="")), headers


def realm(challenge: dict[str, str], base: str, *, secret: bool) -> str:
    """Return the address of the token server. Raises PyctrError if it may not be asked, perhaps with a secret."""
    url = urljoin(base, challenge["realm"])
    parts = urlsplit(url)
    plain = not secret or base.startswith("http:") or endpoint.is_loopback(parts.hostname or "")
    if parts.scheme == "https" or (parts.scheme == "http" and plain):
        return url
    raise PyctrError(f"the registry sends its users to {url}, which is not encrypted")


def basic(user: str, password: str) -> str:
    """Return the header of Basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode(errors="surrogateescape")).decode()


def parse_challenges(headers: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Return the challenges in WWW-Authenticate headers: pairs of a scheme in lower case and its parameters."""
    found: list[tuple[str, dict[str, str]]] = []
    for text in headers:
        position = 0
        while position < len(text):
            if parameter := _PARAMETER.match(text, position):
                if found:
                    value = parameter[2] if parameter[2] is not None else parameter[3]
                    found[-1][1][parameter[1].lower()] = re.sub(r"\\(.)", r"\1", value)
                position = parameter.end()
            elif scheme := _SCHEME.match(text, position):
                found.append((scheme[1].lower(), {}))
                position = scheme.end()
            else:
                break
    return found
