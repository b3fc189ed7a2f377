"""The scenarios with networks, in a network namespace of their own, where other engines may make bridges."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from pyctr_lite import linux
from tests.bench import contestants, timing
from tests.bench.contestants import IMAGE, Docker, Engine, Ours, Podman, output
from tests.bench.timing import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.bench.workplace import Workplace

BRIDGED = {"pyctr_lite": (), "podman": ("--network", "podman"), "docker": ("--network", "bridge")}
"""The flags of `run` for the default bridge of each engine."""
ADDRESS = "10.99.0.1"
"""An address of the host, at which ports are reached."""
SECONDS = 2.0
_SERVER = """
import socket
server = socket.create_server(("0.0.0.0", 5000))
print("ready", flush=True)
while True:
    client, _ = server.accept()
    while client.recv_into(bytearray(1 << 20)): pass
    client.close()
"""
_CLIENT = """
import socket, sys, time
sock, data, sent = socket.create_connection((sys.argv[1], 5000)), bytes(1 << 20), 0
began = time.perf_counter()
while time.perf_counter() - began < float(sys.argv[2]):
    sent += sock.send(data)
print(sent / (time.perf_counter() - began) / 1e6)
"""


def start(present: Sequence[contestants.Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`run --rm -p PORT:80 IMAGE true` on the default bridge."""
    with _engines(present, work) as (engines, failed):
        measures: dict[str, Callable[[], float]] = {}
        for it in engines:
            flags = (*BRIDGED[it.name], "-p", "8080:80")
            measures[it.name] = partial(timing.one, it.command("run", "--rm", *flags, IMAGE, "true"))
            if isinstance(it, Ours):
                alone = it.command("run", "--rm", "--network", "none", IMAGE, "true")
                measures[f"{it.name} --network none"] = partial(timing.one, alone)
        return failed + timing.interleave(measures, max(1, rounds // 2))


def between(present: Sequence[contestants.Contestant], work: Workplace) -> list[Sample]:
    """Throughput from one container to another on the default bridge."""
    return _throughput(present, work, published=False)


def through_port(present: Sequence[contestants.Contestant], work: Workplace) -> list[Sample]:
    """Throughput from the host to a container's published port."""
    return _throughput(present, work, published=True)


def _throughput(present: Sequence[contestants.Contestant], work: Workplace, *, published: bool) -> list[Sample]:
    with _engines(present, work) as (samples, failed), ExitStack() as stack:
        measures = {}
        for it in samples:
            flags = (*BRIDGED[it.name], *(("-p", "5000:5000") if published else ()))
            server = output(it.command("run", "-d", *flags, IMAGE, "sleep", "100000"))
            stack.callback(output, it.remove(server))
            process = subprocess.Popen([*_inside(it, server), _SERVER], stdout=subprocess.PIPE, text=True)
            stack.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
            if published:
                client, address = [sys.executable, "-c"], ADDRESS
            else:
                other = output(it.command("run", "-d", *BRIDGED[it.name], IMAGE, "sleep", "100000"))
                stack.callback(output, it.remove(other))
                template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
                client = _inside(it, other)
                address = output(it.command("inspect", "--format", template, server))
            measures[it.name] = partial(_send, [*client, _CLIENT, address, str(SECONDS)])
            if published:  # the port is one engine's at a time
                sample = timing.interleave({it.name: measures.pop(it.name)}, 3)[0]
                failed.append(sample)
                stack.close()
        return failed + timing.interleave(measures, 3)


def _send(command: list[str]) -> float:
    return float(output(command))


def _inside(it: Engine, container: str) -> list[str]:
    pid = output(it.command("inspect", "--format", "{{.State.Pid}}", container))
    return [contestants.find("nsenter"), "--target", pid, "--net", sys.executable, "-c"]


@contextmanager
def _engines(
    present: Sequence[contestants.Contestant], work: Workplace
) -> Iterator[tuple[list[Engine], list[Sample]]]:
    """Enter a network namespace; yield the engines that can make a bridge there, and the reasons of the others."""
    engines: list[Engine] = []
    failed: list[Sample] = []
    with _network_namespace(), ExitStack() as stack:
        for it in present:
            if type(it) not in (Ours, Podman, Docker) or it.name not in BRIDGED:
                continue
            try:
                if isinstance(it, Docker):  # its daemon belongs to the namespace that it was started in
                    it = Docker(work, networks=True)
                    stack.callback(it.close)
                    it.prepare()
                assert isinstance(it, Engine)
                output(it.command("run", "--rm", *BRIDGED[it.name], IMAGE, "true"))
                engines.append(it)
            except (RuntimeError, OSError) as error:
                failed.append(Sample(it.name, failure=str(error)))
        yield engines, failed


@contextmanager
def _network_namespace() -> Iterator[None]:
    """Run the block in a network namespace of its own, with `lo` up and an address of the host."""
    with linux.closing(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)) as home:
        linux.unshare(linux.CLONE_NEWNET)
        try:
            output(["/sbin/ip", "link", "set", "lo", "up"])
            output(["/sbin/ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"])
            yield
        finally:
            linux.setns(home, linux.CLONE_NEWNET)
