"""Hooks: what they receive, what their failures report, and that nothing of them stays."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from pyctr_lite import errors
from pyctr_lite.runtime import hooks

STATE = {
    "ociVersion": "1.3.0",
    "id": "web",
    "status": "created",
    "pid": 7,
    "bundle": "/b",
    "annotations": {"a": "b"},
}


def shell(script: str, **more: Any) -> dict[str, Any]:
    return {"path": "/bin/sh", "args": ["sh", "-c", script], **more}


def failure(*listed: dict[str, Any], kind: str = "createRuntime") -> str:
    with pytest.raises(errors.PyctrError) as raised:
        hooks.run(kind, list(listed), STATE)
    return raised.value.message


def test_a_hook_receives_the_state_its_arguments_and_its_environment_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = f'cat >{out}; printf "|%s|" "$0" "$@" >>{out}; /usr/bin/env | grep -v ^PWD= >>{out}'
    hook = {"path": "/bin/sh", "args": ["name", "-c", script, "zero", "one"], "env": ["A=b c", "EMPTY="]}
    hooks.run("prestart", [hook], STATE)
    state, *arguments, env = out.read_text().split("|")
    assert eval(state) == STATE
    assert [item for item in arguments if item] == ["zero", "one"]
    assert sorted(line for line in env.splitlines() if line[:2] not in ("_=", "SH", "OL")) == ["A=b c", "EMPTY="]


def test_a_hook_without_environment_has_the_callers_and_an_empty_one_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """De facto (runc, crun): hooks of existing tools rely on the runtime's PATH."""
    monkeypatch.setenv("OF_THE_CALLER", "yes")
    out = tmp_path / "out"
    listed = [shell(f"echo 1${{OF_THE_CALLER}} >>{out}"), shell(f"echo 2${{OF_THE_CALLER}} >>{out}", env=[])]
    hooks.run("poststart", listed, STATE)
    hooks.run("startContainer", [shell(f"echo 3${{OF_THE_CALLER}}$X >>{out}")], STATE, {"X": "y"})
    assert out.read_text() == "1yes\n2\n3y\n"


def test_hooks_run_in_order_and_the_first_failure_is_named_and_ends_the_list(tmp_path: Path) -> None:
    out = tmp_path / "out"
    listed = [
        shell(f"echo a >>{out}"),
        shell(f"echo b >>{out}; echo why >&2; echo; exit 3"),
        shell(f"echo c >>{out}"),
    ]
    assert failure(*listed) == "error running createRuntime hook #1: /bin/sh: exit status 3: why"
    assert out.read_text() == "a\nb\n"
    reported = hooks.run_all("poststop", listed, STATE)
    error = "error running poststop hook #1: /bin/sh: exit status 3: why"
    assert [item.message for item in reported] == [f"poststop hook failed with exit code 3: {error}"]
    assert out.read_text() == "a\nb\na\nb\nc\n"


def test_a_hook_that_cannot_be_executed_or_dies_by_a_signal_is_named() -> None:
    missing = failure({"path": "/nowhere/hook"}, kind="prestart")
    assert missing == "error running prestart hook #0: /nowhere/hook: exec: no such file or directory"
    assert failure({"path": "/etc/passwd"}).endswith("/etc/passwd: exec: permission denied")
    assert failure(shell("kill -9 $$")).endswith("/bin/sh: killed by signal 9 (killed)")


def test_a_hooks_whole_process_group_is_killed_after_its_timeout(tmp_path: Path) -> None:
    out = tmp_path / "pids"
    began = time.monotonic()
    message = failure(shell(f"sleep 100 & echo $$ $! >{out}; echo slow; wait", timeout=1))
    assert 1 <= time.monotonic() - began < 5
    assert message == "error running createRuntime hook #0: /bin/sh: killed after its timeout of 1 s: slow"
    for pid in out.read_text().split():
        assert not os.path.exists(f"/proc/{pid}") or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    hooks.run("prestart", [shell("true", timeout=5)], STATE)


def test_a_background_process_of_a_hook_does_not_hold_the_caller(tmp_path: Path) -> None:
    out = tmp_path / "pid"
    began = time.monotonic()
    hooks.run("prestart", [shell(f"sleep 30 & echo $! >{out}")], STATE)
    assert time.monotonic() - began < 10
    os.kill(int(out.read_text()), 9)  # it outlives the hook


def test_a_hook_inherits_no_descriptor_and_leaves_none() -> None:
    before = os.listdir("/proc/self/fd")
    fd = os.open("/etc", os.O_RDONLY)
    os.set_inheritable(fd, True)
    try:
        script = f"[ ! -e /proc/self/fd/{fd} ] && exec 2>&1 && ls /proc/self/fd | tr '\\n' ' '; exit 1"
        assert failure(shell(script)).endswith("exit status 1: 0 1 2 3")  # 3 is the directory that ls reads
        assert failure({"path": "/nowhere"})
        assert failure(shell("sleep 9", timeout=1))
    finally:
        os.close(fd)
    assert os.listdir("/proc/self/fd") == before


def test_much_output_and_much_state_block_no_one() -> None:
    big = STATE | {"annotations": {"x": "y" * 300_000}}
    script = "n=$(cat | wc -c); head -c 1000000 /dev/zero; echo; echo read $n; exit 1"
    with pytest.raises(errors.PyctrError, match=r"exit status 1: read 300\d\d\d$"):
        hooks.run("prestart", [shell(script)], big)
    hooks.run("prestart", [{"path": "/bin/true"}], big)  # reads nothing of it


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ({"path": "bin/x"}, "c: hooks.prestart[1]: path must be absolute"),
        ({}, "c: hooks.prestart[1]: path must be absolute"),
        ({"path": "/x", "timeout": 0}, "c: hooks.prestart[1]: timeout must be a number of seconds greater than 0"),
        ({"path": "/x", "args": "a"}, "c: hooks.prestart[1]: args must be a list"),
    ],
)
def test_a_hook_that_cannot_be_meant_is_refused(hook: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.InvalidArgument) as raised:
        hooks.check({"prestart": [{"path": "/x", "args": None, "timeout": None}, hook], "other": 3}, "c")
    assert raised.value.message == message
