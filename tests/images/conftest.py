"""A store of the test's own, and a picture of one, to show that it is as it was."""

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
    """An empty store."""
    return ImageStore(str(tmp_path / "state"))


@pytest.fixture
def make_image(store: ImageStore) -> Callable[..., Image]:
    """`make_image("name", b"content")`: an image of one small layer."""

    def make(name: str | None = None, content: bytes = b"content") -> Image:
        archive = tar(directory("d"), entry("d/file", content))
        return importer.import_rootfs(store, io.BytesIO(archive), name)

    return make


@pytest.fixture
def picture(store: ImageStore) -> Callable[[], dict[str, str]]:
    """All files of the store's directory with the digests of their contents; nothing staged may be among them."""

    def take() -> dict[str, str]:
        root = Path(store.root)
        return {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }

    return take
