"""Archives with changed, removed or inserted bytes: each is loaded or refused in one line; the store stays."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctr_lite.errors import PyctrError
from pyctr_lite.images import archive
from pyctr_lite.images.store import ImageStore
from pyctr_lite.rootfs import layer as layers
from tests.images.archives import directory, docker_archive, entry, hardlink, symlink, tar

LAYER = tar(
    directory("d", mode=0o2770),
    entry("d/file", b"content", pax_headers={"SCHILY.xattr.user.colour": "red", "mtime": "1.5"}),
    hardlink("again", "d/file"),
    symlink("link", "../../outside"),
    entry("d/.wh.gone"),
    entry("d/.wh..wh..opq"),
    entry("long/" + "n" * 120, b"x" * 600),
)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "insert"]), st.integers(0, 1 << 20), st.binary(min_size=1, max_size=8)
    ),
    min_size=1,
    max_size=4,
)
SETTINGS = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def mutated(content: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for kind, offset, data in changes:
        start = offset % (len(content) + 1)
        end = start if kind == "insert" else start + len(data)
        content = content[:start] + (b"" if kind == "cut" else data) + content[end:]
    return content


@SETTINGS
@given(CHANGES)
def test_a_mutated_layer_is_unpacked_or_refused(tmp_path: Path, changes: list[tuple[str, int, bytes]]) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(exist_ok=True)
    target = tmp_path / f"layer-{os.urandom(6).hex()}"
    target.mkdir()
    refused = ""
    try:
        layers.apply_layer(io.BytesIO(mutated(LAYER, changes)), str(target))
    except PyctrError as error:
        refused = error.message
    assert "\n" not in refused
    assert list(outside.iterdir()) == []


@SETTINGS
@given(CHANGES, st.booleans())
def test_a_mutated_image_archive_is_loaded_or_refused(
    store: ImageStore,
    make_image: Callable[..., object],
    picture: Callable[[], dict[str, str]],
    changes: list[tuple[str, int, bytes]],
    compressed: bool,
) -> None:
    if not store.list():
        make_image("other")
    before = picture()
    content = docker_archive([LAYER], ["changed:1"])
    content = mutated(gzip.compress(content, mtime=0) if compressed else content, changes)
    refused = ""
    try:
        archive.load(store, io.BytesIO(content))
    except PyctrError as error:
        refused = error.message
    assert "\n" not in refused
    if refused:
        assert picture() == before
    else:
        for image in store.list():
            if "other:latest" not in image.references:
                store.remove(image.id)
        assert store.get("other")
