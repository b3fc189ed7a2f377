"""Hooks over a container's life: their order, their namespaces, the state they read, and what a failure does."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.oci.conftest import Oci

HOST = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")


def record(oci: Oci, name: str, script: str = "") -> dict[str, Any]:
    """Return a hook of the host that appends a line to `seen`: its name, the state, two of its namespaces."""
    out = oci.directory / "seen"
    line = f'echo "{name} $(cat) $(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/net)" >>{out}; {script}'
    return {"path": "/bin/sh", "args": ["sh", "-c", line]}


def seen(oci: Oci) -> list[tuple[str, dict[str, Any], list[str]]]:
    found = []
    for line in (oci.directory / "seen").read_text().splitlines():
        name, _, rest = line.partition(" ")
        state, *namespaces = rest.rsplit(" ", 2)
        found.append((name, json.loads(state), namespaces))
    return found


def test_hooks_run_in_the_specs_order_and_namespaces_with_the_containers_state(oci: Oci) -> None:
    hooks = {kind: [record(oci, f"{kind}{number}") for number in (1, 2)] for kind in HOST}
    inside = 'echo "$A $(cat)" >/seen; echo $$ >>/seen; ls / >>/seen'
    hooks["startContainer"] = [{"path": "/bin/sh", "args": ["sh", "-c", inside]}]
    oci.config["process"]["env"] = ["PATH=/bin", "A=of-the-program"]
    oci.write("sleep", "60", hooks=hooks, annotations={"k": "v"})
    oci("create", "--bundle", oci.bundle, "box", check=True)
    assert [name for name, _, _ in seen(oci)] == [f"{kind}{number}" for kind in HOST[:3] for number in (1, 2)]
    assert not (oci.bundle / "rootfs/seen").exists()
    pid = oci.state()["pid"]
    oci("start", "box", check=True)
    oci("delete", "--force", "box", check=True)
    host = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "net")]
    for name, state, namespaces in seen(oci):
        kind = name[:-1]
        assert {key: state[key] for key in ("id", "bundle", "annotations")} == {
            "id": "box",
            "bundle": str(oci.bundle),
            "annotations": {"k": "v"},
        }
        status = {"poststart": "running", "poststop": "stopped"}.get(kind, "created")
        expected = {"createContainer": 1, "poststop": state["pid"]}.get(kind, pid)
        assert (state["status"], state["pid"]) == (status, expected), name
        if kind == "createContainer":
            assert all(own != other for own, other in zip(namespaces, host, strict=True))
        else:
            assert namespaces == host
    assert [name for name, _, _ in seen(oci)][6:] == ["poststart1", "poststart2", "poststop1", "poststop2"]
    first, *_, last = (oci.bundle / "rootfs/seen").read_text().splitlines()
    assert first.startswith("of-the-program {")  # without an environment of its own, the program's (so does runc)
    assert json.loads(first.split(" ", 1)[1])["pid"] == 1
    assert last == "sys"


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_a_failing_hook_of_create_takes_the_container_down(oci: Oci, kind: str) -> None:
    failing = {"path": "/bin/sh", "args": ["sh", "-c", "echo reason >&2; exit 3"]}
    oci.write("true", hooks={kind: [{"path": "/bin/true"}, failing], "poststop": [record(oci, "poststop")]})
    done = oci("create", "--bundle", oci.bundle, "box")
    assert done.returncode == 1
    assert f"error running {kind} hook #1: /bin/sh: exit status 3: reason" in done.stderr
    assert oci("state", "box").returncode == 1
    assert [name for name, _, _ in seen(oci)] == ["poststop"]


def test_a_failing_hook_of_start_destroys_the_container(oci: Oci) -> None:
    oci.write("sleep", "60", hooks={"poststart": [{"path": "/bin/false"}]})
    oci("create", "--bundle", oci.bundle, "box", check=True)
    done = oci("start", "box")
    assert (done.returncode, done.stderr) == (1, "error running poststart hook #0: /bin/false: exit status 1\n")
    assert oci("state", "box").returncode == 1
    oci.write("touch", "/ran", hooks={"startContainer": [{"path": "/bin/nothing"}]})
    error = "error running startContainer hook #0: /bin/nothing: exec: no such file or directory\n"
    done = oci("run", "--bundle", oci.bundle, "box")
    assert (done.returncode, done.stderr) == (1, error)
    oci("create", "--bundle", oci.bundle, "box", check=True)
    done = oci("start", "box")
    assert (done.returncode, done.stderr) == (1, error)
    assert oci("state", "box").returncode == 1
    assert not (oci.bundle / "rootfs/ran").exists()


def test_start_reports_a_program_that_cannot_be_executed(oci: Oci) -> None:
    (oci.bundle / "rootfs/bin/broken").write_bytes(b"\x7fELF nonsense")
    (oci.bundle / "rootfs/bin/broken").chmod(0o755)
    oci.write("/bin/broken")
    oci("create", "--bundle", oci.bundle, "box", check=True)
    done = oci("start", "box")
    assert done.returncode == 1
    assert done.stderr.startswith("exec /bin/broken: exec format error")
    oci("delete", "box", check=True)


def test_a_failing_poststop_hook_is_only_a_warning(oci: Oci) -> None:
    oci.write("true", hooks={"poststop": [{"path": "/bin/false"}, record(oci, "second")]})
    oci("create", "--bundle", oci.bundle, "box", check=True)
    done = oci("delete", "box", check=True)
    assert "error running poststop hook #0: /bin/false: exit status 1" in done.stderr
    assert [name for name, _, _ in seen(oci)] == ["second"]


def test_a_hook_inside_has_no_more_privileges_than_the_program(oci: Oci) -> None:
    """Its path leads into the image, which is not trusted."""
    status = "cat /proc/self/status /proc/1/status >/seen; id -u >>/seen; ls /proc/1/fd >/dev/null"
    oci.config["process"]["user"] = {"uid": 7, "gid": 7}
    oci.config["process"]["noNewPrivileges"] = False
    (oci.bundle / "rootfs/seen").touch()
    (oci.bundle / "rootfs/seen").chmod(0o666)
    oci.config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}],
    }
    caps = ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]
    oci.config["process"]["capabilities"] = dict.fromkeys(("bounding", "permitted", "effective"), caps)
    oci.config["process"]["capabilities"] |= {"inheritable": caps, "ambient": caps}
    oci.write("true", hooks={"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", status]}]})
    assert oci("run", "--bundle", oci.bundle, "box").returncode == 0
    lines = (oci.bundle / "rootfs/seen").read_text().splitlines()
    mask = f"{1 << 19 | 1 << 2:016x}"
    for field in ("CapPrm", "CapEff", "CapBnd"):
        assert [line.split()[1] for line in lines if line.startswith(field)] == [mask, mask]
    assert [line.split()[1] for line in lines if line.startswith("Seccomp:")] == ["2", "2"]
    assert lines[-1] == "7"
