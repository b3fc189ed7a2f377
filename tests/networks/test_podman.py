"""podman's networks on the same machine: its rules for the packet filter and ours leave each other alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pyctr_lite.networks import bridge, link, removal
from tests.conftest import Pyctr
from tests.leaks import children, end_groups, wait_for_children
from tests.networks.machine import MODES, Machine, add_default_routes, set_mode, surroundings
from tests.networks.topology import Namespace, connect

OURS, THEIRS, PORT = 8090, 8091, 80
BACKENDS = {"netavark": "/usr/lib/podman/netavark", "cni": "/usr/lib/cni/portmap"}
"""What makes podman's networks, in newer and in older versions, and a file that it needs."""
CONFIG = """\
[containers]
# Debian's default asks for more open files than a machine without CAP_SYS_RESOURCE can give.
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "{}"
"""
EXPECTED = {
    *("world to ours", "world to theirs", "host to ours", "host to theirs"),
    *("ours to world", "ours to theirs", "theirs to world", "theirs to ours"),
}
"""Who reaches whom. The container `inner`, on an internal network of ours, is not reached, and reaches nobody."""


class Podman:
    """podman on a host in a network namespace, with directories in /run and /var/lib of its own."""

    def __init__(self, host: Namespace, directory: Path, backend: str, group: str) -> None:
        self.group = group
        (directory / "containers.conf").write_text(CONFIG.format(backend))
        own = "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && echo && exec sleep infinity"
        self.holder = subprocess.Popen(
            host.enter("unshare", "--mount", "sh", "-c", own), stdout=subprocess.PIPE, text=True
        )
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline()
        enter = ["nsenter", "-t", str(self.holder.pid), "-n", "-m"]
        directories = [f"--{name}={directory}/{name}" for name in ("root", "runroot", "tmpdir")]
        settings = ["env", f"CONTAINERS_CONF={directory}/containers.conf", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        self.command = [*enter, *settings, "podman", *directories, "--storage-driver=vfs"]

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command. Returns its output and errors."""
        done = subprocess.run(
            [*self.command, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return f"{done.stdout}{done.stderr}".strip()

    def run(self, name: str, *options: str, code: int = 0) -> str:
        """Start a container that does nothing. Returns its id, or an error."""
        group = "--cgroup-parent", f"/{self.group}"
        return self("run", "-d", "--name", name, *group, *options, "busybox", "sleep", "1000", code=code)

    def remove(self) -> None:
        """Remove all containers."""
        self("rm", "-f", "-a", "-t", "0")

    def close(self) -> None:
        self.remove()
        self.holder.kill()
        self.holder.communicate()


class Both:
    """A host with containers of both engines, and the world. Each container has a server."""

    def __init__(self, machine: Machine, podman: Podman, stack: ExitStack) -> None:
        self.machine, self.podman, self.stack = machine, podman, stack
        self.boxes = {"world": machine.world}
        self.servers = {"world": stack.enter_context(machine.world.listen("0.0.0.0", PORT))}

    def start_ours(self) -> None:
        """Start `ours`, with a published port, and `inner`, with a default route of its own making."""
        self.machine("network", "create", "--internal", "--subnet", "10.83.0.0/24", "inner")
        self._add("ours", self.machine.run("ours", "-p", f"{OURS}:{PORT}"))
        inner = self.machine.run("inner", "--network", "inner")
        with inner.route() as sock:
            link.add_route(sock, link.index(sock, "eth0"), "10.83.0.1")
        self._add("inner", inner)

    def start_theirs(self) -> None:
        """Start `theirs`, with a published port."""
        self.podman.run("theirs", "-p", f"{THEIRS}:{PORT}")
        self._add("theirs", Namespace.of(int(self.podman("inspect", "-f", "{{.State.Pid}}", "theirs"))))

    def remove_ours(self) -> None:
        """Remove our containers, and then all that our engine has made, as `make uninstall` does."""
        self.machine("rm", "-f", "ours", "inner")
        self.machine("network", "rm", "inner")
        host, root = self.machine.host, self.machine("info", "-f", "{{.DockerRootDir}}")

        def remove() -> None:
            with bridge.Sockets() as sockets:
                removal.remove(sockets, root)

        host.call(remove)
        self._forget("ours", "inner")

    def remove_theirs(self) -> None:
        self.podman.remove()
        self._forget("theirs")

    def reached(self) -> set[str]:
        """Try all connections: to published ports, to the world, and to containers' addresses as a neighbour may.

        What podman does with a packet to its own container's address is not ours to say, unless `inner` sends it.
        """
        published = {"ours": OURS, "theirs": THEIRS}
        wanted = {}
        for name in self.boxes.keys() & published.keys():
            wanted[f"host to {name}"] = (self.machine.host, "127.0.0.1", published[name], self.servers[name])
        for who, box in self.boxes.items():
            for other, server in self.servers.items():
                if who == other:
                    continue
                if other in published:
                    wanted[f"{who} to {other}"] = (box, "192.0.2.1", published[other], server)
                if other == "world":
                    wanted[f"{who} to world"] = (box, "192.0.2.2", PORT, server)
                elif other != "theirs" or who == "inner":
                    wanted[f"{who} to the address of {other}"] = (box, _address(self.boxes[other]), PORT, server)
        return {
            text for text, peer in zip(wanted, connect(list(wanted.values()), patience=0.5), strict=True) if peer
        }

    def rules(self) -> list[str]:
        """Return the tables of other programs, each with its rules."""
        command = self.machine.host.enter("nft", "--stateless", "list", "ruleset")
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [table for table in shown.split("table ") if table and "pyctr_lite" not in table.split("{")[0]]

    def _add(self, name: str, box: Namespace) -> None:
        self.boxes[name], self.servers[name] = box, self.stack.enter_context(box.listen("0.0.0.0", PORT))

    def _forget(self, *names: str) -> None:
        for name in names:
            del self.boxes[name]
            self.servers.pop(name).close()


def _address(box: Namespace) -> str:
    with box.route() as sock:
        lo = link.index(sock, "lo")
        return next(address for number, address, _ in link.addresses(sock) if number != lo and "." in address)


@pytest.fixture(params=BACKENDS)
def both(request: pytest.FixtureRequest, pyctr: Pyctr, needs: Callable[[str], str]) -> Iterator[Both]:
    for program in ("podman", "conmon", "runc", "nft"):
        needs(program)
    if not os.path.exists(BACKENDS[request.param]):
        pytest.skip(f"this podman is installed without {BACKENDS[request.param]}")
    directory = Path(tempfile.mkdtemp(prefix="podman-"))  # its run directory may have 50 characters
    group, before = f"pyctr-{os.getpid()}-podman", children()
    with surroundings() as (host, world), ExitStack() as stack:
        add_default_routes(world, "host")
        machine = Machine(host, world, host.enter(*pyctr.command()))
        podman = Podman(host, directory, request.param, group)
        stack.callback(shutil.rmtree, directory)
        stack.callback(end_groups, group, only_empty=False)
        stack.callback(wait_for_children, known=before | children(), seconds=20)
        stack.callback(podman.close)
        listed = subprocess.run([*podman.command, "network", "ls"], capture_output=True, text=True)
        if request.param == "cni" and listed.returncode:
            pytest.skip(f"this podman knows netavark only: {listed.stderr}")
        pyctr("save", "-o", directory / "busybox.tar", "busybox", check=True)
        podman("load", "-q", "-i", f"{directory}/busybox.tar")
        both = Both(machine, podman, stack)
        yield both
        if "ours" in both.boxes:
            machine("rm", "-f", "ours", "inner")


@pytest.mark.parametrize("order", ["ours first", "theirs first"])
def test_both_are_reached_and_an_internal_network_stays_closed(both: Both, order: str) -> None:
    starts = [both.start_ours, both.start_theirs]
    for start in starts if order.startswith("ours") else reversed(starts):
        start()
    for mode in MODES:
        set_mode(both.machine.host, mode)
        assert both.reached() == EXPECTED, mode


def test_the_removal_of_one_leaves_the_others(both: Both) -> None:
    both.start_theirs()
    before = both.rules()
    for _ in range(2):
        both.start_ours()
        assert both.reached() == EXPECTED
        both.remove_ours()
        assert both.rules() == before
        assert both.reached() == {text for text in EXPECTED if "ours" not in text}
    both.start_ours()
    both.remove_theirs()
    assert both.reached() == {text for text in EXPECTED if "theirs" not in text}


def test_podmans_rules_stay_if_forwarding_is_dropped_by_default(both: Both) -> None:
    """Then podman's own published ports are not reached from the world, with or without us."""
    both.start_theirs()
    subprocess.run(both.machine.host.enter("iptables", "-P", "FORWARD", "DROP"), check=True)
    before = both.rules()
    alone = both.reached()
    both.start_ours()
    assert both.reached() == EXPECTED - ({"world to theirs"} - alone)
    both.remove_ours()
    assert both.rules() == before
    assert both.reached() == alone


def test_a_port_of_the_other_engine_is_refused(both: Both) -> None:
    both.start_ours()
    both.start_theirs()
    assert "address already in use" in both.podman.run("second", "-p", f"{OURS}:80", code=126).lower()
    command = [*both.machine.command, "run", "--rm", "-p", f"{THEIRS}:80", "busybox", "true"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 125
    error = f"pyctr_lite: failed to bind host port 0.0.0.0:{THEIRS}/tcp: address already in use\n"
    assert done.stderr.startswith(error)
    assert both.reached() == EXPECTED
