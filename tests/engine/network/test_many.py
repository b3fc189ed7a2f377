"""Many containers, many starts, two at once, a reboot: no address is given twice, and everything is given back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyctr_lite.engine.network.settings import NetworkSettings
from pyctr_lite.engine.state.paths import Paths
from pyctr_lite.engine.stores.networks import Networks
from pyctr_lite.errors import Conflict
from pyctr_lite.networks import bridge, elements, pool
from pyctr_lite.networks.pool import Subnet
from pyctr_lite.networks.store import Network
from tests.conftest import REPOSITORY, Pyctr
from tests.engine.life.test_survival import end_of, state
from tests.network_leaks import of_containers
from tests.networks.topology import namespaces

MANY = int(os.environ.get("PYCTR_MANY", "8"))
"""Containers at once; 50 were tried."""


@pytest.fixture
def networks(root: Path) -> Networks:
    return Networks(Paths(str(root)))


@pytest.fixture
def red(networks: Networks) -> Network:
    return networks.make("red")


def addresses(pyctr: Pyctr, name: str) -> list[str]:
    """A running container's addresses in its networks."""
    id = pyctr("inspect", "--format", "{{.Id}}", name, check=True).stdout.strip()
    settings = NetworkSettings.read(f"{pyctr.root}/run/containers/{id}")
    return [endpoint["IPAddress"] for endpoint in settings.networks.values()]


def inside(pyctr: Pyctr, name: str) -> str:
    return pyctr("exec", name, "ip", "-o", "-4", "address", "show", "eth0", check=True).stdout.split()[3]


def test_containers_that_start_at_once_get_different_addresses(
    pyctr: Pyctr, networks: Networks, red: Network
) -> None:
    def start(_: int) -> None:
        pyctr("run", "-d", "--network", "red", "--rm", "busybox", "sleep", "600", check=True, timeout=300)

    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(start, range(MANY)))
    ids = pyctr("ps", "-q", "--no-trunc", check=True).stdout.split()
    settings = [NetworkSettings.read(f"{pyctr.root}/run/containers/{id}") for id in ids]
    given = {
        endpoint["IPAddress"]: id
        for id, of in zip(ids, settings, strict=True)
        for endpoint in of.networks.values()
    }
    assert len(given) == MANY
    assert networks.addresses(red)[0].owners() == given
    with bridge.Sockets() as sockets:
        assert given.keys() <= set(elements.own(sockets.filter))
    pyctr("rm", "-f", *ids, check=True)
    assert of_containers(pyctr.root, [red]) == {}


def test_a_full_network_is_reported_in_dockers_words(pyctr: Pyctr, networks: Networks) -> None:
    small = networks.make("small", [("10.254.254.0/29", "", "")])
    pyctr("run", "-d", "--name", "box", "--network", "small", "busybox", "sleep", "60", check=True)
    (address,) = addresses(pyctr, "box")
    pool = networks.addresses(small)[0]
    id = pool.owners()[address]
    rest = [pool.take(id) for _ in range(4)]
    failed = pyctr("run", "--rm", "--network", "small", "busybox", "true")
    assert failed.returncode == 125
    text = f"no available IPv4 addresses on this network's address pools: small ({small.id})"
    assert text in failed.stderr
    pool.release(rest[0], id)
    assert pyctr("run", "--rm", "--network", "small", "busybox", "true").returncode == 0
    for each in rest[1:]:
        pool.release(each, id)


def test_networks_of_two_engines_made_at_once_do_not_overlap(tmp_path: Path) -> None:
    roots = [tmp_path / "one", tmp_path / "two"]
    code = (
        "import sys; from pyctr_lite.engine.state.paths import Paths\n"
        "from pyctr_lite.engine.stores.networks import Networks\n"
        "for name in sys.argv[2:]: Networks(Paths(sys.argv[1])).make(name)"
    )
    words = [[sys.executable, "-c", code, str(root), *names] for root in roots for names in ("ab", "cd")]
    running = [subprocess.Popen(word, cwd=REPOSITORY) for word in words]
    assert [process.wait(timeout=60) for process in running] == [0] * 4
    found = [
        (Networks(Paths(str(root))), network) for root in roots for network in Networks(Paths(str(root))).list()
    ]
    subnets = [Subnet(network.subnets[0][0]) for _, network in found]
    assert len(subnets) == 8
    assert not [(one, two) for one in subnets for two in subnets if one is not two and one.overlaps(two)]
    for networks, network in found:
        networks.discard(network)


def test_the_last_subnet_is_given_back_by_the_bridge_of_a_removed_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "DEFAULTS", ("10.254.252.0/24",))
    one, two = (Networks(Paths(str(tmp_path / name))) for name in ("one", "two"))
    with namespaces(1) as (host,):
        lost = host.call(lambda: one.make("red"))
        with pytest.raises(Conflict, match="fully subnetted"):
            host.call(lambda: two.make("red"))
        shutil.rmtree(tmp_path / "one")
        network = host.call(lambda: two.make("red"))
        assert network.subnets == lost.subnets
        with host.call(bridge.Sockets) as sockets:
            assert bridge.find(sockets, lost) is None
        host.call(lambda: two.discard(network))


def test_after_a_reboot_a_start_makes_all_anew(pyctr: Pyctr, root: Path) -> None:
    """The run directory, the bridges and the packet filter are gone; the state says that the container runs."""
    with namespaces(2) as (before, after):
        network = before.call(lambda: Networks(Paths(str(root))).make("red"))
        options = ("--name", "box", "--network", "red", "-p", "8080:80", "busybox", "sleep", "600")
        before.call(lambda: pyctr("run", "-d", *options, check=True))
        known = state(pyctr, "box")
        for key in ("MonitorPid", "Pid"):
            os.kill(int(str(known[key])), 9)
            end_of(int(str(known[key])))
        shutil.rmtree(root / "run")
        after.call(lambda: pyctr("start", "box", check=True))
        (address,) = after.call(lambda: addresses(pyctr, "box"))
        with after.call(bridge.Sockets) as sockets:
            assert bridge.find(sockets, network) is not None
            assert ("tcp", "0.0.0.0", 8080, address, 80) in elements.published(sockets.filter)
        assert (
            after.call(lambda: pyctr("exec", "box", "ping", "-c1", "-W5", network.subnets[0][1])).returncode == 0
        )
        after.call(lambda: pyctr("rm", "-f", "box", check=True))
        assert after.call(lambda: of_containers(root, [network])) == {}


def test_containers_that_share_a_network_or_users(pyctr: Pyctr, red: Network) -> None:
    pyctr(
        "run", "-d", "--name", "web", "--network", "red", "--userns", "auto", "busybox", "sleep", "60", check=True
    )
    (address,) = addresses(pyctr, "web")
    assert inside(pyctr, "web").startswith(f"{address}/")
    pyctr("run", "-d", "--name", "guest", "--network", "container:web", "busybox", "sleep", "60", check=True)
    assert inside(pyctr, "guest") == inside(pyctr, "web")
    pyctr(
        "run",
        "-d",
        "--name",
        "peer",
        "--network",
        "red",
        "--pid",
        "container:web",
        "busybox",
        "sleep",
        "60",
        check=True,
    )
    (other,) = addresses(pyctr, "peer")
    assert other != address
    assert inside(pyctr, "peer").startswith(f"{other}/")
    pyctr("rm", "-f", "web", "guest", "peer", check=True)
    assert of_containers(pyctr.root, [red]) == {}


def test_stopped_and_restarted_containers_give_their_address_back_and_take_it_again(
    pyctr: Pyctr, networks: Networks, red: Network
) -> None:
    pyctr("run", "-d", "--name", "box", "--network", "red", "busybox", "sleep", "600", check=True)
    address = addresses(pyctr, "box")
    for _ in range(3):
        pyctr("stop", "-t", "0", "box", check=True)
        assert networks.owners(red) == set()
        pyctr("start", "box", check=True)
        assert addresses(pyctr, "box") == address
    pyctr("restart", "-t", "0", "box", check=True)
    assert addresses(pyctr, "box") == address
    pyctr("rm", "-f", "box", check=True)
    options = ("--name", "twice", "--restart", "on-failure:2", "--network", "red")
    pyctr("run", "-d", *options, "busybox", "sh", "-c", "hostname -i; exit 1", check=True)
    assert pyctr("logs", "-f", "twice").stdout == f"{address[0]}\n" * 3
    pyctr("rm", "-f", "twice", check=True)
    assert (networks.owners(red), of_containers(pyctr.root, [red])) == (set(), {})


def test_runs_in_a_row_leave_nothing(pyctr: Pyctr, networks: Networks, red: Network) -> None:
    for _ in range(MANY // 2):
        shown = pyctr(
            "run", "--rm", "--network", "red", "-p", "80", "busybox", "hostname", "-i", check=True
        ).stdout
        assert shown.strip() == red.subnets[0][1].removesuffix(".1") + ".2"
    assert of_containers(pyctr.root, [red]) == {}
