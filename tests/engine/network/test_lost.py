"""What killed processes leave of networks is found, removed, and in nobody's way; what is in use stays."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_lite.engine import leftovers
from pyctr_lite.engine.engine import Engine
from pyctr_lite.engine.network import lost
from pyctr_lite.engine.network.settings import NetworkSettings
from pyctr_lite.engine.stores.networks import Networks
from pyctr_lite.networks import bridge, elements, names, rules
from pyctr_lite.networks.store import Network
from tests.conftest import Pyctr
from tests.engine.life.test_survival import end_of, state

ID = "f" * 64


@pytest.fixture
def engine(root: Path) -> Engine:
    return Engine(str(root))


@pytest.fixture
def networks(engine: Engine) -> Networks:
    return Networks(engine.paths)


@pytest.fixture
def red(networks: Networks) -> Network:
    return networks.make("red")


@pytest.fixture
def sockets() -> Iterator[bridge.Sockets]:
    with bridge.Sockets() as sockets:
        yield sockets


@pytest.fixture
def port() -> int:
    """A port of this machine that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def left(engine: Engine) -> list[str]:
    return sorted(each.kind for each in leftovers.find(engine))


def repair(engine: Engine) -> None:
    for each in leftovers.find(engine):
        each.remove()
    assert leftovers.find(engine) == []


def kill(pyctr: Pyctr, name: str, *which: str) -> None:
    known = state(pyctr, name)
    for key in which:
        os.kill(int(str(known[key])), signal.SIGKILL)
        end_of(int(str(known[key])))


def led(port: int) -> list[str]:
    """The addresses that a port of this machine leads to."""
    with bridge.Sockets() as sockets:
        return [each.address for each in elements.published(sockets.filter) if each.port == port]


def settings_of(pyctr: Pyctr, name: str) -> tuple[str, str]:
    """A running container's id, and its address in its first network."""
    id = pyctr("inspect", "--format", "{{.Id}}", name, check=True).stdout.strip()
    settings = NetworkSettings.read(f"{pyctr.root}/run/containers/{id}")
    return id, next(iter(settings.networks.values()))["IPAddress"]


def test_an_address_of_a_container_that_does_not_run_is_given_back(
    engine: Engine, networks: Networks, red: Network, sockets: bridge.Sockets, port: int
) -> None:
    address = networks.addresses(red)[0].take(ID)
    rules.add_own(sockets.filter, address)
    rules.publish(sockets.filter, "tcp", "0.0.0.0", port, address, 80)
    assert left(engine) == ["address"]
    repair(engine)
    assert led(port) == []
    assert address not in elements.own(sockets.filter)
    assert networks.owners(red) == set()


def test_elements_that_lead_to_nobodys_address_are_removed(
    engine: Engine, networks: Networks, red: Network, sockets: bridge.Sockets, port: int
) -> None:
    address = red.subnets[0][1].removesuffix(".1") + ".9"
    rules.add_own(sockets.filter, address)
    rules.publish(sockets.filter, "udp", "127.0.0.1", port, address, 53)
    (published, own) = sorted(leftovers.find(engine), key=lambda each: each.kind, reverse=True)
    assert (published.kind, published.path) == ("published port", f"udp 127.0.0.1:{port} to {address}:53")
    assert (own.kind, own.path) == ("address", f"{address} in the packet filter")
    repair(engine)
    assert (led(port), networks.owners(red)) == ([], set())


def test_elements_of_another_engine_are_left_alone(
    engine: Engine, networks: Networks, red: Network, sockets: bridge.Sockets, port: int
) -> None:
    """Without its bridge, a network's subnet may belong to another engine by now."""
    address = red.subnets[0][1].removesuffix(".1") + ".9"
    networks.remove_bridge(red)
    rules.publish(sockets.filter, "tcp", "0.0.0.0", port, address, 80)
    assert left(engine) == []
    rules.withdraw(sockets.filter, "tcp", "0.0.0.0", port)


def test_elements_that_lead_to_an_address_as_ours_in_another_engine_are_left_alone(
    engine: Engine, networks: Networks, red: Network, sockets: bridge.Sockets, port: int
) -> None:
    address = networks.addresses(red)[0].take(ID)
    with bridge.Sockets() as own:
        bridge.remove(own, red)
    rules.add_own(sockets.filter, address)
    rules.publish(sockets.filter, "tcp", "0.0.0.0", port, address, 80)
    assert left(engine) == ["address"]
    repair(engine)
    assert networks.owners(red) == set()
    assert led(port) == [address]
    assert address in elements.own(sockets.filter)
    rules.withdraw(sockets.filter, "tcp", "0.0.0.0", port)
    rules.remove_own(sockets.filter, address)


def test_names_are_taken_from_a_container_that_does_not_run(
    engine: Engine, networks: Networks, red: Network
) -> None:
    directory = networks.names_directory(red.id)
    names.register(directory, ID, "web", ["www"], ["10.0.0.2"])
    assert left(engine) == ["DNS name"]
    repair(engine)
    assert os.listdir(directory) == []


def test_half_made_files_are_removed_once_they_are_old(engine: Engine, networks: Networks, red: Network) -> None:
    for directory in (networks.names_directory(red.id), networks.addresses_directory(red.id)):
        os.makedirs(directory)
        for name, age in ((".old", lost.SETTLED + 1), (".new", 0)):
            Path(directory, name).write_text("half")
            os.utime(f"{directory}/{name}", (time.time() - age,) * 2)
    assert left(engine) == ["DNS name", "address"]
    repair(engine)
    assert os.listdir(networks.addresses_directory(red.id)) == [".new"]
    Path(networks.addresses_directory(red.id), ".new").unlink()


def test_half_networks_and_directories_of_removed_ones_are_removed(engine: Engine, networks: Networks) -> None:
    removed = networks.make("gone")
    networks.addresses(removed)[0].take(ID)
    with bridge.Sockets() as sockets:
        bridge.remove(sockets, removed)
    networks.remove(removed)
    half = Path(networks.directory, f"{ID}.creating")
    half.mkdir()
    assert left(engine) == ["network"]  # somebody may be making the half one
    os.utime(half, (0, 0))
    assert left(engine) == ["network", "network"]
    repair(engine)
    assert not half.exists()
    assert [path.name for path in Path(engine.paths.run, "networks").iterdir()] == []


def test_a_removed_network_leaves_no_directory_and_takes_no_container(networks: Networks, red: Network) -> None:
    networks.addresses(red)[0].release(networks.addresses(red)[0].take(ID), ID)
    networks.discard(red)
    assert os.listdir(f"{networks.paths.run}/networks") == []
    with pytest.raises(Exception, match="network red not found"):
        networks.reread(red)


def test_nothing_of_running_and_of_stopped_containers_is_a_leftover(
    pyctr: Pyctr, engine: Engine, red: Network, port: int
) -> None:
    pyctr("run", "-d", "--network", "red", "-p", f"{port}:80", "busybox", "sleep", "60", check=True)
    pyctr("run", "--network", "red", "busybox", "true", check=True)
    assert left(engine) == []


def test_a_container_without_its_monitor_keeps_its_port_until_it_ends(
    pyctr: Pyctr, engine: Engine, networks: Networks, red: Network, port: int
) -> None:
    options = ("--network", "red", "-p", f"{port}:80", "busybox")
    pyctr("run", "-d", "--name", "box", *options, "sleep", "60", check=True)
    id, address = settings_of(pyctr, "box")
    kill(pyctr, "box", "MonitorPid")
    assert left(engine) == []
    assert led(port)[:1] == [address]
    assert "port is already allocated" in pyctr("run", "--rm", *options, "true").stderr
    assert led(port)[:1] == [address], "the failed start took the port from the container that has it"
    assert networks.owners(red) == {id}
    kill(pyctr, "box", "Pid")
    pyctr("ps", check=True)
    assert (led(port), networks.owners(red), left(engine)) == ([], set(), [])
    assert names.containers(networks.names_directory(red.id)) == set()
    pyctr("run", "--rm", *options, "true", check=True)


def test_what_a_killed_monitor_left_is_in_nobodys_way(
    pyctr: Pyctr, networks: Networks, red: Network, sockets: bridge.Sockets, port: int
) -> None:
    """A port and an address of a container that never came to run: the next start that needs them takes them."""
    address = networks.addresses(red)[0].take(ID)
    rules.publish(sockets.filter, "tcp", "0.0.0.0", port, address, 80)
    options = ("--network", "red", "--ip", address, "-p", f"{port}:80", "busybox")
    pyctr("run", "-d", "--name", "box", *options, "sleep", "60", check=True)
    assert settings_of(pyctr, "box")[1] == address
    assert led(port)[:1] == [address]
    assert "Address already in use" in pyctr("run", "--rm", *options, "true").stderr
