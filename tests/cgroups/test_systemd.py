"""Scopes of systemd over a real dbus-daemon. In systemd's place there is a service of the tests'."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pyctr_lite.cgroups import paths, systemd, units
from pyctr_lite.cgroups.limits import Limits
from pyctr_lite.errors import InvalidArgument, NotFound, PyctrError
from pyctr_lite.linux import dbus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cgroups.conftest import Inside

MIB = 1 << 20
SLICE = f"pyctrtest{os.getpid()}.slice"
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>"""


class Service:
    """A dbus-daemon and the service on it. `calls` returns the calls it has had since the last time."""

    def __init__(self, directory: Path) -> None:
        socket = directory / "bus"
        config = directory / "bus.conf"
        config.write_text(CONFIG.format(socket))
        command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"]
        self.address = f"unix:path={socket}"
        self.daemon = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.daemon.stdout is not None
        self.daemon.stdout.readline()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cgroups.systemd_service"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address},
            cwd=Path(__file__).parents[2],
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout
        assert self.output.readline() == "ready\n"

    def calls(self, until: str) -> dict[str, list[Any]]:
        """Return the arguments of each method called, up to the method `until`."""
        found: dict[str, list[Any]] = {}
        while until not in found:
            member, *values = json.loads(self.output.readline())
            found[member] = values
        return found

    def stop(self) -> None:
        for process in (self.process, self.daemon):
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    pytest.importorskip("jeepney", reason="the tests' service needs jeepney")
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    service = Service(tmp_path_factory.mktemp("dbus"))
    yield service
    service.stop()


@pytest.fixture
def service(running: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", running.address)
    return running


@pytest.fixture
def scope(service: Service) -> Iterator[systemd.Scope]:
    group = paths.resolve(
        f"{SLICE}:pyctr:box",
        "unused",
        systemd_cgroup=True,
        annotations={
            "org.systemd.property.CollectMode": "'inactive-or-failed'",
            "org.systemd.property.TimeoutStopSec": "uint64 3",
            "other": "x",
        },
    )
    assert isinstance(group, systemd.Scope)
    yield group
    group.destroy()
    paths.resolve(f"/{SLICE}", "").remove()


def test_a_scope_is_started_limited_and_stopped(
    service: Service, scope: systemd.Scope, inside: Callable[..., Inside]
) -> None:
    scope.create()
    assert scope.path == f"/{SLICE}/pyctr-box.scope"
    assert all(os.path.isdir(directory) for directory in scope.directories)
    unit, mode, properties, auxiliary = service.calls("StartTransientUnit")["StartTransientUnit"]
    given = {name: value for name, (_, value) in properties}
    (placeholder,) = given.pop("PIDs")
    assert scope.pids() == [placeholder]
    assert (unit, mode, auxiliary) == ("pyctr-box.scope", "replace", [])
    assert given.pop("BlockIOAccounting" if scope.hierarchy.kind != "v2" else "IOAccounting") is True
    assert given == {
        "Description": "pyctr_lite container box",
        "Slice": SLICE,
        "Delegate": True,
        "CollectMode": "inactive-or-failed",
        "TimeoutStopUSec": 3_000_000,
        "MemoryAccounting": True,
        "CPUAccounting": True,
        "TasksAccounting": True,
        "DefaultDependencies": False,
    }

    process = inside(scope, signal.pause)
    process.wait_until_in(scope)
    scope.apply(Limits(pids=20, cpu_quota=25_000, cpu_period=50_000, cpuset_cpus="0"))
    unit, runtime, properties = service.calls("SetUnitProperties")["SetUnitProperties"]
    assert (unit, runtime) == ("pyctr-box.scope", True)
    assert {name: value for name, (_, value) in properties} == {
        "TasksMax": 20,
        "CPUQuotaPeriodUSec": 50_000,
        "CPUQuotaPerSecUSec": 500_000,
        "AllowedCPUs": [1],
    }
    assert placeholder in scope.pids(), "a limit may be set before the first process is in the scope"
    scope.let_go()
    assert scope.pids() == [process.pid]
    assert Path(scope.directory("pids") or "", "pids.max").read_text() == "20\n"

    again = paths.from_state(json.loads(json.dumps(paths.to_state(scope))))
    assert isinstance(again, systemd.Scope)
    assert (again.path, again.unit) == (scope.path, scope.unit)
    again.destroy()
    assert process.wait() == -signal.SIGKILL
    assert service.calls("ResetFailedUnit")["StopUnit"] == ["pyctr-box.scope", "replace"]
    assert not again.exists()


def test_a_failed_unit_with_the_same_name_is_forgotten_first(service: Service) -> None:
    group = systemd.scope(f"{SLICE}:failed:box", "", {})
    try:
        group.create()
        assert group.exists()
    finally:
        group.destroy()
        paths.resolve(f"/{SLICE}", "").remove()


def test_a_unit_that_systemd_cannot_start_is_an_error_and_leaves_no_process(service: Service) -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text()
    group = systemd.scope(f"{SLICE}:broken:box", "", {})
    with pytest.raises(PyctrError, match=r"systemd cannot start broken-box\.scope: the job ended with failed"):
        group.create()
    assert not group.exists()
    wrong = systemd.Scope(f"/{SLICE}/x.scope", "x.scope", [("Delegate", ("s", "yes"))])
    with pytest.raises(PyctrError, match=r"systemd cannot start x\.scope: Delegate has type s"):
        wrong.create()
    assert children.read_text() == before


def test_a_caller_that_ignores_the_end_of_children_can_create_a_scope(service: Service) -> None:
    group = systemd.scope(f"{SLICE}:ignored:box", "", {})
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        group.create()
        group.remove()
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert not group.exists()
    paths.resolve(f"/{SLICE}", "").remove()


def test_limits_for_a_unit_that_is_gone_are_an_error(service: Service) -> None:
    with pytest.raises(dbus.BusError, match=r"Unit gone\.scope not found") as error:
        systemd.Scope("/gone.scope", "gone.scope").apply(Limits())
    assert error.value.name == "org.freedesktop.systemd1.NoSuchUnit"


def test_without_systemd_there_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    group = systemd.scope(f"{SLICE}::box", "", {})
    with pytest.raises(NotFound, match=r"cannot connect to systemd at .*/none: No such file") as error:
        group.create()
    assert "--systemd-cgroup" in error.value.hint
    assert not group.exists()
    group.destroy()


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("", "/system.slice/pyctr-box.scope"),
        ("system.slice:docker:1234", "/system.slice/docker-1234.scope"),
        (":libpod:1234", "/system.slice/libpod-1234.scope"),
        ("a-b-c.slice::x", "/a.slice/a-b.slice/a-b-c.slice/x.scope"),
        ("-.slice:p:x", "/p-x.scope"),
    ],
)
def test_a_path_names_a_slice_a_prefix_and_a_name(path: str, group: str) -> None:
    assert systemd.scope(path, "box", {}).path == group


@pytest.mark.parametrize(
    "path", ["/a/b", "a:b", "a.slice:b:c:d", "a.slice:b:", "a:b:c", "a--b.slice:p:x", ".slice:p:x"]
)
def test_another_form_of_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="slice"):
        systemd.scope(path, "box", {})


@pytest.mark.parametrize(
    ("files", "properties"),
    [
        (
            {"memory.max": "67108864", "memory.swap.max": "max"},
            {"MemoryMax": 64 * MIB, "MemorySwapMax": units.INFINITY},
        ),
        ({"memory.limit_in_bytes": "-1"}, {"MemoryLimit": units.INFINITY}),
        ({"cpu.weight": "39", "cpu.idle": "1"}, {"CPUWeight": 0}),
        ({"cpu.idle": "0"}, {}),
        ({"cpu.max": "max 50000"}, {"CPUQuotaPeriodUSec": 50_000, "CPUQuotaPerSecUSec": units.INFINITY}),
        ({"cpu.max": "33333 100000"}, {"CPUQuotaPeriodUSec": 100_000, "CPUQuotaPerSecUSec": 340_000}),
        ({"cpu.cfs_quota_us": "150000"}, {"CPUQuotaPerSecUSec": 1_500_000}),
        ({"cpuset.cpus": "0-3,9", "cpuset.mems": "0"}, {"AllowedCPUs": [15, 2], "AllowedMemoryNodes": [1]}),
        ({"pids.max": "max", "memory.oom.group": "1"}, {"TasksMax": units.INFINITY}),
    ],
)
def test_limits_become_properties(files: dict[str, str], properties: dict[str, Any]) -> None:
    found = units.from_files([("", file, text) for file, text in files.items()])
    assert {name: value for name, (_, value) in found} == properties


def test_device_rules_become_a_list_of_what_is_allowed() -> None:
    rules = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "b", "major": 7, "access": "rw"}]
    policy = dict(units.from_devices(rules))
    assert policy["DevicePolicy"] == ("s", "strict")
    kind, allowed = policy["DeviceAllow"]
    assert kind == "a(ss)"
    assert {("block-7", "rw"), ("/dev/char/1:3", "rwm"), ("char-136", "rwm"), ("char-*", "m")} <= set(allowed)
    assert dict(units.from_devices([{"allow": True}]))["DevicePolicy"] == ("s", "auto")
    assert units.from_devices([]) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", ("b", True)),
        ("'it\\'s'", ("s", "it's")),
        ('"a, b"', ("s", "a, b")),
        ("uint64 1000000", ("t", 1_000_000)),
        ("-5", ("i", -5)),
        ("byte 0x10", ("y", 16)),
        ("1.5", ("d", 1.5)),
        ("['a, b', \"c\"]", ("as", ["a, b", "c"])),
        ("[uint32 1, 2]", ("au", [1, 2])),
        ("@as []", ("as", [])),
    ],
)
def test_a_value_in_the_text_form_of_gvariant_is_parsed(text: str, value: tuple[str, Any]) -> None:
    assert units.parse_variant(text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("Ab", "1"), ("Collect.Mode", "1"), ("CollectMode", "word"), ("CollectMode", "'a'b'"), ("XSec", "")],
)
def test_an_annotation_that_is_not_a_property_is_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"annotation org\.systemd\.property\."):
        units.from_annotations({f"org.systemd.property.{name}": text})


def test_values_of_every_type_survive_the_wire() -> None:
    signature = "ybnqiuxtdsogasa(sv)v(yt)au"
    values = [
        *(200, True, -3, 65535, -7, 1 << 31, -(1 << 40), (1 << 64) - 1, 0.5, "text", "/path", "a(ss)"),
        *(["a", "", "ccc"], [("name", ("as", ["x"])), ("n", ("t", 9))], ("a(ss)", [("x", "y")]), (1, 2), []),
    ]
    assert dbus.unmarshal(signature, dbus.marshal(signature, values), 0) == values
    jeepney = pytest.importorskip("jeepney")
    parsed = jeepney.low_level.parse_signature(list(f"({signature})"))
    assert parsed.serialise(tuple(values), 0, jeepney.Endianness.little) == dbus.marshal(signature, values)
