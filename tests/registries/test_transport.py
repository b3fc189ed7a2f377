"""The way to a registry: proxies, TLS, certificates, and which registries may speak plain HTTP."""

from __future__ import annotations

import json
import select
import socket
import socketserver
import ssl
import subprocess
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from pyctr_lite.errors import PyctrError
from pyctr_lite.images import image as images
from pyctr_lite.images import reference
from pyctr_lite.images.store import ImageStore
from pyctr_lite.registries import credentials, endpoint, proxies, pull, transport
from pyctr_lite.registries.repository import Repository
from pyctr_lite.registries.upload import Upload
from tests.images.archives import digest, entry, tar
from tests.registries.servers import DockerRegistry, Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS")

LAYERS = [tar(entry("file", b"content"))]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("localhost:5000", True), ("127.0.0.1:5000", True), ("127.9.9.9", True),
        ("[::1]:5000", True), ("::1", True), ("fe80::1", False),
        ("registry.example", False), ("localhost.example:5000", False), ("10.0.0.1", False), ("[fe80::1]", False),
        ("127.0.0.1.example", False), ("", False),
    ],
)  # fmt: skip
def test_only_this_machine_is_loopback(host: str, expected: bool) -> None:
    assert endpoint.is_loopback(host) == expected


@pytest.mark.parametrize(
    ("url", "no_proxy", "expected"),
    [
        ("https://registry.example", "", "http://proxy:3128"),
        ("http://registry.example", "", "http://plain:3128"),
        ("https://localhost:5000", "", ""),
        ("https://127.0.0.2", "", ""),
        ("https://registry.example", "*", ""),
        ("https://registry.example", "example", ""),
        ("https://registry.example", ".example", ""),
        ("https://registry.example", "*.example", ""),
        ("https://registry.example", "ample", "http://proxy:3128"),
        ("https://registry.example", "other, registry.example", ""),
        ("https://registry.example:5000", "registry.example:5000", ""),
        ("https://registry.example:5001", "registry.example:5000", "http://proxy:3128"),
        ("https://registry.example", "registry.example:443", ""),
        ("https://10.1.2.3", "10.0.0.0/8", ""),
        ("https://11.1.2.3", "10.0.0.0/8", "http://proxy:3128"),
        ("https://[fd00::1]", "fd00::/8", ""),
    ],
)  # fmt: skip
def test_the_environments_proxy_is_chosen_as_go_does(
    monkeypatch: pytest.MonkeyPatch, url: str, no_proxy: str, expected: str
) -> None:
    monkeypatch.setenv("https_proxy", "proxy:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://plain:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    parts = urlsplit(url)
    assert proxies.choose(parts.scheme, parts.hostname or "", parts.port) == expected


def test_a_request_goes_through_the_proxy(
    proxy: FaultProxy,
    registry: DockerRegistry,
    repository: str,
    store: ImageStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy gets the whole address; the registry's name is known to nobody else."""
    registry.publish(repository, "v1", LAYERS)
    monkeypatch.setenv("HTTP_PROXY", f"http://ann:secret@{proxy.host}")
    name = reference.parse(f"registry.invalid/{repository}:v1")
    monkeypatch.setattr(transport.Transport, "speaks_tls", lambda self, base: False)
    assert pull.pull(store, name, insecure=True).is_new
    assert all(each.headers["absolute"].startswith("http://registry.invalid/v2/") for each in proxy.seen)
    assert {each.headers["proxy-authorization"] for each in proxy.seen} == {"Basic YW5uOnNlY3JldA=="}


def test_a_registry_elsewhere_never_speaks_plain_http() -> None:
    class Silent:
        def speaks_tls(self, base: str) -> bool:
            raise AssertionError("nobody asks")

    place = endpoint.Endpoint("registry.example:5000")
    assert place.base(Silent()) == "https://registry.example:5000"  # type: ignore[arg-type]


def test_a_registry_that_fails_with_tls_is_not_asked_without(
    proxy: FaultProxy, store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is on the way can make TLS fail. The proxy is not on this machine, as far as anyone knows."""
    monkeypatch.setattr(endpoint, "is_loopback", lambda host: False)
    with pytest.raises(transport.TransportError):
        pull.pull(store, reference.parse(f"{proxy.host}/tool"))
    assert proxy.seen == []


@pytest.mark.parametrize("asked", ["flag", "variable"])
def test_a_registry_elsewhere_speaks_plain_http_if_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    class Plain:
        def speaks_tls(self, base: str) -> bool:
            return False

    if asked == "variable":
        monkeypatch.setenv(endpoint.INSECURE_VARIABLE, "other, registry.example:5000")
    place = endpoint.Endpoint("registry.example:5000", insecure=asked == "flag")
    assert place.base(Plain()) == "http://registry.example:5000"  # type: ignore[arg-type]


def test_docker_hub_has_another_host_on_the_wire() -> None:
    place = endpoint.Endpoint("docker.io")
    assert (place.host, place.key) == ("registry-1.docker.io", "https://index.docker.io/v1/")


def test_a_redirect_from_tls_to_plain_http_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: FaultProxy) -> None:
    connections = transport.Transport()

    class Answer:
        status, headers = 307, {"Location": f"http://{proxy.host}/blob"}

    monkeypatch.setattr(connections, "_send", lambda *arguments: Answer())
    monkeypatch.setattr(connections, "close", lambda response: None)
    with pytest.raises(transport.TransportError, match="not encrypted"):
        connections.request("GET", "https://registry.example/v2/blob", {})
    assert proxy.seen == []


@pytest.mark.parametrize("address", ["http://[", "http://\x1b[2J/", "http://a:99999/", "ftp://host/", "//[::"])
@pytest.mark.parametrize("place", ["redirect", "token server", "upload"])
def test_an_answer_that_leads_to_no_address_is_an_error(proxy: FaultProxy, place: str, address: str) -> None:
    faults = {
        "redirect": Fault(302, {"location": address}, b""),
        "token server": Fault(401, {"www-authenticate": f'Bearer realm="{address}"'}, b""),
        "upload": Fault(202, {"location": address}, b""),
    }
    proxy.fault = lambda request: faults[place] if request.method != "HEAD" else Fault(404, {}, b"")
    target = Repository(reference.parse(f"{proxy.host}/tool"), "pull,push")
    upload = Upload(target, "/dev/null", digest(b"x"), 1, "x", lambda name, state, done, total: None)
    ask = upload.send if place == "upload" else partial(target.manifest, "v1")
    with pytest.raises(PyctrError, match=r"not an address|no such host|not encrypted") as raised:
        ask()
    assert raised.value.message.isprintable()


def test_a_registrys_text_cannot_forge_a_line(proxy: FaultProxy, store: ImageStore) -> None:
    """A hint may have several lines, unlike a message, which is shown on one."""
    platform = {"os": "evil\npyctr_lite: all is well", "architecture": "\x1b[2J"}
    other = {"os": "plan9", "architecture": "amd64"}
    described = [
        {"mediaType": images.MANIFEST, "digest": digest(b"x"), "size": 1, "platform": each}
        for each in (platform, other)
    ]
    index = {"schemaVersion": 2, "mediaType": images.INDEX, "manifests": described}
    proxy.fault = lambda request: Fault(200, {"content-type": images.INDEX}, json.dumps(index).encode())
    with pytest.raises(PyctrError, match="no matching manifest") as raised:
        pull.pull(store, reference.parse(f"{proxy.host}/tool"))
    assert raised.value.hint == "it has: plan9/amd64"


# --- TLS ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(
    needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[DockerRegistry, Path]]:
    """Start a registry with a certificate of its own; yield it, and the file with the certificate."""
    directory = tmp_path_factory.mktemp("tls")
    files = {"certificate": str(directory / "ca.crt"), "key": str(directory / "key.pem")}
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=tests -days 2 -addext"
    command += f" subjectAltName=IP:127.0.0.1 -keyout {files['key']} -out {files['certificate']}"
    subprocess.run([needs("openssl"), *command.split(" ")], check=True, capture_output=True)
    server = DockerRegistry(needs("docker-registry"), directory / "registry", http={"tls": files})
    server.context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
    yield server, directory / "ca.crt"
    server.stop()


@pytest.mark.parametrize("how", ["certs.d", "system", "insecure"])
def test_a_registry_with_tls(
    tls: tuple[DockerRegistry, Path],
    repository: str,
    store: ImageStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    server, certificate = tls
    server.publish(repository, "v1", LAYERS)
    if how == "system":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    elif how == "certs.d":
        directory = tmp_path / "certs.d" / server.host
        directory.mkdir(parents=True)
        (directory / "ca.crt").write_bytes(certificate.read_bytes())
        monkeypatch.setattr(endpoint, "CERTIFICATES", [str(tmp_path / "certs.d")])
    name = reference.parse(f"{server.host}/{repository}:v1")
    assert pull.pull(store, name, insecure=how == "insecure").is_new


def test_tls_goes_through_a_proxys_tunnel(
    tls: tuple[DockerRegistry, Path], repository: str, store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy sees the registry's name, and nothing of what is said to it."""
    server, _ = tls
    server.publish(repository, "v1", LAYERS)
    asked: list[bytes] = []

    class Tunnel(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked.append(b"".join(iter(self.rfile.readline, b"\r\n")))
            with socket.create_connection(("127.0.0.1", server.port)) as upstream:
                self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                ends = {self.request: upstream, upstream: self.request}
                while True:
                    for each in select.select(list(ends), [], [])[0]:
                        if not (data := each.recv(65536)):
                            return
                        ends[each].sendall(data)

    monkeypatch.setattr(
        socketserver.ThreadingTCPServer, "daemon_threads", True
    )  # the client keeps its connections
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            monkeypatch.setenv("HTTPS_PROXY", f"http://ann:secret@127.0.0.1:{proxy.server_address[1]}")
            assert pull.pull(store, reference.parse(f"registry.invalid/{repository}:v1"), insecure=True).is_new
        finally:
            proxy.shutdown()
            thread.join()
    assert asked[0].startswith(b"CONNECT registry.invalid:443 ")
    assert all(b"Basic YW5uOnNlY3JldA==" in each for each in asked)


def test_an_insecure_registry_does_not_make_its_token_server_one(
    tls: tuple[DockerRegistry, Path], proxy: FaultProxy, store: ImageStore
) -> None:
    """The password would go to whoever answers in the token server's place."""
    server, _ = tls
    challenge = {"www-authenticate": f'Bearer realm="https://{server.host}/token"'}
    proxy.fault = lambda request: Fault(401, challenge, b"")
    credentials.store(proxy.host, credentials.Credential("ann", "secret"))
    with pytest.raises(PyctrError, match="tls: failed to verify certificate"):
        pull.pull(store, reference.parse(f"{proxy.host}/tool"), insecure=True)


def test_an_unknown_certificate_is_refused(
    tls: tuple[DockerRegistry, Path], repository: str, store: ImageStore
) -> None:
    server, _ = tls
    server.publish(repository, "v1", LAYERS)
    with pytest.raises(PyctrError, match="tls: failed to verify certificate: self-signed certificate") as raised:
        pull.pull(store, reference.parse(f"{server.host}/{repository}:v1"))
    assert "/etc/docker/certs.d/" in raised.value.hint


def test_an_answer_that_is_cut_is_one_clear_error(proxy: FaultProxy, store: ImageStore) -> None:
    proxy.fault = lambda request: Fault(404, {}, b'{"errors": []}' * 9, cut=5) if "tool" in request.path else None
    with pytest.raises(PyctrError, match="manifest unknown"):
        pull.pull(store, reference.parse(f"{proxy.host}/tool"))
    proxy.fault = lambda request: Fault(200, {}, b'{"tags": ["v1"]}', cut=5) if "tool" in request.path else None
    with pytest.raises(transport.TransportError, match="was cut"):
        pull.tags(reference.parse(f"{proxy.host}/tool"))


def test_an_unknown_status_is_shown_without_the_query(proxy: FaultProxy, store: ImageStore) -> None:
    proxy.fault = lambda request: Fault(418, {}, b"teapot") if "manifests" in request.path else None
    with pytest.raises(PyctrError, match=r'manifests/latest": received unexpected HTTP status: 418'):
        pull.pull(store, reference.parse(f"{proxy.host}/tool"))
