"""doctor's findings about running containers, each with a fix that works."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.engine.doctor import examine as doctor
from pyctr_lite.engine.doctor import running
from pyctr_lite.engine.engine import Engine
from pyctr_lite.engine.network.settings import NetworkSettings
from pyctr_lite.networks import bridge, rules
from tests.networks.topology import namespaces

if TYPE_CHECKING:
    from pathlib import Path

    from pyctr_lite.engine.doctor.finding import Finding
    from tests.conftest import Pyctr


@pytest.fixture
def engine(root: Path) -> Engine:
    return Engine(str(root))


def findings(engine: Engine) -> dict[str, Finding]:
    names = ("monitors", "DNS servers", "cables")
    return {found.name: found for found in doctor.examine(engine) if found.name in names}


def start(pyctr: Pyctr, name: str, *options: str) -> None:
    pyctr("run", "-d", "--name", name, *options, "busybox", "sleep", "60", check=True)


def kill_monitor(engine: Engine, name: str) -> None:
    pid = engine.containers.get(name).state.MonitorPid
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([pidfd], [], [])
    os.close(pidfd)


def mend(pyctr: Pyctr, engine: Engine, found: Finding, *names: str) -> None:
    assert found.fix == f"pyctr_lite restart {' '.join(names)}"
    pyctr("restart", "-t", "0", *names, check=True)
    assert all(each.ok for each in findings(engine).values())


def test_a_killed_monitor_and_its_dns_server_are_reported(pyctr: Pyctr, engine: Engine) -> None:
    pyctr("network", "create", "red", check=True)
    start(pyctr, "plain")
    start(pyctr, "named", "--network", "red")
    start(pyctr, "well", "--network", "red")
    assert {name: found.ok for name, found in findings(engine).items()} == {
        "monitors": True,
        "DNS servers": True,
        "cables": True,
    }
    kill_monitor(engine, "plain")
    found = findings(engine)
    assert (found["monitors"].ok, found["DNS servers"].ok) == (False, True)
    kill_monitor(engine, "named")
    found = findings(engine)
    assert ": named, plain: " in found["monitors"].text
    assert found["DNS servers"].text.endswith(": named")
    assert "bad address" in pyctr("exec", "named", "ping", "-c1", "well").stderr
    mend(pyctr, engine, found["monitors"], "named", "plain")
    assert pyctr("exec", "named", "ping", "-c1", "well").returncode == 0


@pytest.mark.parametrize("what", ["bridge", "cable", "cable is out of the bridge"])
def test_a_container_that_is_cut_off_is_reported(pyctr: Pyctr, engine: Engine, what: str) -> None:
    network = pyctr("network", "create", "red", check=True).stdout.strip()
    start(pyctr, "web", "--network", "red")
    start(pyctr, "other", "--network", "red")
    start(pyctr, "well")
    name, cut_off = f"pc-{network[:12]}", ["web"]
    (endpoint,) = NetworkSettings.read(engine.containers.get("web").runtime).networks.values()
    cable = endpoint["Link"]
    if what == "bridge":
        subprocess.run(["ip", "link", "delete", name], check=True)
        cut_off, text = ["other", "web"], f"the bridge {name} of network red is gone"
    else:
        change = ["delete", cable] if what == "cable" else ["set", cable, "nomaster"]
        subprocess.run(["ip", "link", *change], check=True)
        text = f"the cable {cable} is not in the bridge {name} of network red"
    found = findings(engine)
    assert found["cables"].text == f"containers cut off: {', '.join(cut_off)}: {text}"
    assert pyctr("exec", "web", "ping", "-c1", "-W1", "-w1", "other").returncode != 0
    mend(pyctr, engine, found["cables"], *cut_off)
    assert pyctr("exec", "web", "ping", "-c1", "other").returncode == 0


def test_containers_without_the_packet_filter_are_reported(pyctr: Pyctr, engine: Engine) -> None:
    """`nft flush ruleset`, as `systemctl reload nftables` does, in a network namespace of the test's own."""
    with namespaces(1) as (host,):

        def run(*arguments: str) -> str:
            command = host.enter(*pyctr.command(*arguments))
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        def cables() -> Finding:
            with host.call(bridge.Sockets) as sockets:
                (found,) = running.cables(engine, sockets)
            return found

        run("run", "-d", "--name", "web", "-p", "80:80", "busybox", "sleep", "60")
        assert cables().ok
        with host.filter() as filter:
            rules.remove(filter)
        found = cables()
        assert found.text.startswith("containers cut off: web: the packet filter does not know the bridge pc-")
        run("run", "--rm", "busybox", "true")  # makes the table again, but does not know web's port
        text = "containers cut off: web: the packet filter does not know the port 0.0.0.0:80/tcp any more"
        assert cables().text == text
        run("restart", "-t", "0", "web")
        assert cables().ok
        run("rm", "-f", "web")
