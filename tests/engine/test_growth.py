"""Long-lived processes stay as large as they are: their memory and descriptors after many rounds of their work."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pyctr_lite import linux
from pyctr_lite.engine.api.client import Client
from pyctr_lite.engine.engine import Engine
from pyctr_lite.engine.events import writer
from pyctr_lite.engine.life import attach
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Pyctr

NOISE = 400
"""kB that a process may grow: Python's allocator takes 256 or 1024 kB at once, but touches little of it."""


def usage(pid: int) -> tuple[int, int]:
    """Return a process's memory beyond that of files, in kB, and the number of its descriptors.

    Also memory that it still shares with a child: Private_Dirty would grow when the child ends.
    """
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    memory = sum(int(line.split()[1]) for line in rollup if line.startswith("Anonymous:"))
    return memory, len(os.listdir(f"/proc/{pid}/fd"))


def check(pid: int, work: Callable[[int], None], first: int, more: int) -> None:
    """Check that `more` rounds of work do not make a process grow, after the first ones, which import modules."""
    work(first)
    memory, descriptors = usage(pid)
    work(more)
    memory_after, descriptors_after = usage(pid)
    assert descriptors_after <= descriptors + 2, "both ends of a connection may be open at this moment"
    assert memory_after - memory < NOISE


def monitor(pyctr: Pyctr, name: str) -> int:
    return Engine(str(pyctr.root)).containers.get(name).state.MonitorPid


def start(pyctr: Pyctr, name: str, *options: str) -> int:
    """Start a container, and return the pid of its monitor."""
    pyctr("run", "-d", "--name", name, *options, "busybox", "sleep", "1000", check=True)
    return monitor(pyctr, name)


@contextmanager
def following(pyctr: Pyctr, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command that follows something, and end it."""
    with subprocess.Popen(pyctr.command(*arguments), stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def test_the_helper_of_the_api_after_many_runs_and_execs(pyctr: Pyctr) -> None:
    start(pyctr, "box")
    with Client(str(pyctr.root)) as client:

        def work(rounds: int) -> None:
            for _ in range(rounds):
                assert client.run("busybox", ["true"], remove=True).exit_code == 0
                assert client.exec("box", ["true"]).exit_code == 0

        work(1)
        assert client._helper is not None
        check(client._helper.pid, work, 5, 30)
        before = usage(os.getpid())[1]
        work(10)
        assert usage(os.getpid())[1] == before


def test_a_monitor_after_many_attached_clients(pyctr: Pyctr) -> None:
    pid = start(pyctr, "box")
    directory = Engine(str(pyctr.root)).containers.get("box").runtime

    def work(rounds: int) -> None:
        for _ in range(rounds):
            clients = [attach.connect(directory, output=True) for _ in range(20)]
            for client in clients:
                client.close()
            pidfd = os.pidfd_open(pid)
            last = attach.connect(directory, output=False)
            last.networks_changed(pidfd)  # it answers after it has seen the others
            last.close()
            os.close(pidfd)

    check(pid, work, 5, 100)


def test_a_monitor_after_many_changes_of_networks(pyctr: Pyctr) -> None:
    pyctr("network", "create", "red", check=True)
    port = free_port()
    pid = start(pyctr, "box", "-p", f"{port}:80")

    def work(rounds: int) -> None:
        for _ in range(rounds):
            pyctr("network", "disconnect", "bridge", "box", check=True)
            pyctr("network", "connect", "red", "box", check=True)
            pyctr("network", "disconnect", "red", "box", check=True)
            pyctr("network", "connect", "bridge", "box", check=True)
            pyctr("update", "--network-rate-out", "8mbit", "box", check=True)

    check(pid, work, 3, 10)


def test_a_monitor_after_many_health_checks(pyctr: Pyctr) -> None:
    pid = start(pyctr, "box", "--health-cmd", "echo hi", "--health-interval", "20ms")
    file = next((pyctr.root / "containers").glob("*/health.json"))

    def work(rounds: int) -> None:
        seen = 0
        last = ""
        while seen < rounds:
            log = json.loads(file.read_text())["Log"]
            if log and log[-1]["Start"] != last:
                last = log[-1]["Start"]
                seen += 1

    check(pid, work, 8, 40)


def test_a_monitor_after_much_output(pyctr: Pyctr) -> None:
    script = "i=0; while read x; do seq 1 20000; echo done; done"
    options = ["-di", "--name", "box", "--log-opt", "max-size=300k", "--log-opt", "max-file=2"]
    pyctr("run", *options, "busybox", "sh", "-c", script, check=True)
    client = attach.connect(Engine(str(pyctr.root)).containers.get("box").runtime, output=True)

    def work(rounds: int) -> None:
        for _ in range(rounds):
            client.send_input(b"x\n")
            tail = b""
            while not tail.endswith(b"done\n"):
                tail = tail[-10:] + client.receive()[1]

    check(monitor(pyctr, "box"), work, 40, 60)
    client.close()


def test_the_pump_of_an_exec_after_much_output(pyctr: Pyctr) -> None:
    start(pyctr, "box")
    with subprocess.Popen(
        pyctr.command("exec", "-i", "box", "sh", "-c", "while read x; do seq 1 20000; echo done; done"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None

        def work(rounds: int) -> None:
            for _ in range(rounds):
                client.stdin.write(b"x\n")
                client.stdin.flush()
                for line in client.stdout:
                    if line == b"done\n":
                        break

        work(1)
        lines = pyctr("top", "box", "-o", "pid,comm", check=True).stdout.splitlines()
        pids = [int(line.split()[0]) for line in lines if line.split()[1] in ("sh", "busybox")]
        parent = Path(f"/proc/{pids[0]}/status").read_text().partition("PPid:")[2].split()[0]
        check(int(parent), work, 3, 30)
        check(client.pid, work, 3, 30)
        client.stdin.close()


def test_logs_that_are_followed(pyctr: Pyctr) -> None:
    script = "while read x; do seq 1 2000; echo done; done"
    options = ["-di", "--name", "box", "--log-opt", "max-size=100k", "--log-opt", "max-file=2"]
    pyctr("run", *options, "busybox", "sh", "-c", script, check=True)
    box = Engine(str(pyctr.root)).containers.get("box")
    client = attach.connect(box.runtime, output=False)
    with following(pyctr, "logs", "-f", "box") as logs:

        def write(rounds: int) -> None:
            for _ in range(rounds):
                client.send_input(b"x\n")
                for line in logs.stdout or ():
                    if line == b"done\n":
                        break

        check(logs.pid, write, 60, 60)
    client.close()


def test_events_that_are_followed(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "box", "busybox", "true", check=True)
    box = Engine(str(pyctr.root)).containers.get("box")
    with following(pyctr, "events", "--since", "1h") as events:

        def emit(rounds: int) -> None:
            for number in range(rounds):
                writer.emit(box.paths, "kill", box.record, number=str(number))
                assert events.stdout is not None
                while f"number={number}" not in events.stdout.readline().decode():
                    pass

        check(events.pid, emit, 5000, 5000)


def test_stats_that_are_followed(pyctr: Pyctr) -> None:
    start(pyctr, "box")
    with following(pyctr, "stats", "--format", "{{.Name}}") as stats:

        def read(rounds: int) -> None:
            for _ in range(rounds):
                assert stats.stdout is not None
                while b"box" not in stats.stdout.readline():
                    pass

        check(stats.pid, read, 4, 5)


def test_the_proxy_of_a_port_and_its_monitor_after_many_connections(pyctr: Pyctr) -> None:
    port = free_port()
    server = ["nc", "-ll", "-p", "80", "-e", "echo", "here"]
    pyctr("run", "-d", "--name", "web", "-p", f"{port}:80", "busybox", *server, check=True)

    def work(rounds: int) -> None:
        for _ in range(rounds):
            answer = b""
            while not answer:  # until the server listens
                with socket.create_connection(("::1", port), 20) as connection:
                    answer = connection.recv(10)
            assert answer == b"here\n"

    work(1)
    pid = monitor(pyctr, "web")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    inside = Engine(str(pyctr.root)).containers.get("web").state.Pid
    (proxy,) = [int(child) for child in children if int(child) != inside]
    check(proxy, work, 20, 300)
    check(pid, work, 1, 300)


def query(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (
        struct.pack(">6H", os.getpid() & 0xFFFF, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)
    )


def test_a_dns_server_after_ten_thousand_queries(pyctr: Pyctr) -> None:
    """Known names, unknown ones that are sent on, by UDP and by TCP, and messages that are none."""
    pyctr("network", "create", "red", check=True)
    pid = start(pyctr, "web", "--network", "red", "--dns", "127.0.0.1")
    inside = Engine(str(pyctr.root)).containers.get("web").state.Pid

    def work(rounds: int) -> None:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with open(f"/proc/{inside}/ns/net") as namespace:
                    linux.setns(namespace.fileno(), linux.CLONE_NEWNET)
                ask_many(rounds)
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0

    check(pid, work, 1000, 10000)


def ask_many(rounds: int) -> None:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.connect(("127.0.0.11", 53))
    udp.settimeout(20)
    for number in range(rounds):
        name = "web" if number % 3 else f"unknown-{number}.example"
        if number % 50 == 0:
            with socket.create_connection(("127.0.0.11", 53), 20) as tcp:
                message = query(name)
                tcp.sendall(struct.pack(">H", len(message)) + message)
                assert tcp.recv(1000)
        udp.send(b"odd")
        udp.send(query(name))
        assert udp.recv(1000)
