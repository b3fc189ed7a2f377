"""Another user of the host against the kit: what `nobody` can read, and plant, while root uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labs.kit import manifest
from tests.notebooks import browser

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
SEARCH = """
cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ
find /tmp /var/tmp /run /dev/shm /var/log "$HOME" "$1" -xdev -type f -readable -size -4000k -exec cat {} +
"""
"""All that a user can read where secrets are left: of processes, and of files in places that all may enter."""


def finds(secret: str, place: Path) -> bool:
    """Whether `nobody` finds a text in any process or file. It is in no command line of ours."""
    shown = subprocess.run(
        [*NOBODY, "sh", "-c", SEARCH, "sh", place], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/"
    )
    return secret.encode() in shown.stdout


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that `make notebook` prints, with one kernel running."""
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
def test_the_token_of_jupyterlab_is_in_nothing_that_another_user_can_read(address: str, tmp_path: Path) -> None:
    token = token_of(address)
    assert len(token) >= 32
    assert not finds(token, tmp_path)


@pytest.mark.timeout(300)
def test_that_search_finds_what_is_in_a_command_line_an_environment_or_a_file(
    address: str, tmp_path: Path
) -> None:
    secret = os.urandom(16).hex()
    for command, environment in (
        (["sleep", "300", f"--token={secret}"], {}),
        ([*NOBODY, "sleep", "300"], {"TOKEN": secret}),
    ):
        command = command if environment else ["python3", "-c", "import time; time.sleep(300)", secret]
        process = subprocess.Popen(command, env={**os.environ, **environment})
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
    """By number, for `localhost` may lead to ::1, where somebody else can listen for tokens."""
    host = urllib.parse.urlsplit(address)
    assert host.hostname == "127.0.0.1"
    [server] = [pid for pid in processes() if f"notebook.py\0{host.port}\0" in command_line(pid)]
    kernels = [pid for pid in processes() if parent(pid) == server]
    assert kernels
    assert listening(server) == [f"127.0.0.1:{host.port}"]
    for kernel in kernels:  # in TCP only its pipe for its own children's output, which asks for a secret
        assert [place.partition(":")[0] for place in listening(kernel)] in ([], ["127.0.0.1"])


def test_without_the_token_jupyterlab_does_nothing(address: str) -> None:
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
    """The addresses of TCP that a process listens on."""
    shown = subprocess.run(["ss", "-Hltnp"], check=True, capture_output=True, text=True).stdout
    return [line.split()[3] for line in shown.splitlines() if f"pid={pid}," in line]


@pytest.mark.parametrize("planted", ["link", "readable directory", "another's directory"])
def test_a_directory_for_jupyterlab_that_another_user_made_is_refused(tmp_path: Path, planted: str) -> None:
    place, elsewhere = tmp_path / "jupyter", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if planted == "link":
        place.symlink_to(elsewhere)
    else:
        place.mkdir(mode=0o755 if planted == "readable directory" else 0o700)
        if planted == "another's directory":
            os.chown(place, 65534, 65534)
    done = subprocess.run(
        [sys.executable, "-IXutf8", manifest.CHECKOUT / "make/notebook.py", "0", ""],
        env={**os.environ, "PYCTR_NOTEBOOK_DIRECTORY": str(place)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "is not a directory of mode 0700" in done.stderr
    assert list(elsewhere.iterdir()) == []
