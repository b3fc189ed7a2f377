"""The caller's umask, signals, limits, descriptors and directory do not affect results and created files."""

from __future__ import annotations

import os
import re
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, SLOWNESS, Pyctr
from tests.network_leaks import discard_networks

UMASKS = [0o000, 0o027, 0o077, 0o777]


def under(pyctr: Pyctr, before: Callable[[], object], *args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command after `before` was called in its process."""
    return subprocess.run(
        pyctr.command(*args),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        preexec_fn=before,
        timeout=60,
    )


def through_shell(pyctr: Pyctr, prefix: str, *args: str, then: str = "") -> subprocess.CompletedProcess[str]:
    """Run `PREFIX; exec pyctr_lite ARGS THEN` in a shell, like a script."""
    command = ["sh", "-c", f'{prefix}\nexec "$@" {then}', "sh", *pyctr.command(*args)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)


# --- the umask


def everything_made(pyctr: Pyctr, umask: int, base: Path) -> tuple[set[tuple[str, str]], str]:
    """Return the files that the verbs create under an umask, with their modes; and the files' listing inside."""

    def ours(*args: str | Path) -> str:
        done = under(engine, lambda: os.umask(umask), *args)
        assert done.returncode == 0, done.stderr
        return done.stdout

    engine = Pyctr(pyctr.launcher, base / "made")
    ours("image", "bootstrap", "busybox")
    ours("volume", "create", "named")
    ours(
        *("run", "-d", "--name", "box", "-v", "named:/data", "-v", "/anonymous", "-v", "/etc:/copied"),
        *("-v", f"{base}/bind/source:/bind", "-w", "/made/by/w", "--log-opt", "max-size=1k", "--tmpfs", "/t"),
        *("--health-cmd", "true", "--health-interval", "1s", "busybox", "sh", "-c", "echo hi; exec sleep 60"),
    )
    try:
        inside = ours(
            *("exec", "-u", "1000", "box", "stat", "-c", "%a %n", "/", "/data", "/anonymous", "/bind", "/made"),
            *(
                "/made/by",
                "/made/by/w",
                "/t",
                "/dev",
                "/dev/null",
                "/dev/shm",
                "/etc/hosts",
                "/etc/resolv.conf",
                "/tmp",
            ),
        )
        ours("exec", "-d", "box", "sleep", "50")
        ours("cp", "/etc/hostname", "box:/made/hostname")
        ours("commit", "box", "committed")
        ours("save", "-o", base / "image.tar", "committed")
        ours("rmi", "committed")
        ours("load", "-i", base / "image.tar")
        ours("export", "-o", base / "box.tar", "box")
        ours("import", base / "box.tar", "imported")
        ours("run", "--rm", "imported", "true")
        ours("create", "--userns", "auto", "--name", "mapped", "busybox", "true")
        ours("start", "-a", "mapped")
        ours("cp", "box:/etc/passwd", base / "passwd")
        found = {
            (
                re.sub(r"[0-9a-f]{8,}|[0-9]{3,}(\.[0-9]+)*", "ID", path.removeprefix(str(base))),
                oct(os.lstat(path).st_mode),
            )
            for top in (engine.root, base / "bind")
            for directory, directories, files in os.walk(top)
            for path in [directory, *(f"{directory}/{name}" for name in [*directories, *files])]
            if "/layers/" not in path
        }
    finally:
        engine("rm", "-f", "-v", "box", "mapped")
        discard_networks(engine.root)
    found |= {(name, oct((base / name).lstat().st_mode)) for name in ("image.tar", "box.tar", "passwd")}
    return found, inside


@pytest.fixture
def make_directory(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name

    return make


@pytest.mark.timeout(300)
def test_modes_are_the_same_under_every_umask(pyctr: Pyctr, make_directory: Callable[[str], Path]) -> None:
    usual, inside = everything_made(pyctr, 0o022, make_directory("022"))
    assert ("/made/run/containers/ID/attach.sock", oct(stat.S_IFSOCK | 0o755)) in usual
    assert "755 /\n" in inside
    for umask in UMASKS:
        modes, seen = everything_made(pyctr, umask, make_directory(f"{umask:03o}"))
        assert (modes ^ usual, seen) == (set(), inside), f"umask {umask:03o}"


@pytest.mark.parametrize("umask", UMASKS)
def test_a_user_inside_can_enter_its_directories_under_any_umask(pyctr: Pyctr, umask: int, tmp_path: Path) -> None:
    done = under(
        pyctr,
        lambda: os.umask(umask),
        *("run", "--rm", "-u", "1000", "-w", "/a/b", "-v", f"{tmp_path}/made:/made", "-v", "vol:/v", "busybox"),
        *("sh", "-c", "umask; pwd; ls / /made /v >/dev/null && cat /etc/hosts >/dev/null && echo fine"),
    )
    assert (done.stdout, done.stderr) == ("0022\n/a/b\nfine\n", "")
    pyctr("volume", "rm", "vol", check=True)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0, 0o666)])
def test_the_cidfile_has_the_mode_of_the_callers_umask(
    pyctr: Pyctr, tmp_path: Path, umask: int, mode: int
) -> None:
    under(pyctr, lambda: os.umask(umask), "create", "--cidfile", tmp_path / "cid", "busybox", "true")
    assert stat.S_IMODE((tmp_path / "cid").stat().st_mode) == mode


@pytest.mark.parametrize("umask", UMASKS)
def test_a_saved_archive_is_readable_only_by_its_owner(pyctr: Pyctr, tmp_path: Path, umask: int) -> None:
    pyctr("create", "--name", "box", "busybox", check=True)
    for args in (["save", "-o", tmp_path / "it", "busybox"], ["export", "-o", tmp_path / "it", "box"]):
        done = under(pyctr, lambda: os.umask(umask), *args)
        assert (done.stderr, stat.S_IMODE((tmp_path / "it").stat().st_mode)) == ("", 0o600)
        (tmp_path / "it").unlink()


@pytest.mark.parametrize("umask", UMASKS)
def test_the_api_works_under_any_umask(root: Path, umask: int) -> None:
    program = (
        f"import os, sys; os.umask({umask}); sys.path.insert(0, sys.argv[1])\n"
        "from pyctr_lite.engine.api.client import Client\n"
        "LOOK = ['stat', '-c', '%a', '/', '/w']\n"
        "with Client(sys.argv[2]) as client:\n"
        "    print(client.run('busybox', LOOK, user='1000', workdir='/w', remove=True))\n"
        "    box = client.start('busybox', ['sleep', '60'], workdir='/w', name='box')\n"
        "    print(client.exec('box', LOOK, user='1000'))\n"
        "    client.remove(box.id, force=True)\n"
    )
    args = [sys.executable, "-c", program, REPOSITORY, root]
    done = subprocess.run(args, capture_output=True, text=True, timeout=60)
    assert done.stdout == "Result(exit_code=0, stdout=b'755\\n755\\n', stderr=b'')\n" * 2, done.stderr


# --- signals


def ignore_children() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def block_all() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, range(1, 65))


def ignore_all() -> None:
    for number in {*range(1, 65)} - {signal.SIGKILL, signal.SIGSTOP, 32, 33}:
        signal.signal(number, signal.SIG_IGN)


@pytest.mark.parametrize("before", [ignore_children, block_all, ignore_all])
def test_ignored_and_blocked_signals_of_the_caller_have_no_effect(
    pyctr: Pyctr, tmp_path: Path, before: Callable[[], None]
) -> None:
    status = "grep -E '^Sig(Blk|Ign)' /proc/self/status"
    clean = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
    done = under(pyctr, before, "run", "--rm", "busybox", "sh", "-c", f"{status}; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, clean, "")
    assert under(pyctr, before, "run", "-d", "--name", "box", "busybox", "sleep", "60").returncode == 0
    for flags in ([], ["-i"], ["-u", "1000"]):
        done = under(pyctr, before, "exec", *flags, "box", "sh", "-c", f"{status}; exit 4")
        assert (done.returncode, done.stdout, done.stderr) == (4, clean, "")
    assert under(pyctr, before, "export", "-o", tmp_path / "box.tar", "box").returncode == 0
    assert (tmp_path / "box.tar").stat().st_size > 1000000
    assert under(pyctr, before, "cp", "box:/etc/passwd", tmp_path / "passwd").returncode == 0
    assert under(pyctr, before, "commit", "box", "new").returncode == 0
    assert under(pyctr, before, "run", "--rm", "--userns", "auto", "new", "true").stderr == ""
    assert under(pyctr, before, "doctor").returncode in (0, 1)
    done = under(pyctr, before, "stop", "-t", "0", "box")
    assert (done.returncode, done.stderr) == (0, "")


# --- descriptors, directory


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors_act_like_dev_null(pyctr: Pyctr, tmp_path: Path, closed: str) -> None:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        done = through_shell(pyctr, "", *args, then=closed)
        assert done.returncode == 0, (args, done.stderr)
        return done

    stdout_is_open = ">&-" not in closed.replace("2>&-", "")
    run("run", "-d", "--name", "box", "busybox", "sleep", "60")
    for args in (
        ["run", "--rm", "busybox"],
        ["run", "-i", "--rm", "busybox"],
        ["exec", "box"],
        ["exec", "-i", "box"],
    ):
        inside = "cat; ls /proc/self/fd | wc -l; echo seen; echo err >&2"
        done = run(*args, "sh", "-c", inside)
        assert done.stdout == ("4\nseen\n" if stdout_is_open else "")
        assert done.stderr == ("" if "2>" in closed else "err\n")
    for line in ("ps -a", "images", "top box", "logs box", "inspect box", "diff box", "version", "volume ls"):
        run(*line.split())
    run("cp", "box:/etc/passwd", str(tmp_path / "passwd"))
    run("export", "-o", str(tmp_path / "box.tar"), "box")
    run("commit", "box", "new")
    run("save", "-o", str(tmp_path / "new.tar"), "new")
    run("stop", "-t", "0", "box")
    run("start", "box")
    run("rm", "-f", "box")


def test_a_removed_working_directory_affects_only_relative_paths(pyctr: Pyctr, tmp_path: Path) -> None:
    gone = f"mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir {tmp_path}/gone"
    assert through_shell(pyctr, gone, "run", "--rm", "busybox", "pwd").stdout == "/\n"
    assert through_shell(pyctr, gone, "ps", "-q").returncode == 0
    for args in (["run", "--rm", "-v", "./x:/x", "busybox"], ["run", "--rm", "-v", "./:/x", "busybox"]):
        done = through_shell(pyctr, gone, *args)
        assert done.returncode == 125
        assert "the current directory has been removed" in done.stderr


# --- limits


@pytest.mark.parametrize("soft", [8, 12, 16, 64])
def test_a_low_soft_limit_of_open_files_is_raised(pyctr: Pyctr, soft: int) -> None:
    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    done = under(pyctr, lower, "run", "--rm", "-v", "/x", "busybox", "echo", "hi")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hi\n", "")


@pytest.mark.parametrize(
    ("limit", "value"),
    [*((resource.RLIMIT_NOFILE, number) for number in range(7, 12)), (resource.RLIMIT_FSIZE, 512)],
)
def test_a_limit_that_is_too_low_is_reported_in_one_line(pyctr: Pyctr, limit: int, value: int) -> None:
    done = under(
        pyctr, lambda: resource.setrlimit(limit, (value, value)), "run", "--name", "box", "busybox", "true"
    )
    assert (done.returncode, "is too low: raise it" in done.stderr) == (125, True), done.stderr
    assert pyctr("rm", "-f", "box").returncode == 0


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        (resource.RLIMIT_CPU, 2),
        (resource.RLIMIT_NPROC, 1),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_STACK, 256 << 10),
        (resource.RLIMIT_AS, 100 << 20),
        (resource.RLIMIT_FSIZE, 1 << 20),
    ],
)
def test_other_limits_of_the_caller_apply_to_the_container(pyctr: Pyctr, limit: int, value: int) -> None:
    done = under(
        pyctr,
        lambda: resource.setrlimit(limit, (value, value)),
        "run",
        "--rm",
        "busybox",
        "cat",
        "/proc/self/limits",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert str(value) in done.stdout


def test_a_pipe_named_by_an_option_of_run_can_be_waited_for_and_interrupted(pyctr: Pyctr, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = pyctr.command("run", "--rm", "--env-file", tmp_path / "pipe", "busybox", "true")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.terminate()
        assert process.wait(5 * SLOWNESS) == -signal.SIGTERM
