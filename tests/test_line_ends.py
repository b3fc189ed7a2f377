"""Line ends: every text file of a clone has LF, however git is configured on that computer."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
WINDOWS = ["-c", "core.autocrlf=true", "-c", "core.eol=crlf"]
"""The setting of Git for Windows, and the stricter `core.eol`."""


def git(*words: str | Path, directory: Path = REPOSITORY) -> str:
    command = ["git", "-C", str(directory), "-c", "safe.directory=*", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """List the repository's files. Skips the tests in a copy without .git."""
    if not (REPOSITORY / ".git").exists() or not shutil.which("git"):
        pytest.skip("this folder is a copy without .git, or git is not installed")
    return [name for name in git("ls-files", "-z").split("\0") if name and os.path.lexists(REPOSITORY / name)]


def test_every_text_file_is_stored_and_checked_out_with_lf(tracked: list[str]) -> None:
    wrong = []
    for line in git("ls-files", "-z", "--eol").split("\0"):
        ends, _, name = line.partition("\t")
        if name not in tracked:
            continue
        index, worktree, *attributes = ends.split()
        is_binary = index == "i/-text" and "attr/-text" in attributes
        has_lf = index in ("i/lf", "i/none") and worktree in ("w/lf", "w/none") and "eol=lf" in attributes
        if not is_binary and not has_lf:
            wrong.append(line)
    assert wrong == []


def test_a_clone_made_on_windows_has_lf_in_every_text_file(tracked: list[str], tmp_path: Path) -> None:
    """The clone is made of the working tree as it is now, with .gitattributes: HEAD may be older."""
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--shared", "--no-checkout", REPOSITORY, clone, directory=tmp_path)
    archive = subprocess.run(
        ["tar", "-cf", "-", "--null", "--no-recursion", "-T", "-"],
        cwd=REPOSITORY,
        input="\0".join(tracked).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    subprocess.run(["tar", "-xf", "-"], cwd=clone, input=archive.stdout, check=True)
    git("add", "--all", directory=clone)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    git(*identity, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", "as it is", directory=clone)
    windows = tmp_path / "windows"
    git(*WINDOWS, "clone", "--quiet", clone, windows, directory=tmp_path)
    with_cr = [
        name for name in tracked if not (windows / name).is_symlink() and b"\r\n" in (windows / name).read_bytes()
    ]
    assert with_cr == []
    assert subprocess.run(["sh", "-n", windows / "make/setup.sh"]).returncode == 0
    git(*WINDOWS, "diff", "--exit-code", "--quiet", directory=windows)
