"""Other programs' packet filters: traffic is lost before the cure, flows after, and nothing of ours stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pyctr_lite.errors import NotFound
from pyctr_lite.networks import firewalld, foreign, iptables, link, nft, rules
from tests.cgroups.test_systemd import CONFIG
from tests.conftest import Pyctr
from tests.networks.machine import Machine
from tests.networks.topology import Namespace, connect, namespaces, veth

BRIDGE = "pc-one"
RULES = ["-i pc-+ -j ACCEPT", "-o pc-+ -j ACCEPT"]


class Place:
    """A host with a bridge and a container on it, and a world behind the host's uplink; port 80 is published."""

    def __init__(self, made: list[Namespace], stack: ExitStack) -> None:
        self.host, self.world, self.box = made
        self.route = stack.enter_context(self.host.route())
        self.filter = stack.enter_context(self.host.filter())
        rules.ensure(self.filter)
        veth(self.host, "up0", "192.0.2.1", 24, self.world, "eth0", "192.0.2.2")
        with self.world.route() as there:
            link.add_address(there, link.index(there, "eth0"), "fd02::2", 64)
        link.add_address(self.route, link.index(self.route, "up0"), "fd02::1", 64)
        for family in ("ipv4", "ipv6"):
            self.host.set(f"{family}/conf/all/forwarding", "1")
        bridge = link.add_bridge(self.route, BRIDGE, "02:42:00:00:00:01")
        link.add_veth(self.route, "pv-1", bridge, self.box.pid, "eth0", "02:42:0a:01:00:02")
        with self.box.route() as there:
            end = link.index(there, "eth0")
            for address, gateway, prefix in (("10.1.0.2", "10.1.0.1", 24), ("fd01::2", "fd01::1", 64)):
                link.add_address(self.route, bridge, gateway, prefix)
                link.add_address(there, end, address, prefix)
            link.set_up(there, end)
            for gateway in ("10.1.0.1", "fd01::1"):
                link.add_route(there, end, gateway)
        rules.add_bridge(self.filter, BRIDGE)
        rules.publish(self.filter, "tcp", "0.0.0.0", 80, "10.1.0.2", 80)
        rules.publish(self.filter, "tcp", "::", 80, "fd01::2", 80)
        self.outside = stack.enter_context(self.world.listen("::", 80))
        self.inside = stack.enter_context(self.box.listen("::", 80))

    def run(self, *command: str) -> str:
        words = ["nsenter", "-t", str(self.host.pid), "-n", *command]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def flows(self) -> list[bool]:
        """Whether the world is reached, and the published port from there; both by IPv4, and by IPv6."""
        wanted = [
            (self.box, "192.0.2.2", 80, self.outside),
            (self.world, "192.0.2.1", 80, self.inside),
            (self.box, "fd02::2", 80, self.outside),
            (self.world, "fd02::1", 80, self.inside),
        ]
        return list(map(bool, connect(wanted, patience=0.5)))

    def ensure(self, bridge: str = BRIDGE) -> None:
        self.host.call(lambda: foreign.ensure(self.filter, bridge))

    def remove(self) -> None:
        for bridge in (BRIDGE, "red0"):
            self.host.call(lambda bridge=bridge: foreign.forget(self.filter, bridge))
        self.host.call(lambda: foreign.remove(self.filter))


@pytest.fixture
def place() -> Iterator[Place]:
    with namespaces(3) as made, ExitStack() as stack:
        yield Place(made, stack)


@pytest.mark.parametrize("kind", ["nft", "legacy"])
@pytest.mark.parametrize("setup", ["-P FORWARD DROP", "-A FORWARD -j REJECT"])
def test_iptables_that_drops_what_is_forwarded(
    place: Place, needs: Callable[[str], str], kind: str, setup: str
) -> None:
    programs = [needs(f"iptables-{kind}"), needs(f"ip6tables-{kind}")]
    for program in programs:
        place.run(program, "-A", "FORWARD", "-i", "other0", "-j", "ACCEPT")
        place.run(program, *setup.split())
    before = [place.run(program, "-S") for program in programs]
    assert place.flows() == [False] * 4
    for _ in range(2):
        place.ensure()
    assert place.flows() == [True] * 4
    for program, old in zip(programs, before, strict=True):
        added = [line for line in place.run(program, "-S").splitlines() if line not in old.splitlines()]
        assert sorted(added) == [f"-A FORWARD {rule}" for rule in RULES]
    place.ensure("red0")
    assert "-A FORWARD -o red0 -j ACCEPT\n" in place.run(programs[0], "-S")
    for _ in range(2):
        place.remove()
    assert [place.run(program, "-S") for program in programs] == before


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_in_dockers_tables_the_rules_are_where_docker_wants_them(
    place: Place, needs: Callable[[str], str], kind: str
) -> None:
    program = needs(f"iptables-{kind}")
    for line in (
        "-P FORWARD DROP", "-N DOCKER-USER", "-A DOCKER-USER -j RETURN", "-N DOCKER", "-A FORWARD -j DOCKER-USER",
        "-A FORWARD -o docker0 -j DOCKER",
    ):  # fmt: skip
        place.run(program, *line.split())
    before = place.run(program, "-S")
    assert place.flows()[:2] == [False] * 2
    for _ in range(2):
        place.ensure()
    assert place.flows()[:2] == [True] * 2
    user = [line for line in place.run(program, "-S").splitlines() if line.startswith("-A DOCKER-USER")]
    assert sorted(user[:2]) == [f"-A DOCKER-USER {rule}" for rule in RULES]
    assert user[2:] == ["-A DOCKER-USER -j RETURN"]
    place.remove()
    assert place.run(program, "-S") == before


def test_docker_itself(place: Place, needs: Callable[[str], str], tmp_path: Path) -> None:
    """It makes FORWARD drop if it switches forwarding on."""
    needs("docker")
    place.host.set("ipv4/ip_forward", "0")
    address = f"unix://{tmp_path}/socket"
    directories = [f"--{name}={tmp_path}/{name}" for name in ("data-root", "exec-root", "pidfile")]
    command = ["nsenter", "-t", str(place.host.pid), "-n", "unshare", "-m", needs("dockerd"), "--host", address]
    command += directories
    daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while subprocess.run(["docker", "-H", address, "version"], capture_output=True).returncode:
            assert time.monotonic() < deadline
        before = place.run("iptables", "-S")
        assert place.flows()[:2] == [False] * 2
        place.ensure()
        assert place.flows()[:2] == [True] * 2
        added = set(place.run("iptables", "-S").splitlines()) - set(before.splitlines())
        assert added == {f"-A DOCKER-USER {rule}" for rule in RULES}
        place.remove()
        assert place.run("iptables", "-S") == before
    finally:
        daemon.terminate()
        daemon.wait()


def test_ufw(place: Place, needs: Callable[[str], str], tmp_path: Path) -> None:
    """With a copy of its directory, in which it writes down that it is enabled."""
    needs("ufw")
    shutil.copytree("/etc/ufw", tmp_path / "ufw")
    script = f"mount --bind {tmp_path}/ufw /etc/ufw && ufw --force enable"
    place.run("unshare", "-m", "sh", "-ec", script)
    before = [place.run(program, "-S") for program in ("iptables", "ip6tables")]
    assert place.flows() == [False] * 4
    place.ensure()
    assert place.flows() == [True] * 4
    place.remove()
    assert [place.run(program, "-S") for program in ("iptables", "ip6tables")] == before


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_iptables_that_lets_pass_is_left_alone(place: Place, needs: Callable[[str], str], kind: str) -> None:
    program = needs(f"iptables-{kind}")
    place.run(program, "-A", "FORWARD", "-s", "10.9.9.9", "-j", "DROP")
    before = place.run(program, "-S")
    place.ensure()
    assert place.run(program, "-S") == before
    assert place.flows() == [True] * 4


def test_legacy_tables_without_their_program(
    place: Place, needs: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place.run(needs("iptables-legacy"), "-P", "FORWARD", "DROP")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(iptables, "_PATH", str(tmp_path))
    with pytest.raises(NotFound, match="legacy tables of iptables, and iptables-legacy is missing") as error:
        place.ensure()
    assert "install the package iptables" in error.value.hint


def test_a_host_without_other_filters_costs_little_and_gets_no_tables(place: Place) -> None:
    before = nft.tables(place.filter)
    took = []
    for _ in range(20):
        began = time.perf_counter()
        place.ensure()
        took.append(time.perf_counter() - began)
    assert min(took) < 0.0005
    assert nft.tables(place.filter) == before == {"inet pyctr_lite"}


@pytest.fixture(scope="module")
def firewalld_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """firewalld's package, unpacked. It is not installed, as that would close this machine's ports at once."""
    if shutil.which("firewalld"):
        return Path("/")
    directory = tmp_path_factory.mktemp("firewalld")
    done = subprocess.run(["apt-get", "download", "firewalld"], cwd=directory, capture_output=True, text=True)
    if done.returncode:
        why = f"firewalld's package cannot be downloaded, perhaps before apt-get update: {done.stderr}"
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    (package,) = directory.glob("firewalld_*.deb")
    subprocess.run(["dpkg", "-x", package, directory], check=True)
    return directory


@contextmanager
def firewall(place: Place, files: Path, directory: Path) -> Iterator[Callable[..., str]]:
    """Start a dbus-daemon, and firewalld in the host's namespace; yield its command."""
    (directory / "bus.conf").write_text(CONFIG.format(directory / "bus"))
    shutil.copytree(files / "etc/firewalld", directory / "etc")
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={directory}/bus"
    bus = subprocess.Popen(
        ["dbus-daemon", f"--config-file={directory}/bus.conf", "--nofork", "--print-address"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert bus.stdout is not None
    bus.stdout.readline()
    options = f"--nofork --nopid --log-target console --system-config {directory}/etc"
    options += f" --default-config {files}/usr/lib/firewalld"
    own = f"mount -t tmpfs tmpfs /run && exec {files}/usr/sbin/firewalld {options}"
    command = ["nsenter", "-t", str(place.host.pid), "-n", "unshare", "-m", "sh", "-c", own]
    daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    program = files / "usr/bin/firewall-cmd"

    def client(*words: str) -> str:
        return subprocess.run([program, *words], capture_output=True, text=True, check=True).stdout

    try:
        deadline = time.monotonic() + 30
        while subprocess.run([program, "--state"], capture_output=True).returncode:
            assert time.monotonic() < deadline
        yield client
    finally:
        for process in (daemon, bus):
            process.kill()  # so that firewalld leaves its table behind
            process.wait()
        bus.stdout.close()
        del os.environ["DBUS_SYSTEM_BUS_ADDRESS"]


@pytest.mark.timeout(60)
def test_firewalld(place: Place, needs: Callable[[str], str], firewalld_files: Path, tmp_path: Path) -> None:
    needs("dbus-daemon")
    with firewall(place, firewalld_files, tmp_path) as client:
        blocked = [False, True, False, True]
        assert place.flows() == blocked
        for cured in (True, True):
            place.ensure()
            assert firewalld.has(place.filter, BRIDGE) == cured
        assert client("--zone=trusted", "--list-interfaces").split() == [BRIDGE]
        assert place.flows() == [True] * 4
        rules = place.run("nft", "list", "table", "inet", "pyctr_lite")
        client("--reload")
        assert place.flows() == blocked, "a reload takes the bridge out of its zone"
        assert place.run("nft", "list", "table", "inet", "pyctr_lite") == rules, "it opens nothing"
        place.ensure()
        assert place.flows() == [True] * 4
        for _ in range(2):
            place.remove()
        assert client("--zone=trusted", "--list-interfaces").split() == []
        place.ensure()
    with pytest.raises(NotFound, match="cannot connect to firewalld"):
        place.host.call(lambda: firewalld.ensure(place.filter, "pc-two"))
    place.remove()


@pytest.mark.timeout(60)
def test_containers_beside_firewalld(
    place: Place, needs: Callable[[str], str], firewalld_files: Path, tmp_path: Path, pyctr: Pyctr
) -> None:
    """A reload cuts them off from the world, until the next container of the network starts."""
    needs("dbus-daemon")
    with firewall(place, firewalld_files, tmp_path) as client:
        machine = Machine(place.host, place.world, place.host.enter(*pyctr.command()))
        box = machine.run("box", "-p", "8085:80")
        with box.listen("0.0.0.0", 80) as listener:

            def flows() -> list[bool]:
                wanted = [(box, "192.0.2.2", 80, place.outside), (place.world, "192.0.2.1", 8085, listener)]
                return list(map(bool, connect(wanted, patience=0.5)))

            assert flows() == [True, True]
            client("--reload")
            assert flows() == [False, True]
            machine.run("another")
            assert flows() == [True, True]
        machine("rm", "-f", "box", "another")
        machine("network", "prune", "-f")
        assert client("--zone=trusted", "--list-interfaces").split() == []
