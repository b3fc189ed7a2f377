"""Published ports when a running container leaves its last network with a way out, and joins its first one."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from pyctr_lite.engine.life import attach
from pyctr_lite.networks import bridge, nft, rules
from tests.cli.network.test_connect import taken
from tests.cli.network.test_port import free_port
from tests.conftest import Pyctr
from tests.engine.life.test_survival import end_of, state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


Refused: Any = pytest.raises(ConnectionRefusedError)


def serve(pyctr: Pyctr, port: int, *options: str) -> None:
    """Start `web`, which answers "here" on a port, and wait until it does."""
    server = ["nc", "-ll", "-p", str(port), "-e", "echo", "here"]
    pyctr("run", "-d", "--name", "web", "-p", f"{port}:{port}", *options, "busybox", *server, check=True)
    pyctr("exec", "web", "sh", "-c", f"until nc 127.0.0.1 {port} < /dev/null; do :; done", check=True)


def call(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), 5) as connection:
        connection.settimeout(5)
        return connection.recv(10)


def shown(pyctr: Pyctr) -> tuple[str, str]:
    """Return what `port` and `ps` show of the container's ports."""
    return pyctr("port", "web").stdout, pyctr("ps", "--format", "{{.Ports}}").stdout.strip()


@pytest.fixture
def red(pyctr: Pyctr) -> str:
    pyctr("network", "create", "red", check=True)
    return "red"


def test_the_last_network_takes_the_ports_with_it_and_the_next_one_brings_them_back(
    pyctr: Pyctr, red: str
) -> None:
    port = free_port()
    serve(pyctr, port)
    before = shown(pyctr)
    pyctr("network", "disconnect", "bridge", "web", check=True)
    for host in ("127.0.0.1", "::1"):
        with Refused:
            call(host, port)
    socket.create_server(("0.0.0.0", port)).close()  # the host may have it
    assert shown(pyctr) == ("", "")
    pyctr("network", "connect", red, "web", check=True)
    assert shown(pyctr) == before
    assert (call("127.0.0.1", port), call("::1", port)) == (b"here\n", b"here\n")


def test_a_container_on_internal_networks_gets_its_ports_with_the_first_other_one(pyctr: Pyctr, red: str) -> None:
    port = free_port()
    pyctr("network", "create", "--internal", "closed", check=True)
    serve(pyctr, port, "--network", "closed")
    assert shown(pyctr) == ("", "")
    assert pyctr("inspect", "-f", "{{json .NetworkSettings.Ports}}", "web").stdout == "{}\n"
    with Refused:
        call("127.0.0.1", port)
    pyctr("network", "connect", red, "web", check=True)
    assert (call("127.0.0.1", port), call("::1", port)) == (b"here\n", b"here\n")
    assert f"0.0.0.0:{port}" in shown(pyctr)[0]
    pyctr("network", "disconnect", red, "web", check=True)
    with Refused:
        call("127.0.0.1", port)
    pyctr("network", "connect", red, "web", check=True)
    pyctr("rm", "-f", "web", check=True)
    socket.create_server(("0.0.0.0", port)).close()


@pytest.mark.parametrize("holder", ["host", "container"])
def test_a_connect_that_needs_a_taken_port_changes_nothing(
    pyctr: Pyctr, red: str, root: Path, holder: str
) -> None:
    port = free_port()
    serve(pyctr, port)
    pyctr("network", "disconnect", "bridge", "web", check=True)
    before = taken(root)
    record = next((root / "containers").glob("*/container.json"))
    content = record.read_text()
    if holder == "host":
        with socket.create_server(("0.0.0.0", port)):
            done = pyctr("network", "connect", red, "web")
        message = f"failed to bind host port 0.0.0.0:{port}/tcp: address already in use"
    else:
        pyctr("run", "-d", "--name", "other", "-p", f"{port}:1", "busybox", "sleep", "60", check=True)
        done = pyctr("network", "connect", red, "web")
        message = f"Bind for 0.0.0.0:{port} failed: port is already allocated"
        pyctr("rm", "-f", "other", check=True)
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr
    assert taken(root) == before
    assert record.read_text() == content
    assert "eth" not in pyctr("exec", "web", "ip", "link", check=True).stdout
    assert red not in pyctr("exec", "web", "cat", "/etc/hosts", check=True).stdout
    pyctr("network", "connect", red, "web", check=True)
    assert call("127.0.0.1", port) == b"here\n"


UDP_SERVER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind(("0.0.0.0", int(sys.argv[1])))
    print("ready", flush=True)
    while True:
        sock.sendto(b"here", sock.recvfrom(100)[1])
"""


def test_a_udp_client_is_refused_in_between_and_reaches_the_container_by_the_next_network(
    pyctr: Pyctr, red: str
) -> None:
    """It sends on from one port, which keeps its entry in the kernel's connection tracking alive."""
    port = free_port()
    pyctr("run", "-d", "--name", "web", "-p", f"{port}:{port}/udp", "busybox", "sleep", "60", check=True)
    pid = pyctr("inspect", "-f", "{{.State.Pid}}", "web", check=True).stdout.strip()
    inside = ["nsenter", "-t", pid, "-n", sys.executable, "-c", UDP_SERVER, str(port)]
    with (
        subprocess.Popen(inside, stdout=subprocess.PIPE) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        client.settimeout(5)
        client.connect(("127.0.0.1", port))

        def ask() -> bytes:
            client.send(b"x")
            return client.recv(10)

        try:
            assert ask() == b"here"
            pyctr("network", "disconnect", "bridge", "web", check=True)
            with Refused:
                ask()
            pyctr("network", "connect", red, "web", check=True)
            assert ask() == b"here"
        finally:
            server.kill()


def test_a_container_without_its_monitor_leaves_and_joins_networks_without_ports(
    pyctr: Pyctr, red: str, root: Path
) -> None:
    port = free_port()
    serve(pyctr, port)
    state = next((root / "containers").glob("*/state.json"))
    os.kill(json.loads(state.read_text())["MonitorPid"], signal.SIGKILL)
    pyctr("network", "disconnect", "bridge", "web", check=True)
    pyctr("network", "connect", red, "web", check=True)
    assert shown(pyctr)[0] == ""
    with Refused:
        call("127.0.0.1", port)
    pyctr("restart", "-t", "0", "web", check=True)
    assert f"0.0.0.0:{port}" in shown(pyctr)[0]


def test_a_container_that_ends_meanwhile_does_not_block_a_change(pyctr: Pyctr, red: str) -> None:
    """Its monitor waits for the lock that `connect` holds, and answers no more."""
    for _ in range(10):
        pyctr("run", "-d", "--name", "web", "busybox", "sleep", "0.05", check=True)
        for verb in ("connect", "disconnect", "connect"):
            pyctr("network", verb, red, "web", check=True, timeout=20)
        assert pyctr("wait", "web", check=True, timeout=20).stdout == "0\n"
        pyctr("rm", "web", check=True)


def test_a_port_by_ipv6_stays_closed_to_internal_networks_after_a_move(pyctr: Pyctr, red: str) -> None:
    """The proxy serves it from this machine, so no rule about forwarding applies (`rules.guard`)."""
    port = free_port()
    serve(pyctr, port)

    def is_guarded() -> bool:
        with bridge.Sockets() as sockets:
            keys = [key for key, _ in nft.elements(sockets.filter, rules.TABLE, "proxied_any6")]
        return nft.concatenation(bytes([rules.PROTOCOLS["tcp"]]), port.to_bytes(2)) in keys

    assert is_guarded()
    pyctr("network", "connect", red, "web", check=True)
    pyctr("network", "disconnect", "bridge", "web", check=True)
    assert is_guarded()
    pyctr("network", "disconnect", red, "web", check=True)
    assert not is_guarded()


def test_a_port_of_another_engine_is_named_with_its_state_directory(pyctr: Pyctr, tmp_path: Path) -> None:
    other = Pyctr(pyctr.launcher, tmp_path / "other")
    pyctr("save", "-o", tmp_path / "busybox.tar", "busybox", check=True)
    other("load", "-i", tmp_path / "busybox.tar", check=True)
    port = free_port()
    for engine in (other, pyctr):
        engine("run", "-d", "--name", "web", "-p", f"{port}:80", "busybox", "sleep", "60", check=engine is other)
    for flag in (f"{port}:80", f"127.0.0.1:{port}:80"):
        done = pyctr("run", "--rm", "-p", flag, "busybox", "true")
        assert done.returncode == 125
        assert "failed: port is already allocated\n" in done.stderr
        assert f"\n  pyctr_lite --root {other.root} ps shows its container\n" in done.stderr
    done = other("run", "--rm", "-p", f"{port}:80", "busybox", "true")
    assert "\n  pyctr_lite ps shows the published ports\n" in done.stderr
    other("rm", "-f", "web", check=True)
    other("network", "prune", "-f", check=True)


def test_a_monitor_that_hangs_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "PATIENCE", 0.2)
    listener = attach.listen(str(tmp_path))
    connection, pidfd = attach.connect(str(tmp_path), output=False), os.pidfd_open(os.getpid())
    assert connection.networks_changed(pidfd) is None
    connection.close()
    os.close(pidfd)
    listener.close()


@pytest.fixture
def older(pyctr: Pyctr) -> Iterator[str]:
    """A container whose monitor is of an older version: it reads packets, but answers none about networks."""
    pyctr("run", "-d", "--name", "old", "busybox", "sleep", "60", check=True)
    known = state(pyctr, "old")
    os.kill(int(str(known["MonitorPid"])), signal.SIGKILL)
    end_of(int(str(known["MonitorPid"])))
    directory = pyctr.root / "run/containers" / pyctr("inspect", "-f", "{{.Id}}", "old").stdout.strip()
    (directory / "attach.sock").unlink()
    listener = socket.socket(fileno=attach.listen(str(directory)).detach())
    listener.setblocking(True)

    def answer() -> None:
        while True:
            client = listener.accept()[0]
            while client.recv(100):
                pass
            client.close()

    answering = multiprocessing.get_context("fork").Process(target=answer, daemon=True)
    answering.start()
    listener.close()
    yield "old"
    answering.kill()
    answering.join()


def test_a_monitor_of_an_older_version_is_a_warning_at_once(pyctr: Pyctr, red: str, older: str) -> None:
    for verb in ("connect", "disconnect"):
        began = time.monotonic()
        done = pyctr("network", verb, red, older, check=True)
        assert done.stderr == (
            "WARNING: the monitor of old, perhaps of an older version, did not follow: "
            "restart the container for its names and published ports\n"
        )
        assert time.monotonic() - began < attach.PATIENCE / 2
        links = pyctr("exec", older, "ls", "/sys/class/net", check=True).stdout.split()
        assert ("eth1" in links) == (verb == "connect")


def test_a_stopped_containers_disconnect_is_an_event_as_in_docker(pyctr: Pyctr, red: str) -> None:
    """Docker 20.10 emits none for `connect`."""
    pyctr("create", "--name", "box", "busybox", "true", check=True)
    pyctr("network", "connect", red, "box", check=True)
    pyctr("network", "disconnect", red, "box", check=True)
    pyctr("network", "disconnect", "bridge", "box", check=True)
    form = "{{.Action}} {{.Actor.Attributes.name}}"
    shown = pyctr(
        "events", "--since", "1h", "--until", "0s", "--filter", "type=network", "--format", form, check=True
    )
    assert shown.stdout.splitlines() == ["create red", "disconnect red", "disconnect bridge"]
