"""Scopes of the real systemd, on a machine that runs it: `make test-vm` has one."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.cgroups import devices, paths, systemd
from pyctr_lite.cgroups.limits import Limits
from pyctr_lite.errors import PyctrError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cgroups.conftest import Inside

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/run/systemd/system"), reason="this machine does not run systemd"
)
MIB = 1 << 20
SLICE = "pyctrtest-live.slice"


def shown(unit: str, *names: str) -> dict[str, str]:
    """Return properties of a unit as systemd reports them."""
    command = ["systemctl", "show", unit, *(f"--property={name}" for name in names)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in output.splitlines())


@pytest.fixture
def scope() -> Iterator[systemd.Scope]:
    group = paths.resolve(
        f"{SLICE}:pyctr:{os.getpid()}",
        "",
        systemd_cgroup=True,
        annotations={"org.systemd.property.TimeoutStopSec": "uint64 7"},
    )
    assert isinstance(group, systemd.Scope)
    yield group
    group.destroy()
    for name in (SLICE, "pyctrtest.slice"):
        subprocess.run(["systemctl", "stop", name], check=True)


@pytest.mark.parametrize("address", ["", "unix:path=/run/dbus/system_bus_socket"])
def test_systemd_starts_limits_and_stops_a_scope(
    scope: systemd.Scope, inside: Callable[..., Inside], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    scope.create()
    assert scope.path == f"/pyctrtest.slice/{SLICE}/{scope.unit}"
    started = shown(scope.unit, "ControlGroup", "Delegate", "Slice", "TimeoutStopUSec", "ActiveState")
    assert started == {
        "ControlGroup": scope.path,
        "Delegate": "yes",
        "Slice": SLICE,
        "TimeoutStopUSec": "7s",
        "ActiveState": "active",
    }
    process = inside(scope, signal.pause)
    process.wait_until_in(scope)
    limits = Limits(memory=64 * MIB, memory_swap=64 * MIB, pids=20, cpu_quota=25_000, cpu_period=50_000)
    limits.devices, limits.cpuset_cpus = devices.DEFAULT, "0"
    scope.apply(limits)
    scope.let_go()
    assert scope.pids() == [process.pid]
    names = ("TasksMax", "CPUQuotaPerSecUSec", "AllowedCPUs", "DevicePolicy", "MemoryMax")
    found = shown(scope.unit, *names)
    assert found.pop("MemoryMax") in (str(64 * MIB), "infinity")  # version 1 has MemoryLimit
    assert found == {
        "TasksMax": "20",
        "CPUQuotaPerSecUSec": "500ms",
        "AllowedCPUs": "0",
        "DevicePolicy": "strict",
    }
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert Path(scope.directory("pids") or "", "pids.max").read_text() == "20\n"
    assert scope.stats().memory_limit == 64 * MIB

    again = paths.from_state(paths.to_state(scope))
    again.apply(Limits(pids=30))
    assert shown(scope.unit, "TasksMax") == {"TasksMax": "30"}
    again.freeze()
    again.destroy()
    assert process.wait() == -signal.SIGKILL
    assert not again.exists()
    assert shown(scope.unit, "LoadState") == {"LoadState": "not-found"}


def test_a_scope_without_a_container_is_gone_after_remove(scope: systemd.Scope) -> None:
    scope.create()
    scope.remove()
    assert not scope.exists()
    assert shown(scope.unit, "LoadState") == {"LoadState": "not-found"}


def test_systemd_refuses_a_property_that_it_does_not_know(scope: systemd.Scope) -> None:
    wrong = systemd.Scope(scope.path, scope.unit, [("NoSuchProperty", ("b", True))])
    with pytest.raises(PyctrError, match=r"systemd cannot start .*NoSuchProperty"):
        wrong.create()
