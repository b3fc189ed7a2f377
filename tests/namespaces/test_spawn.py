"""Create and join namespaces, and map ids: each test in a fresh interpreter with one thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.namespaces import idmap, kinds
from tests.conftest import REPOSITORY

HEAD = f"""
import json, os, sys, time
sys.path.append({str(REPOSITORY)!r})
from pyctr_lite import linux
from pyctr_lite.linux import kernelfile
from pyctr_lite.namespaces import create, idmap, join, kinds, network

def report(**facts):
    os.write(1, json.dumps(facts).encode() + b"\\n")

def spawn(flags, child):
    def body():
        child()
        os._exit(0)
    pid, pidfd = create.spawn(flags, body)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def facts(program: str) -> list[dict[str, object]]:
    """Run a program, and return its reports: one dictionary per line."""
    done = subprocess.run([sys.executable, "-c", HEAD + program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("kind", [kind.proc for kind in kinds.KINDS if kind.proc not in ("time", "cgroup")])
def test_a_new_namespace_of_one_kind_differs_in_that_kind_alone(kind: str) -> None:
    [found] = facts(f"spawn(kinds.flags([{kind!r}]), lambda: report(**kinds.identify()))")
    here = kinds.identify()
    assert {name for name in here if here[name] != found[name]} == {kind}


@pytest.mark.parametrize("kind", ["time", "cgroup"])
def test_unshare_makes_a_new_namespace_of_one_kind(kind: str) -> None:
    after = (
        "os.fork() or (report(**kinds.identify()), os._exit(0))\nos.wait()"
        if kind == "time"
        else "report(**kinds.identify())"
    )
    [found] = facts(f"linux.unshare(kinds.flags([{kind!r}]))\n{after}")
    here = kinds.identify()
    assert {name for name in here if here[name] != found[name]} == {kind}


def test_the_first_process_of_a_pid_namespace_has_pid_1() -> None:
    [found] = facts("spawn(linux.CLONE_NEWPID, lambda: report(pid=os.getpid(), parent=os.getppid()))")
    assert found == {"pid": 1, "parent": 0}


def test_without_a_new_pid_namespace_the_pid_is_not_1() -> None:
    [found] = facts("spawn(linux.CLONE_NEWUTS, lambda: report(pid=os.getpid()))")
    assert int(str(found["pid"])) > 1


def test_the_namespaces_of_a_pid_are_joined_and_the_child_is_in_its_pid_namespace() -> None:
    found = facts(
        """
reader, writer = os.pipe()
def wait():
    os.close(writer); os.read(reader, 1); os._exit(0)
pid, _ = create.spawn(linux.CLONE_NEWPID | linux.CLONE_NEWUTS | linux.CLONE_NEWNET, wait)
targets = join.open_all(pid)
report(kinds=sorted(targets), own=os.getpid() > 1)
def child():
    report(inside=os.getpid(), same=kinds.identify() == kinds.identify(os.getpid())); os._exit(0)
other, _ = create.spawn_joined(0, child, targets)
os.waitpid(other, 0)
report(own_uts=kinds.identify()["uts"] != os.fstat(targets["uts"]).st_ino)
os.close(writer); os.waitpid(pid, 0)
"""
    )
    assert found[0] == {"kinds": ["net", "pid", "uts"], "own": True}
    assert found[1]["inside"] == 2
    assert found[2] == {"own_uts": True}


USER_AND_HOST_NET = """
reader, writer = os.pipe()
def wait():
    os.close(writer); os.read(reader, 1); os._exit(0)
host_net, _ = create.spawn(linux.CLONE_NEWNET, wait)
user, _ = create.spawn(linux.CLONE_NEWUSER, wait)
idmap.write_maps(user, [idmap.IdMap(0, 100000, 1000)], [idmap.IdMap(0, 100000, 1000)])
net_fd, user_fd = (join.open_namespace(*what) if False else os.open(path, os.O_RDONLY)
                   for what, path in ((0, f"/proc/{host_net}/ns/net"), (0, f"/proc/{user}/ns/user")))
"""
END = "\nos.close(writer); os.waitpid(host_net, 0); os.waitpid(user, 0)\n"


def test_a_network_namespace_of_the_host_is_joined_before_the_user_namespace() -> None:
    found = facts(
        USER_AND_HOST_NET
        + """
def child():
    report(net=os.stat("/proc/self/ns/net").st_ino == os.fstat(net_fd).st_ino,
         user=os.stat("/proc/self/ns/user").st_ino == os.fstat(user_fd).st_ino)
    os._exit(0)
pid, _ = create.spawn_joined(0, child, {"user": user_fd, "net": net_fd})
os.waitpid(pid, 0)
"""
        + END
    )
    assert found == [{"net": True, "user": True}]


def test_joining_it_after_the_user_namespace_fails_with_eperm() -> None:
    found = facts(
        USER_AND_HOST_NET
        + """
if os.fork() == 0:
    linux.setns(user_fd, linux.CLONE_NEWUSER)
    try:
        linux.setns(net_fd, linux.CLONE_NEWNET)
    except OSError as error:
        report(errno=error.errno)
    os._exit(0)
os.wait()
"""
        + END
    )
    assert found == [{"errno": 1}]


def test_the_uid_in_a_user_namespace_is_nobody_until_the_maps_are_written() -> None:
    found = facts(
        """
reader, writer = os.pipe()
def child():
    report(before=os.getuid()); os.close(writer); os.read(reader, 1)
    os.setresuid(0, 0, 0)
    report(after=os.getuid(), map=kernelfile.read("/proc/self/uid_map").split()); os._exit(0)
pid, _ = create.spawn(linux.CLONE_NEWUSER, child)
idmap.write_maps(pid, [idmap.IdMap(0, 100000, 65536)], [idmap.IdMap(0, 100000, 65536)])
os.close(reader); os.close(writer); os.waitpid(pid, 0)
"""
    )
    assert found == [{"before": 65534}, {"after": 0, "map": ["0", "100000", "65536"]}]


def test_an_unprivileged_user_must_deny_setgroups_before_mapping_a_group() -> None:
    program = """
os.setgroups([]); os.setresgid(1000, 1000, 1000); os.setresuid(1000, 1000, 1000)
linux.prctl(linux.PR_SET_DUMPABLE, 1)  # changing the uid cleared it, so root owns /proc/self/*
one = [idmap.IdMap(0, 1000, 1)]
linux.unshare(linux.CLONE_NEWUSER)
kernelfile.write("/proc/self/uid_map", idmap.format_map(one))
try:
    kernelfile.write("/proc/self/gid_map", idmap.format_map(one)); report(errno=0)
except OSError as error:
    report(errno=error.errno, path=error.filename)
kernelfile.write("/proc/self/setgroups", "deny")
kernelfile.write("/proc/self/gid_map", idmap.format_map(one))
report(uid=os.getuid(), gid=os.getgid())
"""
    assert facts(program) == [{"errno": 1, "path": "/proc/self/gid_map"}, {"uid": 0, "gid": 0}]


@pytest.mark.parametrize(
    "entries", [[], [(0, 0, 0)], [(0, 0, 2), (1, 5, 1)], [(0, 5, 2), (4, 6, 1)], [(0, 0, 2**32 + 1)]]
)
def test_an_id_map_that_the_kernel_would_refuse_is_an_error(entries: list[tuple[int, int, int]]) -> None:
    with pytest.raises(InvalidArgument):
        idmap.format_map([idmap.IdMap(*entry) for entry in entries])


def test_a_time_namespace_shifts_the_boot_clock_and_not_the_wall_clock() -> None:
    [found] = facts(
        """
wall, boot = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
def child():
    report(boot=round(time.clock_gettime(time.CLOCK_BOOTTIME) - boot, -2), wall=round(time.time() - wall, -2))
    os._exit(0)
pid, _ = create.spawn_joined(linux.CLONE_NEWTIME, child, {}, {"boottime": (86400, 0)})
os.waitpid(pid, 0)
"""
    )
    assert found == {"boot": 86400, "wall": 0}


def test_the_loopback_is_down_until_it_is_brought_up() -> None:
    [found] = facts(
        """
import socket
def reach():
    listener = socket.socket(); listener.bind(("0.0.0.0", 0)); listener.listen()
    try:
        socket.create_connection(("127.0.0.1", listener.getsockname()[1]), 5).close(); return 0
    except OSError as error:
        return error.errno
def child():
    before = reach(); network.bring_up_loopback(); report(before=before, after=reach())
spawn(linux.CLONE_NEWNET, child)
"""
    )
    assert found == {"before": 101, "after": 0}  # ENETUNREACH


def test_an_error_while_joining_reaches_the_caller() -> None:
    [found] = facts(
        """
fd = os.open("/proc/self/ns/uts", os.O_RDONLY)
try:
    create.spawn_joined(0, lambda: os._exit(0), {"net": fd})
except OSError as error:
    report(errno=error.errno, call="setns" in str(error))
"""
    )
    assert found == {"errno": 22, "call": True}


def test_an_unknown_kind_is_a_key_error() -> None:
    assert kinds.flags(["mount", "network"]) == linux.CLONE_NEWNS | linux.CLONE_NEWNET
    with pytest.raises(KeyError):
        kinds.flags(["moon"])
    assert os.getpid() > 1
