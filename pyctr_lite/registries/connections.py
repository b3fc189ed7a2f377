"""Connections to one server, by http.client: kept for the next request, and shared by threads.

urllib3 would do the same, and more; its imports take as long as all the rest of a pull that has nothing to do.
"""

from __future__ import annotations

import base64
import http.client
import select
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import ssl

CONNECT_SECONDS, READ_SECONDS = 15, 60
_BLOCK = 1 << 17
"""Bytes of a body that are sent at a time."""
_MAX_IDLE = 8


class Response:
    """An answer, whose body is read by the caller. Only one thread may read it."""

    def __init__(
        self, answer: http.client.HTTPResponse, connection: http.client.HTTPConnection, sock: Any
    ) -> None:
        self._answer, self._connection, self._socket = answer, connection, sock
        self.status, self.reason, self.headers = answer.status, answer.reason, answer.headers

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer only at the end. Raises IncompleteRead if the connection is cut."""
        return self._checked(self._answer.read(size), size)

    def read1(self, size: int) -> bytes:
        """Return what has come, at most `size` bytes; none only at the end. Raises IncompleteRead if it is cut."""
        return self._checked(self._answer.read1(size), size)

    def _checked(self, data: bytes, size: int) -> bytes:
        if size and not data and self._answer.length:
            raise http.client.IncompleteRead(b"", self._answer.length)
        return data

    def shutdown(self) -> None:
        """End the connection, from any thread: a read returns at once. Fails with ENOTCONN if it has ended."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> http.client.HTTPConnection | None:
        """Close the answer. Returns its connection if it can be used again, because the body was read."""
        is_complete = self._answer.isclosed() or self._answer.length == 0
        self._answer.close()
        if is_complete and not self._answer.will_close:
            return self._connection
        self._connection.close()
        return None


class Connections:
    """Connections to a server, by its address (scheme, host, port); `proxy` is the address of one in between."""

    def __init__(self, url: str, proxy: str, context: ssl.SSLContext | None) -> None:
        """`context` has the settings for TLS, of a server that speaks it. Raises ValueError for a proxy by TLS."""
        self._server, self._proxy, self._context = urlsplit(url), urlsplit(proxy), context
        if proxy and self._proxy.scheme != "http":
            raise ValueError(f"proxy {self._proxy.scheme}://{self._proxy.hostname}: only http:// is supported")
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def send(self, method: str, url: str, headers: dict[str, str], body: Any) -> Response:
        """Send a request. Returns the answer. Raises HTTPException, OSError."""
        connection = self._take() or self._connect()
        try:
            try:
                connection.request(method, self._target(url), body, {**headers, **self._more_headers()})
            except BrokenPipeError:
                pass  # the server has refused the body before it had all of it: the answer says why
            sock = connection.sock  # the connection forgets it, if the server is going to close it
            return Response(connection.getresponse(), connection, sock)
        except BaseException:
            connection.close()
            raise

    def close(self, response: Response) -> None:
        """Close an answer, and keep its connection if the body was read."""
        connection = response.end()
        with self._lock:
            if connection and len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
                return
        if connection:
            connection.close()

    def _take(self) -> http.client.HTTPConnection | None:
        """Return an idle connection that is still open."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            poller = select.poll()
            poller.register(connection.sock, select.POLLIN)
            if not poller.poll(0):
                return connection
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        via = self._proxy if self._proxy.hostname else self._server
        port = via.port or (443 if via.scheme == "https" else 80)
        options: dict[str, Any] = {"port": port, "timeout": CONNECT_SECONDS, "blocksize": _BLOCK}
        connection = (
            http.client.HTTPSConnection(via.hostname or "", context=self._context, **options)
            if self._context
            else http.client.HTTPConnection(via.hostname or "", **options)
        )
        if self._proxy.hostname and self._context:
            connection.set_tunnel(self._server.hostname or "", self._server.port or 443, self._authorization())
        connection.connect()
        connection.sock.settimeout(READ_SECONDS)
        return connection

    def _target(self, url: str) -> str:
        """Return the address in the request: of a proxy that speaks for us, the whole one."""
        parts = urlsplit(url)
        if self._proxy.hostname and not self._context:
            return parts._replace(fragment="").geturl()
        return parts._replace(scheme="", netloc="", path=parts.path or "/", fragment="").geturl()

    def _more_headers(self) -> dict[str, str]:
        return self._authorization() if self._proxy.hostname and not self._context else {}

    def _authorization(self) -> dict[str, str]:
        if not self._proxy.username:
            return {}
        text = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}"
        return {"Proxy-Authorization": "Basic " + base64.b64encode(text.encode()).decode()}
