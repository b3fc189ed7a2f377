"""Fixtures for the runtime's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.bundles import Box


@pytest.fixture
def box(tmp_path: Path, needs: Callable[[str], str]) -> Box:
    """Return a bundle as `runc spec` makes it, with busybox."""
    needs("runc")
    (tmp_path / "bundle").mkdir()
    return Box(tmp_path / "bundle")
