"""Fixtures that the security tests share with those of the runtime and of images, and of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.conftest import Pyctr
from tests.images.conftest import make_image, picture, store
from tests.runtime.conftest import box

__all__ = ["box", "make_image", "picture", "store"]
NOBODY = 65534


@pytest.fixture
def reachable(pyctr: Pyctr) -> Iterator[None]:
    """Let other users reach the state directory: pytest makes the directories above it for root alone."""
    modes = {path: path.stat().st_mode for path in pyctr.root.parents}
    for path, mode in modes.items():
        path.chmod(mode | 0o111)
    subprocess.run(["ls", pyctr.root], user=NOBODY, group=NOBODY, extra_groups=[], check=True, capture_output=True)
    yield
    for path, mode in modes.items():
        path.chmod(mode)
