"""Scheduling of a bundle's processes, as the kernel reports it from inside; and what is refused."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.runtime import process, scheduling
from tests.runtime.bundles import Box

STAT = "set -- $(cat /proc/self/stat); echo nice ${19} priority ${40} policy ${41}"
ALL_CPUS = "0" if os.cpu_count() == 1 else f"0-{(os.cpu_count() or 1) - 1}"


def test_policy_and_nice_value_are_the_programs_from_its_first_instruction(box: Box) -> None:
    assert box.shell(STAT) == "nice 0 priority 0 policy 0\n"
    box.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 19, "priority": 0}
    box.process["user"] = {"uid": 1000, "gid": 1000}
    assert box.shell(STAT) == "nice 19 priority 0 policy 3\n"
    box.process["scheduler"] = {"policy": "SCHED_OTHER", "nice": -5, "flags": []}
    assert box.shell(STAT) == "nice -5 priority 0 policy 0\n"
    box.process["scheduler"]["flags"] = ["SCHED_FLAG_RESET_ON_FORK"]
    assert box.run("cut", "-d ", "-f19", "/proc/self/stat").stdout == "-5\n"
    assert box.shell(STAT) == "nice 0 priority 0 policy 0\n"  # of a child


def test_an_exec_has_a_scheduler_of_its_own_even_one_that_forbids_to_fork(box: Box) -> None:
    box.process["scheduler"] = {"policy": "SCHED_BATCH"}
    assert box.exec(STAT, scheduler={"policy": "SCHED_OTHER", "nice": 7}) == "nice 7 priority 0 policy 0\n"
    deadline = {"policy": "SCHED_DEADLINE", "runtime": 420_000, "deadline": 1_000_000, "period": 10_000_000}
    spec = {"cwd": "/", "args": ["/bin/cut", "-d ", "-f41", "/proc/self/stat"], "scheduler": deadline}
    done = box.run("sleep", "100", then=spec)
    if done.returncode:
        assert "cannot set the scheduler SCHED_DEADLINE" in done.stderr, done.stderr
        pytest.skip("this kernel or this group has no SCHED_DEADLINE")
    assert done.stdout == "6\n"


def test_a_real_time_policy_is_set_or_its_refusal_is_explained(box: Box) -> None:
    box.process["scheduler"] = {"policy": "SCHED_FIFO", "priority": 10}
    done = box.run("sh", "-c", STAT)
    if done.returncode == 0:
        assert done.stdout == "nice 0 priority 10 policy 1\n"
    else:
        assert "cannot set the scheduler SCHED_FIFO: " in done.stderr
        assert "CAP_SYS_NICE" in done.stderr


@pytest.mark.parametrize(
    ("given", "shown"), [("BE", "best-effort: prio 4"), ("RT", "realtime: prio 4"), ("IDLE", "idle")]
)
def test_io_priority_is_set_in_a_user_namespace_too(box: Box, given: str, shown: str) -> None:
    if given != "BE":
        box.linux["namespaces"].append({"type": "user"})
        box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 65536}]
    box.process["ioPriority"] = {"class": f"IOPRIO_CLASS_{given}", "priority": 4}
    assert shown in box.shell("ionice -p 1")
    assert shown in box.exec("ionice", ioPriority=box.process["ioPriority"])


def test_the_callers_affinity_is_not_the_containers_and_an_exec_may_have_its_own(box: Box) -> None:
    allowed = "grep Cpus_allowed_list /proc/self/status | cut -f2"
    done = box.run("sh", "-c", allowed, preexec_fn=lambda: os.sched_setaffinity(0, {0}))
    assert done.stdout == f"{ALL_CPUS}\n"
    last = str((os.cpu_count() or 1) - 1)
    assert box.exec(allowed, execCPUAffinity={"initial": "0", "final": last}) == f"{last}\n"
    assert box.exec(allowed, execCPUAffinity={"initial": last}) == f"{ALL_CPUS}\n"
    spec = {"cwd": "/", "args": ["/bin/true"], "execCPUAffinity": {"final": "60000"}}
    assert "cannot set the final CPU affinity: " in box.run("sleep", "100", then=spec).stderr


def test_memory_policy_and_personality_hold_for_every_process_of_the_container(box: Box) -> None:
    policy = "head -n 1 /proc/self/numa_maps | cut -d ' ' -f 2; uname -m"
    native = os.uname().machine
    assert box.shell(policy) == f"default\n{native}\n"
    box.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}
    box.linux["personality"] = {"domain": "LINUX32", "flags": []}
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["personality", "set_mempolicy"], "action": "SCMP_ACT_KILL_PROCESS"}],
    }
    shown = "bind=static:0\n" + {"x86_64": "i686", "aarch64": "armv8l"}[native] + "\n"
    assert box.shell(policy) == shown
    assert box.exec(policy) == shown
    box.linux["memoryPolicy"] = {"mode": "MPOL_PREFERRED", "nodes": "64", "flags": []}
    assert "cannot set the memory policy MPOL_PREFERRED" in box.fails("true")["message"]


def test_a_process_does_not_bring_what_the_container_decides() -> None:
    given = process.inherit({"args": ["x"], "personality": {"domain": "LINUX32"}}, {"memoryPolicy": {"mode": "x"}})
    assert given == {"args": ["x"], "memoryPolicy": {"mode": "x"}}


DEADLINE = {"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 3000, "period": 4000}


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        ({"nice": 1}, "invalid scheduler.policy None"),
        ({"policy": "SCHED_FAIR"}, "invalid scheduler.policy 'SCHED_FAIR'"),
        ({"policy": "SCHED_BATCH", "flags": ["X"]}, "invalid scheduler flag 'X'"),
        ({"policy": "SCHED_OTHER", "nice": 20}, "invalid scheduler.nice: 20 when scheduler.policy is SCHED_OTHER"),
        ({"policy": "SCHED_IDLE", "priority": 1}, "priority can only be specified for SCHED_FIFO or SCHED_RR"),
        ({"policy": "SCHED_RR", "period": 1}, "period can only be specified for SCHED_DEADLINE"),
        (DEADLINE | {"runtime": None}, "`SCHED_DEADLINE` requires `runtime`"),
        (DEADLINE | {"deadline": 0}, "`SCHED_DEADLINE` deadline must be greater than 0"),
        (DEADLINE | {"runtime": 3001}, r"runtime \(3001\) must be <= deadline \(3000\)"),
        (DEADLINE | {"period": 2999}, r"deadline \(3000\) must be <= period \(2999\)"),
        (DEADLINE | {"runtime": 1023}, r"runtime \(1023\) must be between 1024 and"),
        ({**DEADLINE, "runtime": 2**63, "deadline": 2**63, "period": 0}, "must be between 1024 and"),
    ],
)
def test_a_scheduler_that_the_kernel_would_refuse_without_a_reason_is_refused_with_one(
    scheduler: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        scheduling.check_process({"scheduler": scheduler})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"memoryPolicy": {}}, "invalid memory policy mode None"),
        ({"memoryPolicy": {"mode": "INTERLEAVE"}}, "invalid memory policy mode 'INTERLEAVE'"),
        ({"memoryPolicy": {"mode": "MPOL_BIND", "flags": ["x"]}}, "invalid memory policy flag 'x'"),
        ({"memoryPolicy": {"mode": "MPOL_BIND"}}, "mode requires at least one node but got 0"),
        ({"memoryPolicy": {"mode": "MPOL_LOCAL", "nodes": "0-7"}}, "mode requires 0 nodes but got 8"),
        (
            {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-9876543210"}},
            "invalid memory policy nodes '0-9876543210'",
        ),
        ({"personality": {"domain": "BSD"}}, "invalid personality.domain 'BSD'"),
        ({"personality": {"domain": "LINUX", "flags": ["x"]}}, "no flags are supported"),
    ],
)
def test_a_policy_of_the_container_that_cannot_be_meant_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        scheduling.check_linux(config)


def test_lists_are_parsed_as_the_kernel_and_runc_do() -> None:
    assert scheduling.parse_list("0-2,7, 9 ,,", "x") == {0, 1, 2, 7, 9}
    assert scheduling.parse_list("", "x") == set()
    for text in (",", "a", "1-", "-1", "3-2", "70000", "1;2", "²"):
        with pytest.raises(InvalidArgument, match="invalid x"):
            scheduling.parse_list(text, "x")


def test_an_io_priority_out_of_range_is_refused() -> None:
    for priority, message in (
        ({"class": "X"}, "ioPriority.class 'X'"),
        ({"class": "IOPRIO_CLASS_BE", "priority": 8}, "8"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            scheduling.check_process({"ioPriority": priority})
