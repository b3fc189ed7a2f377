"""`cp`, in each combination of source and destination, compared with Docker's own client and daemon."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Pyctr
from tests.dockerd import DockerDaemon
from tests.leaks import children, end_groups, wait_for_children
from tests.oracle import copying
from tests.oracle.test_everyday import docker_image

__all__ = ["docker_image"]

Outcome = tuple[int, str, list[str]]
"""Exit code, message, and the listing of the case's directory afterwards."""


class Side:
    """One of the two engines: its command, and the cases run by it."""

    def __init__(self, command: Callable[..., list[str]], here: Path) -> None:
        self.command, self.here = command, here
        here.mkdir()

    def run(self, *args: str, input: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        given = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        return subprocess.run(self.command(*args), capture_output=True, timeout=300, **given)  # type: ignore[call-overload,no-any-return]

    def must(self, *args: str, input: bytes | None = None) -> bytes:
        done = self.run(*args, input=input)
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout

    def message(self, done: subprocess.CompletedProcess[bytes]) -> str:
        """Return the first line of an error, without the program's name and the test's directory."""
        line = done.stderr.decode().partition("\n")[0].replace(str(self.here), "HERE")
        for prefix in ("Error response from daemon: ", "pyctr_lite: ", "Error: "):
            line = line.removeprefix(prefix)
        line = re.sub(r"^lstat .*/overlay2/.*: not a directory$", "not a directory", line)
        line = re.sub(r"^Error processing tar file\(exit status 1\): ", "", line)
        line = re.sub(r"(cannot overwrite .* with directory) .*", r"\1", line)
        missing = re.fullmatch(r"No such container:path: (\w+):(.*)", line)  # Docker 20.10
        return f"Could not find the file {missing[2]} in container {missing[1]}" if missing else line

    def into(self, running: bool, part: int) -> list[Outcome]:
        """Run the cases of a part from the host into a container."""
        copying.make(self.here / "source", copying.SOURCE)
        cases = list(copying.cases(part))
        self.start("in", running, {f"cases/{number}": copying.TREE for number in range(len(cases))})
        outcomes = []
        for number, (flags, source, destination) in enumerate(cases):
            done = self.run("cp", *flags, f"{self.here}/source/{source}", f"in:/cases/{number}/{destination}")
            outcomes.append((done.returncode, self.message(done).replace(f"/cases/{number}/", "CASE/")))
        found = copying.listing(self.must("cp", "in:/cases", "-"))
        return [(*outcome, found.get(str(number), [])) for number, outcome in enumerate(outcomes)]

    def out(self, running: bool, part: int) -> list[Outcome]:
        """Run the cases of a part from a container to the host."""
        cases = list(copying.cases(part))
        self.start("out", running, {"cases/source": copying.SOURCE})
        outcomes = []
        for number, (flags, source, destination) in enumerate(cases):
            directory = self.here / "cases" / str(number)
            copying.make(directory, copying.TREE)
            done = self.run("cp", *flags, f"out:/cases/source/{source}", f"{directory}/{destination}")
            message = self.message(done).replace(f"HERE/cases/{number}/", "CASE/")
            outcomes.append((done.returncode, message, copying.listing_of(directory)))
        return outcomes

    def start(self, name: str, running: bool, trees: dict[str, list[tuple[str, str, str]]]) -> None:
        self.must("create", "--name", name, "--network", "none", "busybox", "sleep", "1000")
        self.must("cp", "-a", "-", f"{name}:/", input=copying.archive({"cases": [], "cases/far": []} | trees))
        if running:
            self.must("start", name)


@pytest.fixture
def docker(docker_daemon: DockerDaemon, docker_image: None, tmp_path: Path) -> Iterator[Side]:
    before = children()
    yield Side(docker_daemon.command, tmp_path / "docker")
    docker_daemon.clear(keep="busybox:latest")
    wait_for_children(known=before, seconds=20)
    end_groups(docker_daemon.group, only_empty=True)


@pytest.fixture
def ours(pyctr: Pyctr, tmp_path: Path) -> Side:
    return Side(pyctr.command, tmp_path / "ours")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("direction", ["into", "out"])
def test_each_source_is_copied_to_where_docker_copies_it(
    ours: Side, docker: Side, direction: str, running: bool
) -> None:
    part = 2 * (direction == "out") + running
    with ThreadPoolExecutor(2) as pool:
        mine, theirs = pool.map(lambda side: getattr(side, direction)(running, part), (ours, docker))
    wrong = []
    for case, our, their in zip(copying.cases(part), mine, theirs, strict=True):
        if not (direction == "into" and "-a" in case[0]):
            our, their = (without_owners(outcome) for outcome in (our, their))
        reason = copying.difference(direction, *case)
        if reason and our == their:
            wrong.append(f"{case}\n  is listed as different ({reason}), and is not")
        elif not reason and our != their:
            wrong.append(f"{case}\n  we     {our[0]} {our[1]}\n  Docker {their[0]} {their[1]}")
            wrong += [
                f"      {sign} {line}"
                for sign, a, b in (("-", their, our), ("+", our, their))
                for line in a[2]
                if line not in b[2]
            ]
    assert not wrong, "\n" + "\n".join(wrong)


def without_owners(outcome: Outcome) -> Outcome:
    """Drop the owners. They are compared only with -a: otherwise ours follow Docker's manual, not its daemon."""
    code, message, lines = outcome
    return code, message, [re.sub(r" \d+:\d+ ", " ", line) for line in lines]
