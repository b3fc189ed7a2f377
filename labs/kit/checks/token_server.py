"""A registry that wants tokens, before one that wants none: `python -m labs.kit.checks.token_server HOST`.

It prints its port, and then a line of JSON for each request for a token: query and Authorization header.
"""

from __future__ import annotations

import http.client
import http.server
import json
import sys
from urllib.parse import parse_qsl, urlsplit

TOKEN, SERVICE = "let-me-in", "the lab's registry, with a comma"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream = ""

    def do_GET(self) -> None:
        """Give a token, ask for one, or pass the request on."""
        parts = urlsplit(self.path)
        if parts.path == "/token":
            said = {"query": parse_qsl(parts.query), "authorization": self.headers["Authorization"]}
            print(json.dumps(said), flush=True)
            self._answer(200, {"Content-Type": "application/json"}, json.dumps({"token": TOKEN}).encode())
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            realm = f"http://{self.headers['Host']}/token"
            challenge = f'Bearer realm="{realm}",service="{SERVICE}",scope="repository:other:pull,push"'
            self._answer(401, {"WWW-Authenticate": challenge}, b"{}")
        else:
            connection = http.client.HTTPConnection(self.upstream)
            connection.request(self.command, self.path, headers={"Accept": self.headers["Accept"] or "*/*"})
            answer = connection.getresponse()
            kept = ("Content-Type", "Docker-Content-Digest")
            headers = {name: value for name in kept if (value := answer.headers[name])}
            self._answer(answer.status, headers, answer.read())
            connection.close()

    do_HEAD = do_GET

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    _Handler.upstream = sys.argv[1]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
