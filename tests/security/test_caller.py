"""Whatever the caller's umask, signals, limits and surroundings are, what is made is the same, and it works."""

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

from tests.conftest import REPOSITORY, Pyctr

UMASKS = [0o000, 0o027, 0o077, 0o777]


def under(pyctr: Pyctr, before: Callable[[], object], *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a caller would that has done something to itself before the exec."""
    return subprocess.run(
        pyctr.command(*words),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        preexec_fn=before,
        timeout=60,
    )


def through_shell(pyctr: Pyctr, prefix: str, *words: str, then: str = "") -> subprocess.CompletedProcess[str]:
    """Run `PREFIX; exec pyctr_lite WORDS THEN` in a shell, as a script has it."""
    command = ["sh", "-c", f'{prefix}\nexec "$@" {then}', "sh", *pyctr.command(*words)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)


# --- the umask


def everything_made(pyctr: Pyctr, umask: int, place: Path) -> tuple[set[tuple[str, str]], str]:
    """What the verbs leave below a state directory made under an umask, with its mode; and what is seen inside."""

    def ours(*words: str | Path) -> str:
        done = under(engine, lambda: os.umask(umask), *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    engine = Pyctr(pyctr.launcher, place / "made")
    ours("image", "bootstrap", "busybox")
    ours("volume", "create", "named")
    ours(
        *("run", "-d", "--name", "box", "-v", "named:/data", "-v", "/anonymous", "-v", "/etc:/copied"),
        *("-v", f"{place}/bind/source:/bind", "-w", "/made/by/w", "--log-opt", "max-size=1k", "--tmpfs", "/t"),
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
        ours("save", "-o", place / "image.tar", "committed")
        ours("rmi", "committed")
        ours("load", "-i", place / "image.tar")
        ours("export", "-o", place / "box.tar", "box")
        ours("import", place / "box.tar", "imported")
        ours("run", "--rm", "imported", "true")
        ours("create", "--userns", "auto", "--name", "mapped", "busybox", "true")
        ours("start", "-a", "mapped")
        ours("cp", "box:/etc/passwd", place / "passwd")
        found = {
            (re.sub(r"[0-9a-f]{8,}|[0-9]{3,}", "ID", path.removeprefix(str(place))), oct(os.lstat(path).st_mode))
            for top in (engine.root, place / "bind")
            for directory, directories, files in os.walk(top)
            for path in [directory, *(f"{directory}/{name}" for name in [*directories, *files])]
            if "/layers/" not in path
        }
    finally:
        engine("rm", "-f", "-v", "box", "mapped")
    found |= {(name, oct((place / name).lstat().st_mode)) for name in ("image.tar", "box.tar", "passwd")}
    return found, inside


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name

    return make


@pytest.mark.timeout(300)
def test_every_umask_makes_the_same_modes(pyctr: Pyctr, place: Callable[[str], Path]) -> None:
    usual, inside = everything_made(pyctr, 0o022, place("022"))
    assert ("/made/run/containers/ID/attach.sock", oct(stat.S_IFSOCK | 0o755)) in usual
    assert "755 /\n" in inside
    for umask in UMASKS:
        modes, seen = everything_made(pyctr, umask, place(f"{umask:03o}"))
        assert (modes ^ usual, seen) == (set(), inside), f"umask {umask:03o}"


@pytest.mark.parametrize("umask", UMASKS)
def test_a_user_inside_reaches_its_directories_under_any_umask(pyctr: Pyctr, umask: int, tmp_path: Path) -> None:
    done = under(
        pyctr,
        lambda: os.umask(umask),
        *("run", "--rm", "-u", "1000", "-w", "/a/b", "-v", f"{tmp_path}/made:/made", "-v", "vol:/v", "busybox"),
        *("sh", "-c", "umask; pwd; ls / /made /v >/dev/null && cat /etc/hosts >/dev/null && echo fine"),
    )
    assert (done.stdout, done.stderr) == ("0022\n/a/b\nfine\n", "")
    pyctr("volume", "rm", "vol", check=True)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0, 0o666)])
def test_the_cidfile_has_the_mode_that_the_caller_gives(
    pyctr: Pyctr, tmp_path: Path, umask: int, mode: int
) -> None:
    under(pyctr, lambda: os.umask(umask), "create", "--cidfile", tmp_path / "cid", "busybox", "true")
    assert stat.S_IMODE((tmp_path / "cid").stat().st_mode) == mode


@pytest.mark.parametrize("umask", UMASKS)
def test_an_archive_is_its_owners_alone_as_dockers_is(pyctr: Pyctr, tmp_path: Path, umask: int) -> None:
    pyctr("create", "--name", "box", "busybox", check=True)
    for words in (["save", "-o", tmp_path / "it", "busybox"], ["export", "-o", tmp_path / "it", "box"]):
        done = under(pyctr, lambda: os.umask(umask), *words)
        assert (done.stderr, stat.S_IMODE((tmp_path / "it").stat().st_mode)) == ("", 0o600)
        (tmp_path / "it").unlink()


@pytest.mark.parametrize("umask", UMASKS)
def test_a_program_that_uses_the_api_may_have_any_umask(root: Path, umask: int) -> None:
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
    words = [sys.executable, "-c", program, REPOSITORY, root]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
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
def test_ignored_and_blocked_signals_of_the_caller_matter_nowhere(
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
def test_closed_descriptors_are_as_if_nothing_were_there(pyctr: Pyctr, tmp_path: Path, closed: str) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        done = through_shell(pyctr, "", *words, then=closed)
        assert done.returncode == 0, (words, done.stderr)
        return done

    heard = ">&-" not in closed.replace("2>&-", "")
    run("run", "-d", "--name", "box", "busybox", "sleep", "60")
    for words in (
        ["run", "--rm", "busybox"],
        ["run", "-i", "--rm", "busybox"],
        ["exec", "box"],
        ["exec", "-i", "box"],
    ):
        inside = "cat; ls /proc/self/fd | wc -l; echo seen; echo err >&2"
        done = run(*words, "sh", "-c", inside)
        assert done.stdout == ("4\nseen\n" if heard else "")
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


def test_a_directory_that_is_gone_hinders_only_what_needs_it(pyctr: Pyctr, tmp_path: Path) -> None:
    gone = f"mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir {tmp_path}/gone"
    assert through_shell(pyctr, gone, "run", "--rm", "busybox", "pwd").stdout == "/\n"
    assert through_shell(pyctr, gone, "ps", "-q").returncode == 0
    for words in (["run", "--rm", "-v", "./x:/x", "busybox"], ["run", "--rm", "-v", "./:/x", "busybox"]):
        done = through_shell(pyctr, gone, *words)
        assert done.returncode == 125
        assert "the current directory has been removed" in done.stderr


# --- limits


@pytest.mark.parametrize("soft", [8, 12, 16, 64])
def test_a_low_soft_limit_of_open_files_is_no_hindrance(pyctr: Pyctr, soft: int) -> None:
    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    done = under(pyctr, lower, "run", "--rm", "-v", "/x", "busybox", "echo", "hi")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hi\n", "")


@pytest.mark.parametrize(
    ("limit", "value"),
    [*((resource.RLIMIT_NOFILE, number) for number in range(7, 12)), (resource.RLIMIT_FSIZE, 512)],
)
def test_a_limit_too_low_for_us_is_one_clear_line(pyctr: Pyctr, limit: int, value: int) -> None:
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
def test_the_other_limits_of_the_caller_are_the_containers(pyctr: Pyctr, limit: int, value: int) -> None:
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
