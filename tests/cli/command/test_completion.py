"""Completion: the candidates, and how bash, zsh and fish show them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_lite.cli.command import overview, verbs
from pyctr_lite.cli.command.candidates import SHELLS
from tests.conftest import Pyctr


@pytest.fixture
def world(pyctr: Pyctr) -> Pyctr:
    """A running container, a stopped one, an image with two names, a volume."""
    pyctr("run", "-d", "--name", "running", "busybox", "sleep", "1000", check=True)
    pyctr("create", "--name", "stopped", "-v", "data:/d", "busybox", check=True)
    pyctr("tag", "busybox", "registry:5000/mine:1", check=True)
    return pyctr


def candidates(pyctr: Pyctr, *args: str) -> list[str]:
    done = pyctr("__complete", "--", *args)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


REST = ["registry:5000/mine:1", "running", "stopped"]


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (["ru"], ["run"]),
        (["--ro"], ["--root"]),
        (["image", "pr"], ["prune"]),
        (["container", "ren"], ["rename"]),
        (["nosuch", ""], []),
        (["run", "--network-a"], ["--network-alias"]),
        (["run", "--network", ""], ["bridge", "container:", "host", "none"]),
        (["network", "rm", ""], []),
        (["run", "--net", "container:r"], ["container:running"]),
        (["run", "--network=h"], ["--network=host"]),
        (["run", "-it", "bus"], ["busybox:latest"]),
        (["run", "reg"], ["registry:5000/mine:1"]),
        (["run", "busybox", ""], [":files"]),
        (["run", "busybox", "--net"], [":files"]),
        (["run", "-v", "da"], [":files", "data:"]),
        (["run", "--rm", "-ie", "A=1", "bus"], ["busybox:latest"]),
        (["run", "--name", ""], []),
        (["run", "--volumes-from", "st"], ["stopped"]),
        (["run", "--env-file", ""], [":files"]),
        (["start", ""], ["stopped"]),
        (["stop", ""], ["running"]),
        (["container", "exec", ""], ["running"]),
        (["exec", "running", ""], [":files"]),
        (["rm", ""], ["running", "stopped"]),
        (["rm", "running", ""], ["stopped"]),
        (["logs", "running", ""], []),
        (["cp", "st"], [":files", "stopped:"]),
        (["rmi", "b"], ["busybox:latest"]),
        (["volume", "rm", ""], ["data"]),
        (["inspect", ""], ["bridge", "busybox:latest", "data", "host", "none", *REST]),
        (["kill", "-s", "USR"], ["USR1", "USR2"]),
        (["kill", "--signal=HU"], ["--signal=HUP"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["image", "bootstrap", "d"], ["debian"]),
        (["ps", "--nosuch", ""], []),
    ],
)
def test_the_last_word_gets_its_candidates(world: Pyctr, args: list[str], found: list[str]) -> None:
    assert candidates(world, *args) == found


def test_every_verb_and_every_flag_is_offered(pyctr: Pyctr) -> None:
    shown = {name for name in verbs.VERBS if not name.startswith("_")}
    assert set(candidates(pyctr, "")) == {name for name in shown if " " not in name} | {*verbs.GROUPS}
    for name in shown:
        options = overview.command(name).options
        flags = {f"--{option.name}" for option in options if not option.hidden}
        assert set(candidates(pyctr, *name.split(), "--")) == flags | {"--help"}, name


def test_a_damaged_or_missing_state_offers_no_names_and_no_error(pyctr: Pyctr, tmp_path: Path) -> None:
    assert candidates(pyctr, "--root", "/nonexistent/x", "rm", "") == []
    (tmp_path / "state/images/index.json").write_text("{")
    assert candidates(pyctr, "run", "b") == []


def test_completion_of_an_unknown_shell_names_the_supported_ones(pyctr: Pyctr) -> None:
    done = pyctr("completion", "tcsh")
    assert (done.returncode, "supported shells: bash, fish, zsh" in done.stderr) == (1, True)
    for shell in SHELLS:
        assert "pyctr_lite" in pyctr("completion", shell, check=True).stdout


def script(pyctr: Pyctr, shell: str, directory: Path) -> tuple[Path, dict[str, str]]:
    """Return a shell's script, and an environment in which `pyctr_lite` is the command under test on its state."""
    (directory / "bin").mkdir()
    (directory / "bin/pyctr_lite").symlink_to(pyctr.launcher)
    file = directory / "script"
    file.write_text(pyctr("completion", shell, check=True).stdout)
    environment = {
        "PATH": f"{directory}/bin:/usr/bin:/bin",
        "PYCTR_LITE_ROOT": str(pyctr.root),
        "HOME": str(directory),
    }
    return file, environment


def asked(command: list[str], environment: dict[str, str], directory: Path) -> list[str]:
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return sorted(done.stdout.split())


CASES = {
    "pyctr_lite volu": ["volume"],
    "pyctr_lite stop ": ["running"],
    "pyctr_lite run --net host bus": ["busybox:latest"],
    "pyctr_lite export -o ./a-fi": ["./a-file"],
}


def test_bash_completes(world: Pyctr, tmp_path: Path) -> None:
    file, environment = script(world, "bash", tmp_path)
    (tmp_path / "a-file").touch()
    program = (
        f'. {file}; COMP_LINE=$1 COMP_POINT=${{#1}}; _pyctr_lite pyctr_lite; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    more = {"pyctr_lite run registry:50": ["5000/mine:1"], "pyctr_lite run --network=ho": ["host"]}
    for line, found in (CASES | more).items():
        assert asked(["bash", "--norc", "-c", program, "bash", line], environment, tmp_path) == found


def test_fish_completes(world: Pyctr, tmp_path: Path, needs: Callable[[str], str]) -> None:
    file, environment = script(world, "fish", tmp_path)
    (tmp_path / "a-file").touch()
    more = {"pyctr_lite run registry:50": ["registry:5000/mine:1"]}
    for line, found in (CASES | more).items():
        command = [needs("fish"), "--no-config", "-c", f"source {file}; complete -C '{line}'"]
        assert asked(command, environment, tmp_path) == found


def test_zsh_completes(world: Pyctr, tmp_path: Path, needs: Callable[[str], str]) -> None:
    file, environment = script(world, "zsh", tmp_path)
    stubs = "compdef() { }; _files() { print a-file }; compadd() { print -l -- ${(P)@[-1]} }"
    program = f'{stubs}; . {file}; words=("${{(@s: :)1}}"); CURRENT=$#words; _pyctr_lite'
    more = {"pyctr_lite run registry:50": ["registry:5000/mine:1"], "pyctr_lite export -o ./a-fi": ["a-file"]}
    for line, found in (CASES | more).items():
        command = [needs("zsh"), "-f", "-c", program, "zsh", line]
        assert asked(command, environment, tmp_path) == found
