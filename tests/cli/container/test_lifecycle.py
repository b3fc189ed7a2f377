"""start, stop, restart, kill, pause, unpause, wait, rm, container prune, from the command line."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.open_files import has_open
from tests.person import at_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Pyctr


def make(pyctr: Pyctr, name: str, *command: str, flags: tuple[str, ...] = ()) -> str:
    """Create a container of busybox. Returns its id."""
    return pyctr("create", "--name", name, *flags, "busybox", *command, check=True).stdout.strip()


def run(pyctr: Pyctr, name: str, *command: str, flags: tuple[str, ...] = ()) -> str:
    """Run a container of busybox in the background. Returns its id."""
    command = command or ("sleep", "1000")
    return pyctr("run", "-d", "--name", name, *flags, "busybox", *command, check=True).stdout.strip()


def state(pyctr: Pyctr, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(pyctr("inspect", "--format", "{{json .State}}", name, check=True).stdout)
    return found


# --- start ----------------------------------------------------------------------------------------------


def test_start_runs_a_created_container_and_prints_its_name_as_given(pyctr: Pyctr) -> None:
    id = make(pyctr, "web", "sleep", "1000")
    assert pyctr("start", id[:8]).stdout == id[:8] + "\n"
    assert state(pyctr, "web")["Running"] is True


def test_starting_a_running_container_does_nothing(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    before = state(pyctr, "web")["Pid"]
    again = pyctr("start", "web")
    assert (again.returncode, again.stdout, again.stderr) == (0, "web\n", "")
    assert state(pyctr, "web")["Pid"] == before


def test_starting_a_container_again_keeps_its_files(pyctr: Pyctr) -> None:
    make(pyctr, "counter", "sh", "-c", "echo x >> /count; wc -l < /count")
    assert [pyctr("start", "-a", "counter").stdout for _ in range(3)] == ["1\n", "2\n", "3\n"]


def test_start_a_shows_the_output_and_ends_with_the_exit_code(pyctr: Pyctr) -> None:
    make(pyctr, "job", "sh", "-c", "echo out; echo err >&2; exit 3")
    done = pyctr("start", "-a", "job")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_start_without_a_shows_the_name_only_and_ends_with_0(pyctr: Pyctr) -> None:
    make(pyctr, "job", "sh", "-c", "echo out; exit 3")
    done = pyctr("start", "job")
    assert (done.returncode, done.stdout) == (0, "job\n")
    assert pyctr("wait", "job").stdout == "3\n"


def test_start_i_sends_input_to_a_container_with_stdin(pyctr: Pyctr) -> None:
    make(pyctr, "cat", "cat", flags=("-i",))
    assert pyctr("start", "-i", "cat", input="hello\n").stdout == "hello\n"
    assert pyctr("start", "-ai", "cat", input="again\n").stdout == "again\n"


def test_start_i_sends_no_input_to_a_container_without_stdin(pyctr: Pyctr) -> None:
    make(pyctr, "cat", "cat")
    done = pyctr("start", "-ai", "cat", input="hello\n")
    assert (done.returncode, done.stdout) == (0, "")


def test_start_a_alone_leaves_the_input_of_a_running_container_open(pyctr: Pyctr) -> None:
    run(pyctr, "cat", "sh", "-c", "while :; do echo tick; sleep 0.05; done & exec cat", flags=("-i",))
    with subprocess.Popen(pyctr.command("start", "-a", "cat"), stdout=subprocess.PIPE, text=True) as onlooker:
        with subprocess.Popen(pyctr.command("start", "-ai", "cat"), stdin=subprocess.PIPE, text=True) as writer:
            assert writer.stdin is not None
            assert onlooker.stdout is not None
            assert onlooker.stdout.readline() == "tick\n"  # the onlooker is attached
            writer.stdin.write("hello\n")
            writer.stdin.flush()
            assert "hello\n" in iter(onlooker.stdout.readline, "")
            writer.stdin.close()  # stdin of a container started with -d stays open (Docker's StdinOnce)
            assert [onlooker.stdout.readline() for _ in range(5)] == ["tick\n"] * 5
            pyctr("kill", "cat", check=True)
        assert set(onlooker.stdout) <= {"tick\n"}
        assert onlooker.wait() == 137


def test_start_a_takes_one_container_only(pyctr: Pyctr) -> None:
    make(pyctr, "one", "true")
    make(pyctr, "two", "true")
    done = pyctr("start", "-a", "one", "two")
    assert done.returncode == 1
    assert done.stderr == "pyctr_lite: you cannot start and attach multiple containers at once\n"


def test_starting_a_missing_program_reports_it_and_exits_with_1(pyctr: Pyctr) -> None:
    make(pyctr, "bad", "nosuchprogram")
    make(pyctr, "good", "true")
    done = pyctr("start", "bad", "good")
    assert done.returncode == 1
    assert "nosuchprogram" in done.stderr
    assert done.stdout == "good\n"
    assert pyctr("start", "-a", "bad").returncode == 1
    assert state(pyctr, "bad")["ExitCode"] == 127


def test_starting_a_paused_container_is_refused(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    pyctr("pause", "web", check=True)
    done = pyctr("start", "web")
    assert done.returncode == 1
    assert "cannot start a paused container, try unpause instead" in done.stderr


def test_start_explain_narrates_the_five_chapters_and_is_otherwise_silent(pyctr: Pyctr) -> None:
    make(pyctr, "job", "true", flags=("-v", "data:/data"))
    steps = [json.loads(line) for line in pyctr("start", "--explain=json", "job").stderr.splitlines()]
    assert {"namespaces", "cgroups", "rootfs", "volumes"} <= {step["name"] for step in steps}
    pyctr("wait", "job", check=True)
    assert pyctr("start", "job").stderr == ""


def test_start_ai_gives_a_terminal_to_detach_from_and_to_attach_to_again(pyctr: Pyctr) -> None:
    make(pyctr, "shell", "sh", flags=("-it",))
    with at_terminal(pyctr.command("start", "-ai", "shell")) as person:
        person.sees("/ # ")
        person.press("stty size; x=kept\r")
        person.sees("24 80")
        person.sees("/ # ")
        person.press("\x10\x11")
        person.sees("read escape sequence\r\n")
        assert person.leaves() == 0
    assert state(pyctr, "shell")["Running"] is True
    with at_terminal(pyctr.command("start", "-ai", "--detach-keys", "ctrl-a,x", "shell")) as person:
        person.press("echo $x$x\r")
        person.sees("keptkept")
        person.press("exit 4\r")
        assert person.leaves() == 4
    assert state(pyctr, "shell")["ExitCode"] == 4


def test_start_a_refuses_invalid_detach_keys(pyctr: Pyctr) -> None:
    make(pyctr, "shell", "sh", flags=("-it",))
    done = pyctr("start", "-a", "--detach-keys", "ctrl-", "shell")
    assert done.returncode == 1
    assert "invalid detach keys" in done.stderr


# --- stop, restart, kill --------------------------------------------------------------------------------

TRAPS = ("sh", "-c", "trap 'exit 7' TERM; trap 'exit 8' HUP; echo ready; while :; do sleep 0.01; done")


def ready(pyctr: Pyctr, name: str) -> None:
    """Wait until the container has set its traps."""
    with subprocess.Popen(pyctr.command("logs", "-f", name), stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "ready\n"
        following.kill()


def test_stop_sends_the_stop_signal(pyctr: Pyctr) -> None:
    run(pyctr, "asked", *TRAPS)
    run(pyctr, "otherwise", *TRAPS, flags=("--stop-signal", "HUP"))
    ready(pyctr, "asked")
    ready(pyctr, "otherwise")
    assert pyctr("stop", "asked", "otherwise").stdout == "asked\notherwise\n"
    assert (state(pyctr, "asked")["ExitCode"], state(pyctr, "otherwise")["ExitCode"]) == (7, 8)


def test_stop_sends_another_signal_on_request(pyctr: Pyctr) -> None:
    run(pyctr, "web", *TRAPS)
    ready(pyctr, "web")
    pyctr("stop", "-s", "HUP", "web", check=True)
    assert state(pyctr, "web")["ExitCode"] == 8


def test_stop_kills_after_the_timeout_and_stops_all_containers_at_once(pyctr: Pyctr) -> None:
    for name in ("aa", "bb", "cc"):
        run(pyctr, name)  # a pid 1 without a handler ignores SIGTERM
    began = time.monotonic()
    assert pyctr("stop", "-t", "3", "aa", "bb", "cc").stdout == "aa\nbb\ncc\n"
    assert 3 <= time.monotonic() - began < 9  # stopping one after the other would take nine
    assert state(pyctr, "bb")["ExitCode"] == 137


def test_stopping_an_exited_container_does_nothing(pyctr: Pyctr) -> None:
    make(pyctr, "job", "true")
    assert pyctr("stop", "job").stdout == "job\n"


def test_stop_refuses_an_invalid_timeout(pyctr: Pyctr) -> None:
    done = pyctr("stop", "-t", "soon", "web")
    assert done.returncode == 125
    assert 'invalid argument "soon" for "-t, --timeout" flag' in done.stderr


def test_stop_reaches_a_paused_container(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    pyctr("pause", "web", check=True)
    assert pyctr("stop", "-t", "0", "web").returncode == 0


def test_restart_starts_another_process_in_the_same_container(pyctr: Pyctr) -> None:
    id = run(pyctr, "web", "sh", "-c", "echo x >> /count; sleep 1000")
    make(pyctr, "new", "sleep", "1000")
    before = state(pyctr, "web")["Pid"]
    assert pyctr("restart", "-t", "0", "web", "new").stdout == "web\nnew\n"
    after = state(pyctr, "web")
    assert after["Running"] is True
    assert after["Pid"] != before
    assert pyctr("exec", id, "wc", "-l", "/count").stdout == "2 /count\n"
    assert state(pyctr, "new")["Running"] is True


def test_restart_reports_a_missing_container_and_restarts_the_others(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    done = pyctr("restart", "-t", "0", "nosuch", "web")
    assert (done.returncode, done.stdout) == (1, "web\n")
    assert done.stderr.startswith("pyctr_lite: No such container: nosuch\n")


def test_kill_ends_a_container_at_once_with_137(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    assert pyctr("kill", "web").stdout == "web\n"
    assert state(pyctr, "web")["ExitCode"] == 137
    assert pyctr("rm", "web").returncode == 0


@pytest.mark.parametrize("signal", ["SIGHUP", "1"])
def test_kill_sends_any_signal_by_any_of_its_names(pyctr: Pyctr, signal: str) -> None:
    run(pyctr, "web", *TRAPS)
    ready(pyctr, "web")
    pyctr("kill", "--signal", signal, "web", check=True)
    assert pyctr("wait", "web").stdout == "8\n"


def test_kill_refuses_an_unknown_signal(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    done = pyctr("kill", "-s", "NOSUCH", "web")
    assert done.returncode == 1
    assert done.stderr.startswith("pyctr_lite: invalid signal: NOSUCH\n")
    assert state(pyctr, "web")["Running"] is True


def test_killing_a_stopped_container_is_an_error(pyctr: Pyctr) -> None:
    make(pyctr, "job", "true")
    done = pyctr("kill", "job")
    assert done.returncode == 1
    assert done.stderr == "pyctr_lite: cannot kill container: job: container is not running\n"


def test_kill_reaches_a_paused_container(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    pyctr("pause", "web", check=True)
    pyctr("kill", "web", check=True)
    assert state(pyctr, "web")["Status"] == "exited"


# --- pause, unpause, wait -------------------------------------------------------------------------------


def test_pause_freezes_the_processes_and_unpause_resumes_them(pyctr: Pyctr) -> None:
    run(pyctr, "web", "sh", "-c", "while :; do echo x >> /count; done")
    id = pyctr("inspect", "-f", "{{.Id}}", "web", check=True).stdout.strip()
    written = pyctr.root / "containers" / id / "upper/count"
    assert pyctr("pause", "web").stdout == "web\n"
    size = written.stat().st_size
    assert state(pyctr, "web")["Paused"] is True
    assert written.stat().st_size == size
    assert pyctr("unpause", "web").stdout == "web\n"
    assert state(pyctr, "web")["Status"] == "running"
    assert written.stat().st_size > size


def test_pause_and_unpause_report_why_they_fail(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    make(pyctr, "job", "true")
    assert pyctr("unpause", "web").stderr == "pyctr_lite: container web is not paused\n"
    assert pyctr("pause", "job").stderr == "pyctr_lite: container job is not running\n"
    pyctr("pause", "web", check=True)
    again = pyctr("pause", "web")
    assert (again.returncode, again.stderr) == (1, "pyctr_lite: container web is already paused\n")
    refused = pyctr("exec", "web", "true")
    assert refused.returncode == 1
    assert "paused" in refused.stderr


def test_wait_prints_each_exit_code_and_reports_a_missing_container(pyctr: Pyctr) -> None:
    run(pyctr, "aa", "sh", "-c", "sleep 0.2; exit 3")
    run(pyctr, "bb", "true")
    done = pyctr("wait", "aa", "nosuch", "bb")
    assert (done.returncode, done.stdout) == (1, "3\n0\n")
    assert done.stderr.startswith("pyctr_lite: No such container: nosuch\n")


def test_wait_prints_the_exit_code_of_a_container_that_is_removed_when_it_exits(pyctr: Pyctr) -> None:
    run(pyctr, "job", "sh", "-c", "until [ -e /go ]; do usleep 10000; done; exit 3", flags=("--rm",))
    process = subprocess.Popen(pyctr.command("wait", "job"), stdout=subprocess.PIPE)
    while not has_open(process.pid, "socket:"):
        time.sleep(0.01)
    pyctr("exec", "job", "touch", "/go", check=True)
    assert process.communicate(timeout=60) == (b"3\n", None)
    assert pyctr("ps", "-aq").stdout == ""


# --- rm, container prune --------------------------------------------------------------------------------


def test_rm_leaves_nothing_behind_and_frees_the_name(pyctr: Pyctr, root: Path) -> None:
    id = make(pyctr, "job", "true")
    assert pyctr("rm", "job").stdout == "job\n"
    assert not (root / "containers" / id).exists()
    assert not (root / "names" / "job").is_symlink()
    make(pyctr, "job", "true")


def test_rm_removes_what_it_can_and_reports_the_rest(pyctr: Pyctr) -> None:
    make(pyctr, "aa", "true")
    run(pyctr, "web")
    assert pyctr("rm", "-f", "").returncode == 1  # as from a script with an empty variable
    done = pyctr("rm", "aa", "web", "webb")
    assert (done.returncode, done.stdout) == (1, "aa\n")
    assert done.stderr == (
        "pyctr_lite: cannot remove container web: container is running\n"
        "  stop it first, or remove it with -f\n"
        "pyctr_lite: No such container: webb\n"
        "  did you mean web?\n"
    )


def test_rm_f_kills_running_containers_and_tolerates_missing_ones(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    run(pyctr, "paused")
    pyctr("pause", "paused", check=True)
    done = pyctr("rm", "-f", "web", "paused", "nosuch")
    assert (done.returncode, done.stdout) == (0, "web\npaused\n")
    assert done.stderr.startswith("pyctr_lite: No such container: nosuch\n")


def test_rm_v_removes_anonymous_volumes_and_never_named_ones(pyctr: Pyctr) -> None:
    make(pyctr, "kept", "true", flags=("-v", "/anonymous"))
    make(pyctr, "gone", "true", flags=("-v", "/anonymous", "-v", "named:/named"))
    pyctr("rm", "kept", check=True)
    assert len(pyctr("volume", "ls", "-q").stdout.split()) == 3
    pyctr("rm", "-v", "gone", check=True)
    left = pyctr("volume", "ls", "-q").stdout.split()
    assert len(left) == 2
    assert "named" in left


def test_a_volume_that_the_user_names_outlives_a_container_of_rm(pyctr: Pyctr) -> None:
    """As in Docker: `volume create` without a name makes an anonymous volume, but no container owns it."""
    volume = pyctr("volume", "create", check=True).stdout.strip()
    write = "echo precious >/data/file"
    pyctr("run", "--rm", "-v", f"{volume}:/data", "busybox", "sh", "-c", write, check=True)
    no_part = "type=volume,source=named,target=/part,volume-subpath=missing"
    refused = pyctr("run", "-v", f"{volume}:/data", "--mount", no_part, "busybox")
    assert "cannot access path missing" in refused.stderr
    read = pyctr("run", "--rm", "-v", f"{volume}:/data", "busybox", "cat", "/data/file")
    assert read.stdout == "precious\n"


@pytest.mark.parametrize(
    ("flags", "end"), [(("--rm",), ("stop", "-t", "0")), ((), ("rm", "-f", "-v"))], ids=["--rm", "rm -v"]
)
def test_an_anonymous_volume_stays_while_another_container_mounts_it(
    pyctr: Pyctr, flags: tuple[str, ...], end: tuple[str, ...]
) -> None:
    run(pyctr, "owner", flags=(*flags, "-v", "/data"))
    volume = pyctr("inspect", "-f", "{{(index .Mounts 0).Name}}", "owner", check=True).stdout.strip()
    run(pyctr, "other", flags=("-v", f"{volume}:/data"))
    pyctr("exec", "owner", "touch", "/data/file", check=True)
    pyctr(*end, "owner", check=True)
    assert pyctr("exec", "other", "ls", "/data").stdout == "file\n"
    pyctr("rm", "-f", "-v", "other", check=True)
    assert pyctr("volume", "ls", "-q").stdout.split() == [volume]


def test_rm_explain_narrates_the_removal(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    done = pyctr("rm", "-f", "--explain", "web")
    assert "pidfd_send_signal" in done.stderr
    assert "remove the tree" in done.stderr
    run(pyctr, "web")
    assert pyctr("rm", "-f", "web").stderr == ""
    assert pyctr("rm", "--explain=loud", "web").returncode == 125


def test_prune_removes_stopped_containers(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    make(pyctr, "new", "true")
    id = make(pyctr, "old", "sh", "-c", "head -c 1000 /dev/zero > /f")
    pyctr("start", "-a", "old", check=True)
    done = pyctr("container", "prune", "-f")
    assert done.stdout.startswith("Deleted Containers:\n")
    assert id in done.stdout
    assert done.stdout.endswith("\n\nTotal reclaimed space: 1kB\n")
    assert pyctr("ps", "-a", "--format", "{{.Names}}").stdout == "web\n"
    assert pyctr("container", "prune", "-f").stdout == "Total reclaimed space: 0B\n"


def test_prune_asks_first(pyctr: Pyctr) -> None:
    make(pyctr, "job", "true")
    refused = pyctr("container", "prune", input="n\n")
    assert refused.stdout == (
        "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] "
    )
    assert pyctr("container", "prune").returncode == 0  # the end of the input means no
    assert pyctr("ps", "-aq").stdout != ""
    assert "Deleted Containers:" in pyctr("container", "prune", input="y\n").stdout


def test_prune_respects_its_filters(pyctr: Pyctr) -> None:
    make(pyctr, "red", "true", flags=("-l", "colour=red"))
    make(pyctr, "blue", "true", flags=("-l", "colour=blue"))
    pyctr("container", "prune", "-f", "--filter", "until=1h", check=True)
    pyctr("container", "prune", "-f", "--filter", "label=colour=red", check=True)
    assert pyctr("ps", "-a", "--format", "{{.Names}}").stdout == "blue\n"
    wrong = pyctr("container", "prune", "-f", "--filter", "until=soon")
    assert wrong.returncode == 1
    assert "invalid value for 'until': soon" in wrong.stderr


def test_each_verb_needs_a_container_that_exists(pyctr: Pyctr) -> None:
    for verb in ("start", "stop", "restart", "kill", "pause", "unpause", "wait", "rm"):
        missing = pyctr(verb, "nosuch")
        assert missing.returncode == 1
        assert missing.stderr.startswith("pyctr_lite: No such container: nosuch\n")
        none = pyctr(verb)
        assert none.returncode == 1
        assert f'"pyctr_lite {verb}" requires at least 1 argument.' in none.stderr


def test_a_containers_tree_may_be_deeper_than_any_path(pyctr: Pyctr) -> None:
    """Chains of directories are moved into one another: 1200 levels, 13,200 bytes of path."""
    dig = (
        "mkdir -p /w && cd /w; path=x; "
        "for i in $(seq 199); do path=$path/directory1; done; "
        "for chain in $(seq 6); do mkdir -p $path; echo $chain > $path/f; "
        "[ ! -e last ] || mv last $path/; mv x last; done"
    )
    pyctr("run", "--name", "deep", "busybox", "sh", "-c", dig, check=True)
    assert pyctr("ps", "-a", "-s", "--format", "{{.Size}}", check=True).stdout.startswith("12B")
    pyctr("diff", "deep", check=True)
    pyctr("rm", "deep", check=True)
    pyctr("run", "--rm", "-v", "/v", "busybox", "sh", "-c", dig.replace("/w", "/v"), check=True)
    assert pyctr("volume", "ls", "-q", check=True).stdout == ""
    assert not list((pyctr.root / "containers").iterdir())
