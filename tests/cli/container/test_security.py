"""`run --security-opt`: seccomp, no new privileges, masked paths of /proc. Each is tested with and without."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyctr_lite.engine.bundle import security
from pyctr_lite.errors import InvalidArgument
from tests.conftest import Pyctr
from tests.runtime.seccomp_agent import Agent
from tests.syscalls import PERL_MOUNTS, errno_of

EPERM, EINVAL, ENOSYS, EOPNOTSUPP = 1, 22, 38, 95
CLONE_NEWUSER = 0x10000000
STATUS = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\n\\t'"


def run(pyctr: Pyctr, *args: str | Path) -> str:
    return pyctr("run", "--rm", *args, check=True).stdout


def errno(pyctr: Pyctr, flags: list[str], call: str, *arguments: int) -> int:
    return int(run(pyctr, *PERL_MOUNTS, *flags, "busybox", *errno_of(call, *arguments)))


UNCONFINED = ["--security-opt", "seccomp=unconfined"]


def test_the_default_filter_denies_calls(pyctr: Pyctr) -> None:
    assert run(pyctr, "busybox", "sh", "-c", STATUS) == "NoNewPrivs:0Seccomp:2"
    assert errno(pyctr, [], "keyctl", 999) == EPERM
    assert errno(pyctr, [], "unshare", CLONE_NEWUSER) == EPERM
    assert errno(pyctr, [], "clone3", 0, 0) == ENOSYS  # so that the C library falls back to clone
    assert errno(pyctr, [], "socket", 38, 5, 0) == EPERM  # AF_ALG
    assert errno(pyctr, [], "personality", 0x0400000) == EPERM  # READ_IMPLIES_EXEC


def test_the_denied_calls_work_without_the_filter(pyctr: Pyctr) -> None:
    assert run(pyctr, *UNCONFINED, "busybox", "sh", "-c", STATUS) == "NoNewPrivs:0Seccomp:0"
    assert errno(pyctr, UNCONFINED, "keyctl", 999) == EOPNOTSUPP
    assert errno(pyctr, UNCONFINED, "unshare", CLONE_NEWUSER) == 0
    assert errno(pyctr, UNCONFINED, "clone3", 0, 0) == EINVAL
    assert errno(pyctr, UNCONFINED, "socket", 38, 5, 0) != EPERM
    assert errno(pyctr, UNCONFINED, "personality", 0x0400000) == 0


def test_a_capability_allows_its_calls(pyctr: Pyctr) -> None:
    assert errno(pyctr, ["--cap-add", "SYS_ADMIN"], "unshare", CLONE_NEWUSER) == 0
    assert errno(pyctr, ["--cap-add", "SYS_ADMIN"], "clone3", 0, 0) == EINVAL
    assert errno(pyctr, ["--cap-add", "SYS_ADMIN"], "keyctl", 999) == EPERM
    assert "Seccomp:0" in run(pyctr, "--privileged", "busybox", "sh", "-c", STATUS)


def test_exec_is_filtered_as_the_container_is(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
    pyctr("run", "-d", "--name", "free", *UNCONFINED, "busybox", "sleep", "60", check=True)
    script = ["sh", "-c", STATUS]
    assert pyctr("exec", "box", *script, check=True).stdout == "NoNewPrivs:0Seccomp:2"
    assert pyctr("exec", "--privileged", "box", *script, check=True).stdout == "NoNewPrivs:0Seccomp:2"
    assert pyctr("exec", "free", *script, check=True).stdout == "NoNewPrivs:0Seccomp:0"


def test_a_profile_from_a_file_replaces_the_default(pyctr: Pyctr, tmp_path: Path) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
            {"name": "rmdir", "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_NET_ADMIN"]}},
        ],
    }
    file = tmp_path / "profile.json"
    file.write_text(json.dumps(profile))
    script = "mkdir /tmp/x 2>&1; mkdir -p /tmp; rmdir /tmp/none 2>&1; true"
    flags = ["--security-opt", f"seccomp={file}"]
    output = run(pyctr, *flags, "busybox", "sh", "-c", script)
    assert "Input/output error" in output
    assert "Operation not permitted" in output or os.uname().machine == "aarch64"  # arm64 has only unlinkat
    assert "No such file or directory" in run(
        pyctr, *flags, "--cap-add", "NET_ADMIN", "busybox", "sh", "-c", script
    )
    assert errno(pyctr, flags, "keyctl", 999) == EOPNOTSUPP


def test_a_container_keeps_its_profile_after_the_file_is_removed(pyctr: Pyctr, tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    file.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"],'
                    '"action": "SCMP_ACT_ERRNO", "errnoRet": 5}]}')  # fmt: skip
    args = ["--name", "box", "--security-opt", f"seccomp={file}", "busybox", "mkdir", "/x"]
    pyctr("create", *args, check=True)
    file.unlink()
    assert "Input/output error" in pyctr("start", "-a", "box").stderr
    (shown,) = json.loads(pyctr("inspect", "-f", "{{json .HostConfig.SecurityOpt}}", "box").stdout)
    assert json.loads(shown.removeprefix("seccomp="))["defaultAction"] == "SCMP_ACT_ALLOW"


def test_a_profile_of_another_engine_is_accepted(pyctr: Pyctr) -> None:
    file = Path("/usr/share/containers/seccomp.json")
    if not file.exists():
        pytest.skip("podman's profile is not here: make test-tools")
    flags = ["--security-opt", f"seccomp={file}"]
    assert errno(pyctr, flags, "unshare", CLONE_NEWUSER) == 0  # podman lets containers have user namespaces
    assert errno(pyctr, flags, "keyctl", 999) == EOPNOTSUPP
    assert errno(pyctr, flags, "personality", 0x0400000) == ENOSYS  # the profile's defaultErrnoRet


def test_an_agent_answers_for_a_container_and_its_execs(pyctr: Pyctr, tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent")
    try:
        rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}
        profile = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": agent.path, "syscalls": [rule]}
        (tmp_path / "profile.json").write_text(json.dumps(profile))
        flags = ["-d", "--security-opt", f"seccomp={tmp_path}/profile.json"]
        script = "mkdir /tmp/foo; stat -c %F /tmp/foo-bar; sleep 60"
        id = pyctr("run", *flags, "busybox", "sh", "-c", script, check=True).stdout.strip()
        done = pyctr("exec", id, "sh", "-c", "mkdir /tmp/too; stat -c %F /tmp/too-bar", check=True)
        assert done.stdout == "directory\n"
        container, other = [state["state"] for state in agent.received]
        assert (container["id"], container["status"], other["id"], other["status"]) == (
            id,
            "creating",
            id,
            "running",
        )
        assert container["bundle"] == other["bundle"]
        assert container["pid"] == other["pid"] == int(pyctr("inspect", "-f", "{{.State.Pid}}", id).stdout)
        assert pyctr("logs", id).stdout == "directory\n"
        pyctr("rm", "-f", id, check=True)
    finally:
        agent.close()


@pytest.mark.parametrize("flag", [["--no-new-privileges"], ["--security-opt", "no-new-privileges"],
                                  ["--security-opt", "no-new-privileges:true"]])  # fmt: skip
def test_no_new_privileges_keeps_a_setuid_program_from_gaining_any(pyctr: Pyctr, flag: list[str]) -> None:
    # busybox drops the privileges of its setuid bit, so the host's cat is used.
    become = '$) = 65534; $( = 65534; ($<, $>) = (65534, 65534); exec "/su-cat", "/proc/self/status"'
    script = f"cp /usr/bin/cat /su-cat; chmod 4755 /su-cat; exec perl -e '{become}'"

    def ids(*flags: str) -> dict[str, str]:
        output = run(pyctr, *PERL_MOUNTS, *flags, "busybox", "sh", "-c", script)
        return {key: value.strip() for key, value in (line.split(":", 1) for line in output.splitlines())}

    mine, others = ids(*flag), ids()
    assert (mine["Uid"].split()[1], mine["NoNewPrivs"]) == ("65534", "1")
    assert (others["Uid"].split()[1], others["NoNewPrivs"]) == ("0", "0")


def test_the_last_no_new_privileges_option_counts(pyctr: Pyctr) -> None:
    args = ["--security-opt", "no-new-privileges", "--security-opt", "no-new-privileges:false"]
    assert "NoNewPrivs:0" in run(pyctr, *args, "busybox", "sh", "-c", STATUS)


def test_exec_has_no_new_privileges_either(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "box", "--no-new-privileges", "busybox", "sleep", "60", check=True)
    assert pyctr("exec", "box", "sh", "-c", STATUS, check=True).stdout == "NoNewPrivs:1Seccomp:2"


def test_systempaths_unconfined_shows_the_masked_paths(pyctr: Pyctr) -> None:
    script = "grep -c ' /proc/' /proc/mounts; true"
    assert int(run(pyctr, "busybox", "sh", "-c", script)) > 5
    assert int(run(pyctr, "--security-opt", "systempaths=unconfined", "busybox", "sh", "-c", script)) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seccomp=/none.json", "opening seccomp profile (/none.json) failed: no such file or directory"),
        ("seccomp=", "invalid --security-opt: 'seccomp='"),
        ("no-new-privileges=maybe", "invalid --security-opt"),
        ("apparmor=docker-default", "invalid --security-opt"),
        ("moon", "invalid --security-opt: 'moon'"),
    ],
)
def test_an_unsupported_option_is_refused(pyctr: Pyctr, text: str, message: str) -> None:
    done = pyctr("run", "--rm", "--security-opt", text, "busybox", "true")
    assert done.returncode == 125
    assert message in done.stderr
    assert pyctr("ps", "-aq").stdout == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "it must be an object with a defaultAction"),
        ('{"syscalls": []}', "it must be an object with a defaultAction"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [1]}', "syscalls must be a list of objects"),
        ('{"defaultAction": "x", "architectures": ["a"], "archMap": [{"architecture": "b"}]}', "both"),
        ('{"defaultAction": "x", "syscalls": [{"name": "a", "names": ["b"]}]}', "both 'name' and 'names'"),
        ('{"defaultAction": "x", "syscalls": [{"name": "a", "includes": {"minKernel": "new"}}]}', "not a version"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "profile.json"
    file.write_text(content)
    with pytest.raises(InvalidArgument, match=message):
        security.normalized([f"seccomp={file}"])


def test_a_rule_applies_by_machine_kernel_and_capabilities() -> None:
    rules = [
        {"names": ["a"], "action": "x", "includes": {"arches": ["amd64"]}},
        {"names": ["b"], "action": "x", "includes": {"arches": ["arm64", "arm"]}},
        {"names": ["c"], "action": "x", "includes": {"caps": ["CAP_BPF", "CAP_SYSLOG"]}},
        {"names": ["d"], "action": "x", "excludes": {"caps": ["CAP_BPF", "CAP_KILL"]}},
        {"names": ["e"], "action": "x", "includes": {"minKernel": "4.8"}},
        {"names": ["f"], "action": "x", "includes": {"minKernel": "99.0"}},
        {"names": ["g"], "action": "x", "excludes": {"arches": ["amd64"]}},
    ]
    profile = {"defaultAction": "y", "syscalls": rules}

    def names(machine: str, *capabilities: str) -> str:
        found = security.to_oci(profile, list(capabilities), machine)["syscalls"]
        return "".join(rule["names"][0] for rule in found)

    assert names("x86_64") == "ade"
    assert names("aarch64") == "bdeg"
    assert names("x86_64", "CAP_BPF") == "ae"
    assert names("x86_64", "CAP_BPF", "CAP_SYSLOG") == "ace"


def test_the_sub_architectures_are_those_of_the_map() -> None:
    entries = [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X32"]},
               {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": None}]  # fmt: skip
    profile = {"defaultAction": "y", "archMap": entries}
    assert security.to_oci(profile, [], "x86_64")["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"]
    assert security.to_oci(profile, [], "aarch64")["architectures"] == ["SCMP_ARCH_AARCH64"]
