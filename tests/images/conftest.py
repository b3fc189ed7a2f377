"""Fixtures: an empty store, and a snapshot of a store, to prove that it did not change."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.images import importer
from pyctr_lite.images.store import ImageStore
from tests.images.archives import directory, entry, tar

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.images.image import Image


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """Return an empty store."""
    return ImageStore(str(tmp_path / "state"))


@pytest.fixture
def make_image(store: ImageStore) -> Callable[..., Image]:
    """Return a function that makes an image of one small layer: `make_image("name", b"content")`."""

    def make(name: str | None = None, content: bytes = b"content") -> Image:
        archive = tar(directory("d"), entry("d/file", content))
        return importer.import_rootfs(store, io.BytesIO(archive), name)

    return make


@pytest.fixture
def picture(store: ImageStore) -> Callable[[], dict[str, str]]:
    """Return a function that returns the digest of every file of the store, by path, staged files included."""

    def take() -> dict[str, str]:
        root = Path(store.root)
        return {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }

    return take
