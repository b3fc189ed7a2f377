"""Everyday command lines about networks, run by pyctr_lite and Docker: the same exit codes and output.

Each engine works in a network namespace of its own.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Pyctr, started_docker
from tests.dockerd import DockerDaemon
from tests.leaks import end_groups
from tests.networks.machine import surroundings
from tests.oracle.everyday_networks import SCENARIOS
from tests.oracle.test_everyday import Side, compare

MIN_EQUAL = 170
"""The minimum number of lines that do the same."""


@pytest.fixture(scope="module")
def daemon(needs: Callable[[str], str], busybox_tar: Path) -> Iterator[DockerDaemon]:
    with surroundings() as (host, _), started_docker(needs, host) as daemon:
        args = ["import", "-c", 'CMD ["sh"]', str(busybox_tar), "busybox:latest"]
        subprocess.run(daemon.command(*args), capture_output=True, check=True)
        yield daemon


@pytest.fixture
def docker(daemon: DockerDaemon, tmp_path: Path) -> Iterator[Side]:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DOCKER_CONFIG": str(tmp_path / "config")}
    yield Side(daemon.command(), tmp_path / "docker", env=environment, isolated=False)
    daemon.clear(keep="busybox:latest")
    subprocess.run(daemon.command("network", "prune", "-f"), capture_output=True, check=True)
    end_groups(daemon.group, only_empty=True)


@pytest.fixture
def ours(pyctr: Pyctr, tmp_path: Path) -> Iterator[Side]:
    with surroundings() as (host, _):
        yield Side(host.enter(*pyctr.command()), tmp_path / "ours", isolated=False)
        left = pyctr("ps", "-aq", check=True).stdout.split()
        subprocess.run(host.enter(*pyctr.command("rm", "-f", "-v", *left)), capture_output=True, check=bool(left))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_network_command_lines_do_the_same_as_with_docker(docker: Side, ours: Side, scenario: str) -> None:
    compare(ours, docker, SCENARIOS[scenario], "Docker", docker("version --format '{{.Server.Version}}'").output)


def test_the_minimum_number_of_equal_lines_is_met() -> None:
    assert sum(isinstance(line, str) for lines in SCENARIOS.values() for line in lines) >= MIN_EQUAL
