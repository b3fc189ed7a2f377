"""ADD of a URL: what servers may answer, and when a file is asked for again."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.cli.image.conftest import Builder

MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"


@dataclass
class Web:
    """A web server with one file. `answer` may give other answers; `seen` are the requests."""

    content: bytes = b"content"
    headers: dict[str, str] = field(default_factory=lambda: {"Last-Modified": MODIFIED})
    answer: Callable[[str], int] = lambda method: 200
    length: int | None = None
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    host: str = ""

    @property
    def url(self) -> str:
        return f"http://{self.host}/some/file.txt"

    @property
    def methods(self) -> list[str]:
        """Return the methods of the requests since the last call."""
        found = [method for method, _ in self.seen]
        self.seen.clear()
        return found


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server on this machine."""
    found = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.seen.append((self.command, {key.lower(): value for key, value in self.headers.items()}))
            self.send_response(found.answer(self.command))
            for name, value in found.headers.items():
                self.send_header(name, value)
            length = len(found.content) if found.length is None else found.length
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(found.content)

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


def test_add_downloads_and_checks_a_url(builder: Builder, web: Web) -> None:
    digest = hashlib.sha256(b"content").hexdigest()
    builder(f"FROM busybox\nADD --checksum=sha256:{digest} {web.url} /d/\n")
    assert builder.sh("cat /d/file.txt; stat -c ' %a %Y' /d/file.txt") == "content 600 1700000000\n"
    assert "digest mismatch" in builder.error(
        f"FROM busybox\nADD --checksum=sha256:{'0' * 64} {web.url} /d/\n", "--no-cache"
    )
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert "connection refused" in builder.error(f"FROM busybox\nADD http://127.0.0.1:{port}/x /d/\n")


@pytest.mark.parametrize("status", [206, 300, 304, 305, 401, 403, 404, 416, 501])
def test_another_status_than_success_is_an_error(builder: Builder, web: Web, status: int) -> None:
    web.answer = lambda method: status
    error = builder.error(f"FROM busybox\nADD {web.url} /\n")
    message = f"failed to load {web.url}: invalid response status {status}"
    assert error.splitlines()[-1] == f"pyctr_lite: failed to solve: {message}"


@pytest.mark.parametrize("status", [200, 203])
def test_every_success_is_a_file(builder: Builder, web: Web, status: int) -> None:
    web.answer = lambda method: status
    builder(f"FROM busybox\nADD {web.url} /\n")
    assert builder.sh("cat /file.txt") == "content"


def test_a_file_that_is_cut_is_an_error(builder: Builder, web: Web) -> None:
    web.length = 100
    assert f"failed to load {web.url}: " in builder.error(f"FROM busybox\nADD {web.url} /\n")


def test_a_file_that_is_compressed_on_its_way_is_not_in_the_image(builder: Builder, web: Web) -> None:
    web.content, web.headers = gzip.compress(b"plain"), {"Content-Encoding": "gzip"}
    builder(f"FROM busybox\nADD {web.url} /\n")
    assert builder.sh("cat /file.txt; stat -c %Y /file.txt") == "plain0\n"


@pytest.mark.parametrize("modified", ["junk", "Tue, 14 Nov 99999 22:13:20 GMT", "Mon, 01 Jan 1900 00:00:00 GMT"])
def test_a_time_that_cannot_be_is_that_of_the_epoch(builder: Builder, web: Web, modified: str) -> None:
    web.headers = {"Last-Modified": modified}
    builder(f"FROM busybox\nADD {web.url} /\n")
    assert builder.sh("stat -c %Y /file.txt") == "0\n"


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[", ""])
def test_a_redirect_leads_to_http_only(builder: Builder, web: Web, location: str) -> None:
    web.answer, web.headers = lambda method: 302, {"Location": location}
    assert "pyctr_lite: failed to solve: " in builder.error(f"FROM busybox\nADD {web.url} /\n")


@pytest.mark.parametrize("url", ["http://", "http://:80/x", "http://127.0.0.1:port/x", "http://[::1/x"])
def test_an_url_without_a_host_is_an_error(builder: Builder, url: str) -> None:
    error = builder.error(f"FROM busybox\nRUN echo ran\nADD {url} /\n")
    assert "pyctr_lite: failed to solve: invalid URL of a file" in error
    assert "RUN" not in error.partition("----")[0]


def test_a_password_is_sent_and_not_in_an_error(builder: Builder, web: Web) -> None:
    url = f"http://ann:s3%40cret@{web.host}/some/file.txt"
    builder(f"FROM busybox\nADD {url} /\n")
    assert web.seen[0][1]["authorization"] == "Basic YW5uOnMzQGNyZXQ="
    web.answer = lambda method: 403
    error = builder.error("FROM busybox\nARG URL\nADD $URL /\n", "--no-cache", "--build-arg", f"URL={url}")
    assert "invalid response status 403" in error
    assert "s3" not in error


def test_an_unchanged_file_is_not_downloaded_again(builder: Builder, web: Web) -> None:
    text = f"FROM busybox\nADD {web.url} /\n"
    web.headers["ETag"] = 'W/"1"'
    builder(text)
    assert web.methods == ["GET"]
    web.answer = lambda method: 304
    assert builder(text).stderr.count("CACHED") == 1
    assert web.seen[0][1]["if-none-match"] == '"1"'
    assert web.methods == ["HEAD"]
    web.answer, web.headers["ETag"] = lambda method: 200, '"1"'
    assert builder(text).stderr.count("CACHED") == 1  # servers that do not know If-None-Match
    assert web.methods == ["HEAD"]


def test_a_changed_file_is_downloaded_again(builder: Builder, web: Web) -> None:
    text = f"FROM busybox\nADD {web.url} /\n"
    web.headers["ETag"] = '"1"'
    builder(text)
    web.content, web.headers["ETag"] = b"changed", '"2"'
    assert "CACHED" not in builder(text).stderr
    assert web.methods == ["GET", "HEAD", "GET"]
    assert builder.sh("cat /file.txt") == "changed"


@pytest.mark.parametrize("status", [405, 404, 501])
def test_a_server_without_head_is_asked_by_get(builder: Builder, web: Web, status: int) -> None:
    text = f"FROM busybox\nADD {web.url} /\n"
    web.headers["ETag"] = '"1"'
    builder(text)
    web.answer = lambda method: status if method == "HEAD" else 200
    assert builder(text).stderr.count("CACHED") == 1
    assert web.methods == ["GET", "HEAD", "GET"]


def test_a_file_without_an_etag_is_downloaded_each_time(builder: Builder, web: Web) -> None:
    text = f"FROM busybox\nADD {web.url} /\n"
    builder(text)
    assert builder(text).stderr.count("CACHED") == 1
    assert web.methods == ["GET", "GET"]
    web.headers["Last-Modified"] = "Tue, 14 Nov 2023 22:13:21 GMT"
    assert "CACHED" not in builder(text).stderr


def test_an_unchanged_file_is_downloaded_for_another_step(builder: Builder, web: Web) -> None:
    web.headers["ETag"] = '"1"'
    builder(f"FROM busybox\nADD {web.url} /\n")
    web.content = b"changed, with the same ETag"
    builder(f"FROM busybox\nADD {web.url} /d/\n")
    assert builder.sh("cat /d/file.txt") == "changed, with the same ETag"
    assert web.methods == ["GET", "HEAD", "GET"]
    assert "CACHED" not in builder(f"FROM busybox\nADD {web.url} /\n", "--no-cache").stderr
    assert web.methods == ["GET"]


def test_a_file_with_a_checksum_is_not_asked_for_again(builder: Builder, web: Web) -> None:
    digest = hashlib.sha256(b"content").hexdigest()
    text = f"FROM busybox\nADD --checksum=sha256:{digest} {web.url} /\n"
    builder(text)
    web.headers = {}
    assert builder(text).stderr.count("CACHED") == 1
    assert web.methods == ["GET"]


def test_prune_forgets_what_is_known_of_files(builder: Builder, web: Web) -> None:
    web.headers["ETag"] = '"1"'
    builder(f"FROM busybox\nADD {web.url} /\n")
    known = list(builder.pyctr.root.glob("build/downloads/*"))
    assert len(known) == 1
    known[0].write_text("damaged")
    builder(f"FROM busybox\nADD {web.url} /\n")
    builder.pyctr("builder", "prune", "-af", check=True)
    assert re.findall("downloads", "".join(map(str, builder.pyctr.root.glob("build/*")))) == []
