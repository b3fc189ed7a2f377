"""The listener of a seccomp filter (SCMP_ACT_NOTIFY): an agent receives it and decides what calls do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.bundles import Box
from tests.runtime.seccomp_agent import Agent
from tests.runtime.test_linux import holder

MKDIR = ("mkdir", "mkdirat")
SCRIPT = "mkdir /tmp/foo && stat -c %F /tmp/foo-bar && echo $$"


@pytest.fixture
def agent(box: Box, tmp_path: Path) -> Iterator[Agent]:
    served = Agent(tmp_path / "agent")
    box.linux["seccomp"] = notify(served, *MKDIR)
    yield served
    served.close()


def notify(agent: Agent, *names: str, **more: Any) -> dict[str, Any]:
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": agent.path,
        "listenerMetadata": "MKDIR=bar",
        "syscalls": [{"names": list(names), "action": "SCMP_ACT_NOTIFY"}],
        **more,
    }


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("user", [False, True])
def test_the_agent_answers_for_the_kernel(box: Box, agent: Agent, no_new_privileges: bool, user: bool) -> None:
    box.process["noNewPrivileges"] = no_new_privileges
    if user:
        (box.rootfs / "tmp").chmod(0o777)
        box.process["user"]["uid"] = 1000
    assert box.shell(SCRIPT) == "directory\n1\n"
    (state,) = agent.received
    pid = state["pid"]
    assert state == {
        "ociVersion": "1.3.0",
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": "MKDIR=bar",
        "state": {
            "ociVersion": "1.3.0",
            "id": "box",
            "status": "creating",
            "bundle": str(box.directory),
            "pid": pid,
        },
    }
    assert pid > 1  # the runtime's view: inside it is 1
    assert agent.asked == 1


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_calls_that_the_runtime_makes_itself_may_be_asked_about(
    box: Box, agent: Agent, no_new_privileges: bool
) -> None:
    box.process["noNewPrivileges"] = no_new_privileges
    names = "execve execveat open openat read close fcntl poll sendmsg recvmsg brk mmap clone capset prctl".split()
    box.linux["seccomp"] = notify(agent, *names, flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])
    assert box.shell("echo hello") == "hello\n"
    assert box.exec("echo hello") == "hello\n"
    assert agent.asked > 10


def test_an_exec_has_a_listener_of_its_own(box: Box, agent: Agent) -> None:
    assert box.exec("echo $$; mkdir /tmp/foo && stat -c %F /tmp/foo-bar")[-10:] == "directory\n"
    container, other = agent.received
    assert (container["state"]["status"], other["state"]["status"]) == ("creating", "running")
    assert other["state"]["pid"] == container["pid"]
    assert other["pid"] not in (0, container["pid"])


def test_a_process_in_a_joined_pid_namespace_is_named_by_its_own_pid(box: Box, agent: Agent) -> None:
    for extra in ((), ("setsid",)):  # the second is a call between the fork and the exec
        box.linux["seccomp"] = notify(agent, *MKDIR, *extra)
        with holder("--pid", "--fork", "--kill-child") as unshare:
            pid = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()[0]
            box.join("pid", f"/proc/{pid}/ns/pid")
            assert box.shell("mkdir /tmp/foo; rmdir /tmp/foo-bar; grep NSpid /proc/self/status").startswith(
                "NSpid:"
            )
    early, late = agent.received
    assert early["pid"] == early["state"]["pid"]
    assert late["pid"] == late["state"]["pid"]


def test_no_agent_is_an_error_and_without_notify_its_path_is_ignored(box: Box, agent: Agent) -> None:
    box.linux["seccomp"] = notify(agent, *MKDIR, listenerPath="/nowhere/agent")
    assert box.fails("true")["message"] == (
        "failed to connect with seccomp agent /nowhere/agent: no such file or directory"
    )
    box.linux["seccomp"] = notify(agent, *MKDIR, listenerPath="/nowhere/agent", syscalls=[])
    assert box.shell("echo hello") == "hello\n"
    assert agent.received == []
