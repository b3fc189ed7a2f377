"""The other side of the registry client: Debian's docker-registry, and a proxy before it that makes faults."""

from __future__ import annotations

import gzip
import http.client
import http.server
import json
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labs.kit import docker_registry
from pyctr_lite.images import image as images
from tests.images.archives import config, digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


class DockerRegistry:
    """A docker-registry on a port of 127.0.0.1. `options` are added to its configuration."""

    def __init__(self, program: str, directory: Path, **options: Any) -> None:
        self.directory = directory
        self.context: ssl.SSLContext | None = None
        """How to reach the registry by TLS."""
        self._process, self.port = docker_registry.start(program, directory, **options)

    @property
    def host(self) -> str:
        """The registry's name in references."""
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request, and return status, headers and body of the answer."""
        connection = (
            http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context)
            if self.context
            else http.client.HTTPConnection("127.0.0.1", self.port)
        )
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def put_blob(self, name: str, content: bytes) -> dict[str, Any]:
        """Store a blob, and return its digest and size."""
        status, headers, _ = self.request("POST", f"/v2/{name}/blobs/uploads/")
        assert status == 202
        location = headers["location"].partition(self.host)[2] or headers["location"]
        status, _, answer = self.request("PUT", f"{location}&digest={digest(content)}", content)
        assert status == 201, answer
        return {"digest": digest(content), "size": len(content)}

    def put_manifest(self, name: str, tag: str, value: dict[str, Any]) -> bytes:
        """Store a manifest or an index, and return its bytes."""
        content = json.dumps(value).encode()
        path = f"/v2/{name}/manifests/{tag}"
        status, _, answer = self.request("PUT", path, content, {"Content-Type": value["mediaType"]})
        assert status == 201, answer
        return content

    def publish(
        self,
        name: str,
        tag: str,
        layers: list[bytes],
        compress: Callable[[bytes], bytes] | None = None,
        **more: Any,
    ) -> bytes:
        """Store an image of uncompressed layers, by default compressed by gzip. Returns its manifest."""
        compress = compress or (lambda data: gzip.compress(data, mtime=0))
        described = [
            {"mediaType": f"{images.LAYER}+gzip", **self.put_blob(name, compress(layer))} for layer in layers
        ]
        content = config(*(digest(layer) for layer in layers), **more)
        value = {
            "schemaVersion": 2,
            "mediaType": images.MANIFEST,
            "config": {"mediaType": images.CONFIG, **self.put_blob(name, content)},
            "layers": described,
        }
        return self.put_manifest(name, tag, value)


@dataclass
class Fault:
    """A changed answer. The default of each field changes nothing."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    change: Callable[[bytes], bytes] = lambda body: body
    """Changes the body before the length is computed."""
    cut: int | None = None
    """Close the connection after so many bytes of the body."""
    pause: int = 0
    midway: Callable[[], None] | None = None
    """Called after `pause` bytes of the body were sent."""
    hang_up: bool = False
    """Close the connection without an answer; with `forward` after the request was passed on."""
    forward: bool = False


@dataclass
class Seen:
    """A request that the proxy has received, and the status that it has answered."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    status: int = 0


class FaultProxy(http.server.ThreadingHTTPServer):
    """A registry that passes requests on to another one, except for those that `fault` answers otherwise."""

    daemon_threads = True

    def __init__(
        self, upstream: DockerRegistry | None, fault: Callable[[Seen], Fault | None] | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.fault: Callable[[Seen], Fault | None] = lambda request: None
        self.seen: list[Seen] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def host(self) -> str:
        """The proxy's name in references."""
        return f"127.0.0.1:{self.server_address[1]}"

    def fetched(self, part: str = "/blobs/") -> list[Seen]:
        """Return the successful GET requests with a part in their path."""
        return [
            each for each in self.seen if each.method == "GET" and part in each.path and each.status in (200, 206)
        ]

    def stop(self) -> None:
        """End the server."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Be silent about clients that are gone: they speak TLS, or have been cut."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultProxy

    def handle_one_request(self) -> None:
        """Handle any method by `_answer`."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        length = int(self.headers.get("Content-Length") or 0)
        headers = {key.lower(): value for key, value in self.headers.items()}
        if self.path.startswith("http://"):  # we are the client's proxy
            headers["absolute"] = self.path
            self.path = "/" + self.path.split("/", 3)[3]
        seen = Seen(self.command, self.path, headers, self.rfile.read(length))
        self.server.seen.append(seen)
        self._answer(seen, self.server.fault(seen) or Fault())

    def _answer(self, seen: Seen, fault: Fault) -> None:
        status, headers, body = fault.status, {}, fault.body or b""
        if fault.hang_up and not fault.forward:
            self.close_connection = True
            return
        if not fault.status or (fault.body is None and fault.status < 300):
            assert self.server.upstream is not None
            passed = {key: value for key, value in seen.headers.items() if key != "connection"}
            status, headers, body = self.server.upstream.request(seen.method, seen.path, seen.body, passed)
            status = fault.status or status
        if fault.hang_up:
            self.close_connection = True
            return
        body = fault.change(body)
        seen.status = status
        if seen.method != "HEAD":
            headers["content-length"] = str(len(body))
        headers = {key: value for key, value in headers.items() if key != "transfer-encoding"}
        self.send_response(status)
        for key, value in {**headers, **fault.headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if fault.cut is not None:
            body, self.close_connection = body[: fault.cut], True
        if seen.method != "HEAD":
            self.wfile.write(body[: fault.pause])
            if fault.midway:
                fault.midway()
            self.wfile.write(body[fault.pause :])

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing."""
