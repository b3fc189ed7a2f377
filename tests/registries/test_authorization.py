"""Tokens and passwords: which are asked for, sent, kept, and to whom."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import urllib3

from pyctr_lite.errors import PyctrError
from pyctr_lite.images import reference
from pyctr_lite.images.store import ImageStore
from pyctr_lite.registries import authorization, credentials, login, pull, push, transport
from pyctr_lite.registries.credentials import Credential
from tests.images.archives import entry, tar
from tests.registries.servers import DockerRegistry, Fault, FaultProxy
from tests.registries.test_push import make
from tests.registries.tokens import TokenRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYERS = [tar(entry(f"file{number}", os.urandom(50_000))) for number in range(4)]


@pytest.fixture
def tokens(registry: DockerRegistry) -> Iterator[TokenRegistry]:
    server = TokenRegistry(registry, {"ann": "secret"}, refresh="")
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (['Bearer realm="https://a/t?x=1",service="s",scope="repository:a:pull,push"'],
         [("bearer", {"realm": "https://a/t?x=1", "service": "s", "scope": "repository:a:pull,push"})]),
        (['Basic realm="x"'], [("basic", {"realm": "x"})]),
        (['Basic realm="x", Bearer realm="y"'], [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})]),
        (["Negotiate", "BEARER realm=y , service = z"],
         [("negotiate", {}), ("bearer", {"realm": "y", "service": "z"})]),
        ([r'Basic realm="a \"b\""'], [("basic", {"realm": 'a "b"'})]),
        (["", "=", '"'], []),
    ],
)  # fmt: skip
def test_challenges_are_parsed(headers: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    assert authorization.parse_challenges(headers) == expected


def test_an_anonymous_token_is_fetched_once_for_a_pull(
    store: ImageStore, registry: DockerRegistry, repository: str, tokens: TokenRegistry
) -> None:
    registry.publish(repository, "v1", LAYERS)
    assert pull.pull(store, reference.parse(f"{tokens.proxy.host}/{repository}:v1")).is_new
    assert tokens.asked == [{"service": ["tests"], "scope": [f"repository:{repository}:pull"]}]


def test_a_token_that_ends_in_the_middle_is_replaced(
    store: ImageStore, registry: DockerRegistry, repository: str, tokens: TokenRegistry
) -> None:
    registry.publish(repository, "v1", LAYERS)
    tokens.valid_for = 2
    assert pull.pull(store, reference.parse(f"{tokens.proxy.host}/{repository}:v1")).is_new
    assert 2 < len(tokens.asked) < 8


def test_a_token_that_is_about_to_end_is_replaced_before_it_is_refused(
    store: ImageStore, registry: DockerRegistry, repository: str, tokens: TokenRegistry
) -> None:
    registry.publish(repository, "v1", LAYERS[:1])
    tokens.expires_in = 5
    assert pull.pull(store, reference.parse(f"{tokens.proxy.host}/{repository}:v1")).is_new
    assert len(tokens.asked) == 4  # one for each request
    assert [each.status for each in tokens.proxy.seen].count(401) == 1


def test_a_push_needs_a_user_and_asks_for_every_scope(
    store: ImageStore, repository: str, tokens: TokenRegistry
) -> None:
    name = f"{tokens.proxy.host}/{repository}:v1"
    make(store, name, LAYERS[:1])
    with pytest.raises(PyctrError, match="denied: requested access to the resource is denied") as raised:
        push.push(store, reference.parse(name))
    assert raised.value.hint == f"pyctr_lite login {tokens.proxy.host}"
    credentials.store(tokens.proxy.host, Credential("ann", "secret"))
    tokens.asked.clear()
    store.tag(name, f"{tokens.proxy.host}/test/elsewhere:v1")
    push.push(store, reference.parse(name))
    assert tokens.asked == [
        {
            "service": ["tests"],
            "scope": [f"repository:{repository}:pull,push", "repository:test/elsewhere:pull"],
            "account": ["ann"],
            "client_id": ["pyctr_lite"],
            "offline_token": ["true"],
        }
    ]


def test_a_private_repository_is_dockers_message(store: ImageStore, tokens: TokenRegistry) -> None:
    with pytest.raises(PyctrError) as raised:
        pull.pull(store, reference.parse(f"{tokens.proxy.host}/private/tool"))
    assert raised.value.message == (
        f"pull access denied for {tokens.proxy.host}/private/tool, repository does not exist or may require "
        "'docker login': denied: requested access to the resource is denied"
    )


def test_an_identity_token_is_stored_and_used_in_place_of_the_password(
    store: ImageStore, registry: DockerRegistry, repository: str, tokens: TokenRegistry
) -> None:
    tokens.refresh = "a.refresh.token"
    accepted = login.login(tokens.proxy.host, Credential("ann", "secret"))
    assert accepted == Credential("ann", "", "a.refresh.token")
    credentials.store(tokens.proxy.host, accepted)
    registry.publish(repository, "v1", LAYERS[:1])
    tokens.asked.clear()
    assert pull.pull(store, reference.parse(f"{tokens.proxy.host}/{repository}:v1")).is_new
    assert tokens.asked == [
        {
            "grant_type": ["refresh_token"],
            "service": ["tests"],
            "client_id": ["pyctr_lite"],
            "refresh_token": ["a.refresh.token"],
            "scope": [f"repository:{repository}:pull"],
        }
    ]


def test_login_asks_the_registry(tokens: TokenRegistry) -> None:
    assert login.login(tokens.proxy.host, Credential("ann", "secret")) == Credential("ann", "secret")
    with pytest.raises(PyctrError, match=r"Get .*/v2/.*: unauthorized: incorrect username or password"):
        login.login(tokens.proxy.host, Credential("ann", "wrong"))


def test_a_password_is_never_sent_to_a_token_server_without_encryption(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry is reached by TLS, and names a token server that is not."""
    connections = transport.Transport()
    base = "https://registry.example"
    asked = authorization.Authorization(connections, lambda: base, lambda: Credential("ann", "secret"), [])

    class Answer:
        headers = urllib3.HTTPHeaderDict({"WWW-Authenticate": 'Bearer realm="http://token.example/"'})

    with pytest.raises(PyctrError, match="not encrypted"):
        asked.answer(Answer(), "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("realm", "message"),
    [
        ("http://localhost:80@token.example/", "not encrypted"),
        ("http://127.0.0.1:80@token.example/", "not encrypted"),
        ("http://localhost.token.example/", "not encrypted"),
        ("ftp://localhost/", "not encrypted"),
        ("https://[::1]@token.example/", "not an address"),
        ("https://[token/", "not an address"),
    ],
)
@pytest.mark.parametrize("secret", [Credential("ann", "secret"), Credential("ann", "", "identity")], ids=str)
def test_an_odd_realm_gets_no_secret(realm: str, message: str, secret: Credential) -> None:
    connections = transport.Transport()
    asked = authorization.Authorization(connections, lambda: "https://registry.example", lambda: secret, [])

    class Answer:
        headers = urllib3.HTTPHeaderDict({"WWW-Authenticate": f'Bearer realm="{realm}"'})

    with pytest.raises(PyctrError, match=message):
        asked.answer(Answer(), "")  # type: ignore[arg-type]


def test_a_realm_keeps_its_query_and_loses_its_fragment() -> None:
    challenge = {"realm": "/token?tenant=a#part", "service": "s"}
    asked = authorization.token_request(challenge, "https://registry.example", ["repository:a:pull,push"], None)
    query = "tenant=a&service=s&scope=repository%3Aa%3Apull%2Cpush"
    assert asked == (f"https://registry.example/token?{query}", {})


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 1}', b'{"token": "a\\nHost: b"}', b"{" * 1000])
def test_an_answer_without_a_token_is_an_error(store: ImageStore, proxy: FaultProxy, body: bytes) -> None:
    challenge = {"www-authenticate": f'Bearer realm="http://{proxy.host}/token"'}
    proxy.fault = lambda request: Fault(200, {}, body) if "token" in request.path else Fault(401, challenge, b"")
    with pytest.raises(PyctrError, match="has no token"):
        pull.pull(store, reference.parse(f"{proxy.host}/tool"))


# --- where credentials are ------------------------------------------------------------------------------


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_a_credential_is_stored_as_docker_does_and_other_keys_stay(no_credentials: Path) -> None:
    path = no_credentials / "config.json"
    write(path, {"HttpHeaders": {"X": "y"}, "auths": {"other:5000": {"auth": "b3RoZXI6cHc="}}})
    assert credentials.store("here:5000", Credential("ann", "sec:ret")) == str(path)
    value = json.loads(path.read_text())
    assert value == {
        "HttpHeaders": {"X": "y"},
        "auths": {"other:5000": {"auth": "b3RoZXI6cHc="}, "here:5000": {"auth": "YW5uOnNlYzpyZXQ="}},
    }
    assert path.stat().st_mode & 0o777 == 0o600
    assert credentials.find("here:5000") == Credential("ann", "sec:ret")
    assert credentials.erase("here:5000")
    assert not credentials.erase("here:5000")
    assert credentials.find("here:5000") is None
    assert credentials.find("other:5000") == Credential("other", "pw")


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "https://index.docker.io/v2/"])
def test_docker_hub_has_one_credential(no_credentials: Path, key: str) -> None:
    write(no_credentials / "config.json", {"auths": {key: {"auth": "YW5uOnB3"}}})
    assert credentials.find("https://index.docker.io/v1/") == Credential("ann", "pw")


def test_podmans_file_is_the_second_choice(
    no_credentials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "auth.json", {"auths": {"here:5000": {"auth": "YW5uOnB3"}, "both": {"auth": "YW5uOnB3"}}})
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    write(no_credentials / "config.json", {"auths": {"both": {"auth": "Ym9iOnB3"}}})
    assert credentials.find("here:5000") == Credential("ann", "pw")
    assert credentials.find("both") == Credential("bob", "pw")


@pytest.mark.parametrize(
    "content", ["{", '{"auths": []}', '{"auths": {"a": 1}}', '{"auths": {"a": {"auth": "?"}}}']
)
def test_a_malformed_file_is_an_error_or_has_no_credential(no_credentials: Path, content: str) -> None:
    no_credentials.mkdir()
    (no_credentials / "config.json").write_text(content)
    if content == "{":
        with pytest.raises(PyctrError, match="error loading config file"):
            credentials.find("a")
    else:
        assert credentials.find("a") is None


HELPER = """#!/bin/sh
read line
echo "$1 $line" >> "$(dirname "$0")/log"
case "$1 $line" in
"get here:5000") echo '{"ServerURL": "here:5000", "Username": "ann", "Secret": "pw"}';;
"get token:5000") echo '{"Username": "<token>", "Secret": "an.identity"}';;
"get bad") echo 'no JSON';;
get*) echo "credentials not found in native keychain"; exit 1;;
esac
"""


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a credential helper "tests". Returns the file with its requests."""
    program = tmp_path / "bin/docker-credential-tests"
    program.parent.mkdir()
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program.parent / "log"


def test_a_helper_keeps_the_credentials(no_credentials: Path, helper: Path) -> None:
    write(no_credentials / "config.json", {"credsStore": "tests"})
    assert credentials.find("here:5000") == Credential("ann", "pw")
    assert credentials.find("token:5000") == Credential("", "", "an.identity")
    assert credentials.find("unknown") is None
    assert credentials.store("here:5000", Credential("ann", "new")) == ""
    assert "new" not in (no_credentials / "config.json").read_text()
    assert credentials.erase("here:5000")
    log = helper.read_text().splitlines()
    assert 'store {"ServerURL":"here:5000","Username":"ann","Secret":"new"}' in log
    assert log[-1] == "erase here:5000"
    with pytest.raises(PyctrError, match="not a credential"):
        credentials.find("bad")


def test_a_registry_can_have_a_helper_of_its_own(no_credentials: Path, helper: Path) -> None:
    write(
        no_credentials / "config.json",
        {"credHelpers": {"here:5000": "tests"}, "auths": {"a": {"auth": "YW5uOnB3"}}},
    )
    assert credentials.find("here:5000") == Credential("ann", "pw")
    assert credentials.find("a") == Credential("ann", "pw")
    assert helper.read_text() == "get here:5000\n"


@pytest.mark.parametrize(("name", "message"), [("missing", "executable file not found"), ("../x", "not the name")])
def test_a_helper_that_is_missing_is_an_error(no_credentials: Path, name: str, message: str) -> None:
    write(no_credentials / "config.json", {"credsStore": name})
    with pytest.raises(PyctrError, match=message):
        credentials.find("here:5000")


def test_a_helper_that_fails_is_one_line(no_credentials: Path, helper: Path) -> None:
    program = helper.parent / "docker-credential-tests"
    write(no_credentials / "config.json", {"credsStore": "tests"})
    program.write_text("#!/bin/sh\necho first; echo second >&2; exit 1\n")
    with pytest.raises(PyctrError, match="exit status 1, out: `first second`"):
        credentials.store("here:5000", Credential("ann", "pw"))
    program.chmod(0o644)
    with pytest.raises(PyctrError, match="docker-credential-tests: permission denied"):
        credentials.find("here:5000")


def test_credentials_that_cannot_be_saved_are_one_line(no_credentials: Path) -> None:
    no_credentials.write_text("a file in the place of the directory")
    with pytest.raises(PyctrError, match=r"error saving credentials: .*/config\.json: "):
        credentials.store("here:5000", Credential("ann", "pw"))


@pytest.mark.parametrize(
    "text",
    [" " * 60000, "Bearer " + " " * 60000 + "x", "a" * 60000, 'Bearer realm="' + "a" * 60000, "a=," * 20000],
)
def test_no_challenge_takes_long_to_read(text: str) -> None:
    """The header is a registry's: with the usual expressions, 60,000 spaces took hours."""
    authorization.parse_challenges([text])
