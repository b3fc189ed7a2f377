"""HTTP requests: pooled connections, proxies, redirects and retries.

A redirect never takes the Authorization header to another host. Bodies are not decoded: a digest is that of the
bytes on the wire.
"""

from __future__ import annotations

import email.utils
import encodings.idna  # noqa: F401  the codec of every host's name
import ssl
import sys
import threading
import time
from urllib.parse import quote, urljoin, urlsplit

from pyctr_lite import thirdparty
from pyctr_lite.errors import PyctrError
from pyctr_lite.formats import number
from pyctr_lite.registries import addresses, endpoint, light_metadata, proxies

if "urllib3" not in sys.modules:
    thirdparty.enable()

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


light_metadata.remove()
urllib3.disable_warnings()  # of --tls-verify=false, which the user has asked for
Response = urllib3.BaseHTTPResponse
INTERRUPTIONS = (HTTPError, OSError)
"""The errors of a connection that breaks in the middle of a body."""
ATTEMPTS = 5
_CONNECT_SECONDS, _READ_SECONDS = 15, 60
_MAX_WAIT = 60.0
"""Seconds that a Retry-After may ask for. A registry that asks for more gets no further request."""
_MAX_REDIRECTS = 5
_BLOCK = 1 << 17
"""Bytes of a body that are sent at a time."""
_RETRIED = (429, 500, 502, 503, 504)
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
        self._managers: dict[tuple[str, str, bool], urllib3.PoolManager] = {}
        self._cancel = threading.Event()
        self._lock = threading.Lock()
        self._open: set[Response] = set()

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
                text = f"redirected to {addresses.bare(target)}, which is not encrypted"
                raise TransportError(f"{addresses.shown(method, url)}: {text}")
            if addresses.origin(target) != addresses.origin(url):
                headers = {key: value for key, value in headers.items() if key != "Authorization"}
            url = target
        raise TransportError(f"{addresses.shown(method, url)}: stopped after {_MAX_REDIRECTS} redirects")

    def _request_patiently(
        self, method: str, url: str, headers: dict[str, str], body: Any, attempts: int
    ) -> Response:
        for attempt in range(1, attempts + 1):
            try:
                response = self._send(method, url, headers, body)
            except NewConnectionError as error:  # refused, or an unknown name: the next request fails, too
                raise TransportError(f"{addresses.shown(method, url)}: {_reason(error)}") from None
            except (HTTPError, OSError) as error:
                self.check()
                if attempt == attempts or isinstance(error, SSLError | LocationParseError):
                    raise TransportError(
                        f"{addresses.shown(method, url)}: {_reason(error)}", _hint(error)
                    ) from None
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
        response = self._manager(url, verify).urlopen(
            method,
            url,
            body=body,
            headers={"User-Agent": "pyctr_lite", "Accept-Encoding": "identity", **headers},
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(_CONNECT_SECONDS, _READ_SECONDS),
        )
        with self._lock:
            self._open.add(response)
        return response

    def close(self, response: Response) -> None:
        """End an answer. Its connection is kept for the next request if the body was read."""
        with self._lock:
            self._open.discard(response)
        if response.length_remaining == 0:
            response.drain_conn()
            response.release_conn()
        else:
            response.close()

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
        except (SSLError, ProtocolError):
            return False
        except (HTTPError, OSError) as error:
            raise TransportError(f"{addresses.shown('GET', base + '/v2/')}: {_reason(error)}") from None
        return True

    def cancel(self) -> None:
        """End all transfers of all threads: they raise Cancelled."""
        self._cancel.set()
        with self._lock:
            responses = list(self._open)
        for response in responses:
            try:
                response.shutdown()
            except (ValueError, RuntimeError, OSError):
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

    def _manager(self, url: str, verify: bool) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = proxies.choose(parts.scheme, parts.hostname or "", parts.port)
        verify = verify and parts.netloc != self._insecure_host
        key = parts.netloc, proxy, verify
        with self._lock:
            if key not in self._managers:
                options: dict[str, Any] = {"maxsize": 8, "blocksize": _BLOCK}
                if parts.scheme == "https":
                    options["ssl_context"] = endpoint.tls_context(parts.netloc, verify=verify)
                    if not verify:
                        options["assert_hostname"] = False
                self._managers[key] = (
                    urllib3.ProxyManager(proxy, proxy_headers=_proxy_headers(proxy), **options)
                    if proxy
                    else urllib3.PoolManager(**options)
                )
            return self._managers[key]


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
    raise TransportError(f"{addresses.bare(url)}: the answer leads to {location!r}, which is not an address")


def _proxy_headers(proxy: str) -> dict[str, str]:
    user = urlsplit(proxy).username
    if not user:
        return {}
    return dict(urllib3.make_headers(proxy_basic_auth=f"{user}:{urlsplit(proxy).password or ''}"))


def _retry_after(text: str | None) -> float:
    """Return the seconds that a Retry-After asks for, in either of its forms; 0 if it is missing or malformed."""
    if not text:
        return 0
    if number.is_digits(text.strip()):
        return float(text)
    date = email.utils.parsedate_tz(text)
    return max(email.utils.mktime_tz(date) - time.time(), 0) if date else 0


def _reason(error: Exception) -> str:
    if isinstance(error, NameResolutionError):
        return "no such host"
    inner = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    cause = error.__cause__ or inner
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError) and not isinstance(error, NewConnectionError):
        return "timeout"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {cause.verify_message}"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror[0].lower() + cause.strerror[1:]
    return str(error.args[-1] if error.args else error)


def _hint(error: Exception) -> str:
    if isinstance(error, SSLError):
        return f"put the registry's authority into {endpoint.CERTIFICATES[0]}/HOST:PORT/ca.crt"
    return ""
