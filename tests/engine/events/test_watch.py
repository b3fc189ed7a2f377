"""A watch reports changes in a directory after its creation, and waits if there are none."""

from __future__ import annotations

import os
import resource
import subprocess
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.engine.events import watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda directory: (directory / "file").write_text("more"),
    "made": lambda directory: (directory / "new").touch(),
    "replaced": lambda directory: (directory / "other").rename(directory / "file"),
    "moved away": lambda directory: directory.rename(directory.with_name("elsewhere")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_ends_the_wait(tmp_path: Path, change: str) -> None:
    directory = tmp_path / "watched"
    directory.mkdir()
    (directory / "file").touch()
    (directory / "other").touch()
    with watch.Watch(str(directory)) as changes:
        assert changes.wait(0.01) is False
        CHANGES[change](directory)
        assert changes.wait(60) is True
        assert changes.wait(0.01) is False


def test_the_end_of_a_process_ends_the_wait(tmp_path: Path) -> None:
    with watch.Watch(str(tmp_path)) as changes, subprocess.Popen(["sleep", "100"]) as process:
        pidfd = os.pidfd_open(process.pid)
        assert changes.wait(0.01, pidfd=pidfd) is False
        process.kill()
        assert changes.wait(5, pidfd=pidfd) is True
        os.close(pidfd)


def test_a_missing_directory_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        watch.Watch(str(tmp_path / "missing"))
    assert caught.value.filename == str(tmp_path / "missing")
    assert "inotify_add_watch" in str(caught.value)


def test_without_inotify_a_wait_ends_now_and_then(tmp_path: Path) -> None:
    limits, taken = resource.getrlimit(resource.RLIMIT_NOFILE), os.dup(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken, limits[1]))
    try:
        changes = watch.Watch(str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        os.close(taken)
    with changes:
        assert changes.wait(0.01) is False
        assert changes.wait(60) is True
        assert changes.wait() is True
