"""Fixtures: a client of the Python API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_lite.engine.api.client import Client


@pytest.fixture
def client(root: Path) -> Iterator[Client]:
    """A client of the test's state directory."""
    with Client(str(root)) as made:
        yield made
