"""A killed writer and a full disk: the store is unchanged, and the next writer cleans up."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite import linux
from pyctr_lite.images import archive, importer
from pyctr_lite.images.store import ImageStore
from tests.images.archives import docker_archive, entry, tar
from tests.images.samples import LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyctr_lite.images.image import Image

    Picture = Callable[[], dict[str, str]]

IMPORT = """
import sys
from pyctr_lite.images import importer
from pyctr_lite.images.store import ImageStore
importer.import_rootfs(ImageStore(sys.argv[1]), "-", "killed")
"""


def test_leftovers_of_a_killed_import_are_removed_by_the_next_write(
    store: ImageStore, make_image: Callable[..., Image]
) -> None:
    make_image("already")
    content = tar(entry("big", os.urandom(4 << 20)))
    with subprocess.Popen([sys.executable, "-c", IMPORT, store.root], stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(content[: 3 << 20])  # the writer stores a part of the archive, and waits for more
        process.stdin.flush()
        (left,) = os.listdir(f"{store.root}/staging")
        make_image("meanwhile", b"other")  # keeps the staging directory of a living process
        assert left in os.listdir(f"{store.root}/staging")
        process.send_signal(signal.SIGKILL)
        process.stdin.close()
        process.wait()
    assert left in os.listdir(f"{store.root}/staging")
    assert [image.references for image in store.list()] == [["already:latest"], ["meanwhile:latest"]]
    store.tag("already", "other")
    assert os.listdir(f"{store.root}/staging") == []


# Kills itself at the n-th rename or unlink, the steps that change the store.
KILLED_AT = """
import os, signal, sys
from pyctr_lite.images import archive
from pyctr_lite.images.store import ImageStore
left = int(sys.argv[3])
def dying(function):
    def call(*arguments, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call
store = ImageStore(sys.argv[1])
os.rename, os.unlink = dying(os.rename), dying(os.unlink)
if sys.argv[2] == "load":
    archive.load(store, "-")
else:
    store.remove("tool:v1")
"""


@pytest.mark.parametrize("verb", ["load", "remove"])
def test_a_writer_killed_at_any_step_leaves_the_store_intact(
    store: ImageStore, make_image: Callable[..., Image], verb: str
) -> None:
    base = make_image("already")
    content = docker_archive(LAYERS, ["tool:v1"])
    for steps in range(40):
        if verb == "remove":
            archive.load(store, io.BytesIO(content))
        command = [sys.executable, "-c", KILLED_AT, store.root, verb, str(steps)]
        killed = subprocess.run(command, input=content, check=False).returncode == -signal.SIGKILL
        names = [name for image in store.list() for name in image.references]
        assert "already:latest" in names
        for image in store.list():
            assert len(store.layer_directories(image)) == len(image.layers)
        archive.load(store, io.BytesIO(content))  # succeeds whatever the killed process left
        assert Path(store.layer_directories(store.get("tool:v1"))[2], "top").read_bytes() == b"third"
        if not killed:
            break
        store.remove("tool:v1")
    assert not killed
    assert steps > 4
    assert store.layer_directories(base)
    assert os.listdir(f"{store.root}/staging") == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 8 MiB, and yield its path."""
    path = tmp_path / "disk"
    path.mkdir()
    linux.mount("tmpfs", str(path), "tmpfs", 0, "size=8m")
    yield path
    linux.umount2(str(path))


@pytest.mark.parametrize("size", [3 << 20, 5 << 20, 9 << 20])
def test_a_full_disk_is_an_error_and_leaves_the_store_unchanged(small_disk: Path, size: int) -> None:
    store = ImageStore(str(small_disk / "state"))
    first = importer.import_rootfs(store, io.BytesIO(tar(entry("f", b"content" * 1000))), "already")
    before = sorted(path for path in small_disk.rglob("*"))
    content = tar(entry("one", os.urandom(size // 2)), entry("two", os.urandom(size // 2)))
    if size == 3 << 20:
        importer.import_rootfs(store, io.BytesIO(content), "fits")
        store.remove("fits")
    else:
        with pytest.raises(OSError) as raised:  # noqa: PT011
            importer.import_rootfs(store, io.BytesIO(content), "too-much")
        assert raised.value.errno == errno.ENOSPC
    assert sorted(path for path in small_disk.rglob("*")) == before
    assert store.get("already").id == first.id
    assert [image.references for image in store.list()] == [["already:latest"]]
