"""Attacks of another user of the host on the kit: the user `nobody` reads and plants files while root uses it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labs.kit.commands import clean
from labs.kit.exercises import manifest
from labs.kit.isolation import sandbox, scratch
from tests.notebooks import browser

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
SEARCH = """
cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ
find /tmp /var/tmp /run /dev/shm /var/log "$HOME" "$1" -xdev -type f -readable -size -4000k -exec cat {} +
"""
"""Prints everything that a user can read of processes, and of files in directories open to every user."""


def finds(secret: str, directory: Path) -> bool:
    """Return whether `nobody` finds a text in any process or file. No command line of the tests has it."""
    shown = subprocess.run(
        [*NOBODY, "sh", "-c", SEARCH, "sh", directory], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/"
    )
    return secret.encode() in shown.stdout


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address that `make notebook` prints, with one kernel running."""
    log = tmp_path_factory.mktemp("jupyterlab") / "log"
    with browser.jupyterlab({**os.environ, "JUPYTER_TOKEN": "from-the-caller"}, log) as address:
        kernel = urllib.request.Request(
            urllib.parse.urljoin(address, "/api/kernels"),
            data=json.dumps({"name": "python3"}).encode(),
            headers={"Authorization": f"token {token_of(address)}"},
        )
        urllib.request.urlopen(kernel, timeout=browser.SECONDS).close()
        yield address


def token_of(address: str) -> str:
    return urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)["token"][0]


@pytest.mark.timeout(300)
def test_another_user_cannot_read_the_token_of_jupyterlab(address: str, tmp_path: Path) -> None:
    token = token_of(address)
    assert len(token) >= 32
    assert not finds(token, tmp_path)


@pytest.mark.timeout(300)
def test_the_search_finds_a_command_line_an_environment_and_a_file(address: str, tmp_path: Path) -> None:
    secret = os.urandom(16).hex()
    for command, environment in (
        (["sleep", "300", f"--token={secret}"], {}),
        ([*NOBODY, "sleep", "300"], {"TOKEN": secret}),
    ):
        command = command if environment else ["python3", "-c", "import time; time.sleep(300)", secret]
        process = subprocess.Popen(command, env={**os.environ, **environment})
        while environment and Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
            time.sleep(0.01)  # until then, its environment is root's
        try:
            assert finds(secret, tmp_path)
        finally:
            process.kill()
            process.wait()
    assert not finds(secret, tmp_path)
    Path("/dev/shm/pyctr-decoy").write_text(secret)
    try:
        assert finds(secret, tmp_path)
    finally:
        Path("/dev/shm/pyctr-decoy").unlink()


def test_jupyterlab_and_its_kernels_listen_on_one_port_of_the_loopback(address: str) -> None:
    """The address is a number: `localhost` may resolve to ::1, where another user can listen for tokens."""
    host = urllib.parse.urlsplit(address)
    assert host.hostname == "127.0.0.1"
    [server] = [pid for pid in processes() if f"notebook.py\0{host.port}\0" in command_line(pid)]
    kernels = [pid for pid in processes() if parent(pid) == server]
    assert kernels
    assert listening(server) == [f"127.0.0.1:{host.port}"]
    for kernel in kernels:  # only a socket for its own children's output, which requires a secret
        assert [address.partition(":")[0] for address in listening(kernel)] in ([], ["127.0.0.1"])


def test_jupyterlab_refuses_requests_without_the_token(address: str) -> None:
    for token in ("", "from-the-caller", "0" * 48):
        request = urllib.request.Request(
            urllib.parse.urljoin(address, "/api/contents"), headers={"Authorization": f"token {token}"}
        )
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=browser.SECONDS)


def processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def listening(pid: int) -> list[str]:
    """Return the TCP addresses that a process listens on."""
    shown = subprocess.run(["ss", "-Hltnp"], check=True, capture_output=True, text=True).stdout
    return [line.split()[3] for line in shown.splitlines() if f"pid={pid}," in line]


@pytest.mark.parametrize("planted", ["link", "readable directory", "another's directory"])
def test_a_directory_for_jupyterlab_planted_by_another_user_is_refused(tmp_path: Path, planted: str) -> None:
    directory, elsewhere = tmp_path / "jupyter", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if planted == "link":
        directory.symlink_to(elsewhere)
    else:
        directory.mkdir(mode=0o755 if planted == "readable directory" else 0o700)
        if planted == "another's directory":
            os.chown(directory, 65534, 65534)
    done = subprocess.run(
        [sys.executable, "-IXutf8", manifest.CHECKOUT / "make/notebook.py", "0", ""],
        env={**os.environ, "PYCTR_NOTEBOOK_DIRECTORY": str(directory)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "is not a directory of mode 0700" in done.stderr
    assert list(elsewhere.iterdir()) == []


PLANTER = """
import os, sys
victim, top = sys.argv[1:]
print("planting", flush=True)
while True:
    for name in os.listdir(top):
        if os.path.islink(f"{top}/{name}"):
            continue
        for suffix in (".log", ".jsonl", ".json", ".new", "/output", "/results", "/tmp", "/engine", "/tmp/engine"):
            try:
                os.symlink(victim, f"{top}/{name}{suffix}")
            except OSError:
                pass
"""
"""Plants links to a victim in a shared directory: once a name appears there, under the names derived from it."""


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """Yield a directory like /tmp, which every user can reach."""
    directory = Path(tempfile.mkdtemp(prefix="pyctr-shared-"))
    directory.chmod(0o1777)
    yield directory
    subprocess.run(["rm", "-rf", "--one-file-system", directory], check=True)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a directory of the host with a file that no other user may change."""
    directory = tmp_path / "victim"
    directory.mkdir()
    (directory / "file").write_text("precious\n")
    return directory


def is_untouched(victim: Path) -> bool:
    return [path.name for path in victim.iterdir()] == ["file"] and (victim / "file").read_text() == "precious\n"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("args", [("check", "5.1"), ("trace", "5.3")], ids=" ".join)
def test_links_planted_beside_a_labs_directories_are_not_followed(
    shared: Path, victim: Path, args: tuple[str, str]
) -> None:
    planter = subprocess.Popen(
        [*NOBODY, "/usr/bin/python3", "-c", PLANTER, victim / "file", shared], stdout=subprocess.PIPE, cwd="/"
    )
    try:
        assert planter.stdout
        assert planter.stdout.readline() == b"planting\n"
        done = subprocess.run(
            [sys.executable, "-m", "labs.kit", *args],
            cwd=manifest.CHECKOUT,
            env={**os.environ, "TMPDIR": str(shared)},
            capture_output=True,
            text=True,
        )
    finally:
        planter.kill()
        planter.wait()
    assert "Traceback" not in done.stderr
    assert done.stdout
    assert any(path.is_symlink() for path in shared.iterdir()), "no link was planted"
    assert is_untouched(victim)
    assert [path for path in shared.iterdir() if not path.is_symlink()] == []


def test_clean_lab_removes_leftovers_of_killed_runs_and_nothing_planted(
    shared: Path, victim: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plant = """
    ln -s $1 pyctr_lite-labs-link
    ln -s $1/file pyctr_lite-labs-link.log
    mkdir pyctr_lite-trace-mine pyctr_lite-grade-open
    ln -s $1 pyctr_lite-trace-mine/link
    echo mine >pyctr_lite-trace-mine/file
    """
    subprocess.run([*NOBODY, "sh", "-ec", plant, "sh", victim], cwd=shared, check=True)
    planted = sorted(shared.iterdir())
    left = shared / "pyctr_lite-labs-left"
    (left / "tmp").mkdir(parents=True)
    left.chmod(0o700)
    (left / "link").symlink_to(victim)
    (left / "tmp/link").symlink_to(victim / "file")
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    with scratch.directory("labs") as running:
        # Other users of this machine run labs, too.
        monkeypatch.setattr(sandbox, "remove_groups", lambda name: None)
        monkeypatch.setenv("PYCTR_LITE_ROOT", str(tmp_path / "state"))
        for _ in range(2):
            assert clean.clean() == 0
        assert running.is_dir(), "a directory in use is kept"
        assert sorted(shared.iterdir()) == sorted([*planted, running])
    assert (shared / "pyctr_lite-trace-mine/file").read_text() == "mine\n"
    assert is_untouched(victim)


def test_a_file_is_never_written_through_a_planted_link(victim: Path, tmp_path: Path) -> None:
    build = tmp_path / "build"
    scratch.write(build / "grade.json", b"first")
    (build / "grade.json").unlink()
    (build / "grade.json").symlink_to(victim / "file")
    scratch.write(build / "grade.json", b"second")
    assert (build / "grade.json").read_bytes() == b"second"
    assert [path.name for path in build.iterdir()] == ["grade.json"]
    build.rename(tmp_path / "other")
    build.symlink_to(victim)
    with pytest.raises(NotADirectoryError):
        scratch.write(build / "grade.json", b"third")
    assert is_untouched(victim)


def test_only_one_module_of_the_kit_makes_temporary_files() -> None:
    """The capstone's modules write below the directory of their sandbox, or in a root that they have just made."""
    others = (
        "sandbox.py",
        "isolation/root.py",
        "uninstall.py",
        "notebook.py",
        "registry.py",
        "capstone/layers.py",
        "capstone/root.py",
        "capstone/view.py",
    )
    for path in [*(manifest.LABS / "kit").rglob("*.py"), *(manifest.CHECKOUT / "make").glob("*.py")]:
        if path.name != "scratch.py":
            text = path.read_text()
            assert "tempfile" not in text, path
            assert "/tmp/" not in text, path
            assert ".write_text(" not in text or str(path).endswith(others), f"{path}: scratch.write"


@pytest.mark.timeout(300)
def test_the_vms_jupyterlab_keeps_its_token_out_of_the_journal(tmp_path: Path) -> None:
    """Start it twice as vagrant/pyctr-notebook.service does."""
    directory, tokens = tmp_path / "jupyter", []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for _ in range(2):
        log = tmp_path / "log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                [sys.executable, "-IXutf8", manifest.CHECKOUT / "make/notebook.py", str(port), ""],
                env={**os.environ, "PYCTR_NOTEBOOK_DIRECTORY": str(directory)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            browser.wait_for_server(f"http://127.0.0.1:{port}", log)
            tokens.append((directory / "token").read_text())
            page = f"http://127.0.0.1:{port}/lab?token={tokens[-1]}"
            assert b"JupyterLab" in urllib.request.urlopen(page, timeout=browser.SECONDS).read()
        finally:
            server.terminate()
            server.wait()
        assert tokens[-1] not in log.read_text()
    assert tokens[0] == tokens[1]
    assert (directory.stat().st_mode & 0o777, (directory / "token").stat().st_mode & 0o777) == (0o700, 0o600)
