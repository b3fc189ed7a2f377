"""Published ports (`-p`): who reaches them, and which are refused."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.ports import free_port

if TYPE_CHECKING:
    from tests.conftest import Pyctr

SERVE = "mkdir /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w"


def get(address: str, port: int) -> str:
    """Return the page of an HTTP server, which may take a moment to start."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection((address, port), timeout=5) as sock:
                sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
                text = b""
                while data := sock.recv(4096):
                    text += data
            if text:
                return text.decode().rpartition("\r\n\r\n")[2]
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def test_a_published_port_is_reached_by_every_address_of_the_host(pyctr: Pyctr) -> None:
    port = free_port()
    pyctr("run", "-d", "--name", "web", "-p", f"{port}:80", "busybox", "sh", "-c", SERVE, check=True)
    for address in ("127.0.0.1", "::1"):
        assert get(address, port) == "hello\n", address
    from_inside = pyctr(
        "exec", "web", "sh", "-c", f"wget -qO- http://$(ip route | awk '/default/ {{print $3}}'):{port}"
    )
    assert from_inside.stdout == "hello\n", "the container itself, by the address of the host"
    other = pyctr(
        "run", "--rm", "busybox", "sh", "-c", f"wget -qO- http://$(ip r | awk '/default/ {{print $3}}'):{port}"
    )
    assert other.stdout == "hello\n", "another container"
    pyctr("rm", "-f", "web", check=True)
    with socket.create_server(("127.0.0.1", port)):
        pass  # the port is free again


def test_a_taken_port_is_refused_and_nothing_is_left(pyctr: Pyctr) -> None:
    port = free_port()
    pyctr("run", "-d", "--name", "web", "-p", f"{port}:80", "busybox", "sleep", "60", check=True)
    done = pyctr("run", "--rm", "-p", f"{port}:80", "busybox", "true")
    assert done.returncode == 125
    assert f"Bind for 0.0.0.0:{port} failed: port is already allocated" in done.stderr
    pyctr("rm", "-f", "web", check=True)
    with socket.create_server(("0.0.0.0", port)):
        done = pyctr("run", "--rm", "-p", f"{port}:80", "busybox", "true")
        assert done.returncode == 125
        assert "address already in use" in done.stderr
    assert pyctr("run", "--rm", "-p", f"{port}:80", "busybox", "true").returncode == 0


ECHO = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("0.0.0.0", 53))
print("bound", flush=True)
while True:
    data, client = sock.recvfrom(1000)
    sock.sendto(data, client)
"""


def test_udp_is_answered_by_both_versions_of_ip(pyctr: Pyctr) -> None:
    port = free_port()
    pyctr("run", "-d", "--name", "dns", "-p", f"{port}:53/udp", "busybox", "sleep", "60", check=True)
    pid = pyctr("inspect", "-f", "{{.State.Pid}}", "dns", check=True).stdout.strip()
    command = ["nsenter", "-t", pid, "-n", sys.executable, "-c", ECHO]  # busybox has no server for UDP
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "bound\n"
            for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                with socket.socket(family, socket.SOCK_DGRAM) as sock:
                    sock.settimeout(20)
                    sock.connect((address, port))
                    sock.send(b"ping")
                    assert sock.recv(100) == b"ping", address
        finally:
            server.kill()


def test_a_thousand_ports_are_published(pyctr: Pyctr) -> None:
    first = 20000
    flags = ("-p", f"{first}-{first + 1199}:1-1200")
    done = pyctr("run", "-d", "--name", "many", *flags, "busybox", "sh", "-c", SERVE, check=True)
    assert done.stdout
    assert get("127.0.0.1", first + 79) == "hello\n"
    pyctr("restart", "-t", "0", "many", check=True)
    assert pyctr("exec", "many", "sh", "-c", "ulimit -n", check=True)
    assert get("::1", first + 79) == "hello\n"
