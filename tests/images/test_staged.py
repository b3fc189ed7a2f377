"""Layers that are unpacked upon layers of the store, while another command removes these."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.images import archive, unpack
from tests.images.archives import config, digest, directory, docker_archive, entry, tar

if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.images.store import ImageStore


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_lower_layer_that_is_removed_meanwhile_is_unpacked_again(
    store: ImageStore, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upper layer copies the attributes of /d, which its archive lacks, from the lower one."""
    lower, upper = tar(directory("d", mode=0o710, uid=7)), tar(entry("d/file", b"x"))
    both = docker_archive([lower, upper], ["both:1"], config_content=config(digest(lower), digest(upper)))
    archive.load(store, io.BytesIO(docker_archive([lower], ["lower:1"])))
    unpacked, calls = unpack.unpack, []

    def remove_first(stream: Any, target: str, lowers: list[str]) -> str:
        calls.append(list(lowers))
        if len(calls) == 1 and moment == "before":
            store.remove("lower:1")
        found = unpacked(stream, target, lowers)
        if len(calls) == 1 and moment == "after":
            store.remove("lower:1")
        return found

    monkeypatch.setattr(unpack, "unpack", remove_first)
    assert archive.load(store, io.BytesIO(both)) == ["both:1"]
    assert len(calls) == 3, "the upper one, and then both"
    assert calls[0] == [f"{store.layers}/{digest(lower).removeprefix('sha256:')}"]
    (made,) = (path for path in Path(store.layers).iterdir() if (path / "d/file").exists())
    status = (made / "d").stat()
    assert (status.st_mode & 0o7777, status.st_uid) == (0o710, 7)
