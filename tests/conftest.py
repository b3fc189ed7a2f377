"""Fixtures for every test: proof that nothing is left behind, and an engine with a busybox image."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from pyctr_lite import linux
from pyctr_lite.linux.constants import PR_SET_CHILD_SUBREAPER
from tests.leaks import Snapshot, cgroup_name, children, end, end_groups, wait_for_children
from tests.network_leaks import discard_networks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.dockerd import DockerDaemon
    from tests.networks.topology import Namespace

REPOSITORY = Path(__file__).resolve().parent.parent
SLOWNESS = float(os.environ.get("PYCTR_SLOW", "1"))
"""How many times longer than on a usual machine things may take. An emulated VM sets it."""

# No deadline for an example, because the machine may be busy. In CI every run tries the same examples.
hypothesis.settings.register_profile(
    "here",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("here")


def pytest_sessionstart() -> None:
    """Become the parent of orphans, so that a monitor left running is found among our children.

    Also handle SIGINT: the commands under test would inherit an ignored one.
    """
    linux.prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Lengthen the timeouts on a slow machine: a timeout is there for a test that hangs."""
    for item in items if SLOWNESS > 1 else ():
        own = item.get_closest_marker("timeout")
        seconds = own.args[0] if own else float(config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(seconds * SLOWNESS), append=False)


@pytest.fixture(autouse=True)
def leaves_nothing(tmp_path: Path) -> Iterator[None]:
    """Fail a test that leaves a mount, cgroup, process, link or file behind, and remove the leftovers.

    A blocked signal counts, too: later tests' processes would inherit it, and SIGTERM would not end them. And so
    does a changed working directory, which they would start in.
    """
    directory = os.getcwd()
    before, running, blocked = Snapshot.take(tmp_path), children(), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    left_blocked = signal.pthread_sigmask(signal.SIG_SETMASK, blocked) - blocked
    left = wait_for_children(known=running, seconds=20)
    found = [f"process {pid}: {command}" for pid, command in left.items()]
    found += [f"blocked signal {number}" for number in sorted(left_blocked)]
    found += [] if os.path.samefile(".", directory) else [f"working directory {os.readlink('/proc/self/cwd')}"]
    os.chdir(directory)
    end(left)
    after = Snapshot.take(tmp_path)
    found += after.new_since(before)
    after.remove_new_since(before)
    if found:
        pytest.fail("the test left behind:\n  " + "\n  ".join(found), pytrace=False)


@pytest.fixture(scope="session")
def busybox_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create one state directory with only the image busybox:latest; the tests' own ones link to its layers."""
    from pyctr_lite.images import bootstrap, store

    directory = tmp_path_factory.mktemp("busybox-store")
    images = store.ImageStore(str(directory))
    bootstrap.bootstrap_busybox(images)
    images.layer_directories(images.get("busybox"))  # unpacked now, so that no test spends time on it
    return directory


@pytest.fixture
def root(busybox_store: Path, tmp_path: Path, launcher: Path) -> Iterator[Path]:
    """Create the test's own state directory, with busybox:latest. Its containers are removed after the test."""
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
    if left := discard_networks(directory):
        pytest.fail("the removed containers left behind:\n  " + "\n  ".join(left), pytrace=False)


class Pyctr:
    """The real command on one state directory: `pyctr("run", "--rm", "busybox", "true")`."""

    def __init__(self, launcher: Path, root: Path) -> None:
        self.launcher, self.root = launcher, root

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the command line's arguments, for a test that starts the process itself."""
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
        """Run the command to its end, without a terminal. `check`: fail the test if the command fails."""
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
    """Create the command as `make setup` does, for the Python that runs the tests."""
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
    """Return the command, bound to this test's state directory."""
    return Pyctr(launcher, root)


@pytest.fixture(scope="session")
def needs() -> Callable[[str], str]:
    """Find a tool: `needs("skopeo")` returns its path. A missing tool skips the test, or fails it if CI=true."""

    def find(tool: str) -> str:
        path = shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if path is None:
            why = f"{tool} is not installed: make test-tools"
            if os.environ.get("CI") == "true":
                pytest.fail(why)
            pytest.skip(why)
        return path

    return find


@contextmanager
def started_docker(needs: Callable[[str], str], host: Namespace | None = None) -> Iterator[DockerDaemon]:
    """Start Docker's own daemon. If it does not start, skip the test with its error message.

    With `host`, a network namespace, it has networks there, and a packet filter for IPv6, too.
    """
    from tests import dockerd

    needs("docker"), needs("dockerd")
    directory = Path(tempfile.mkdtemp(prefix="docker-"))  # a socket's path is limited to 107 characters
    running = children()
    place, group, flags = (
        directory / "daemon",
        f"pyctr-docker-{os.getpid()}",
        ("--experimental", "--ip6tables=true"),
    )
    if host is None:
        daemon = dockerd.DockerDaemon(place, group)
    else:
        daemon = host.call(lambda: dockerd.DockerDaemon(place, group, *flags, networks=True))
    try:
        try:
            daemon.wait()
        except RuntimeError as error:
            pytest.skip(str(error))
        yield daemon
    finally:
        daemon.stop()
        end(wait_for_children(known=running, seconds=20))
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def docker_daemon(needs: Callable[[str], str]) -> Iterator[DockerDaemon]:
    """Start Docker's daemon once per module."""
    with started_docker(needs) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def slowness() -> float:
    """Measure how many times slower than a usual machine this one runs Python: at least 1, about 20 if emulated.

    For the few tests with a time budget.
    """

    def seconds() -> float:
        began = time.perf_counter()
        total = 0
        for number in range(200_000):
            total += number & 7
        return time.perf_counter() - began

    return max(1.0, min(seconds() for _ in range(5)) / 0.01)
