"""A disk that is full at some step of a build: a clear error, and nothing is left that grows."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.conftest import Pyctr
from tests.engine.test_full_disk import small  # noqa: F401

DOCKERFILE = """
FROM busybox
WORKDIR /w
COPY . /copied
RUN --mount=type=cache,target=/kept cp -r /copied /again && cp -r /copied /kept
COPY --from=busybox /bin /bin2
"""
CACHES = ("build", "init")
"""Directories of what later builds and containers use; prune removes the former."""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    path = tmp_path / "context"
    path.mkdir()
    (path / "Dockerfile").write_text(DOCKERFILE)
    for number in range(200):
        (path / f"f{number}").write_text("x" * 2000)
    return path


def files(root: Path) -> set[str]:
    """Return all files of a state directory, without those of the caches."""
    while any(path.name.endswith(".removing") for path in (root / "containers").iterdir()):
        time.sleep(0.01)  # the files of a container of --rm go after its end was told
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] not in CACHES
    }


@pytest.mark.timeout(300)
def test_a_disk_that_is_full_at_any_step_is_an_error_and_leaves_nothing(small: Pyctr, context: Path) -> None:  # noqa: F811
    small("run", "--rm", "busybox", "true", check=True)
    before, failed = files(small.root), set()
    for free in (0, 8, 40, 1200, 3000, 5000):  # KiB
        status, fill = os.statvfs(small.root), small.root / "fill"
        with fill.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_bsize - (free << 10) or 1)
        done = small("build", "--progress", "plain", "--no-cache", context)
        fill.unlink()
        lines = done.stderr.splitlines()
        assert done.returncode == 1
        assert sum(line.startswith("pyctr_lite: ") for line in lines) == 1
        assert "pyctr_lite: No space left on device" in done.stderr or "No space left on device" in lines[-12:]
        assert "Traceback" not in done.stderr
        assert "Errno" not in done.stderr
        failed |= {line.split()[0] for line in lines if "ERROR" in line}
        small("builder", "prune", "-af", check=True)
        assert files(small.root) == before
        assert small("ps", "-aq").stdout == ""
    assert failed >= {"#3", "#4", "#5", "#6"}
    small("build", "-t", "it", context, check=True)
    assert small("run", "--rm", "it", "sh", "-c", "ls /copied /again | wc -l").stdout == "405\n"
    assert small("image", "verify").returncode == 0
