"""What every test gets: proof that it left nothing behind, and an engine of its own with a busybox image."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from pyctr_lite import linux
from pyctr_lite.linux.constants import PR_SET_CHILD_SUBREAPER
from tests.leaks import Snapshot, cgroup_name, children, end, end_groups, wait_for_children

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.dockerd import DockerDaemon

REPOSITORY = Path(__file__).resolve().parent.parent
SLOWNESS = float(os.environ.get("PYCTR_SLOW", "1"))
"""How many times longer things may take than on a usual machine: the VM sets it where it is emulated."""

# No example has a deadline, for the machine may be busy; in CI the same examples are tried every time.
hypothesis.settings.register_profile(
    "here",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("here")


def pytest_sessionstart() -> None:
    """Let orphans come to us: a monitor that a test left running is then our child, and found.

    And hear Ctrl-C, as the commands that we start are to.
    """
    linux.prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background jobs, and inherited


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let a test take longer where everything does: its limit is for one that hangs."""
    for item in items if SLOWNESS > 1 else ():
        own = item.get_closest_marker("timeout")
        seconds = own.args[0] if own else float(config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(seconds * SLOWNESS), append=False)


@pytest.fixture(autouse=True)
def leaves_nothing(tmp_path: Path) -> Iterator[None]:
    """Prove after every test that no mount, cgroup, process, link or file was left; remove what was.

    Nor a blocked signal: what a later test starts would inherit it, and not end by SIGTERM.
    """
    before, running, blocked = Snapshot.take(tmp_path), children(), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    left_blocked = signal.pthread_sigmask(signal.SIG_SETMASK, blocked) - blocked
    left = wait_for_children(besides=running, seconds=20)
    found = [f"process {pid}: {command}" for pid, command in left.items()]
    found += [f"blocked signal {number}" for number in sorted(left_blocked)]
    end(left)
    after = Snapshot.take(tmp_path)
    found += after.what_is_new(before)
    after.remove_what_is_new(before)
    if found:
        pytest.fail("the test left behind:\n  " + "\n  ".join(found), pytrace=False)


@pytest.fixture(scope="session")
def busybox_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with nothing but the image busybox:latest, made once; others link to it."""
    from pyctr_lite.images import bootstrap, store

    directory = tmp_path_factory.mktemp("busybox-store")
    images = store.ImageStore(str(directory))
    bootstrap.bootstrap_busybox(images)
    images.layer_directories(images.get("busybox"))  # unpacked, so that no test pays for it
    return directory


@pytest.fixture
def root(busybox_store: Path, tmp_path: Path, launcher: Path) -> Iterator[Path]:
    """A state directory of the test's own, with busybox:latest; its containers are removed after the test."""
    directory = tmp_path / "state"
    directory.mkdir()
    for part in busybox_store.iterdir():
        links = ["--link"] if part.name == "layers" else []  # lower directories are never written to
        subprocess.run(["cp", "-a", *links, part, directory], check=True)
    yield directory
    containers = directory / "containers"
    if containers.is_dir() and (ids := [entry.name for entry in containers.iterdir() if len(entry.name) == 64]):
        Pyctr(launcher, directory)("rm", "-f", "-v", *ids, check=True)
    end_groups(cgroup_name(directory), only_empty=True)


class Pyctr:
    """The real command on one state directory: `pyctr("run", "--rm", "busybox", "true")`."""

    def __init__(self, launcher: Path, root: Path) -> None:
        self.launcher, self.root = launcher, root

    def command(self, *arguments: str | Path) -> list[str]:
        """The words of the command line, for a test that starts it in its own way."""
        return [str(self.launcher), "--root", str(self.root), *map(str, arguments)]

    def __call__(
        self,
        *arguments: str | Path,
        input: str | None = None,
        check: bool = False,
        timeout: float = 60,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end, with no terminal. `check` fails the test with what the command said."""
        done = subprocess.run(
            self.command(*arguments),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout * SLOWNESS,
            env={**os.environ, **env} if env else None,
            cwd=cwd,
        )
        if check and done.returncode:
            words = " ".join(map(str, arguments))
            pytest.fail(f"pyctr_lite {words}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command as `make setup` would install it, for the Python that runs the tests."""
    path = tmp_path_factory.mktemp("bin") / "pyctr_lite"
    script = subprocess.run(
        [sys.executable, "-ISXutf8", REPOSITORY / "make/launcher.py", sys.executable, REPOSITORY],
        check=True,
        capture_output=True,
    )
    path.write_bytes(script.stdout)
    path.chmod(0o755)
    return path


@pytest.fixture
def pyctr(launcher: Path, root: Path) -> Pyctr:
    """The command on the state directory of this test."""
    return Pyctr(launcher, root)


@pytest.fixture(scope="session")
def needs() -> Callable[[str], str]:
    """`needs("skopeo")` gives the tool's path; a missing one skips the test, but fails it under CI=true."""

    def find(tool: str) -> str:
        path = shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if path is None:
            why = f"{tool} is not installed: make test-tools"
            if os.environ.get("CI") == "true":
                pytest.fail(why)
            pytest.skip(why)
        return path

    return find


@pytest.fixture(scope="module")
def docker_daemon(needs: Callable[[str], str]) -> Iterator[DockerDaemon]:
    """Docker's own daemon, one for all tests of a module. Skips them, in its words, where it does not start."""
    from tests import dockerd

    needs("docker"), needs("dockerd")
    directory = Path(tempfile.mkdtemp(prefix="docker-"))  # the path of a socket may have 107 characters
    running = children()
    daemon = dockerd.DockerDaemon(directory / "daemon", f"pyctr-docker-{os.getpid()}")
    try:
        try:
            daemon.wait()
        except RuntimeError as error:
            pytest.skip(str(error))
        yield daemon
    finally:
        daemon.stop()
        end(wait_for_children(besides=running, seconds=20))
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def slowness() -> float:
    """How many times slower than a usual machine this one runs Python: 1 at least, about 20 where it is emulated.

    For the few tests that hold a budget of time.
    """

    def seconds() -> float:
        began = time.perf_counter()
        total = 0
        for number in range(200_000):
            total += number & 7
        return time.perf_counter() - began

    return max(1.0, min(seconds() for _ in range(5)) / 0.01)
