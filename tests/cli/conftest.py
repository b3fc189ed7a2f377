"""Docker's own client as an oracle: it parses flags, and formats the answers of a test's server."""

from __future__ import annotations

import http.server
import json
import os
import socketserver
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class DockerClient:
    """Run the installed `docker` against a server that knows only `answers`: path → JSON value."""

    def __init__(self, program: str, directory: Path) -> None:
        self.program = program
        self.answers: dict[str, Any] = {}
        self.environment = {
            **os.environ,
            "DOCKER_HOST": f"unix://{directory}/docker.sock",
            "DOCKER_CONFIG": str(directory / "config"),
            "DOCKER_API_VERSION": "1.41",
            "TZ": "UTC",
        }

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def version(self) -> int:
        """Return the first number of the client's version: 20, 28."""
        done = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True)
        return int(done.stdout.partition("version ")[2].partition(".")[0])

    def complaint(self, *arguments: str) -> str:
        """Return the client's error about a command line, or "" if the client accepts it and asks the server."""
        first = next(iter(self(*arguments).stderr.strip().splitlines()), "")
        return "" if "docker daemon" in first.lower() or "dial unix" in first else first


@pytest.fixture
def docker(needs: Callable[[str], str], tmp_path: Path) -> DockerClient:
    """Docker's client without a server."""
    return DockerClient(needs("docker"), tmp_path)


@pytest.fixture
def docker_server(docker: DockerClient, tmp_path: Path) -> Iterator[DockerClient]:
    """Docker's client with a server that gives `docker.answers`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].removeprefix("/v1.41")
            found = path in docker.answers
            body = json.dumps(docker.answers[path] if found else {"message": f"no {path}"}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Api-Version", "1.41")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET

        def address_string(self) -> str:
            return "unix"

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    docker.answers["/_ping"] = "OK"
    with Server(str(tmp_path / "docker.sock"), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield docker
        server.shutdown()
        thread.join()
