"""HTTP requests: pooled connections, proxies, redirects and retries.

A redirect never takes the Authorization header to another host. Bodies are not decoded: a digest is that of the
bytes on the wire.
"""

from __future__ import annotations

import email.utils
import errno
import http.client
import ipaddress
import os
import socket
import ssl
import threading
import time
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from pyctr_lite.errors import PyctrError
from pyctr_lite.formats import number
from pyctr_lite.registries import endpoint
from pyctr_lite.registries.connections import Connections
from pyctr_lite.registries.connections import Response as Response

INTERRUPTIONS = (http.client.HTTPException, OSError)
"""The errors of a connection that breaks in the middle of a body."""
ATTEMPTS = 5
_MAX_WAIT = 60.0
"""Seconds that a Retry-After may ask for. A registry that asks for more gets no further request."""
_MAX_REDIRECTS = 5
_RETRIED = (429, 500, 502, 503, 504)
_FINAL = (ssl.SSLError, socket.gaierror, ConnectionRefusedError, http.client.InvalidURL)
"""Failures that the next request would have, too."""
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL)
_URL_CHARACTERS = "%/:=&?~#+!$,;'@()*[]"
_REDIRECTS = (301, 302, 303, 307, 308)


class Cancelled(Exception):
    """The transfer was ended by another thread's failure, or by the user."""


class TransportError(PyctrError):
    """A request that got no answer."""


class Transport:
    """Connections for one pull, push or login, shared by its threads."""

    def __init__(self, insecure_host: str = "") -> None:
        """`insecure_host` may have an unknown certificate."""
        self._insecure_host = insecure_host
        self._servers: dict[tuple[str, str, str, bool], Connections] = {}
        self._cancel = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[Response, Connections] = {}

    def request(
        self, method: str, url: str, headers: dict[str, str], body: Any = None, *, patient: bool = True
    ) -> Response:
        """Send a request and return the answer, whose body is not read yet. Close it with `close`.

        After a failure the request is repeated, with increasing waits or the server's Retry-After, unless
        `patient` is false. Redirects of GET and HEAD are followed. Raises TransportError, Cancelled.
        """
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._request_patiently(method, url, headers, body, ATTEMPTS if patient else 1)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location or method not in ("GET", "HEAD"):
                return response
            self.close(response)
            target = join(url, location)
            if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
                raise TransportError(
                    f"{shown(method, url)}: redirected to {_bare(target)}, which is not encrypted"
                )
            if origin(target) != origin(url):
                headers = {key: value for key, value in headers.items() if key != "Authorization"}
            url = target
        raise TransportError(f"{shown(method, url)}: stopped after {_MAX_REDIRECTS} redirects")

    def _request_patiently(
        self, method: str, url: str, headers: dict[str, str], body: Any, attempts: int
    ) -> Response:
        for attempt in range(1, attempts + 1):
            try:
                response = self._send(method, url, headers, body)
            except INTERRUPTIONS as error:
                self.check()
                if attempt == attempts or isinstance(error, _FINAL) or _errno(error) in _UNREACHABLE:
                    raise TransportError(f"{shown(method, url)}: {_reason(error)}", _hint(error)) from None
                seconds = backoff(attempt)
            else:
                if response.status not in _RETRIED or attempt == attempts:
                    return response
                seconds = _retry_after(response.headers.get("Retry-After")) or backoff(attempt)
                if seconds > _MAX_WAIT:
                    return response
                self.close(response)
            self.wait(seconds)
        raise AssertionError

    def _send(self, method: str, url: str, headers: dict[str, str], body: Any, *, verify: bool = True) -> Response:
        self.check()
        server = self._server(url, verify)
        response = server.send(
            method, url, {"User-Agent": "pyctr_lite", "Accept-Encoding": "identity", **headers}, body
        )
        with self._lock:
            self._open[response] = server
        return response

    def close(self, response: Response) -> None:
        """End an answer. Its connection is kept for the next request if the body was read."""
        with self._lock:
            server = self._open.pop(response, None)
        if server:
            server.close(response)

    def read_all(self, response: Response, limit: int) -> bytes:
        """Read the body of an answer, at most `limit` bytes, and close it. Raises TransportError if it is cut."""
        try:
            content = bytearray()
            while len(content) < limit and (data := response.read(limit - len(content))):
                content += data
            return bytes(content)
        except INTERRUPTIONS as error:
            self.check()
            raise TransportError(f"the registry's answer was cut: {_reason(error)}") from None
        finally:
            self.close(response)

    def speaks_tls(self, base: str) -> bool:
        """Return whether a registry answers by TLS, whatever its certificate."""
        try:
            self.close(self._send("GET", f"{base}/v2/", {}, None, verify=False))
        except INTERRUPTIONS as error:
            if isinstance(error, ssl.SSLError | http.client.HTTPException | ConnectionResetError):
                return False
            raise TransportError(f"{shown('GET', base + '/v2/')}: {_reason(error)}") from None
        return True

    def cancel(self) -> None:
        """End all transfers of all threads: they raise Cancelled."""
        self._cancel.set()
        with self._lock:
            responses = list(self._open)
        for response in responses:
            try:
                response.shutdown()
            except OSError:
                pass  # it has just ended by itself

    def revive(self) -> None:
        """Allow requests again after `cancel`, once all threads have ended."""
        self._cancel.clear()

    def check(self) -> None:
        """Raise Cancelled if another thread has cancelled."""
        if self._cancel.is_set():
            raise Cancelled

    def wait(self, seconds: float) -> None:
        """Wait, or raise Cancelled."""
        if self._cancel.wait(seconds):
            raise Cancelled

    def _server(self, url: str, verify: bool) -> Connections:
        parts = urlsplit(url)
        proxy = proxy_for(parts.scheme, parts.hostname or "", parts.port)
        verify = verify and parts.netloc != self._insecure_host
        key = parts.scheme, parts.netloc, proxy, verify
        with self._lock:
            if key not in self._servers:
                tls = endpoint.tls_context(parts.netloc, verify=verify) if parts.scheme == "https" else None
                try:
                    self._servers[key] = Connections(url, proxy, tls)
                except ValueError as error:
                    raise TransportError(f"{error}") from None
            return self._servers[key]


def backoff(attempt: int) -> float:
    """Return the seconds to wait after a number of failures: 0.1, 0.4, 1.6, 6.4."""
    return min(0.1 * 4.0 ** (attempt - 1), _MAX_WAIT)


def join(url: str, location: str) -> str:
    """Return the address of a Location in an answer from `url`. Raises TransportError if it is not an address."""
    try:
        target = quote(urljoin(url, location), _URL_CHARACTERS)
        if urlsplit(target).scheme in ("http", "https") and (urlsplit(target).port or 1):
            return target
    except ValueError:
        pass
    raise TransportError(f"{_bare(url)}: the answer leads to {location!r}, which is not an address")


def origin(url: str) -> tuple[str, str, int | None]:
    """Return what must be equal for two addresses to belong to one server: scheme, host and port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def shown(method: str, url: str) -> str:
    """Return a request as an error shows it, without the query: a signed address is a secret."""
    return f'{method.capitalize()} "{_bare(url)}"'


def proxy_for(scheme: str, host: str, port: int | None) -> str:
    """Return the proxy of the environment for a host, "" for none, by the rules of Go's httpproxy."""

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


def _retry_after(text: str | None) -> float:
    """Return the seconds that a Retry-After asks for, in either of its forms; 0 if it is missing or malformed."""
    if not text:
        return 0
    if number.is_digits(text.strip()):
        return float(text)
    date = email.utils.parsedate_tz(text)
    return max(email.utils.mktime_tz(date) - time.time(), 0) if date else 0


def _bare(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error) or type(error).__name__


def _errno(error: Exception) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _hint(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"put the registry's authority into {endpoint.CERTIFICATES[0]}/HOST:PORT/ca.crt"
    return ""
