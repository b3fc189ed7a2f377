"""What someone who knows Docker types all day, through us, podman and Docker: the same exit codes and output.

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
from tests.dockerd import DockerDaemon
from tests.leaks import children, end_groups, wait_for_children
from tests.oracle import everyday

GROUP = "pyctr-everyday"
LEAST = {"podman": 330, "Docker": 400}
"""How many lines are to do the same."""
NO_NETWORK = ("--network", "none")


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
    """One of those who are compared: how a command line is run. `options` are what `run` and `create` need."""

    failures: tuple[int, ...] = ()
    """The exit codes of a request that failed, of any command but `run`, besides Docker's 1."""

    def __init__(
        self, prefix: list[str], here: Path, options: tuple[str, ...] = (), env: dict[str, str] | None = None
    ):
        self.prefix, self.here, self.options, self.env = prefix, here, options, env
        here.mkdir()

    def __call__(self, line: str) -> Outcome:
        command, _, given = line.partition(" << ")
        words = shlex.split(command.replace("HERE", str(self.here)))
        if words[0] in ("run", "create") and len(words) > 1:
            words[1:1] = self.options if "--network" in words else (*self.options, *NO_NETWORK)
        done = subprocess.run(
            [*self.prefix, *words],
            env=self.env,
            stdin=None if given else subprocess.DEVNULL,
            input=f"{given}\n" if given else None,
            capture_output=True,
            text=True,
            timeout=60,
        )
        code = 1 if words[0] != "run" and done.returncode in self.failures else done.returncode
        output = normal(done.stdout.replace(str(self.here), "HERE"))
        if words[0] == "diff":
            output = "\n".join(sorted(output.splitlines()))  # Docker has no order
        elif words[0] == "top":
            output = re.sub(r"\b\d+ *", "PID ", output)
        return Outcome(code, output, bool(code and done.stderr))

    def all(self, lines: list[str]) -> list[Outcome]:
        return [self(line) for line in lines]


class Podman(Side):
    failures = (2, 125, 255)


def normal(text: str) -> str:
    """A text without what differs from run to run, and without podman's registries."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "ID", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "SHORT-ID", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", "TIME", text)
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
    yield Podman(command, tmp_path / "podman", ("--cgroup-parent", f"/{GROUP}"), environment)
    for words in (["rm", "-f", "-a", "-v", "-t", "0"], ["volume", "prune", "-f"]):
        subprocess.run([*command, *words], env=environment, capture_output=True, check=True)
    wait_for_children(besides=before, seconds=20)
    end_groups(GROUP, only_empty=False)


@pytest.fixture(scope="module")
def docker_image(docker_daemon: DockerDaemon, busybox_tar: Path) -> None:
    """The same busybox, with Docker's daemon."""
    words = ["import", "-c", 'CMD ["sh"]', str(busybox_tar), "busybox:latest"]
    subprocess.run(docker_daemon.command(*words), capture_output=True, check=True)


@pytest.fixture
def docker(docker_daemon: DockerDaemon, docker_image: None, tmp_path: Path) -> Iterator[Side]:
    """Docker, and nobody's settings; what it leaves running is gone before the test's end is looked at."""
    before = children()
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DOCKER_CONFIG": str(tmp_path / "config")}
    yield Side(docker_daemon.command(), tmp_path / "docker", env=environment)
    docker_daemon.clear(besides="busybox:latest")
    wait_for_children(besides=before, seconds=20)
    end_groups(docker_daemon.group, only_empty=True)


@pytest.fixture
def ours(pyctr: Pyctr, tmp_path: Path) -> Side:
    return Side(pyctr.command(), tmp_path / "ours")


@pytest.mark.parametrize("scenario", everyday.SCENARIOS)
def test_everyday_command_lines_do_what_they_do_with_podman(podman: Side, ours: Side, scenario: str) -> None:
    compare(ours, podman, scenario, "podman", podman("--version").output.split()[-1])


@pytest.mark.parametrize("scenario", everyday.SCENARIOS)
def test_everyday_command_lines_do_what_they_do_with_docker(docker: Side, ours: Side, scenario: str) -> None:
    compare(ours, docker, scenario, "Docker", docker("version --format '{{.Server.Version}}'").output)


def compare(ours: Side, theirs: Side, scenario: str, name: str, version: str) -> None:
    """Run a scenario on both sides at once: each line does the same, or differs for a reason that is listed."""
    lines = [(line,) if isinstance(line, str) else line for line in everyday.SCENARIOS[scenario]]
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(side.all, [text for text, *_ in lines]) for side in (ours, theirs)]
        outcomes = list(zip(lines, *(each.result() for each in both), strict=True))
    wrong = []
    for (text, *reasons), mine, other in outcomes:
        own = [reason for reason in reasons if reason.startswith(name)]
        if not own and mine != other:
            wrong.append(f"{text}\n  we: {mine}\n  {name}: {other}")
        elif mine == other and any(holds_for(reason, version) for reason in own):
            wrong.append(f"{text}\n  is listed as different ({', '.join(own)}), and is not")
    assert not wrong, "\n" + "\n".join(wrong)


def holds_for(reason: str, version: str) -> bool:
    """Whether a reason is one of this version: "podman 4.3 has no …" is not one of podman 5."""
    named = re.match(r"\w+ (\d+\.\d+)", reason)
    return named is None or version.startswith(named[1] + ".")


def test_there_are_as_many_lines_as_the_engine_is_to_be_measured_by() -> None:
    lines = [(line,) if isinstance(line, str) else line for each in everyday.SCENARIOS.values() for line in each]
    reasons = [[reason.split()[0].removesuffix("'s") for reason in line[1:]] for line in lines]
    assert {name for names in reasons for name in names} == set(LEAST)
    for name, least in LEAST.items():
        assert sum(name not in names for names in reasons) >= least, f"lines that do the same with {name}"
