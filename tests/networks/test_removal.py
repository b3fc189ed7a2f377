"""The engine leaves a machine's network: all of ours is gone, nothing else, and other engines keep theirs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyctr_lite.networks import bridge, foreign, forwarding, guard, link, nft, removal, rules
from tests.networks.topology import Namespace, namespaces


@pytest.fixture
def host() -> Iterator[Namespace]:
    with namespaces(1) as (only,):
        only.set("ipv4/ip_forward", "0")
        yield only


@pytest.fixture
def sockets(host: Namespace) -> Iterator[bridge.Sockets]:
    with host.call(bridge.Sockets) as sockets:
        yield sockets


def add(host: Namespace, sockets: bridge.Sockets, name: str, directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / "network.json").write_text("{}")
    index = link.add_bridge(sockets.route, name, "02:42:00:00:00:01")
    link.set_alias(sockets.route, index, bridge.alias_of(str(directory)))
    rules.ensure(sockets.filter)
    rules.add_bridge(sockets.filter, name)
    host.call(lambda: foreign.ensure(sockets.filter, name))
    host.call(lambda: forwarding.switch_on(sockets.route, sockets.filter, 4))


def test_all_of_ours_is_removed_and_nothing_else(
    host: Namespace, sockets: bridge.Sockets, needs: Callable[[str], str], tmp_path: Path
) -> None:
    def run(*command: str) -> str:
        words = ["nsenter", "-t", str(host.pid), "-n", *command]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    iptables = needs("iptables-nft")
    run(iptables, "-P", "FORWARD", "DROP")
    run(iptables, "-A", "FORWARD", "-i", "pc-lan", "-j", "ACCEPT")
    run("ip", "link", "add", "pc-lan", "type", "veth", "peer", "pc-wan")
    before = run(iptables, "-S"), run("ip", "-br", "link"), run("nft", "list", "ruleset")
    add(host, sockets, "pc-one", tmp_path / "mine/nets/one")
    add(host, sockets, "red0", tmp_path / "mine/nets/two")
    guard.add(sockets.filter, "pv-1", 1000)
    assert len(run(iptables, "-S").splitlines()) == 8
    for _ in range(2):
        assert host.call(lambda: removal.remove(sockets, f"{tmp_path}/mine")) == []
        assert (run(iptables, "-S"), run("ip", "-br", "link"), run("nft", "list", "ruleset")) == before
        assert not host.call(lambda: forwarding.is_on(4))


def test_another_engine_keeps_its_bridges_and_the_rules(
    host: Namespace, sockets: bridge.Sockets, tmp_path: Path
) -> None:
    mine, other = tmp_path / "mine", tmp_path / "theirs"
    for root, name in ((mine, "pc-one"), (other, "pc-two"), (other, "pc-three")):
        add(host, sockets, name, root / "nets" / name)
    (other / "nets/pc-three/network.json").unlink()
    assert list(removal.orphans(sockets)) == ["pc-three"]
    (line,) = host.call(lambda: removal.remove(sockets, str(mine)))
    assert line == f"the packet filter: other engines need it, for {other}/nets/pc-two"
    assert removal.bridges(sockets) == {"pc-two": f"{other}/nets/pc-two"}
    assert rules.exist(sockets.filter)
    assert host.call(lambda: forwarding.is_on(4))
    assert host.call(lambda: removal.remove(sockets, str(other))) == []
    assert nft.tables(sockets.filter) == set()


def test_a_bridge_that_has_a_container_is_no_orphan(
    host: Namespace, sockets: bridge.Sockets, tmp_path: Path
) -> None:
    add(host, sockets, "pc-one", tmp_path / "one")
    (tmp_path / "one/network.json").unlink()
    with namespaces(1) as (box,):
        link.add_veth(sockets.route, "pv-1", link.index(sockets.route, "pc-one"), box.pid, "eth0", "")
        assert removal.orphans(sockets) == {}
        link.remove(sockets.route, "pv-1")
    assert removal.orphans(sockets) == {"pc-one": f"{tmp_path}/one"}


def test_forwarding_stays_on_if_another_bridge_may_need_it(
    host: Namespace, sockets: bridge.Sockets, tmp_path: Path
) -> None:
    add(host, sockets, "pc-one", tmp_path / "one")
    link.add_bridge(sockets.route, "docker0", "02:42:00:00:00:02")
    (line,) = host.call(lambda: removal.remove(sockets, str(tmp_path)))
    assert line == "forwarding, which pyctr_lite switched on: docker0 may need it"
    assert host.call(lambda: forwarding.is_on(4))


def test_a_path_that_is_too_long_gives_no_alias(sockets: bridge.Sockets) -> None:
    index = link.add_bridge(sockets.route, "pc-one", "02:42:00:00:00:01")
    longest = f"/{'é' * 121}x"
    link.set_alias(sockets.route, index, bridge.alias_of(longest))
    assert removal.bridges(sockets) == {"pc-one": longest}
    assert bridge.alias_of(f"{longest}x") == ""
