"""`run` and `create`: the program's user, environment, names and end. Each flag is tested with and without."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pyctr_lite.engine.bundle import mounts
from pyctr_lite.linux import explain
from tests.conftest import REPOSITORY, Pyctr


def shell(pyctr: Pyctr, script: str, *flags: str | Path, **more: object) -> str:
    """Return the output of a shell script in a new container of busybox, which must succeed."""
    return pyctr("run", "--rm", *flags, "busybox", "sh", "-c", script, check=True, **more).stdout  # type: ignore[arg-type]


def refused(pyctr: Pyctr, *args: str | Path) -> str:
    """Return the error of a `run` that fails with 125 and leaves nothing."""
    done = pyctr("run", *args)
    assert (done.returncode, done.stdout) == (125, "")
    assert pyctr("ps", "-aq").stdout == ""
    return done.stderr.splitlines()[0]


# --- the environment ------------------------------------------------------------------------------------


def test_variables_come_from_e_the_caller_and_files(pyctr: Pyctr, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# a comment\nFROM_FILE=a b\nCALLERS\nTWICE=file\n")
    flags = ("-e", "ONE=1=1", "-e", "CALLERS_TOO", "-e", "NOBODYS", "-e", "TWICE=flag", "--env-file", file)
    caller = {"CALLERS": "x", "CALLERS_TOO": "y"}
    shown = shell(pyctr, "env | sort", *flags, env=caller).splitlines()
    assert {"ONE=1=1", "CALLERS_TOO=y", "FROM_FILE=a b", "CALLERS=x", "TWICE=flag"} <= set(shown)
    assert not any(line.startswith("NOBODYS") for line in shown)
    without = shell(pyctr, "env | sort", env=caller).splitlines()
    assert [line.partition("=")[0] for line in without] == ["HOME", "HOSTNAME", "PATH", "PWD", "SHLVL"]


def test_a_missing_or_wrong_env_file_is_refused(pyctr: Pyctr, tmp_path: Path) -> None:
    assert "no such file or directory" in refused(pyctr, "--env-file", tmp_path / "none", "busybox")
    (tmp_path / "env").write_text("two words=x\n")
    assert "contains whitespaces" in refused(pyctr, "--env-file", tmp_path / "env", "busybox")


def test_a_missing_working_directory_is_created(pyctr: Pyctr) -> None:
    assert shell(pyctr, "pwd", "-w", "/new/deep") == "/new/deep\n"
    assert shell(pyctr, "pwd") == "/\n"
    assert "needs to be an absolute path" in refused(pyctr, "-w", "relative", "busybox")


def test_labels_are_kept(pyctr: Pyctr) -> None:
    id = pyctr("create", "-l", "one=1", "-l", "two", "busybox", check=True).stdout.strip()
    assert json.loads(pyctr("inspect", "-f", "{{json .Config.Labels}}", id).stdout) == {"one": "1", "two": ""}


# --- users ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "shown"),
    [
        ("nobody", "65534:65534 65534 /home"),
        ("65534", "65534:65534 65534 /home"),
        ("1234", "1234:0 0 /"),
        ("1234:50", "1234:50 50 /"),
        ("nobody:staff", "65534:50 50 /home"),
        ("", "0:0 0 /root"),
    ],
)
def test_a_user_is_looked_up_in_the_images_own_files(pyctr: Pyctr, user: str, shown: str) -> None:
    assert shell(pyctr, "echo $(id -u):$(id -g) $(id -G) $HOME", "-u", user).strip() == shown


def test_an_unknown_user_is_refused(pyctr: Pyctr) -> None:
    assert refused(pyctr, "-u", "postgres", "busybox") == (
        "pyctr_lite: unable to find user postgres: no matching entries in the image's /etc/passwd"
    )
    assert "unable to find group postgres" in refused(pyctr, "-u", "root:postgres", "busybox")


def test_group_add_adds_groups(pyctr: Pyctr) -> None:
    assert shell(pyctr, "id -G", "-u", "1234:50", "--group-add", "audio", "--group-add", "77") == "50 29 77\n"


# --- names ----------------------------------------------------------------------------------------------


def test_the_host_name_is_the_short_id_or_that_of_h(pyctr: Pyctr) -> None:
    id = pyctr("create", "busybox", "hostname", check=True).stdout.strip()
    assert pyctr("start", "-a", id).stdout == id[:12] + "\n"
    pyctr("rm", id, check=True)
    script = "hostname; cat /etc/hostname; cat /proc/sys/kernel/domainname; grep box /etc/hosts"
    assert shell(pyctr, script, "-h", "box", "--domainname", "example.org", "--network", "none") == (
        "box\nbox\nexample.org\n127.0.1.1\tbox.example.org box\n"
    )
    assert shell(pyctr, "cat /proc/sys/kernel/domainname; grep -c 1.2.3.4 /etc/hosts || true") == "(none)\n0\n"
    assert "longer than 64 bytes" in refused(pyctr, "-h", "x" * 65, "busybox")


def test_add_host_is_used_by_programs(pyctr: Pyctr) -> None:
    flags = ("--add-host", "db:1.2.3.4", "--add-host", "six:2001:db8::1")
    assert shell(pyctr, "tail -3 /etc/hosts | head -2", *flags) == "1.2.3.4\tdb\n2001:db8::1\tsix\n"
    assert "bad format" in refused(pyctr, "--add-host", "db:nowhere", "busybox")


def test_cidfile_contains_the_id_and_is_never_overwritten(pyctr: Pyctr, tmp_path: Path) -> None:
    file = tmp_path / "cid"
    id = pyctr("create", "--cidfile", file, "busybox", check=True).stdout.strip()
    assert file.read_text() == id
    pyctr("rm", id, check=True)
    assert "container ID file found" in refused(pyctr, "--cidfile", file, "busybox", "true")
    missing = f"failed to create the container ID file: open {tmp_path}/no/id: no such file or directory"
    assert missing in refused(pyctr, "--cidfile", tmp_path / "no/id", "busybox", "true")
    assert file.read_text() == id
    refused(pyctr, "--cidfile", tmp_path / "other", "nosuchimage", "true")
    assert not (tmp_path / "other").exists()


# --- the program ----------------------------------------------------------------------------------------


def test_entrypoint_is_put_before_the_command(pyctr: Pyctr) -> None:
    assert pyctr("run", "--rm", "--entrypoint", "echo", "busybox", "a", "b").stdout == "a b\n"
    assert pyctr("run", "--rm", "--entrypoint", "", "busybox", "echo", "a").stdout == "a\n"
    assert "no command specified" in refused(pyctr, "--entrypoint", "", "busybox")


@pytest.mark.parametrize("code", [0, 1, 125, 126, 127, 128, 255])
def test_the_exit_code_is_the_programs(pyctr: Pyctr, code: int) -> None:
    done = pyctr("run", "--rm", "busybox", "sh", "-c", f"exit {code}")
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("signal", [6, 9, 11, 15])
def test_the_exit_code_of_a_killed_program_is_128_and_the_signal(pyctr: Pyctr, signal: int) -> None:
    # with --init PID 1 is tini, so that any signal can kill the shell
    assert pyctr("run", "--rm", "--init", "busybox", "sh", "-c", f"kill -{signal} $$").returncode == 128 + signal


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
        (["/bin/nosuch"], 127, "no such file or directory"),
        (["/etc/passwd"], 126, "permission denied"),
        (["/etc"], 126, "is a directory"),
    ],
)
def test_a_program_that_cannot_run_gives_dockers_exit_codes(
    pyctr: Pyctr, args: list[str], code: int, text: str
) -> None:
    done = pyctr("run", "--rm", "busybox", *args)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr.splitlines()[0]
    assert pyctr("ps", "-aq").stdout == ""  # --rm also applies to a failed start


def test_a_failed_start_without_rm_leaves_a_container_with_its_error(pyctr: Pyctr) -> None:
    assert pyctr("run", "--name", "bad", "busybox", "nosuch").returncode == 127
    state = json.loads(pyctr("inspect", "-f", "{{json .State}}", "bad").stdout)
    assert (state["Status"], state["ExitCode"]) == ("created", 127)
    assert "nosuch" in state["Error"]


def test_a_missing_image_is_reported_with_a_suggestion(pyctr: Pyctr) -> None:
    done = pyctr("run", "--rm", "--pull", "never", "busibox", "true")
    assert done.returncode == 125
    assert done.stderr.startswith("pyctr_lite: No such image: busibox:latest\n")
    assert "busybox" in done.stderr


def test_no_signal_is_ignored_or_blocked_in_a_container(pyctr: Pyctr) -> None:
    command = pyctr.command("run", "--rm", "busybox", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    quoted = " ".join(f"'{arg}'" for arg in command)
    done = subprocess.run(
        ["sh", "-c", f"trap '' HUP USR1 QUIT PIPE; exec {quoted}"], capture_output=True, text=True
    )
    assert done.stdout.split() == ["SigBlk:", "0" * 16, "SigIgn:", "0" * 16]


def test_no_descriptor_of_the_caller_reaches_the_container(pyctr: Pyctr, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as secret:
        os.dup2(secret.fileno(), 77)
        try:
            done = subprocess.run(
                pyctr.command("run", "--rm", "busybox", "ls", "/proc/self/fd"),
                pass_fds=[77],
                capture_output=True,
                text=True,
            )
        finally:
            os.close(77)
    assert done.stdout.split() == ["0", "1", "2", "3"]  # ls has opened the directory as 3


# --- init -----------------------------------------------------------------------------------------------


def test_init_is_pid_1_reaps_processes_and_forwards_signals(pyctr: Pyctr, needs: object) -> None:
    assert pyctr("run", "--rm", "--init", "busybox", "cat", "/proc/1/comm").stdout == "docker-init\n"
    assert pyctr("run", "--rm", "busybox", "cat", "/proc/1/comm").stdout == "cat\n"
    orphan = "sh -c 'sleep 0.05 &'; usleep 300000; ps -o stat,args | grep -c '^Z' || true"
    assert shell(pyctr, orphan, "--init") == "0\n"
    assert shell(pyctr, f"{orphan.replace('sh -c', 'exec 3>&1; sh -c')}") == "0\n"  # this shell reaps its child
    pyctr("run", "-d", "--init", "--name", "forwarded", "busybox", "sleep", "60", check=True)
    pyctr("run", "-d", "--name", "deaf", "busybox", "sleep", "60", check=True)
    for name in ("forwarded", "deaf"):
        pyctr("kill", "-s", "TERM", name, check=True)
    assert pyctr("wait", "forwarded").stdout == "143\n"
    # PID 1 without a handler ignores SIGTERM
    assert pyctr("inspect", "-f", "{{.State.Running}}", "deaf").stdout == "true\n"
    done = subprocess.run(["file", "-bL", mounts.TINI], capture_output=True, text=True) if _has("file") else None
    assert done is None or "static" in done.stdout


def _has(tool: str) -> bool:
    from shutil import which

    return which(tool) is not None


def test_init_without_tini_is_an_error_with_a_hint(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyctr_lite.engine import engine
    from pyctr_lite.engine.state import options
    from pyctr_lite.errors import PyctrError

    monkeypatch.setattr(mounts, "TINI", "/nonexistent/tini")
    monkeypatch.setattr(mounts, "LXCFS", "/nonexistent/lxcfs")
    containers = engine.Engine(str(root)).containers
    with pytest.raises(PyctrError, match="--init needs /nonexistent/tini") as caught:
        containers.create(options.ContainerOptions(image="busybox", init=True))
    assert "apt-get install tini" in caught.value.hint
    with pytest.raises(PyctrError, match="lxcfs is not running") as caught:
        containers.create(options.ContainerOptions(image="busybox", lxcfs=True))
    assert "make setup" in caught.value.hint
    assert containers.list() == []


# --- stopping -------------------------------------------------------------------------------------------


def test_stop_signal_and_stop_timeout_apply_to_stop(pyctr: Pyctr) -> None:
    script = "trap 'exit 8' HUP; echo ready; while :; do usleep 10000; done"
    flags = ("-d", "--name", "heard", "--stop-signal", "SIGHUP")
    pyctr("run", *flags, "busybox", "sh", "-c", script, check=True)
    pyctr("run", "-d", "--name", "deaf", "--stop-timeout", "0", "busybox", "sleep", "60", check=True)
    while not pyctr("logs", "heard").stdout:
        pass
    pyctr("stop", "heard", "deaf", check=True, timeout=9)  # less than the default timeout of ten seconds
    assert pyctr("wait", "heard", "deaf").stdout == "8\n137\n"
    pyctr("rm", "heard", "deaf", check=True)
    assert "invalid signal: NOSUCH" in refused(pyctr, "--stop-signal", "NOSUCH", "busybox")


# --- --explain ------------------------------------------------------------------------------------------


def test_explain_narrates_each_step_in_order(pyctr: Pyctr) -> None:
    done = pyctr("run", "--rm", "--explain=json", "-m", "64m", "-v", "data:/data", "busybox", "echo", "hi")
    assert done.stdout == "hi\n"
    steps = [json.loads(line) for line in done.stderr.splitlines()]
    for step in steps:
        assert set(step) == {"chapter", "name", "module", "pid", "call", "result", "microseconds"}
        assert step["microseconds"] >= 0
    clone = next(step for step in steps if step["call"].startswith("clone3("))
    # only the child's calls: the parent works at the same time
    calls = [step["call"] for step in steps if step["pid"] != clone["pid"]]
    wanted = ['mount("overlay"', 'mount("proc"', '/data", NULL, MS_', "pivot_root(", "capset(", "execve("]
    positions = [next(index for index, call in enumerate(calls) if text in call) for text in wanted]
    assert positions == sorted(positions)
    assert any("'67108864'" in step["call"] for step in steps if step["pid"] == clone["pid"])
    chapters = {step["name"]: step["chapter"] for step in steps}
    assert {"namespaces": 1, "cgroups": 2, "rootfs": 3, "volumes": 4, "networks": 7}.items() <= chapters.items()


def test_a_step_has_the_number_of_its_chapters_notebook() -> None:
    for name, number in explain.CHAPTERS.items():
        assert list((REPOSITORY / "notebooks").glob(f"{number:02}_{name}*.ipynb")), name


def test_explain_is_readable_text_and_otherwise_silent(pyctr: Pyctr) -> None:
    narrated = pyctr("run", "--rm", "--explain", "busybox", "true").stderr
    assert "[1 namespaces] clone3(CLONE_NEWNS|" in narrated
    assert all(line.endswith(" µs") and line.startswith("[") for line in narrated.splitlines())
    assert pyctr("run", "--rm", "busybox", "true").stderr == ""
    wrong = pyctr("run", "--rm", "--explain=loud", "busybox", "true")
    assert (wrong.returncode, "must be text or json" in wrong.stderr) == (125, True)


def test_a_container_that_shares_a_network_has_that_containers_host_name(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "first", "-h", "shared", "busybox", "sleep", "1000", check=True)
    shown = shell(pyctr, "hostname; grep shared /etc/hosts | wc -l", "--network", "container:first")
    assert shown.split() == ["shared", "1"]
    for flags in (["-h", "own"], ["--add-host", "a:1.2.3.4"]):
        done = pyctr("run", "--rm", "--network", "container:first", *flags, "busybox", "true")
        assert done.returncode == 125
        assert done.stderr.startswith("pyctr_lite: conflicting options: --")
