"""What someone who knows Docker types all day, through us and through podman: the same exit codes and output.

Not compared are ids, and the words of errors (only that there are some). What podman has in general is put right
before: it ends with 125 or 2 where Docker's client ends with 1 for a request that failed, and its image names have
a registry before them.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Pyctr
from tests.leaks import children, end_groups, wait_for_children
from tests.oracle import everyday

GROUP = "pyctr-everyday"
LEAST = 150


@dataclass(frozen=True)
class Outcome:
    """What is compared of a command: exit code, stdout, and of a failure whether stderr tells something."""

    code: int
    output: str
    tells: bool

    def __str__(self) -> str:
        return f"exit {self.code}{'' if self.tells else ', stderr is empty'}\n    | " + self.output.replace(
            "\n", "\n    | "
        )


class Side:
    """One of the two: how a command line is run."""

    def __init__(
        self, prefix: list[str], here: Path, options: tuple[str, ...] = (), env: dict[str, str] | None = None
    ):
        self.prefix, self.here, self.options, self.env = prefix, here, options, env
        here.mkdir()

    def __call__(self, line: str) -> Outcome:
        command, _, given = line.partition(" << ")
        words = shlex.split(command.replace("HERE", str(self.here)))
        if words[0] in ("run", "create") and self.options and "--network" not in words:
            words[1:1] = ["--network", "none"]
        if words[0] in ("run", "create") and len(words) > 1:
            words[1:1] = self.options
        done = subprocess.run(
            [*self.prefix, *words],
            env=self.env,
            stdin=None if given else subprocess.DEVNULL,
            input=f"{given}\n" if given else None,
            capture_output=True,
            text=True,
            timeout=60,
        )
        code = done.returncode
        if self.options and words[0] != "run" and code in (2, 125, 255):
            code = 1
        return Outcome(code, normal(done.stdout.replace(str(self.here), "HERE")), bool(code and done.stderr))

    def all(self, lines: list[str]) -> list[Outcome]:
        return [self(line) for line in lines]


def normal(text: str) -> str:
    """A text without what differs from run to run, and without podman's registries."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "ID", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "SHORT-ID", text)
    return text.replace("sha256:ID", "ID").replace("docker.io/library/", "").replace("localhost/", "").rstrip()


@pytest.fixture(scope="module")
def podman_store(needs: Callable[[str], str], busybox_tar: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """podman's command on a storage of its own with the same busybox, and its environment."""
    program, runc = needs("podman"), needs("runc")
    directory = Path(tempfile.mkdtemp(prefix="podman-"))  # its run directory may have 50 characters
    # Debian's default asks for more open files than a machine without CAP_SYS_RESOURCE can give.
    limits = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
    (directory / "containers.conf").write_text(limits)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CONTAINERS_CONF": str(directory / "containers.conf")}
    places = {"root": directory / "root", "runroot": directory / "run", "tmpdir": directory / "tmp"}
    command = [program, *(f"--{name}={path}" for name, path in places.items()), "--storage-driver=overlay"]
    command += [f"--runtime={runc}", "--cgroup-manager=cgroupfs", "--events-backend=file"]
    words = ["import", "--quiet", "-c", 'CMD ["sh"]', str(busybox_tar), "busybox:latest"]
    subprocess.run([*command, *words], env=environment, capture_output=True, check=True)
    yield command, environment
    subprocess.run([*command, "rm", "-f", "-a", "-t", "0"], env=environment, capture_output=True, check=True)
    subprocess.run(["umount", "--lazy", directory / "root/overlay"], check=False, capture_output=True)
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def busybox_tar(launcher: Path, busybox_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root file system of our busybox:latest as a tar archive."""
    directory = tmp_path_factory.mktemp("busybox-tar")
    subprocess.run(["cp", "-a", busybox_store, directory / "state"], check=True)
    pyctr = Pyctr(launcher, directory / "state")
    pyctr("create", "--name", "box", "busybox", check=True)
    pyctr("export", "-o", str(directory / "busybox.tar"), "box", check=True)
    pyctr("rm", "box", check=True)
    end_groups(f"pyctr_lite-{directory.name}", only_empty=True)
    return directory / "busybox.tar"


@pytest.fixture
def podman(podman_store: tuple[list[str], dict[str, str]], tmp_path: Path) -> Iterator[Side]:
    """podman; what it leaves running is gone before the test's end is looked at."""
    command, environment = podman_store
    before = children()
    yield Side(command, tmp_path / "podman", ("--cgroup-parent", f"/{GROUP}"), environment)
    for words in (["rm", "-f", "-a", "-v", "-t", "0"], ["volume", "prune", "-f"]):
        subprocess.run([*command, *words], env=environment, capture_output=True, check=True)
    wait_for_children(besides=before, seconds=20)
    end_groups(GROUP, only_empty=False)


@pytest.fixture
def ours(pyctr: Pyctr, tmp_path: Path) -> Side:
    return Side(pyctr.command(), tmp_path / "ours")


@pytest.mark.parametrize("scenario", everyday.SCENARIOS)
def test_everyday_command_lines_do_what_they_do_with_podman(ours: Side, podman: Side, scenario: str) -> None:
    version = podman("--version").output.split()[-1]
    lines = everyday.SCENARIOS[scenario]
    texts = [line if isinstance(line, str) else line[0] for line in lines]
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(side.all, texts) for side in (ours, podman)]
        outcomes = list(zip(lines, *(each.result() for each in both), strict=True))
    wrong = []
    for line, mine, theirs in outcomes:
        if isinstance(line, str) and mine != theirs:
            wrong.append(f"{line}\n  we: {mine}\n  podman: {theirs}")
        elif not isinstance(line, str) and mine == theirs and holds_for(line[1], version):
            wrong.append(f"{line[0]}\n  is listed as different ({line[1]}), and is not")
    assert not wrong, "\n" + "\n".join(wrong)


def holds_for(reason: str, version: str) -> bool:
    """Whether a reason is one of this version of podman."""
    named = re.search(r"podman (\d+\.\d+)", reason)
    return named is None or version.startswith(named[1] + ".")


def test_there_are_as_many_lines_as_the_engine_is_to_be_measured_by() -> None:
    lines = [line for scenario in everyday.SCENARIOS.values() for line in scenario]
    assert sum(isinstance(line, str) for line in lines) >= LEAST
    assert all(line[1] for line in lines if not isinstance(line, str))
