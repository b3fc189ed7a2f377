"""Ports and ranges of ports, and the grammar of --publish and --expose, compared with Docker's client."""

from __future__ import annotations

import http.server
import ipaddress
import json
import re
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyctr_lite.formats import ports
from pyctr_lite.formats.ports import Binding


@pytest.mark.parametrize(
    ("text", "first", "last", "protocol"),
    [("80", 80, 80, "tcp"), ("53/UDP", 53, 53, "udp"), ("8000-8010/sctp", 8000, 8010, "sctp"), ("0", 0, 0, "tcp")],
)
def test_a_port_or_a_range_has_a_protocol(text: str, first: int, last: int, protocol: str) -> None:
    assert ports.parse(text) == (range(first, last + 1), protocol)


@pytest.mark.parametrize("text", ["", "http", "80-", "-80", "80-70", "65536", "1-65536", "1-2-3", "٨٠", "80/icmp"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid containerPort|invalid proto"):
        ports.parse(text)


def test_a_port_below_the_minimum_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid containerPort: 0"):
        ports.parse("0", minimum=1)


PUBLISH = {
    "80": [Binding("", 0, 0, 80)],
    "80/": [Binding("", 0, 0, 80)],
    ":80": [Binding("", 0, 0, 80)],
    "::80": [Binding("", 0, 0, 80)],
    "53/UDP": [Binding("", 0, 0, 53, "udp")],
    "8080:80": [Binding("", 8080, 8080, 80)],
    "0080:080": [Binding("", 80, 80, 80)],
    "0:80": [Binding("", 0, 0, 80)],
    "0-0:80-80": [Binding("", 0, 0, 80)],
    "65535:65535/sctp": [Binding("", 65535, 65535, 65535, "sctp")],
    "8000-8010:80": [Binding("", 8000, 8010, 80)],
    "80-81": [Binding("", 0, 0, 80), Binding("", 0, 0, 81)],
    "8000-8001:80-81/udp": [Binding("", 8000, 8000, 80, "udp"), Binding("", 8001, 8001, 81, "udp")],
    "127.0.0.1:8080:80": [Binding("127.0.0.1", 8080, 8080, 80)],
    "127.0.0.1::80": [Binding("127.0.0.1", 0, 0, 80)],
    "127.0.0.1:0:80": [Binding("127.0.0.1", 0, 0, 80)],
    "0.0.0.0:8000-8001:80": [Binding("0.0.0.0", 8000, 8001, 80)],
    "[::1]:8080:80": [Binding("::1", 8080, 8080, 80)],
    "[::1]::80-81": [Binding("::1", 0, 0, 80), Binding("::1", 0, 0, 81)],
    "[::]:8080:80/udp": [Binding("::", 8080, 8080, 80, "udp")],
    "::1:8080:80": [Binding("::1", 8080, 8080, 80)],
    ":::8080:80": [Binding("::", 8080, 8080, 80)],
    "[127.0.0.1]:8080:80": [Binding("127.0.0.1", 8080, 8080, 80)],
    "[]:8080:80": [Binding("", 8080, 8080, 80)],
    "target=80": [Binding("", 0, 0, 80)],
    "target=80,published=8080": [Binding("", 8080, 8080, 80)],
    "target=80,published=": [Binding("", 0, 0, 80)],
    "published=8080,target=80,protocol=udp,mode=host": [Binding("", 8080, 8080, 80, "udp")],
    "target=80-81,published=8000-8001": [Binding("", 8000, 8000, 80), Binding("", 8001, 8001, 81)],
    "target=80,published=127.0.0.1:8080": [Binding("127.0.0.1", 8080, 8080, 80)],
    "target=80,published=8080,color=red": [Binding("", 8080, 8080, 80)],
}
"""What Docker's client understands, too."""

NO_PUBLISH = {
    "": "no port specified: <empty>",
    ":": "no port specified: :<empty>",
    "8080:": "no port specified: 8080:<empty>",
    "/tcp": "no port specified: /tcp<empty>",
    "80/icmp": "invalid proto: icmp",
    "8000-8001:80-82": "invalid ranges specified for container and host Ports: 80-82 and 8000-8001",
    "8000-8003:80-82/udp": "invalid ranges specified for container and host Ports: 80-82 and 8000-8003",
    "8002-8000:80-82": "invalid hostPort: 8002-8000",
    "8000-8002:82-80": "invalid containerPort: 82-80",
    "65536:80": "invalid hostPort: 65536",
    "8080:65536": "invalid containerPort: 65536",
    "+8080:80": "invalid hostPort: +8080",
    "8080:80 ": "invalid containerPort: 80 ",
    "8_0:80": "invalid hostPort: 8_0",
    "80-": "invalid containerPort: 80-",
    "-8080:80": "invalid hostPort: -8080",
    "8080:٨٠": "invalid containerPort: ٨٠",
    "8080/udp:80": "invalid hostPort: 8080/udp",
    "127.0.0.1:80": "invalid hostPort: 127.0.0.1",
    "localhost:8080:80": "invalid IP address: localhost",
    "1.2.3:8080:80": "invalid IP address: 1.2.3",
    "01.2.3.4:8080:80": "invalid IP address: 01.2.3.4",
    "1:2:3:4": "invalid IP address: 1:2",
    "[fe80::1%lo]:8080:80": "invalid IP address: fe80::1%lo",
    "[::1:8080:80": "invalid IP address [::1: address [::1:: missing ']' in address",
    "[::1]x:8080:80": "invalid IP address [::1]x: address [::1]x:: missing port in address",
    "published=8080,protocol=tcp": "no port specified: 8080:/tcp<empty>",
    "target=80,foo": "invalid publish opts format (should be name=value but got 'foo')",
    "=": "invalid publish opts format (should be name=value but got '=')",
    "target=80=90": "invalid containerPort: 80=90",
}
"""What Docker's client refuses, too, with its message."""

STRICTER = {
    "1-2-3:80": "invalid hostPort: 1-2-3",
    "8080:80/tcp/udp": "invalid proto: tcp/udp",
    "8080:0": "invalid containerPort: 0",
    "0-9:80": "invalid hostPort: 0-9",
}

EXPOSE = {
    "80": [(80, "tcp")],
    "80/": [(80, "tcp")],
    "080": [(80, "tcp")],
    "53/udp": [(53, "udp")],
    "80-81/sctp": [(80, "sctp"), (81, "sctp")],
}

NO_EXPOSE = {
    "": "invalid range format for --expose: , error: empty string specified for ports",
    "/tcp": "invalid range format for --expose: /tcp, error: empty string specified for ports",
    "a": 'invalid range format for --expose: a, error: strconv.ParseUint: parsing "a": invalid syntax',
    "80-": 'invalid range format for --expose: 80-, error: strconv.ParseUint: parsing "": invalid syntax',
    "1-65536": 'invalid range format for --expose: 1-65536, error: strconv.ParseUint: parsing "65536": '
    "value out of range",
    "82-80": "invalid range format for --expose: 82-80, error: invalid range specified for port: 82-80",
    "80:80": "invalid port format for --expose: 80:80",
}


@pytest.mark.parametrize("text", PUBLISH)
def test_publish_gives_a_binding_for_each_port_of_the_container(text: str) -> None:
    assert ports.parse_publish(text) == PUBLISH[text]


@pytest.mark.parametrize("text", [*NO_PUBLISH, *STRICTER])
def test_an_invalid_publish_is_refused_in_dockers_words(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape((NO_PUBLISH | STRICTER)[text])}$"):
        ports.parse_publish(text)


@pytest.mark.parametrize("text", EXPOSE)
def test_expose_gives_ports_with_their_protocol(text: str) -> None:
    assert ports.parse_expose(text) == EXPOSE[text]


@pytest.mark.parametrize("text", [*NO_EXPOSE, "80/icmp", "0"])
def test_an_invalid_expose_is_refused_in_dockers_words(text: str) -> None:
    messages = NO_EXPOSE | {"80/icmp": "invalid proto: icmp", "0": "invalid containerPort: 0"}
    with pytest.raises(ValueError, match=f"^{re.escape(messages[text])}$"):
        ports.parse_expose(text)


def test_ipv4_in_the_form_of_ipv6_is_ipv4() -> None:
    assert ports.parse_publish("[::ffff:127.0.0.1]:80:80") == [Binding("127.0.0.1", 80, 80, 80)]
    assert ports.parse_publish("[::ffff:7f00:1]:80:80") == [Binding("127.0.0.1", 80, 80, 80)]


port_numbers = st.integers(1, 65535)
addresses = st.one_of(st.just(""), st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str))


@given(addresses, st.tuples(port_numbers, port_numbers), port_numbers, st.sampled_from(ports.PROTOCOLS))
def test_a_binding_is_parsed_from_its_own_text(
    address: str, host: tuple[int, int], port: int, protocol: str
) -> None:
    if address:
        ip = ipaddress.ip_address(address)
        address = str(getattr(ip, "ipv4_mapped", None) or ip)
    binding = Binding(address, min(host), max(host), port, protocol)
    assert [str(each) for each in ports.parse_publish(str(binding))] == [str(binding)]
    anywhere = Binding(address, 0, 0, port, protocol)
    assert ports.parse_publish(str(anywhere)) == [anywhere]


@given(st.text(st.sampled_from("0123456789:.-[]/=,tcpudarget%\0\ud800٨")))
@example("[:" + ":" * 50)
def test_no_text_raises_anything_but_a_value_error(text: str) -> None:
    for parse in (ports.parse_publish, ports.parse_expose):
        try:
            found = parse(text)
        except ValueError:
            pass
        else:
            assert found


class _Daemon(http.server.BaseHTTPRequestHandler):
    """Notes the request of `docker create`."""

    requests: list[dict[str, Any]] = []

    def do_HEAD(self) -> None:
        self._answer(200, b"")

    do_GET = do_HEAD

    def do_POST(self) -> None:
        self.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(201, b'{"Id":"1"}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        for name, value in (("Api-Version", "1.41"), ("Ostype", "linux"), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "docker"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., dict[str, Any] | str]]:
    """Docker's own client: a function that returns what it asks the daemon for, or its error in lower case."""
    client = shutil.which("docker")
    if client is None:
        pytest.skip("needs Docker's client")
    path = tmp_path_factory.mktemp("docker") / "docker.sock"
    with socketserver.UnixStreamServer(str(path), _Daemon) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the client hangs up at an error
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def create(flag: str, *values: str) -> dict[str, Any] | str:
            words = [word for value in values for word in (flag, value)]
            command = [client, "-H", f"unix://{path}", "create", *words, "image"]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                # Version 20.10 begins messages with a capital letter, and ends them with a full stop.
                return done.stderr.splitlines()[0].removeprefix("docker: ").removesuffix(".").lower()
            return _Daemon.requests.pop()

        yield create
        server.shutdown()
        thread.join()


SINCE_DOCKER_28 = {"::1:8080:80", ":::8080:80", "1:2:3:4", "=", "target=80=90"}
"""Lines of which Docker 20.10 makes something else."""


def test_docker_understands_the_same(docker: Callable[..., dict[str, Any] | str]) -> None:
    lines = [line for line in PUBLISH if line not in SINCE_DOCKER_28]
    bindings: dict[str, list[dict[str, str]]] = {}
    for line in lines:
        for binding in ports.parse_publish(line):
            key = f"{binding.container_port}/{binding.protocol}"
            shown = {"HostIp": binding.host_ip, "HostPort": binding.host_port}
            bindings.setdefault(key, []).append(shown)
    request = docker("-p", *lines)
    assert isinstance(request, dict), request
    given = request["HostConfig"]["PortBindings"]
    for each in (each for listed in given.values() for each in listed):
        each["HostPort"] = "" if each["HostPort"] == "0" else each["HostPort"]  # the same to the daemon
    assert given == bindings
    assert request["ExposedPorts"] == {key: {} for key in bindings}
    exposed = docker("--expose", *EXPOSE)
    assert isinstance(exposed, dict), exposed
    assert exposed["ExposedPorts"] == {f"{port}/{kind}": {} for listed in EXPOSE.values() for port, kind in listed}


@pytest.mark.parametrize("text", [line for line in NO_PUBLISH if line not in SINCE_DOCKER_28])
def test_docker_refuses_the_same_publish(text: str, docker: Callable[..., dict[str, Any] | str]) -> None:
    assert docker("-p", text) == NO_PUBLISH[text].lower()


@pytest.mark.parametrize("text", NO_EXPOSE)
def test_docker_refuses_the_same_expose(text: str, docker: Callable[..., dict[str, Any] | str]) -> None:
    ours = NO_EXPOSE[text].lower()
    reworded = ours.replace("specified for port:", "specified for the port:")  # 20.10
    assert docker("--expose", text) in (ours, reworded)
