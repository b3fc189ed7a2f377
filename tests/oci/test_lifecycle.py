"""The verbs of the spec's life cycle (OCI runtime spec, runtime.md), and what an engine relies on beyond it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.oci.conftest import Oci


def test_a_container_lives_from_create_to_delete(oci: Oci) -> None:
    oci.write("sh", "-c", "echo hello; sleep 60")
    oci("create", "--bundle", oci.bundle, "--pid-file", oci.directory / "pid", "box", check=True)
    state = oci.state()
    assert state["status"] == "created"
    assert (oci.directory / "pid").read_text() == str(state["pid"])
    assert state["bundle"] == str(oci.bundle)
    assert oci("delete", "other").returncode == 1
    oci("create", "--bundle", oci.bundle, "box")
    assert oci.output() == "", "the program ran before start"
    oci("start", "box", check=True)
    assert oci.state()["status"] == "running"
    assert oci("start", "box").stderr == "cannot start a container that is running: box\n"
    assert "is not stopped: running" in oci("delete", "box").stderr
    oci("kill", "box", "SIGKILL", check=True)
    oci.wait("stopped")
    assert oci.state()["pid"] == 0
    assert oci("kill", "box", "KILL").stderr == "container not running: box\n"
    oci("delete", "box", check=True)
    assert oci("state", "box").stderr == "container does not exist: box\n"
    assert oci("delete", "--force", "box").returncode == 0
    assert list(oci.root.iterdir()) == []


def test_create_leaves_nothing_of_the_runtime_and_the_gate_alone_counts(oci: Oci) -> None:
    oci.write("true")
    oci("create", "-b", oci.bundle, "box", check=True)
    pid = oci.state()["pid"]
    opened = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert opened <= {
        "/dev/null",
        "/",
        str(oci.root / "box/exec.fifo"),
        *(str(oci.directory / n) for n in ("stdout", "stderr")),
    }
    starter = os.open(oci.root / "box/exec.fifo", os.O_WRONLY | os.O_NONBLOCK)
    os.close(starter)  # a `start` that is killed before it writes
    assert oci.state()["status"] == "created"
    oci("start", "box", check=True)
    oci.wait("stopped")


@pytest.mark.parametrize("moment", ["mkdir", "clone3", "pivot_root"])
def test_a_create_that_is_killed_half_way_can_be_deleted_and_repeated(oci: Oci, moment: str) -> None:
    oci.write("true")
    steps = oci.directory / "steps"
    os.mkfifo(steps)
    command = oci.command("create", "-b", oci.bundle, "box")
    running = subprocess.Popen(
        command, env={**os.environ, "PYCTR_OCI_EXPLAIN": str(steps)}, stdin=subprocess.DEVNULL
    )
    with steps.open() as lines:
        for line in lines:
            if moment in line:
                running.send_signal(signal.SIGKILL)
                break
    running.wait()
    oci("delete", "--force", "box", check=True)
    oci("create", "-b", oci.bundle, "box", check=True)


def test_delete_force_removes_no_directory_but_its_own(oci: Oci) -> None:
    precious = oci.directory / "precious"
    precious.mkdir()
    (precious / "file").touch()
    done = oci("--root", oci.directory, "delete", "--force", "precious")
    assert done.returncode == 0  # as there is no such container
    assert (precious / "file").exists()


def test_only_the_owner_may_read_a_containers_files_and_no_link_is_followed(oci: Oci) -> None:
    oci.write("sleep", "60")
    for link in (".pid", "steps"):
        (oci.directory / link).symlink_to(oci.directory / "target")
    assert oci("--explain", oci.directory / "steps", "create", "-b", oci.bundle, "box").returncode == 1
    oci("create", "-b", oci.bundle, "--pid-file", oci.directory / "pid", "box", check=True)
    assert not (oci.directory / "target").exists()
    for name in ("state.json", "config.json"):
        assert (oci.root / "box" / name).stat().st_mode & 0o777 == 0o600


def test_a_failing_create_leaves_nothing(oci: Oci) -> None:
    oci.write("no-such-program")
    done = oci("--log", oci.directory / "log", "--log-format", "json", "create", "-b", oci.bundle, "box")
    assert done.returncode == 1
    assert 'exec: "no-such-program": executable file not found in $PATH' in done.stderr
    line = json.loads((oci.directory / "log").read_text())
    assert line["level"] == "error"
    assert line["msg"].startswith('exec: "no-such-program"')
    assert list(oci.root.iterdir()) == []
    assert not any(Path("/sys/fs/cgroup").glob(f"**/pyctr_oci-{oci.directory.name}/box"))


def test_the_log_is_made_even_without_an_error(oci: Oci) -> None:
    oci("--log", oci.directory / "log", "features", check=True)
    assert (oci.directory / "log").read_text() == ""


@pytest.mark.parametrize(
    ("signal_name", "number"), [("TERM", 15), ("SIGUSR1", 10), ("9", 9), ("sigquit", 3), (None, 15)]
)
def test_kill_sends_signals_by_name_and_number(oci: Oci, signal_name: str | None, number: int) -> None:
    oci.write(
        "sh", "-c", "; ".join(f"trap 'echo {n}; exit' {n}" for n in (15, 10, 3)) + "; touch /up; sleep 60 & wait"
    )
    oci("create", "-b", oci.bundle, "box", check=True)
    output = oci.directory / "output"
    os.rename(oci.directory / "stdout", output)
    oci("start", "box", check=True)
    while not (oci.bundle / "rootfs/up").exists():
        pass
    oci("kill", "box", *([signal_name] if signal_name else []), check=True)
    oci.wait("stopped")
    assert output.read_text() == ("" if number == 9 else f"{number}\n")


def test_a_signal_ends_a_container_that_waits_for_its_start(oci: Oci) -> None:
    oci.write("sleep", "60")
    oci("create", "-b", oci.bundle, "box", check=True)
    oci("kill", "box", "TERM", check=True)
    oci.wait("stopped")
    assert oci("ps", "--format", "json", "box", check=True).stdout == "[]\n"
    oci("delete", "box", check=True)
    oci("run", "--detach", "-b", oci.bundle, "box", check=True)
    oci("kill", "box", "TERM", check=True)
    assert oci.state()["status"] == "running", "of PID 1 the kernel ignores what it does not handle"


def test_list_needs_a_root_directory_that_exists(oci: Oci) -> None:
    assert f"--root {oci.root}: no such directory" in oci("list").stderr
    oci.root.mkdir()
    assert oci("list", "--quiet", check=True).stdout == ""


def test_kill_in_the_hosts_pid_namespace_ends_all_processes(oci: Oci) -> None:
    oci.config["linux"]["namespaces"] = [{"type": "mount"}, {"type": "ipc"}]
    oci.config.pop("hostname")
    oci.write("sh", "-c", "sleep 61 & sleep 61; :")
    oci("create", "-b", oci.bundle, "box", check=True)
    oci("start", "box", check=True)
    while len(pids := json.loads(oci("ps", "--format", "json", "box", check=True).stdout)) < 3:
        pass
    oci("kill", "box", "KILL", check=True)
    oci.wait("stopped")
    oci("delete", "box", check=True)
    assert not [pid for pid in pids if runs(pid)]


def runs(pid: int) -> bool:
    """Whether a process runs: one that has ended stays a zombie until the machine's first process reaps it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_pause_and_resume(oci: Oci) -> None:
    oci.write("sleep", "60")
    oci("create", "-b", oci.bundle, "box", check=True)
    oci("start", "box", check=True)
    oci("pause", "box", check=True)
    assert oci.state()["status"] == "paused"
    assert "paused" in oci("exec", "box", "true").stderr
    oci("resume", "box", check=True)
    assert oci("resume", "box").returncode == 1
    oci("pause", "box", check=True)
    oci("delete", "--force", "box", check=True)


def test_run_in_the_foreground_passes_input_output_and_the_exit_code_on(oci: Oci) -> None:
    oci.write("sh", "-c", "cat; echo problem >&2; exit 7")
    done = subprocess.run(
        oci.command("run", "-b", oci.bundle, "box"), input="text", capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "text", "problem\n")
    assert oci("list", "-q").stdout == ""
    assert oci("run", "--keep", "-b", oci.bundle, "box").returncode == 7
    assert oci.state()["status"] == "stopped"


def test_run_leaves_nothing_of_a_program_that_cannot_be_executed(oci: Oci) -> None:
    (oci.bundle / "rootfs/bin/broken").write_text("no program")
    (oci.bundle / "rootfs/bin/broken").chmod(0o755)
    oci.write("broken")
    for options in ([], ["--detach"]):
        assert oci("run", *options, "-b", oci.bundle, "box").returncode == 1
        assert list(oci.root.iterdir()) == []


def test_run_forwards_signals(oci: Oci) -> None:
    oci.write("sh", "-c", "trap 'exit 9' TERM; echo up; sleep 60 & wait")
    with subprocess.Popen(
        oci.command("run", "-b", oci.bundle, "box"), stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        running.terminate()
        assert running.wait() == 9


def test_exec_runs_one_more_process(oci: Oci) -> None:
    oci.write("sleep", "60")
    oci("run", "--detach", "-b", oci.bundle, "box", check=True)
    done = oci("exec", "--env", "A=b", "--cwd", "/bin", "-u", "5:6", "box", "sh", "-c", "echo $A $PWD; id; exit 3")
    assert (done.returncode, done.stdout) == (3, "b /bin\nuid=5 gid=6\n")
    assert oci("exec", "box", "no-such-program").returncode == 255
    assert "--cap CAP_FLY: unknown capability" in oci("exec", "--cap", "CAP_FLY", "box", "true").stderr
    process = {"args": ["sh", "-c", "echo from file"], "cwd": "/", "env": ["PATH=/bin"]}
    (oci.directory / "process").write_text(json.dumps(process))
    assert oci("exec", "-p", oci.directory / "process", "box").stdout == "from file\n"
    oci("exec", "--detach", "--pid-file", oci.directory / "pid", "box", "sleep", "50", check=True)
    pid = int((oci.directory / "pid").read_text())
    assert pid in json.loads(oci("ps", "-f", "json", "box").stdout)
    assert "sleep 50" in oci("ps", "box", "-ef").stdout
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)  # its parent, so the test may have adopted it


@pytest.mark.parametrize("option", ["--pid-file", "--pidfd-socket"])
def test_a_process_whose_caller_cannot_be_told_of_it_is_ended(oci: Oci, option: str) -> None:
    oci.write("sleep", "60")
    nowhere = oci.directory / "none/file"
    assert oci("create", "-b", oci.bundle, option, nowhere, "box").returncode == 1
    assert list(oci.root.iterdir()) == []
    oci("run", "--detach", "-b", oci.bundle, "box", check=True)
    assert oci("exec", "--detach", option, nowhere, "box", "sleep", "50").returncode == 255
    assert json.loads(oci("ps", "-f", "json", "box", check=True).stdout) == [oci.state()["pid"]]
    (oci.directory / "pid").mkdir()
    assert oci("exec", "--detach", "--pid-file", oci.directory / "pid", "box", "true").returncode == 255
    assert not list(oci.directory.glob(".pid.*"))


def test_a_terminal_goes_to_the_console_socket(oci: Oci) -> None:
    oci.config["process"] |= {"terminal": True, "consoleSize": {"height": 30, "width": 90}}
    oci.write("sh", "-c", "stty size; sleep 60")
    assert "console socket" in oci("create", "-b", oci.bundle, "box").stderr
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(oci.directory / "socket"))
        listener.listen()
        oci("create", "-b", oci.bundle, "--console-socket", oci.directory / "socket", "box", check=True)
        connection, _ = listener.accept()
        name, (master,), _, _ = socket.recv_fds(connection, 100, 1)
        connection.close()
    assert name.startswith(b"/dev/p")
    pid = oci.state()["pid"]
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)} == {"/dev/pts/0"}, "before start"
    oci("start", "box", check=True)
    assert os.read(master, 100) == b"30 90\r\n"
    os.close(master)


def test_the_programs_terminal_leaves_newlines_to_the_callers(oci: Oci) -> None:
    oci.config["process"]["terminal"] = True
    oci.write("echo", "one line")
    assert oci("run", "-b", oci.bundle, "box").stdout == "one line\n"


def test_preserved_descriptors_and_no_others_reach_the_program(oci: Oci) -> None:
    oci.write("sh", "-c", "cat <&3; ls /proc/self/fd")
    reader, writer = os.pipe()
    os.write(writer, b"three\n")
    os.close(writer)
    other = os.open("/dev/zero", os.O_RDONLY)

    def place() -> None:
        high = [os.dup2(fd, number) for fd, number in ((reader, 50), (other, 51))]
        for number, fd in enumerate(high, 3):
            os.dup2(fd, number)
        os.closerange(5, 60)

    command = oci.command("run", "--preserve-fds", "1", "-b", oci.bundle, "box")
    done = subprocess.run(command, capture_output=True, text=True, close_fds=False, preexec_fn=place)
    assert done.stdout.split() == ["three", "0", "1", "2", "3", "4"], done.stderr  # 4: ls reads the directory
    done = oci("run", "--preserve-fds", "90", "-b", oci.bundle, "box")
    assert done.stdout.split() == ["0", "1", "2", "3"]  # none of the runtime's own under a free number
    os.close(reader)
    os.close(other)


@pytest.mark.parametrize("id", ["", "a/b", "..", ".a", "a b", "ä", "a\n"])
def test_an_id_that_is_not_a_name_is_refused(oci: Oci, id: str) -> None:
    oci.write("true")
    for verb in ("create", "state", "delete"):
        done = oci(verb, *(["-b", oci.bundle] if verb == "create" else []), id)
        assert done.returncode == 1
        assert "invalid" in done.stderr
        assert "container ID" in done.stderr


def test_explain_narrates_what_an_engine_asks_for(oci: Oci) -> None:
    oci.write("true")
    oci("--explain", oci.directory / "steps", "create", "-b", oci.bundle, "box", check=True)
    oci("start", "box", check=True, env={**os.environ, "PYCTR_OCI_EXPLAIN": str(oci.directory / "steps")})
    text = (oci.directory / "steps").read_text()
    assert text.index("$ pyctr-oci create") < text.index("pivot_root(") < text.index("$ pyctr-oci start")
    assert "execve" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["frob"], "unknown command frob"),
        (["--frob"], "unknown option --frob"),
        (["state"], "a container id is missing"),
        (["state", "a", "b"], "too many arguments: b"),
        (["kill", "--frob", "a"], "unknown option --frob"),
        (["create", "-b"], "-b needs a value: DIRECTORY"),
        (["create", "--no-pivot=maybe", "a"], "must be true or false"),
        (["create", "--preserve-fds", "-1", "a"], "not a whole number"),
        (["create", "--preserve-fds", "9" * 30, "a"], "not a whole number up to 65536"),
        (["--log-format", "xml", "list"], "must be text or json"),
        (["list", "--format", "xml"], "must be table or json"),
    ],
)
def test_a_wrong_command_line_gets_one_clear_line(oci: Oci, words: list[str], message: str) -> None:
    done = oci(*words, cwd=oci.bundle)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_help_of_the_command_and_of_each_verb(oci: Oci) -> None:
    overview = oci("--help", check=True).stdout
    for verb in ("create", "start", "state", "kill", "delete", "run", "exec", "list", "ps", "pause", "resume"):
        assert f"  {verb} " in overview
        assert f"Usage: pyctr-oci {verb}" in oci(verb, "--help", check=True).stdout
    assert oci("--version", check=True).stdout.splitlines()[1].startswith("spec: 1.")
    assert oci().returncode == 1


def test_the_output_of_a_terminal_is_read_as_it_was_written(oci: Oci) -> None:
    oci.config["process"]["terminal"] = True
    oci.write("sh", "-c", "echo one; echo two")
    assert oci("run", "-b", oci.bundle, "box").stdout == "one\ntwo\n"


def test_delete_removes_every_container_that_a_regular_expression_describes(oci: Oci) -> None:
    oci.write("sleep", "60")
    for id in ("web-1", "web-2", "other"):
        oci.config["linux"]["cgroupsPath"] = f"/pyctr_oci-{oci.directory.name}/{id}"
        oci.write()
        oci("create", "-b", oci.bundle, id, check=True)
    assert "--regex (" in oci("delete", "--regex", "(").stderr
    oci("delete", "--force", "--regex", "web-.*", check=True)
    assert oci("list", "--quiet").stdout == "other\n"


def test_the_callers_null_device_becomes_the_containers(oci: Oci) -> None:
    oci.config["process"]["user"] = {"uid": 7, "gid": 7}
    oci.write("ls", "-lL", "/proc/self/fd/0")
    assert oci("run", "-b", oci.bundle, "box").stdout.startswith("crw-rw-rw-    1 0        0")
    assert oci("run", "-b", oci.bundle, "box", stdin=subprocess.PIPE).stdout.startswith("prw")


def test_an_annotation_keeps_the_callers_groups(oci: Oci) -> None:
    oci.write("id", annotations={"run.oci.keep_original_groups": "1"})
    assert "groups=44,55" in oci("run", "-b", oci.bundle, "box", extra_groups=[44, 55]).stdout
    oci.write("id", annotations={})
    assert "44" not in oci("run", "-b", oci.bundle, "box", extra_groups=[44, 55]).stdout
