"""`linux.seccomp` of a foreign bundle: installed before the program, compiled once, its errors reported."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.runtime.bundles import Box

STATUS = "grep -E '^(NoNewPrivs|Seccomp|CapEff):' /proc/self/status | tr -d '\\n\\t'"


def deny(*names: str, **more: Any) -> dict[str, Any]:
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": 5, **more}],
    }


def test_a_bundle_without_a_profile_has_no_filter(box: Box) -> None:
    box.process["noNewPrivileges"] = False
    assert "Seccomp:0" in box.shell(STATUS)
    assert not (box.directory / "filters").exists()


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
def test_the_programs_system_calls_are_filtered(box: Box, no_new_privileges: bool, uid: int) -> None:
    box.process["noNewPrivileges"] = no_new_privileges
    box.process["user"]["uid"] = uid
    box.linux["seccomp"] = deny("mkdir", "mkdirat")
    text = box.shell(f"{STATUS}; mkdir /tmp/x 2>&1 || true")
    assert f"NoNewPrivs:{int(no_new_privileges)}Seccomp:2" in text
    assert "Input/output error" in text
    assert ("CapEff:0000000000000000" in text) == (uid != 0)


def test_a_filter_needs_to_allow_only_capset_and_exec_besides_the_program(box: Box) -> None:
    """The profile allows only the calls that runc's start needs, too."""
    late = (
        "execve execveat capget capset prctl write exit_group brk mmap munmap mprotect getrandom arch_prctl "
        "set_tid_address set_robust_list rseq prlimit64 readlink readlinkat getuid"
    ).split()
    rules = [{"names": late, "action": "SCMP_ACT_ALLOW"}]
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": rules}
    for no_new_privileges in (True, False):
        box.process["noNewPrivileges"] = no_new_privileges
        done = box.run("echo", "hello")
        assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    done = box.run("mkdir", "/tmp/x")
    assert done.returncode == -31 % 256  # SIGSYS


def test_a_profile_is_compiled_once_and_cached(box: Box) -> None:
    box.linux["seccomp"] = deny("mkdir", "mkdirat")
    box.shell("true")
    (file,) = (box.directory / "filters").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    before = file.stat().st_mtime_ns
    box.shell("true")
    assert [entry.stat().st_mtime_ns for entry in (box.directory / "filters").iterdir()] == [before]
    box.linux["seccomp"] = deny("rmdir", "unlinkat")
    box.shell("mkdir /tmp/y")
    assert len(os.listdir(box.directory / "filters")) == 2


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"defaultAction": "SCMP_ACT_SING"}, "action 'SCMP_ACT_SING'"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_FLY"]}, "FLAG_FLY"),
        (
            {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]},
            "WAIT_KILLABLE_RECV needs SCMP_ACT_NOTIFY",
        ),
    ],
)
def test_a_wrong_profile_is_refused_before_anything_runs(box: Box, profile: dict[str, Any], message: str) -> None:
    box.linux["seccomp"] = profile
    error = box.fails("true")
    assert error["class"] == "InvalidArgument"
    assert message in error["message"]
