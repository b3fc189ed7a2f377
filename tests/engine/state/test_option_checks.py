"""Wrong options of a container are the same error from the Python API and from the command line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyctr_lite.engine.api.client import Client
from pyctr_lite.engine.engine import Engine
from pyctr_lite.engine.life import update
from pyctr_lite.engine.state.options import ContainerOptions, ExecOptions, check_types
from pyctr_lite.errors import InvalidArgument, PyctrError
from tests.conftest import Pyctr

ID = re.compile("[0-9a-f]{64}")
MIB = 1 << 20
BOTH_WAYS: list[tuple[list[str], dict[str, Any]]] = [
    # --- limits
    (["-m", "1"], {"memory": 1}),
    (["--memory-reservation", "5m"], {"memory_reservation": 5 * MIB}),
    (["-m", "16m", "--memory-reservation", "32m"], {"memory": 16 * MIB, "memory_reservation": 32 * MIB}),
    (["--memory-swap", "64m"], {"memory_swap": 64 * MIB}),
    (["-m", "64m", "--memory-swap", "32m"], {"memory": 64 * MIB, "memory_swap": 32 * MIB}),
    (["--cpus", "0.001"], {"nano_cpus": 10**6}),
    (["--cpus", "100000"], {"nano_cpus": 10**14}),
    (["--cpus", "1", "--cpu-quota", "5000"], {"nano_cpus": 10**9, "cpu_quota": 5000}),
    (["--cpu-shares", "1"], {"cpu_shares": 1}),
    (["--cpu-shares", "300000"], {"cpu_shares": 300_000}),
    (["--blkio-weight", "5"], {"blkio_weight": 5}),
    (["--cpuset-cpus", "3-1"], {"cpuset_cpus": "3-1"}),
    (["--cpuset-mems", "x"], {"cpuset_mems": "x"}),
    (["--oom-score-adj", "1001"], {"oom_score_adj": 1001}),
    (["--ulimit", "files=3"], {"ulimits": [("files", 3, 3)]}),
    (["--ulimit", "nofile=5:3"], {"ulimits": [("nofile", 5, 3)]}),
    (["--ulimit", "nofile=-1:3"], {"ulimits": [["nofile", -1, 3]]}),
    (["--device-read-bps", "sda:1mb"], {"device_read_bps": [("sda", MIB)]}),
    (["--device-write-bps", "sda:1mb"], {"device_write_bps": [("sda", MIB)]}),
    # --- namespaces
    (["--network", "nosuch"], {"network": "nosuch"}),
    (["--network", "nosuch", "--network", "host"], {"networks": {"nosuch": {}, "host": {}}}),
    (["--network", "name=bridge,ip=1.2.3.4"], {"networks": {"bridge": {"ip": "1.2.3.4"}}}),
    (["--network-alias", "web"], {"networks": {"bridge": {"aliases": ["web"]}}}),
    (["--mac-address", "1:2"], {"networks": {"bridge": {"mac": "1:2"}}}),
    (["--ip6", "1.2.3.4", "--net", "x"], {"networks": {"x": {"ip6": "1.2.3.4"}}}),
    (["--ip", "1.2.3.4", "--net", "none"], {"networks": {"none": {"ip": "1.2.3.4"}}}),
    (["-p", "x"], {"publish": ["x"]}),
    (["--expose", "1:2"], {"expose": ["1:2"]}),
    (["-p", "80", "--net", "container:x"], {"publish": ["80"], "network": "container:x"}),
    (["--network-rate-in", "1mbit", "--net", "none"], {"network_rate_in": 125000, "network": "none"}),
    (["--network", "container:"], {"network": "container:"}),
    (["--pid", "none"], {"pid": "none"}),
    (["--ipc", "shared"], {"ipc": "shared"}),
    (["--uts", "other"], {"uts": "other"}),
    (["--cgroupns", "other"], {"cgroupns": "other"}),
    (["--userns", "auto:size="], {"userns": "auto:size="}),
    (["--userns", "auto:size=x"], {"userns": "auto:size=x"}),
    (["--userns", "auto", "--privileged"], {"userns": "auto", "privileged": True}),
    (["--uts", "host", "-h", "x"], {"uts": "host", "hostname": "x"}),
    (["--network", "container:x", "-h", "x"], {"network": "container:x", "hostname": "x"}),
    (
        ["--network", "container:x", "--add-host", "a:1.2.3.4"],
        {"network": "container:x", "add_hosts": ["a:1.2.3.4"]},
    ),
    (["--network", "container:x", "--dns", "1.2.3.4"], {"network": "container:x", "dns": ["1.2.3.4"]}),
    # --- names and texts
    (["--name", "-x"], {"name": "-x"}),
    (["--name", "a" * 256], {"name": "a" * 256}),
    (["-h", "a b"], {"hostname": "a b"}),
    (["-h", "a" * 65], {"hostname": "a" * 65}),
    (["--domainname", "a\nb"], {"domainname": "a\nb"}),
    (["-w", "there"], {"workdir": "there"}),
    (["-e", "=x"], {"env": ["=x"]}),
    (["-l", "=x"], {"labels": {"": "x"}}),
    (["-l", "a b=x"], {"labels": {"a b": "x"}}),
    (["-u", "nosuch"], {"user": "nosuch"}),
    (["--group-add", "nosuch"], {"group_add": ["nosuch"]}),
    (["--stop-signal", "NONE"], {"stop_signal": "NONE"}),
    (["--add-host", "a"], {"add_hosts": ["a"]}),
    (["--dns", "10.0.0.300"], {"dns": ["10.0.0.300"]}),
    (["--dns-search", "two words"], {"dns_search": ["two words"]}),
    (["--dns-search", "a" * 60 + "!"], {"dns_search": ["a" * 60 + "!"]}),
    (["--sysctl", "kernel.shmmni"], {"sysctls": {"kernel.shmmni": ""}}),
    (["--sysctl", "kernel.panic=9"], {"sysctls": {"kernel.panic": "9"}}),
    # --- privileges and devices
    (["--cap-add", "FLY"], {"cap_add": ["FLY"]}),
    (["--cap-drop", "FLY"], {"cap_drop": ["FLY"]}),
    (["--security-opt", "apparmor=mine"], {"security_opt": ["apparmor=mine"]}),
    (["--security-opt", "seccomp=/nowhere"], {"security_opt": ["seccomp=/nowhere"]}),
    (["--device", "loop0"], {"devices": [("loop0", "loop0", "rwm")]}),
    (["--device", "/dev/none"], {"devices": [("/dev/none", "/dev/none", "rwm")]}),
    (["--device-cgroup-rule", "d 1:3 rwm"], {"device_rules": ["d 1:3 rwm"]}),
    # --- mounts
    (["-v", "/a:b"], {"volumes": ["/a:b"]}),
    (["-v", "x:/a:nomode"], {"volumes": ["x:/a:nomode"]}),
    (["--mount", "type=none,dst=/a"], {"mounts": ["type=none,dst=/a"]}),
    (["--mount", "type=bind,src=/nowhere,dst=/a"], {"mounts": ["type=bind,src=/nowhere,dst=/a"]}),
    (["--tmpfs", "/t:size=much"], {"tmpfs": ["/t:size=much"]}),
    (["-v", "/etc:/a", "--tmpfs", "/a"], {"volumes": ["/etc:/a"], "tmpfs": ["/a"]}),
    # --- log, health, end
    (["--log-driver", "syslog"], {"log_driver": "syslog"}),
    (["--log-opt", "max-age=1"], {"log_options": {"max-age": "1"}}),
    (["--log-opt", "max-size=ten"], {"log_options": {"max-size": "ten"}}),
    (["--log-opt", "mode=fast"], {"log_options": {"mode": "fast"}}),
    (["--log-opt", "tag={{.No}}"], {"log_options": {"tag": "{{.No}}"}}),
    (["--health-interval", "1us"], {"healthcheck": {"Interval": 1000}}),
    (["--health-timeout", "-1s"], {"healthcheck": {"Timeout": -(10**9)}}),
    (["--health-retries", "-1"], {"healthcheck": {"Retries": -1}}),
    (
        ["--no-healthcheck", "--health-cmd", "true"],
        {"healthcheck": {"Test": ["NONE", "CMD-SHELL", "true"]}},
    ),
    (["--no-healthcheck", "--health-retries", "2"], {"healthcheck": {"Test": ["NONE"], "Retries": 2}}),
    (["--restart", "often"], {"restart": "often"}),
    (["--restart", "always:3"], {"restart": "always:3"}),
    (["--restart", "on-failure:x"], {"restart": "on-failure:x"}),
    (["--restart", "always", "--rm"], {"restart": "always", "remove": True}),
]
WRONG_TYPES: dict[str, Any] = {
    "memory": "64m",
    "memory_swap": 1.5,
    "nano_cpus": True,
    "cpu_quota": "5000",
    "pids_limit": "10",
    "stop_timeout": "1s",
    "tty": 2,
    "remove": "yes",
    "name": 7,
    "entrypoint": ["sh"],
    "command": "sh -c true",
    "env": {"A": "1"},
    "labels": ["a=1"],
    "volumes": "/a:/b",
    "ulimits": ["nofile=1"],
    "devices": [("/dev/null",)],
    "sysctls": {"kernel.shmmni": 9},
    "healthcheck": "true",
    "user": "a\0b",
}


@pytest.fixture
def engine(root: Path) -> Engine:
    return Engine(str(root))


@pytest.fixture
def client(root: Path) -> Iterator[Client]:
    with Client(str(root)) as made:
        yield made


def by_api(engine: Engine, given: dict[str, Any]) -> str:
    """Return the API's error message for some options. Nothing may have been created."""
    with pytest.raises(PyctrError) as caught:
        engine.containers.create(ContainerOptions(image="busybox", command=["true"], **given))
    assert engine.containers.list() == []
    assert engine.volumes.list() == []
    return caught.value.message


@pytest.mark.parametrize(("flags", "given"), BOTH_WAYS, ids=[" ".join(flags)[:50] for flags, _ in BOTH_WAYS])
def test_a_wrong_option_is_the_same_error_both_ways(
    pyctr: Pyctr, engine: Engine, flags: list[str], given: dict[str, Any]
) -> None:
    api = by_api(engine, given)
    for verb in ("run", "create"):
        done = pyctr(verb, *flags, "busybox", "true")
        line = done.stderr.partition("\n  ")[0].removeprefix("pyctr_lite: ").removesuffix("\n")
        # Docker's client names the flag, and so does ours.
        if line.startswith("invalid argument ") and '" flag: ' in line:
            assert done.returncode == 125
            assert line.split('" flag: ', 1)[1] == api.removeprefix(f"{next(iter(given))}: ")
        else:
            assert done.returncode == (125 if verb == "run" else 1)
            assert ID.sub("ID", line) == ID.sub("ID", api)
    assert engine.containers.list() == []


def test_a_negative_rate_is_refused(engine: Engine) -> None:
    assert by_api(engine, {"network_rate_out": -1}) == "invalid network_rate_out: -1"


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_a_value_of_the_wrong_type_is_an_error_with_the_right_type(client: Client, name: str) -> None:
    given = {"command": ["true"], name: WRONG_TYPES[name]}
    with pytest.raises(InvalidArgument, match=f"^{name} must be ") as caught:
        client.engine.containers.create(ContainerOptions(image="busybox", **given))
    with pytest.raises(InvalidArgument) as asked:
        client.run("busybox", **given)
    assert asked.value.message == caught.value.message
    assert client._helper is None  # not even started


def test_every_option_has_a_type_that_its_default_fits() -> None:
    check_types(ContainerOptions())
    check_types(ExecOptions([]))
    for name, default in ContainerOptions.DEFAULTS.items():
        with pytest.raises(InvalidArgument, match=f"^{name} must be "):
            check_types(ContainerOptions(**{name: object()}))
        if isinstance(default, list):
            with pytest.raises(InvalidArgument, match=f"^{name} must be a list of "):
                check_types(ContainerOptions(**{name: [7]}))


def test_a_long_value_is_shortened_in_the_error(engine: Engine) -> None:
    assert len(by_api(engine, {"memory": "9" * 5000})) < 120


@pytest.mark.parametrize(
    ("name", "value"),
    [("env", "A=1"), ("user", 0), ("workdir", None), ("tty", "yes"), ("privileged", 1.5)],
)
def test_the_options_of_exec_are_type_checked(client: Client, name: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"^{name} must be "):
        client.exec("box", ["true"], **{name: value})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"env": ["=x"]}, "invalid environment variable: =x"),
        ({"command": []}, "no command specified"),
        ({"user": "nosuch"}, "unable to find user nosuch: no matching entries in the image's /etc/passwd"),
    ],
)
def test_the_values_of_exec_are_checked_before_anything_runs(
    client: Client, given: dict[str, Any], message: str
) -> None:
    client.start("busybox", ["sleep", "60"], name="box")
    with pytest.raises(InvalidArgument) as caught:
        client.exec("box", given.pop("command", ["true"]), **given)
    assert caught.value.message == message


UPDATES: list[tuple[list[str], dict[str, Any]]] = [
    (["-m", "1"], {"memory": 1}),
    (["--memory-reservation", "5m"], {"memory_reservation": 5 * MIB}),
    (["--memory-reservation", "128m"], {"memory_reservation": 128 * MIB}),
    (["--memory-swap", "32m"], {"memory_swap": 32 * MIB}),
    (["-m", "256m"], {"memory": 256 * MIB}),
    (["--cpus", "0.001"], {"nano_cpus": 10**6}),
    (["--cpuset-cpus", "x"], {"cpuset_cpus": "x"}),
    (["--cpu-shares", "1"], {"cpu_shares": 1}),
    (["--blkio-weight", "2000"], {"blkio_weight": 2000}),
    (["--restart", "often"], {"restart": "often"}),
    (["--restart", "always"], {"restart": "always"}),
]


@pytest.mark.parametrize(("flags", "changes"), UPDATES, ids=[" ".join(flags) for flags, _ in UPDATES])
def test_a_wrong_update_is_the_same_error_both_ways(
    pyctr: Pyctr, engine: Engine, flags: list[str], changes: dict[str, Any]
) -> None:
    pyctr("create", "--rm", "--name", "box", "-m", "64m", "--memory-swap", "128m", "busybox", "true", check=True)
    before = pyctr("inspect", "box").stdout
    with pytest.raises(PyctrError) as caught:
        update.update(engine.containers.get("box"), changes)
    done = pyctr("update", *flags, "box")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, f"pyctr_lite: {caught.value.message}")
    assert pyctr("inspect", "box").stdout == before


def test_an_update_by_the_api_has_the_same_effect_as_on_the_command_line(pyctr: Pyctr, engine: Engine) -> None:
    pyctr("create", "--name", "box", "--restart", "always", "--cpuset-cpus", "0", "busybox", "true", check=True)
    update.update(engine.containers.get("box"), {"restart": "no", "cpuset_cpus": "", "memory": 0, "pids_limit": 9})
    shown = json.loads(pyctr("inspect", "-f", "{{json .HostConfig}}", "box").stdout)
    assert (shown["RestartPolicy"]["Name"], shown["CpusetCpus"]) == ("no", "0")
    assert (shown["Memory"], shown["PidsLimit"]) == (0, 9)
    with pytest.raises(InvalidArgument, match=r"^memory must be a number of bytes, not '64m'"):
        update.update(engine.containers.get("box"), {"memory": "64m"})
    with pytest.raises(TypeError, match="tty"):
        update.update(engine.containers.get("box"), {"tty": True})


def test_zero_and_no_are_the_same_as_not_given(engine: Engine) -> None:
    zeros = dict.fromkeys(
        ("memory_swap", "memory_reservation", "cpu_shares", "pids_limit", "blkio_weight", "shm_size"), 0
    )
    container = engine.containers.create(ContainerOptions(image="busybox", restart="no", **zeros))
    network = {"network": "bridge", "networks": {"bridge": {}}}
    assert container.record.options.to_json() == {"image": "busybox", **network}
    assert os.path.isdir(container.directory)


def test_the_log_options_of_the_api_limit_the_log(client: Client) -> None:
    given = {"max-size": "1k", "max-file": "2"}
    client.run("busybox", ["seq", "1", "1000"], name="box", log_options=given)
    options = client.engine.containers.get("box").record.options
    assert (options.log_driver, options.log_max_size, options.log_max_files) == ("json-file", 1000, 2)
    with pytest.raises(InvalidArgument, match="follow from log_options"):
        client.run("busybox", ["true"], log_max_size=5)
