"""A token server, and the registry that trusts it: a proxy before docker-registry that asks for tokens."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tests.registries.servers import Fault, FaultProxy, Seen

if TYPE_CHECKING:
    from tests.registries.servers import DockerRegistry


class TokenRegistry:
    """A registry whose tokens carry the granted scopes in clear text, and are valid for so many requests.

    `users` are names and passwords; anonymous tokens pull from "test/" only. `refresh` is the identity token that
    a login gets.
    """

    def __init__(self, upstream: DockerRegistry, users: dict[str, str], *, refresh: str = "") -> None:
        self.users, self.refresh = users, refresh
        self.valid_for = 1000
        self.expires_in = 300
        self.asked: list[dict[str, list[str]]] = []
        """The query or form of each request for a token."""
        self._uses: dict[str, int] = {}
        self.proxy = FaultProxy(upstream)
        self.proxy.fault = self._answer

    def stop(self) -> None:
        """End the server."""
        self.proxy.stop()

    def _answer(self, request: Seen) -> Fault | None:
        if request.path.startswith("/token"):
            return self._token(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        wanted = _scope(request)
        granted = _granted(token) if scheme == "Bearer" else []
        self._uses[token] = self._uses.get(token, 0) + 1
        if scheme == "Bearer" and self._uses[token] <= self.valid_for and _covers(granted, wanted):
            request.headers.pop("authorization")
            return None
        challenge = f'Bearer realm="http://{self.proxy.host}/token",service="tests"'
        if wanted:
            challenge += f',scope="{wanted}"'
        if scheme == "Bearer" and not _covers(granted, wanted):
            challenge += ',error="insufficient_scope"'
        return Fault(401, {"www-authenticate": challenge}, b'{"errors": [{"code": "UNAUTHORIZED"}]}')

    def _token(self, request: Seen) -> Fault:
        form = request.method == "POST"
        query = parse_qs(request.body.decode() if form else urlsplit(request.path).query)
        self.asked.append(query)
        user = self._user(request, query, form=form)
        if user is None:
            error = {"code": "UNAUTHORIZED", "message": "incorrect username or password"}
            return Fault(401, {}, json.dumps({"errors": [error]}).encode())
        scopes = [scope for text in query.get("scope", []) for scope in text.split(" ")]
        if not user:
            scopes = [scope for scope in scopes if scope.endswith(":pull") and ":test/" in scope]
        clear = base64.urlsafe_b64encode(json.dumps(scopes).encode()).decode()
        answer = {
            "access_token" if form else "token": f"{len(self.asked)}.{clear}",
            "expires_in": self.expires_in,
        }
        if self.refresh and query.get("offline_token") == ["true"]:
            answer["refresh_token"] = self.refresh
        return Fault(200, {"content-type": "application/json"}, json.dumps(answer).encode())

    def _user(self, request: Seen, query: dict[str, list[str]], *, form: bool) -> str | None:
        """Return the user's name, "" for nobody, None for a wrong password."""
        if form:
            return "refreshed" if query.get("refresh_token") == [self.refresh] else None
        given = request.headers.get("authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(given).decode().partition(":")
        return user if not user or self.users.get(user) == password else None


def _scope(request: Seen) -> str:
    """Return the scope that a request needs, "" for /v2/."""
    for part in ("/blobs/", "/manifests/", "/tags/"):
        name, found, _ = request.path.removeprefix("/v2/").partition(part)
        if found:
            return f"repository:{name}:{'pull' if request.method in ('GET', 'HEAD') else 'pull,push'}"
    return ""


def _granted(token: str) -> list[str]:
    scopes: list[str] = json.loads(base64.urlsafe_b64decode(token.partition(".")[2]))
    return scopes


def _covers(granted: list[str], wanted: str) -> bool:
    return not wanted or any(scope == wanted or scope == f"{wanted},push" for scope in granted)
