"""doctor's findings about networks, each with a fix that works, on hosts in namespaces of the tests' own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyctr_lite.engine.doctor import networks
from pyctr_lite.engine.doctor.finding import Finding
from pyctr_lite.engine.engine import Engine
from pyctr_lite.networks import guard, link, nft, rules
from tests.networks.topology import Namespace, namespaces


class Host:
    """A machine with an engine and its own network namespace."""

    def __init__(self, namespace: Namespace, engine: Engine) -> None:
        self.namespace, self.engine = namespace, engine

    def findings(self) -> dict[str, Finding]:
        return {
            finding.name: finding for finding in self.namespace.call(lambda: list(networks.findings(self.engine)))
        }

    def run(self, script: str) -> None:
        words = ["nsenter", "-t", str(self.namespace.pid), "-n", "sh", "-ec", script]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

    def make(self, *subnet: str) -> str:
        """Make a network, and return its bridge's name."""
        rows = [(each, "", "") for each in subnet]
        return self.namespace.call(lambda: self.engine.networks.make("red", rows)).bridge

    def check(self, name: str, text: str) -> None:
        """Check that there is a problem of which the text is a part, and that the fix cures it."""
        found = self.findings()[name]
        assert not found.ok
        assert text in found.text
        self.run(found.fix.partition(", or ")[2] or found.fix.split("; and ")[0].split(", and ")[0])
        assert self.findings()[name].ok


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with namespaces(1) as (namespace,):
        namespace.set("ipv4/ip_forward", "0")
        yield Host(namespace, Engine(str(tmp_path / "root")))


def test_a_plain_machine_is_ready_and_nothing_is_left_behind(host: Host) -> None:
    found = host.findings()
    assert [name for name, finding in found.items() if not finding.ok] == []
    assert found["ipv4.ip_forward"].text == "off until a container needs it"
    assert found["firewalls"].text == "no other program's packet filter drops what is forwarded"
    assert {"bridges", "rates", "subnets", "neighbours", "br_netfilter"} <= found.keys()
    with host.namespace.route() as sock, host.namespace.filter() as filter:
        assert [found.name for found in link.links(sock)] == ["lo"]
        assert not rules.exist(filter)


def test_a_network_changes_the_findings(host: Host) -> None:
    host.make("10.7.0.0/24", "fd07::/64")
    found = host.findings()
    assert [name for name, finding in found.items() if not finding.ok] == []
    for name, version in (("ipv4.ip_forward", 4), ("ipv6.conf.all.forwarding", 6)):
        assert found[name].text.startswith("on since our first container, for bridges only")
        assert f"closed{version}" in found[name].text
    assert found["subnets"].text == "no network overlaps another of this machine's"


@pytest.mark.parametrize(("step", "word"), [(-1, "older"), (1, "newer")])
def test_tables_of_other_versions_are_named(host: Host, step: int, word: str) -> None:
    host.make()
    with host.namespace.filter() as filter:
        guard.add(filter, "pv-1", 1000)
        assert host.findings()["tables"].text == "made by this version: inet pyctr_lite, bridge pyctr_lite"
        for table, version in ((rules.TABLE, rules.VERSION), (guard.TABLE, guard.VERSION)):
            nft.run(filter, [nft.flush_set(table, "version"), rules.mark(table, version + step)])
    found = host.findings()["tables"]
    assert found.ok
    assert found.text.startswith(f"made by another version: inet pyctr_lite ({word}), bridge pyctr_lite ({word})")


def test_forwarding_that_somebody_switched_off(host: Host) -> None:
    host.make()
    host.namespace.set("ipv4/ip_forward", "0")
    host.check("ipv4.ip_forward", "off: containers reach only their own network")


@pytest.mark.parametrize("kind", ["", "-legacy"])
@pytest.mark.parametrize("ip", ["iptables", "ip6tables"])
def test_iptables_that_drops(host: Host, needs: Callable[[str], str], ip: str, kind: str) -> None:
    needs(f"{ip}{kind or '-nft'}")
    program = f"{ip}{kind}"
    host.run(f"{program} -P FORWARD DROP")
    assert (
        host.findings()[program].text == "FORWARD drops by default; the first network gets rules that let it pass"
    )
    bridge = host.make()
    assert host.findings()[program].text == "FORWARD drops by default; two rules let our bridges pass"
    host.run(f"{program} -F FORWARD")
    host.check(program, f"FORWARD drops by default, and has no rules for {bridge}")


def test_the_program_that_made_iptables_drop_is_named(host: Host, needs: Callable[[str], str]) -> None:
    needs("iptables-nft")
    host.run("iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -N ufw-before-forward")
    assert "(Docker and ufw)" in host.findings()["iptables"].text


def test_legacy_tables_that_let_pass_are_mentioned(host: Host, needs: Callable[[str], str]) -> None:
    host.run(f"{needs('iptables-legacy')} -S")
    assert host.findings()["iptables-legacy"].text == "legacy tables are in use too; they let containers pass"


@pytest.mark.parametrize("end", ["policy drop; }", "}; add rule inet mine forward counter reject"])
def test_an_administrators_own_chain_that_drops(host: Host, needs: Callable[[str], str], end: str) -> None:
    needs("nft")
    host.run(
        f"nft 'add table inet mine; add chain inet mine forward {{ type filter hook forward priority 0; {end}'"
    )
    host.check("nftables", "the chain inet mine forward drops what is forwarded, from and to containers, too")


def test_firewalld_without_our_bridge(host: Host, needs: Callable[[str], str]) -> None:
    needs("nft")
    bridge = host.make()
    host.run("nft add table inet firewalld; nft add chain inet firewalld zones")
    found = host.findings()["firewalld"]
    assert not found.ok
    assert found.fix.endswith(f"or firewall-cmd --zone=trusted --add-interface={bridge}")
    host.run(f"nft add rule inet firewalld zones iifname {bridge} accept")
    assert host.findings()["firewalld"].text == "running; its zone trusted has our bridges"


def test_a_subnet_that_somebody_else_uses_too(host: Host) -> None:
    host.make("10.7.0.0/24")
    host.run("ip link add vpn type veth peer vpn2; ip link set vpn up; ip address add 10.7.0.9/32 dev vpn")
    found = host.findings()["subnets"]
    assert not found.ok
    assert found.text == "network red (10.7.0.0/24) overlaps 10.7.0.9/32 of vpn"
    host.run("ip address del 10.7.0.9/32 dev vpn; ip route add 10.0.0.0/8 dev vpn")
    assert "overlaps 10.0.0.0/8 of vpn" in host.findings()["subnets"].text


def test_a_subnet_of_the_engines_choice_that_somebody_else_uses_too(host: Host) -> None:
    name = host.make()
    host.run("ip link add vpn type veth peer vpn2; ip address add 172.17.0.9/32 dev vpn")
    found = host.findings()["subnets"]
    assert found.text == "network red (172.17.0.0/16) overlaps 172.17.0.9/32 of vpn"
    assert found.fix == f"stop its containers, and ip link delete {name}: then it gets another"
    host.run(f"ip link delete {name}")
    assert host.findings()["subnets"].ok


def test_other_engines_and_their_lost_bridges(host: Host, tmp_path: Path) -> None:
    host.make("10.7.0.0/24")
    host.run("ip link add docker0 type bridge")
    other = Engine(str(tmp_path / "other"))
    theirs = host.namespace.call(lambda: other.networks.make("blue", [("10.8.0.0/24", "", "")]))
    assert host.findings()["neighbours"].text == (
        f"bridges also of pyctr_lite with the state in {tmp_path}/other; of other programs: docker0"
    )
    assert "abandoned" not in host.findings()
    other.networks.remove(theirs)
    found = host.findings()["abandoned"]
    assert (found.ok, found.fix) == (False, f"ip link delete {theirs.bridge}")
    host.run(found.fix)
    assert "abandoned" not in host.findings()
