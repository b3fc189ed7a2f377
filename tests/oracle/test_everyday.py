"""Everyday command lines of a Docker user, run by pyctr_lite, podman and Docker: the same exit codes and output.

Ids are not compared, nor the texts of errors (only that there is one). General differences of podman are
normalized first: for a failed request it exits with 125 or 2, Docker's client with 1, and its image names begin
with a registry.
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
MIN_EQUAL = {"podman": 330, "Docker": 400}
"""The minimum number of lines that do the same."""
NO_NETWORK = ("--network", "none")


@dataclass(frozen=True)
class Outcome:
    """The compared result of a command: exit code, stdout, and for a failure whether stderr has a message."""

    code: int
    output: str
    has_message: bool

    def __str__(self) -> str:
        return f"exit {self.code}{'' if self.has_message else ', stderr is empty'}\n    | " + self.output.replace(
            "\n", "\n    | "
        )


class Side:
    """One of the compared engines. `options` are the flags that `run` and `create` need.

    If it is `isolated`, its containers have no network, unless the line names one.
    """

    failures: tuple[int, ...] = ()
    """The exit codes of a failed request, besides Docker's 1, of any command but `run`."""

    def __init__(
        self,
        prefix: list[str],
        here: Path,
        options: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        *,
        isolated: bool = True,
    ):
        self.prefix, self.here, self.options, self.env, self.isolated = prefix, here, options, env, isolated
        here.mkdir()

    def __call__(self, line: str) -> Outcome:
        command, _, given = line.partition(" << ")
        args = shlex.split(command.replace("HERE", str(self.here)))
        if args[0] in ("run", "create") and len(args) > 1:
            args[1:1] = self.options if "--network" in args or not self.isolated else (*self.options, *NO_NETWORK)
        done = subprocess.run(
            [*self.prefix, *args],
            env=self.env,
            stdin=None if given else subprocess.DEVNULL,
            input=f"{given}\n" if given else None,
            capture_output=True,
            text=True,
            timeout=60,
        )
        code = 1 if args[0] != "run" and done.returncode in self.failures else done.returncode
        output = normal(done.stdout.replace(str(self.here), "HERE"))
        if args[0] in ("diff", "port"):
            output = "\n".join(sorted(output.splitlines()))  # Docker prints them in any order
        elif args[0] == "top":
            output = re.sub(r"\b\d+ *", "PID ", output)
        return Outcome(code, output, bool(code and done.stderr))

    def all(self, lines: list[str]) -> list[Outcome]:
        return [self(line) for line in lines]


class Podman(Side):
    failures = (2, 125, 255)


def normal(text: str) -> str:
    """Normalize a text: replace ids and times, and drop podman's registries and Docker's word on the machine."""
    text = text.replace("IPv4 forwarding is disabled. Networking will not work.", "")
    text = re.sub(r"\b[0-9a-f]{64}\b", "ID", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "SHORT-ID", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", "TIME", text)
    return text.replace("sha256:ID", "ID").replace("docker.io/library/", "").replace("localhost/", "").rstrip()


@pytest.fixture(scope="module")
def podman_store(needs: Callable[[str], str], busybox_tar: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """podman's command on its own storage with the same busybox, and its environment."""
    program, runc = needs("podman"), needs("runc")
    directory = Path(
        tempfile.mkdtemp(prefix="podman-")
    )  # the path of its run directory has a limit of 50 characters
    # Debian's default asks for more open files than a machine without CAP_SYS_RESOURCE can give.
    limits = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
    (directory / "containers.conf").write_text(limits)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CONTAINERS_CONF": str(directory / "containers.conf")}
    directories = {"root": directory / "root", "runroot": directory / "run", "tmpdir": directory / "tmp"}
    command = [program, *(f"--{name}={path}" for name, path in directories.items()), "--storage-driver=overlay"]
    command += [f"--runtime={runc}", "--cgroup-manager=cgroupfs", "--events-backend=file"]
    args = ["import", "--quiet", "-c", 'CMD ["sh"]', str(busybox_tar), "busybox:latest"]
    subprocess.run([*command, *args], env=environment, capture_output=True, check=True)
    yield command, environment
    subprocess.run([*command, "rm", "-f", "-a", "-t", "0"], env=environment, capture_output=True, check=True)
    subprocess.run(["umount", "--lazy", directory / "root/overlay"], check=False, capture_output=True)
    shutil.rmtree(directory)


@pytest.fixture
def podman(podman_store: tuple[list[str], dict[str, str]], tmp_path: Path) -> Iterator[Side]:
    """podman. Its processes are ended before the test's check for leaks."""
    command, environment = podman_store
    before = children()
    yield Podman(command, tmp_path / "podman", ("--cgroup-parent", f"/{GROUP}"), environment)
    for args in (["rm", "-f", "-a", "-v", "-t", "0"], ["volume", "prune", "-f"]):
        subprocess.run([*command, *args], env=environment, capture_output=True, check=True)
    wait_for_children(known=before, seconds=20)
    end_groups(GROUP, only_empty=False)


@pytest.fixture(scope="module")
def docker_image(docker_daemon: DockerDaemon, busybox_tar: Path) -> None:
    """The same busybox, with Docker's daemon."""
    args = ["import", "-c", 'CMD ["sh"]', str(busybox_tar), "busybox:latest"]
    subprocess.run(docker_daemon.command(*args), capture_output=True, check=True)


@pytest.fixture
def docker(docker_daemon: DockerDaemon, docker_image: None, tmp_path: Path) -> Iterator[Side]:
    """Docker without a user's settings. Its processes are ended before the test's check for leaks."""
    before = children()
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DOCKER_CONFIG": str(tmp_path / "config")}
    yield Side(docker_daemon.command(), tmp_path / "docker", env=environment)
    docker_daemon.clear(keep="busybox:latest")
    wait_for_children(known=before, seconds=20)
    end_groups(docker_daemon.group, only_empty=True)


@pytest.fixture
def ours(pyctr: Pyctr, tmp_path: Path) -> Side:
    return Side(pyctr.command(), tmp_path / "ours")


@pytest.mark.parametrize("scenario", everyday.SCENARIOS)
def test_everyday_command_lines_do_the_same_as_with_podman(podman: Side, ours: Side, scenario: str) -> None:
    compare(ours, podman, everyday.SCENARIOS[scenario], "podman", podman("--version").output.split()[-1])


@pytest.mark.parametrize("scenario", everyday.SCENARIOS)
def test_everyday_command_lines_do_the_same_as_with_docker(docker: Side, ours: Side, scenario: str) -> None:
    compare(
        ours,
        docker,
        everyday.SCENARIOS[scenario],
        "Docker",
        docker("version --format '{{.Server.Version}}'").output,
    )


def compare(ours: Side, theirs: Side, scenario: list[everyday.Line], name: str, version: str) -> None:
    """Run a scenario's lines on both sides at once: each does the same, or differs for a listed reason."""
    lines = [(line,) if isinstance(line, str) else line for line in scenario]
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
    """Return whether a reason applies to this version: "podman 4.3 has no …" does not apply to podman 5."""
    named = re.match(r"\w+ (\d+\.\d+)", reason)
    return named is None or version.startswith(named[1] + ".")


def test_the_minimum_number_of_equal_lines_is_met() -> None:
    lines = [(line,) if isinstance(line, str) else line for each in everyday.SCENARIOS.values() for line in each]
    reasons = [[reason.split()[0].removesuffix("'s") for reason in line[1:]] for line in lines]
    assert {name for names in reasons for name in names} == set(MIN_EQUAL)
    for name, minimum in MIN_EQUAL.items():
        assert sum(name not in names for names in reasons) >= minimum, f"lines that do the same with {name}"
