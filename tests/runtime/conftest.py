"""Bundles for the runtime's tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runtime.bundles import Box


@pytest.fixture
def box(tmp_path: Path, needs: Callable[[str], str]) -> Box:
    """A bundle as `runc spec` makes it, with busybox."""
    needs("runc")
    (tmp_path / "bundle").mkdir()
    return Box(tmp_path / "bundle")


@pytest.fixture
def open_box(needs: Callable[[str], str]) -> Iterator[Box]:
    """The same where any user may go: pytest's own directories are closed to a user namespace's root."""
    needs("runc")
    directory = Path(tempfile.mkdtemp(prefix="pyctr-box-", dir="/tmp"))
    directory.chmod(0o755)
    yield Box(directory)
    shutil.rmtree(directory)
