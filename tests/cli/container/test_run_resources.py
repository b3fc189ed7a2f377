"""Flags of `run` for limits, devices, sysctls and name servers. Each is tested with and without."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

from pyctr_lite.cgroups import group, hierarchy
from pyctr_lite.networks import resolv_conf
from tests.conftest import Pyctr


def shell(pyctr: Pyctr, script: str, *flags: str | Path) -> str:
    return pyctr("run", "--rm", *flags, "busybox", "sh", "-c", script, check=True).stdout


def refused(pyctr: Pyctr, *flags: str | Path) -> str:
    """Return the error of a `run` that fails and leaves nothing."""
    done = pyctr("run", "--rm", *flags, "busybox", "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert pyctr("ps", "-aq").stdout == ""
    return done.stderr


def host_config(pyctr: Pyctr, *flags: str | Path) -> dict[str, object]:
    id = pyctr("create", *flags, "busybox", check=True).stdout.strip()
    return json.loads(pyctr("inspect", "-f", "{{json .HostConfig}}", id).stdout)  # type: ignore[no-any-return]


# --- ulimits --------------------------------------------------------------------------------------------


def test_a_ulimit_applies_to_the_program_and_to_exec(pyctr: Pyctr) -> None:
    script = "ulimit -Sn; ulimit -Hn; ulimit -c"
    before = shell(pyctr, script).split()
    hard = min(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    flags = ["--ulimit", f"nofile=300:{hard}", "--ulimit", "core=0"]
    assert shell(pyctr, script, *flags).split() == ["300", str(hard), "0"]
    assert shell(pyctr, script, *flags, "-u", "nobody").split() == ["300", str(hard), "0"]
    assert before[0] != "300"
    pyctr("run", "-d", "--name", "box", *flags, "busybox", "sleep", "60", check=True)
    assert pyctr("exec", "box", "sh", "-c", script, check=True).stdout.split() == ["300", str(hard), "0"]


def test_the_last_of_several_values_counts_and_a_memory_limit_of_0_is_none(pyctr: Pyctr) -> None:
    flags = ["--ulimit", "nofile=50", "--ulimit", "nofile=60", "-m", "0"]
    assert shell(pyctr, "ulimit -n", *flags) == "60\n"
    config = host_config(pyctr, *flags)
    assert (config["Ulimits"], config["Memory"]) == ([{"Name": "nofile", "Hard": 60, "Soft": 60}], 0)


def test_a_very_low_ulimit_affects_the_program_and_not_the_engine(pyctr: Pyctr) -> None:
    assert shell(pyctr, "ulimit -n", "--ulimit", "nofile=3").strip() == "3"
    done = pyctr(
        "run", "--rm", "--ulimit", "fsize=1000", "busybox", "dd", "if=/dev/zero", "of=/x", "bs=2000", "count=1"
    )
    assert (done.returncode, "File too large" in done.stderr) == (1, True)
    assert pyctr("run", "--rm", "busybox", "dd", "if=/dev/zero", "of=/x", "bs=2000", "count=1").returncode == 0


def test_every_name_of_a_ulimit_is_known_to_the_kernel(pyctr: Pyctr) -> None:
    from pyctr_lite.engine.creation import values

    flags = [arg for name in values.ULIMITS for arg in ("--ulimit", f"{name}=0")]
    shown = shell(pyctr, "exec cat /proc/self/limits", "--ulimit", "locks=7:8", "--ulimit", "rttime=9:10")
    assert "Max file locks            7                    8" in shown
    assert "Max realtime timeout      9                    10" in shown
    config = host_config(pyctr, *flags)
    assert len(config["Ulimits"]) == len(values.ULIMITS)  # type: ignore[arg-type]


def test_a_ulimit_that_cannot_be_raised_reports_why(pyctr: Pyctr) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    held = int(Path("/proc/self/status").read_text().partition("CapEff:")[2].split()[0], 16)
    args = ["--ulimit", f"nofile={hard + 1}"]
    maximum = int(Path("/proc/sys/fs/nr_open").read_text())
    assert "`sysctl fs.nr_open` is the maximum" in refused(pyctr, "--ulimit", f"nofile={maximum + 1}")
    if hard == maximum:
        return
    if held >> 24 & 1:
        assert shell(pyctr, "ulimit -n", *args).strip() == str(hard + 1)
        return
    error = refused(pyctr, *args)
    assert f"cannot set RLIMIT_NOFILE to {hard + 1}:{hard + 1}" in error
    assert "CAP_SYS_RESOURCE" in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nofile", "invalid ulimit argument: nofile"),
        ("files=3", "invalid ulimit type: files"),
        ("nofile=x", "invalid syntax"),
        ("nofile=5:3", "must be less than or equal to hard limit: 5 > 3"),
        ("nofile=-1:3", "must be less than or equal to hard limit: -1 > 3"),
    ],
)
def test_a_wrong_ulimit_is_refused(pyctr: Pyctr, text: str, message: str) -> None:
    assert message in refused(pyctr, "--ulimit", text)


def test_ulimits_are_inspected_as_docker_shows_them(pyctr: Pyctr) -> None:
    config = host_config(pyctr, "--ulimit", "nproc=5:7", "--ulimit", "core=-1")
    assert config["Ulimits"] == [
        {"Name": "nproc", "Hard": 7, "Soft": 5},
        {"Name": "core", "Hard": -1, "Soft": -1},
    ]


# --- kernel parameters ----------------------------------------------------------------------------------


def test_a_sysctl_of_the_containers_own_namespaces_is_set(pyctr: Pyctr) -> None:
    names = ["net.ipv4.ip_unprivileged_port_start", "kernel.shmmni"]
    script = "; ".join(f"cat /proc/sys/{name.replace('.', '/')}" for name in names)
    flags = ["--sysctl", f"{names[0]}=77", "--sysctl", f"{names[1]}=99"]
    assert shell(pyctr, script, *flags).split() == ["77", "99"]
    assert not {"77", "99"} & set(shell(pyctr, script).split())


def test_a_sysctl_of_the_machine_is_refused(pyctr: Pyctr) -> None:
    before = Path("/proc/sys/kernel/panic").read_text()
    assert "sysctl kernel.panic is not namespaced" in refused(pyctr, "--sysctl", "kernel.panic=9")
    assert "needs a network namespace" in refused(pyctr, "--net", "host", "--sysctl", "net.ipv4.ip_forward=1")
    assert "must be NAME=VALUE" in refused(pyctr, "--sysctl", "kernel.shmmni")
    assert Path("/proc/sys/kernel/panic").read_text() == before


# --- devices --------------------------------------------------------------------------------------------


def test_a_device_can_be_used_if_it_is_given(pyctr: Pyctr) -> None:
    script = "ls -l /dev/dice | cut -c 1-10; head -c 3 /dev/dice | wc -c; echo x > /dev/dice"
    assert shell(pyctr, script, "--device", "/dev/random:/dev/dice") == "crw-rw-rw-\n3\n"
    # Without the flag, the same node can be created (CAP_MKNOD), but not opened.
    made = "mknod /dev/log c 10 237; head -c 1 /dev/log; echo $?"
    assert "Operation not permitted" in pyctr("run", "--rm", "busybox", "sh", "-c", made).stderr
    assert shell(pyctr, "ls -l /dev/loop-control | cut -c 1", "--device", "/dev/loop-control") == "c\n"


def test_a_device_has_the_given_access(pyctr: Pyctr) -> None:
    script = "exec 3< /dev/loop-control && echo read; (exec 4> /dev/loop-control) && echo write; true"
    assert shell(pyctr, script, "--device", "/dev/loop-control:rw") == "read\nwrite\n"
    assert shell(pyctr, script, "--device", "/dev/loop-control:/dev/loop-control:r") == "read\n"
    rule = ["--device-cgroup-rule", "c 10:237 r"]
    assert shell(pyctr, f"mknod /dev/loop-control c 10 237; {script}", *rule) == "read\n"


def test_a_directory_of_devices_adds_all_its_devices(pyctr: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    os.mknod(tmp_path / "deep/zero", 0o20640, os.makedev(1, 5))
    (tmp_path / "file").write_text("no device")
    shown = shell(
        pyctr,
        "find /dev/mine -type c; stat -c '%a %t:%T' /dev/mine/deep/zero",
        "--device",
        f"{tmp_path}:/dev/mine",
    )
    assert shown == "/dev/mine/deep/zero\n640 1:5\n"


def test_a_path_that_is_not_a_device_is_refused(pyctr: Pyctr, tmp_path: Path) -> None:
    assert 'custom device "/dev/none": no such file or directory' in refused(pyctr, "--device", "/dev/none")
    assert "not a device node" in refused(pyctr, "--device", "/etc/passwd")
    assert "not a device node" in refused(pyctr, "--device", str(tmp_path))
    assert "must be /dev/PATH" in refused(pyctr, "--device", "loop0")
    assert "must be /dev/PATH" in refused(pyctr, "--device", "/dev/null:/dev/x:/dev/y")
    assert "must be like" in refused(pyctr, "--device-cgroup-rule", "d 1:3 rwm")


def test_privileged_has_the_hosts_devices_and_may_use_them(pyctr: Pyctr) -> None:
    script = "ls /dev | wc -l; exec 3< /dev/loop-control && echo read"
    count, read = shell(pyctr, script, "--privileged").split()
    assert int(count) > 30
    assert read == "read"
    assert int(shell(pyctr, "ls /dev | wc -l")) < 20


# --- memory and block I/O -------------------------------------------------------------------------------


def file_of(pyctr: Pyctr, controller: str, name: str, *flags: str) -> str:
    """Return the content of a cgroup file of a container that is run with the given flags."""
    id = pyctr("run", "-d", *flags, "busybox", "sleep", "60", check=True).stdout.strip()
    from pyctr_lite.engine.state.paths import Paths

    directory = group.Group(Paths(str(pyctr.root)).group(id)).directory(controller)
    text = Path(f"{directory}/{name}").read_text().strip()
    pyctr("rm", "-f", id, check=True)
    return text


def test_the_memory_reservation_is_the_soft_limit(pyctr: Pyctr) -> None:
    mount = hierarchy.current().of("memory")
    assert mount is not None
    name = "memory.soft_limit_in_bytes" if mount.version == 1 else "memory.low"
    assert file_of(pyctr, "memory", name, "--memory-reservation", "32m") == str(32 << 20)
    assert file_of(pyctr, "memory", name) != str(32 << 20)
    assert "less than memory reservation" in refused(pyctr, "-m", "16m", "--memory-reservation", "32m")


def test_with_the_oom_killer_disabled_a_process_over_the_limit_waits(pyctr: Pyctr) -> None:
    mount = hierarchy.current().of("memory")
    if mount is None or mount.version == 2:
        assert "cgroup v2 cannot" in refused(pyctr, "--oom-kill-disable", "-m", "16m")
        return
    hungry = ["busybox", "sh", "-c", "x=x; while :; do x=$x$x; done"]
    done = pyctr("run", "--rm", "-m", "16m", "--memory-swap", "16m", *hungry)
    assert done.returncode == 137
    flags = ["-m", "16m", "--memory-swap", "16m", "--oom-kill-disable"]
    id = pyctr("run", "-d", *flags, *hungry, check=True).stdout.strip()
    from pyctr_lite.engine.state.paths import Paths

    control = Path(f"{mount.mountpoint}{Paths(str(pyctr.root)).group(id)}/memory.oom_control")
    while "under_oom 1" not in control.read_text():
        os.sched_yield()
    assert pyctr("inspect", "-f", "{{.State.Running}} {{.State.OOMKilled}}", id).stdout == "true false\n"
    pyctr("rm", "-f", id, check=True)


def test_disabling_the_oom_killer_without_a_limit_prints_a_warning(pyctr: Pyctr) -> None:
    done = pyctr("create", "--oom-kill-disable", "busybox")
    assert done.returncode == 0
    assert done.stderr.startswith("WARNING: OOM killer is disabled")
    assert pyctr("create", "--oom-kill-disable", "-m", "16m", "busybox").stderr == ""


def test_a_block_io_weight_is_set_or_reported_as_unsupported(pyctr: Pyctr) -> None:
    done = pyctr("run", "--rm", "--blkio-weight", "300", "busybox", "true")
    pyctr("run", "-d", "busybox", "sleep", "1000", check=True)  # a root cgroup does not have the file
    known = ("blkio.bfq.weight", "io.bfq.weight", "io.weight")
    files = [name for _, _, names in os.walk("/sys/fs/cgroup") for name in names if name in known]
    assert done.returncode == (0 if files else 125)
    assert files or "weights need the bfq I/O scheduler" in done.stderr
    assert pyctr("run", "--rm", "--blkio-weight", "0", "busybox", "true").returncode == 0


# --- /dev/shm, name servers, labels ---------------------------------------------------------------------


def test_shm_has_the_given_size(pyctr: Pyctr) -> None:
    script = "df -k /dev/shm | tail -1 | awk '{print $2}'"
    assert shell(pyctr, script, "--shm-size", "2m") == "2048\n"
    assert shell(pyctr, script) == "65536\n"
    assert shell(pyctr, script, "--shm-size", "0") == "65536\n"
    full = "dd if=/dev/zero of=/dev/shm/x bs=1M count=3 2>&1 | grep -c 'No space'; true"
    assert shell(pyctr, full, "--shm-size", "2m") == "1\n"
    assert shell(pyctr, full, "--shm-size", "8m") == "0\n"


def test_name_servers_replace_the_hosts(pyctr: Pyctr) -> None:
    flags = ["--dns", "10.9.8.7", "--dns", "2001:db8::1", "--dns-search", "lab.example", "--dns-option", "ndots:3"]
    lines = shell(pyctr, "cat /etc/resolv.conf", *flags).splitlines()
    kept = [line for line in lines if line and not line.startswith("#")]
    assert kept == ["nameserver 10.9.8.7", "nameserver 2001:db8::1", "search lab.example", "options ndots:3"]
    assert shell(pyctr, "cat /etc/resolv.conf", "--network", "host").startswith(
        resolv_conf.for_host_network(Path("/etc/resolv.conf").read_text())
    )
    only_search = shell(pyctr, "cat /etc/resolv.conf", "--dns-search", "lab.example")
    servers = [line for line in Path("/etc/resolv.conf").read_text().splitlines() if line.startswith("nameserver")]
    assert [line for line in only_search.splitlines() if line.startswith("nameserver")] == servers
    no_search = shell(pyctr, "cat /etc/resolv.conf", "--dns-search", ".").splitlines()
    assert [line for line in no_search if line.startswith("search")] == []


def test_a_wrong_name_server_is_refused(pyctr: Pyctr) -> None:
    assert "10.0.0.300 is not an ip address" in refused(pyctr, "--dns", "10.0.0.300")
    assert "two words is not a domain" in refused(pyctr, "--dns-search", "two words")
    assert "dns and the network mode" in refused(pyctr, "--dns", "10.0.0.3", "--net", "container:x")


def test_labels_come_from_files_and_then_from_flags(pyctr: Pyctr, tmp_path: Path) -> None:
    file = tmp_path / "labels"
    file.write_text("# a comment\none=1\ntwo\nthree=a b\n\n")
    id = pyctr("create", "-l", "one=flag", "--label-file", file, "busybox", check=True).stdout.strip()
    labels = json.loads(pyctr("inspect", "-f", "{{json .Config.Labels}}", id).stdout)
    assert labels == {"one": "flag", "two": "", "three": "a b"}
    pyctr("rm", id, check=True)
    file.write_text("bad name=1\n")
    assert "contains whitespaces" in refused(pyctr, "--label-file", file)
    assert "no such file" in refused(pyctr, "--label-file", tmp_path / "none")


def test_inspect_shows_the_given_options(pyctr: Pyctr) -> None:
    config = host_config(
        pyctr, "--dns", "1.2.3.4", "--dns-opt", "rotate", "--device", "/dev/zero:/dev/nought:r",
        "--device-cgroup-rule", "c 7:* rm", "--sysctl", "kernel.shmmni=99", "--oom-kill-disable", "-m", "16m",
    )  # fmt: skip
    assert (config["Dns"], config["DnsOptions"], config["DnsSearch"]) == (["1.2.3.4"], ["rotate"], [])
    assert config["Devices"] == [
        {"PathOnHost": "/dev/zero", "PathInContainer": "/dev/nought", "CgroupPermissions": "r"}
    ]
    assert config["DeviceCgroupRules"] == ["c 7:* rm"]
    assert config["Sysctls"] == {"kernel.shmmni": "99"}
    assert config["OomKillDisable"] is True
