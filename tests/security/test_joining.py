"""A process that joins a container never has more rights than the container while it is visible inside."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from pyctr_lite.engine.container import containers
from pyctr_lite.engine.home import Home
from pyctr_lite.errors import Conflict
from tests.conftest import Pyctr
from tests.syscalls import PERL_MOUNTS

WATCHER = r"""
use strict; my %seen;
open my $out, ">", "/seen/new" or die; select $out; $| = 1;
rename "/seen/new", "/seen/list";
while (1) {
    opendir my $proc, "/proc" or die;
    for my $pid (grep { /^\d+$/ && $_ != 1 && $_ != $$ } readdir $proc) {
        open my $file, "<", "/proc/$pid/status" or next;
        my %fact = map { /^(\w+):\s+(.*)$/ } <$file>;
        next if !$fact{CapPrm} || $fact{State} =~ /^[ZX]/;
        my $line = join " ", map { $fact{$_} } qw(CapPrm CapEff CapBnd Seccomp);
        print "$line\n" if !$seen{$line}++;
    }
}
"""
"""Lists, in a loop, the capability sets and filters of the container's processes, each set once."""


@pytest.fixture
def watcher(pyctr: Pyctr, tmp_path: Path) -> Path:
    """Start a container `box` with SYS_PTRACE, and return the file with the sets that it has seen."""
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen/watch").write_text(WATCHER)
    flags = ("--cap-add", "SYS_PTRACE", "-v", f"{tmp_path}/seen:/seen", *PERL_MOUNTS)
    pyctr("run", "-d", "--name", "box", *flags, "busybox", "/usr/bin/perl", "/seen/watch", check=True)
    pyctr("exec", "box", "sh", "-c", "until [ -e /seen/list ]; do sleep 0.1; done", check=True)
    return tmp_path / "seen/list"


EXE = r"""
use strict; my %seen;
open my $out, ">", "/seen/new" or die; select $out; $| = 1;
rename "/seen/new", "/seen/list";
while (1) {
    opendir my $proc, "/proc" or die;
    for my $pid (grep { /^\d+$/ && $_ != 1 && $_ != $$ } readdir $proc) {
        my $leads = readlink "/proc/$pid/exe" or next;
        next if $leads !~ /python/ || $seen{$pid}++;
        print open(my $file, "+<", "/proc/$pid/exe") ? "written\n" : $! + 0 . "\n";
    }
}
"""
"""Tries to open the interpreter of each process that joins for writing, without writing to it."""


OF_THE_CONTAINER = "00000000a80c25fb"
"""Docker's default capabilities, with SYS_PTRACE."""


def test_a_container_that_may_trace_never_sees_an_exec_with_more_rights(pyctr: Pyctr, watcher: Path) -> None:
    for args in (["true"], ["sh", "-c", "true"], ["/bin/true"]):
        for _ in range(12):
            pyctr("exec", "box", *args, check=True)
    pyctr("exec", "-u", "1000", "-w", "/tmp", "box", "true", check=True)
    assert set(watcher.read_text().splitlines()) <= {
        f"{OF_THE_CONTAINER} {OF_THE_CONTAINER} {OF_THE_CONTAINER} 2",
        f"{'0' * 16} {'0' * 16} {OF_THE_CONTAINER} 2",
        f"{OF_THE_CONTAINER} {'0' * 16} {OF_THE_CONTAINER} 2",  # user 1000, before the exec
    }
    assert watcher.read_text()


def test_the_hosts_interpreter_cannot_be_opened_for_writing(pyctr: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen/watch").write_text(EXE)
    flags = ("--cap-add", "SYS_PTRACE", "-v", f"{tmp_path}/seen:/seen", *PERL_MOUNTS)
    pyctr("run", "-d", "--name", "box", *flags, "busybox", "/usr/bin/perl", "/seen/watch", check=True)
    pyctr("exec", "box", "sh", "-c", "until [ -e /seen/list ]; do sleep 0.1; done", check=True)
    for _ in range(20):
        pyctr("exec", "box", "true", check=True)
    assert set((tmp_path / "seen/list").read_text().split()) <= {str(errno.ETXTBSY), str(errno.ENOENT)}


def test_a_health_check_is_never_visible_with_more_rights(pyctr: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen/watch").write_text(WATCHER)
    flags = ("--cap-add", "SYS_PTRACE", "-v", f"{tmp_path}/seen:/seen", *PERL_MOUNTS)
    check = ("--health-cmd", "echo >>/looks", "--health-interval", "50ms")
    pyctr("run", "-d", "--name", "box", *flags, *check, "busybox", "/usr/bin/perl", "/seen/watch", check=True)
    wait = "until [ $(wc -l </looks) -gt 20 ]; do sleep 0.1; done"
    pyctr("exec", "box", "sh", "-c", f"until [ -e /looks ]; do sleep 0.1; done; {wait}", check=True)
    seen = set((tmp_path / "seen/list").read_text().splitlines())
    assert seen == {f"{OF_THE_CONTAINER} {OF_THE_CONTAINER} {OF_THE_CONTAINER} 2"}


def test_a_container_that_joins_the_pid_namespace_is_never_visible_with_more_rights(
    pyctr: Pyctr, watcher: Path
) -> None:
    for _ in range(12):
        pyctr("run", "--rm", "--pid", "container:box", "busybox", "true", check=True)
    pyctr("run", "--rm", "--pid", "container:box", "--cap-drop", "ALL", "busybox", "true", check=True)
    plain = "00000000a80425fb"
    assert set(watcher.read_text().splitlines()) <= {
        f"{OF_THE_CONTAINER} {OF_THE_CONTAINER} {OF_THE_CONTAINER} 2",  # the fixture's exec
        f"{plain} {plain} {plain} 2",
        f"{'0' * 16} {'0' * 16} {'0' * 16} 2",
    }
    assert f"{plain} {plain} {plain} 2" in watcher.read_text()


def test_a_joined_pid_namespace_shows_only_its_own_processes(pyctr: Pyctr) -> None:
    """The process that builds the root stays outside: a procfs mounted by it would show the host's processes."""
    pyctr("run", "-d", "--name", "one", "busybox", "sleep", "61", check=True)
    script = "cat /proc/1/cmdline | tr '\\0' ' '; ls /proc | grep -c '^[0-9]'; grep NSpid /proc/self/status"
    lines = pyctr("run", "--rm", "--pid", "container:one", "busybox", "sh", "-c", script, check=True).stdout
    assert lines.startswith("sleep 61 "), lines
    assert int(lines.split()[2]) <= 6
    assert len(lines.split("NSpid:")[1].split()) == 1
    pyctr("run", "-d", "--name", "two", "--pid", "container:one", "busybox", "sleep", "62", check=True)
    assert "sleep 62" in pyctr("exec", "one", "ps").stdout
    assert "sleep 61" in pyctr("exec", "two", "ps").stdout
    flags = "nosuid,nodev,noexec"
    assert f"proc /proc proc rw,{flags}" in pyctr("exec", "two", "cat", "/proc/mounts").stdout
    assert pyctr("exec", "two", "sh", "-c", "echo 1 >/proc/sys/kernel/domainname").returncode != 0


def test_a_pid_that_another_process_has_got_is_not_joined(pyctr: Pyctr) -> None:
    """Else a container that ends at the right moment lets another one join the namespaces of the host."""
    pyctr("run", "-d", "--name", "one", "busybox", "sleep", "61", check=True)
    pyctr("run", "-d", "--name", "two", "--pid", "container:one", "busybox", "sleep", "62", check=True)
    two = containers.get(Home(str(pyctr.root)), "two")
    paths = [namespace["path"] for namespace in joined(two.directory)]
    containers.check_joined(two, paths)
    with pytest.raises(Conflict, match="has just ended"):
        containers.check_joined(two, [f"/proc/{os.getpid()}/ns/pid"])
    path = pyctr.root / "containers" / two.home.names.find("one") / "state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps(state | {"Pid": os.getpid()}))
    with pytest.raises(Conflict, match="one has just ended"):
        containers.check_joined(two, paths)
    refused = pyctr("run", "--rm", "--pid", "container:one", "busybox", "true")
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (
        125,
        "pyctr_lite: container one has just ended",
    )
    path.write_text(json.dumps(state))


def joined(directory: str) -> list[dict[str, str]]:
    """Return the namespaces that a bundle joins."""
    config = json.loads(Path(directory, "config.json").read_text())
    return [namespace for namespace in config["linux"]["namespaces"] if "path" in namespace]


def test_a_user_namespace_and_a_pid_namespace_are_joined_together(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "one", "--userns", "auto", "busybox", "sleep", "61", check=True)
    flags = ("--userns", "container:one", "--pid", "container:one")
    done = pyctr("run", "--rm", *flags, "busybox", "sh", "-c", "id -u; ps | grep -c 'sleep 61'", check=True)
    assert done.stdout.split()[0] == "0"
    assert int(done.stdout.split()[1]) >= 1


def test_a_replaced_proc_of_the_other_container_is_not_cloned(pyctr: Pyctr) -> None:
    """The container whose pid namespace is joined has a tmpfs, or another procfs, at /proc."""
    script = "mount -t tmpfs lie /proc; echo secret >/proc/lie; touch /ready; sleep 61"
    pyctr("run", "-d", "--name", "one", "--cap-add", "SYS_ADMIN", "busybox", "sh", "-c", script, check=True)
    pyctr("exec", "one", "sh", "-c", "until [ -e /ready ]; do sleep 0.1; done", check=True)
    args = ("cat", "/proc/lie", "/proc/1/cmdline")
    done = pyctr("run", "--rm", "--pid", "container:one", "busybox", *args)
    assert "secret" not in done.stdout
    assert "sleep" in done.stdout or done.stdout.startswith("sh\0")


FORK = ["clone", "clone3", "fork", "vfork"]


@pytest.mark.parametrize("names", [FORK, ["setsid"], ["sendmsg", "sendto"], ["write", "setsid", *FORK]])
def test_a_program_runs_under_a_filter_that_refuses_calls_of_its_start(
    pyctr: Pyctr, tmp_path: Path, names: list[str]
) -> None:
    """Then the process installs the filter itself, after its birth inside."""
    rule = {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    flags = ("--security-opt", f"seccomp={tmp_path}/profile.json")
    pyctr("run", "-d", "--name", "box", *flags, "busybox", "sleep", "60", check=True)
    assert pyctr("exec", "box", "true", check=True).returncode == 0
    assert pyctr("exec", "box", "sleep", "x").returncode == 1
    assert pyctr("run", "--rm", "--pid", "container:box", *flags, "busybox", "true", check=True).returncode == 0


def test_exec_works_in_a_container_up_to_its_process_limit(pyctr: Pyctr) -> None:
    """The process that starts another one does not count, and the limit is restored afterwards."""
    script = "sleep 60 & sleep 60 & wait"
    pyctr("run", "-d", "--name", "box", "--pids-limit", "4", "busybox", "sh", "-c", script, check=True)
    for _ in range(3):
        assert pyctr("exec", "box", "true").returncode == 0
    assert pyctr("exec", "-d", "box", "sleep", "60").returncode == 0
    done = pyctr("exec", "box", "true")
    assert done.returncode == 126
    assert "4 (--pids-limit)" in done.stderr
    assert len(done.stderr.splitlines()) == 2
    read = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null"
    pyctr("update", "--pids-limit", "5", "box", check=True)
    assert pyctr("exec", "box", "sh", "-c", f"exec {read.split(' 2>')[0]} 2>&-").stdout == "5\n"
