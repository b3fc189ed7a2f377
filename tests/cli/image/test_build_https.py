"""A context from a git repository by HTTPS: the certificate's authority, fragments, and passwords."""

from __future__ import annotations

import base64
import http.server
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.image.conftest import Builder
from tests.cli.image.test_build_sources import git, repository  # noqa: F401
from tests.conftest import Pyctr

SECRET = "s3cret%2F@word"
HEADER = "Basic " + base64.b64encode(b"ann:s3cret/@word").decode()


@dataclass
class GitServer:
    """A server of git repositories by HTTPS, on this machine. With `closed` it wants a password."""

    host: str
    closed: bool = False
    seen: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"https://{self.host}/x.git"

    @property
    def url_with_password(self) -> str:
        return f"https://ann:{SECRET}@{self.host}/x.git"


def respond(request: http.server.BaseHTTPRequestHandler, top: Path) -> None:
    """Answer by git's own program, which is a CGI."""
    path, _, query = request.path.partition("?")
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(top),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "REQUEST_METHOD": request.command,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
    }
    body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
    program = ["/usr/lib/git-core/git-http-backend"]
    head, _, content = subprocess.run(program, input=body, env=environment, capture_output=True).stdout.partition(
        b"\r\n\r\n"
    )
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
    request.send_response(int(headers.pop("Status", "200").split()[0]))
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


@pytest.fixture
def server(
    repository: Path,  # noqa: F811
    tmp_path: Path,
    needs: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[GitServer]:
    """A server whose certificate is only known to the git configuration of the home directory `home`."""
    monkeypatch.delenv("GIT_SSL_CAINFO", raising=False)
    certificate, key = tmp_path / "ca.crt", tmp_path / "key.pem"
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=tests -days 2 -addext"
    command += f" subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    subprocess.run([needs("openssl"), *command.split(" ")], check=True, capture_output=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text(f"[http]\n\tsslCAInfo = {certificate}\n")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            found.seen.add(given)
            if found.closed and given != HEADER:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                respond(self, repository.parent)

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        found = GitServer(f"127.0.0.1:{listening.server_port}")
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield found
        finally:
            listening.shutdown()
            thread.join()


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose git knows the server's certificate."""
    return {"HOME": str(tmp_path / "home")}


def test_a_context_is_a_branch_a_commit_or_a_directory(
    pyctr: Pyctr,
    builder: Builder,
    server: GitServer,
    repository: Path,  # noqa: F811
    home: dict[str, str],
) -> None:
    pyctr("build", "-t", "it", server.url, env=home, check=True)
    assert builder.sh("cd /c; ls -A") == "Dockerfile\nbelow\nout\n"
    commit = git(repository, "rev-parse", "other")
    for reference in ("other", "refs/heads/other", commit):
        pyctr("build", "-t", "it", f"{server.url}#{reference}", env=home, check=True)
        assert "only-other" in builder.sh("ls /c")
    pyctr("build", "-t", "it", f"{server.url}#{commit}:below", env=home, check=True)
    assert builder.sh("cat /below") == "f\n"
    assert not list(pyctr.root.glob("staging/*"))


@pytest.mark.parametrize(
    ("fragment", "message"),
    [
        ("#none", "failed to fetch the repository: couldn't find remote ref none"),
        ("#main:none", "none: no such directory in the repository"),
        ("#main:out", "out: no such directory in the repository"),
    ],
)
def test_a_wrong_part_of_a_repository_is_refused(
    pyctr: Pyctr, server: GitServer, home: dict[str, str], fragment: str, message: str
) -> None:
    done = pyctr("build", server.url + fragment, env=home)
    assert (done.returncode, f"pyctr_lite: {message}" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize("known", ["", "GIT_SSL_CAINFO"])
def test_an_unknown_certificate_is_refused_unless_the_environment_names_it(
    pyctr: Pyctr, server: GitServer, tmp_path: Path, known: str
) -> None:
    env = {"HOME": "/nonexistent", **({known: str(tmp_path / "ca.crt")} if known else {})}
    done = pyctr("build", server.url, env=env)
    assert (done.returncode == 0) == bool(known)
    assert known or "certificate verification failed" in done.stderr
    assert server.seen == ({""} if known else set())


def test_a_user_and_a_password_are_sent_and_appear_nowhere(
    pyctr: Pyctr, server: GitServer, home: dict[str, str]
) -> None:
    server.closed = True
    done = pyctr("build", "-t", "it", f"{server.url_with_password}#main:below", env=home, check=True)
    assert server.seen == {"", HEADER}
    history = pyctr("history", "--no-trunc", "it", check=True).stdout
    inspected = pyctr("image", "inspect", "it", check=True).stdout
    events = pyctr("events", "--since", "1h", "--until", "0s", check=True).stdout
    for text in (done.stdout, done.stderr, history, inspected, events):
        assert "s3cret" not in text
    for directory, _, names in os.walk(pyctr.root):
        for name in names:
            path = Path(directory, name)
            assert path.is_symlink() or not path.is_file() or b"s3cret" not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("word@", "failed to fetch the repository: "),
        ("x.git#none", "couldn't find remote ref none"),
        ("x.git#a..b", "invalid branch, tag or commit"),
        ("x y.git", "invalid URL of a repository"),
        ("y.git", "failed to fetch the repository: "),
        ("x.tar", "a context from a URL is not supported"),
    ],
)
def test_no_error_has_the_password(
    pyctr: Pyctr, server: GitServer, home: dict[str, str], changed: str, message: str
) -> None:
    server.closed = True
    if changed == "word@":
        url = server.url_with_password.replace("word@", "w0rd@")
    else:
        url = server.url_with_password.replace("x.git", changed)
    done = pyctr("build", url, env=home)
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr
    assert "s3cret" not in done.stderr + done.stdout
    assert done.stderr.count("pyctr_lite: ") == 1


def test_a_closed_repository_asks_nobody_for_a_password(
    pyctr: Pyctr, server: GitServer, home: dict[str, str]
) -> None:
    server.closed = True
    done = pyctr("build", server.url, env=home)
    assert (done.returncode, "failed to fetch the repository: " in done.stderr) == (1, True), done.stderr
    assert done.stderr.count("pyctr_lite: ") == 1
