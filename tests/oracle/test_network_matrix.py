"""Who reaches whom on a machine with networks and published ports, as a table, compared with Docker's own.

`tests.networks.machine` has the topology, the rows and columns, and the meaning of the cells.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Pyctr, started_docker
from tests.networks.machine import MODES, Machine, Table, read, set_mode, shown, surroundings, who_reaches_whom

EXPECTED = {
    4: """
      r1    r2    b1    i1    d1    pub   gate  lo    pubd  local llo   host  hlo   world
world .     .     .     .     .     =                 =     .           =     .     =
host  h     h     h     h     h     =           h     =     .     h     =     .     =
r1          =     .     .     .     h     h           =     .           =     .     h
r2    =           .     .     .     h     h           =     .           =     .     h
b1    .     .           .     .     =     =           =     .           =     .     h
i1    .     .     .           .     .     .           .     .           =     .     .
d1    .     .     .     .           =     =           h     .           =     .     h
""",
    6: """
      r1    r2    b1    i1    d1    pub   gate  lo    pubd  local llo   host  hlo   world
world .     .     .     .           =                 h     .           =     .     =
host  h     h     h     h           =           h     h     .     h     =     .     =
r1          =     .     .           h     h           h     .           =     .     h
r2    =           .     .           h     h           h     .           =     .     h
b1    .     .           .           =     =           h     .           =     .     h
i1    .     .     .                 .     .           .     .           =     .     .
""",
}
"""With br_netfilter off, by TCP and UDP."""
PROTOCOLS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}

PROXY = "Docker hands it on by its proxy, so the server sees an address of the host"
DIRECT = "Docker 20.10 lets the world in to a published port by the container's address, too"
INTERNAL = "Docker 20.10's proxy serves internal networks, too: a way out of them"


def expected(mode: str) -> Table:
    """Return our table."""
    table = read(EXPECTED)
    if mode.endswith(
        "on"
    ):  # the answer, within a bridge, passes the filter: it finds its way without masquerading
        table |= {(version, "r2", name): "=" for version in (4, 6) for name in ("pub", "gate")}
    return table


def differences(mode: str) -> dict[tuple[int, str, str], str]:
    """Return the cells that differ from Docker's, with the reason."""
    cells = ((4, "b1"), (6, "b1"), (4, "d1"))
    found = {(*cell, name): PROXY for cell in cells for name in ("pub", "gate")}
    found |= {(4, who, "pubd"): PROXY for who in ("r1", "r2", "b1")}
    found |= {(4, "world", "r1"): DIRECT, (4, "world", "d1"): DIRECT, (6, "world", "r1"): DIRECT}
    found |= {(6, "i1", "pubd"): INTERNAL}
    if mode.endswith("on"):
        found |= {(version, "r2", name): PROXY for version in (4, 6) for name in ("pub", "gate")}
    return found


@pytest.fixture(scope="module")
def docker(needs: Callable[[str], str], busybox_tar: Path) -> dict[tuple[str, str], Table]:
    """Docker's table in each mode, by each protocol."""
    with surroundings() as (host, world), started_docker(needs, host) as daemon:
        args = ["import", str(busybox_tar), "busybox:latest"]
        subprocess.run(daemon.command(*args), capture_output=True, check=True)
        machine = Machine(host, world, daemon.command())
        machine.fill()
        tables = {}
        for mode in MODES:
            set_mode(host, mode)
            tables |= {(mode, name): who_reaches_whom(machine, kind) for name, kind in PROTOCOLS.items()}
        return tables


@pytest.fixture
def machine(pyctr: Pyctr) -> Iterator[Machine]:
    """A machine with our engine."""
    with surroundings() as (host, world):
        machine = Machine(host, world, host.enter(*pyctr.command()))
        yield machine
        machine("rm", "-f", *machine.containers())


@pytest.mark.parametrize("mode", MODES)
def test_who_reaches_whom(machine: Machine, mode: str) -> None:
    machine.fill()
    set_mode(machine.host, mode)
    for name, kind in PROTOCOLS.items():
        table = who_reaches_whom(machine, kind)
        for version in (4, 6):
            assert shown(table, version) == shown(expected(mode), version), name


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_docker_agrees(docker: dict[tuple[str, str], Table], mode: str, protocol: str) -> None:
    ours, theirs, reasons = expected(mode), docker[mode, protocol], differences(mode)
    assert ours.keys() == theirs.keys()
    wrong = {cell for cell, mine in ours.items() if (theirs[cell] != mine) != (cell in reasons)}
    assert not wrong, f"not as listed: {sorted(wrong)}\n{shown(theirs, 4)}\n{shown(theirs, 6)}"
