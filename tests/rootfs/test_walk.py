"""Trees too deep for a path, Python's recursion limit or the limit of open descriptors."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_lite.commit import diff, layer
from pyctr_lite.rootfs import walk

NAME = "a-name-of-19-letters"


def dig(top: Path, depth: int, name: str = NAME) -> None:
    """Create nested directories as a program in a container can, with one name per call."""
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    dig(top, 3000)
    dig(top, 5, "beside")
    (top / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    before = os.listdir("/proc/self/fd")
    walk.remove_tree(str(top))
    assert not top.exists()
    assert (tmp_path / "kept" / "file").exists()
    assert len(os.listdir("/proc/self/fd")) == len(before)
    with pytest.raises(FileNotFoundError):
        walk.remove_tree(str(top))


def test_several_threads_can_remove_the_same_tree(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for number in range(60):
        (top / str(number) / "below").mkdir(parents=True)
        (top / str(number) / "below" / "file").touch()
    failed: list[BaseException] = []

    def remove() -> None:
        try:
            walk.remove_tree(str(top))
        except FileNotFoundError:
            pass  # another thread has removed it
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=remove) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert not top.exists()


def test_the_disk_usage_of_a_deep_tree_counts_hard_links_once(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    dig(top, 1500)
    (top / "one").write_bytes(b"x" * 1000)
    os.link(top / "one", top / "two")
    assert walk.disk_usage(str(top)) == 1000
    assert walk.disk_usage(str(tmp_path / "nothing")) == 0
    walk.remove_tree(str(top))  # pytest's own removal does not reach the bottom


def test_a_visit_keeps_few_descriptors_open_and_returns_to_each_directory(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    dig(top, 300, "d")
    dig(top, 2, "e")
    seen: list[tuple[int, int]] = []
    before = len(os.listdir("/proc/self/fd"))

    def enter(cursor: walk.Cursor) -> Iterator[str]:
        inode = os.fstat(cursor.fd).st_ino
        seen.append((inode, len(os.listdir("/proc/self/fd")) - before))
        for name in sorted(os.listdir(cursor.fd)):
            yield name  # files are yielded too, and must be skipped
            assert os.fstat(cursor.fd).st_ino == inode

    walk.visit(os.open(top, os.O_RDONLY | os.O_DIRECTORY), enter)
    assert len({inode for inode, _ in seen}) == 303
    assert max(number for _, number in seen) < 70
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("depth", [3, 100])
def test_a_visit_does_not_follow_a_directory_that_is_moved_away(tmp_path: Path, depth: int) -> None:
    top, elsewhere = tmp_path / "top", tmp_path / "elsewhere"
    top.mkdir()
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    dig(top, depth, "d")
    entered = 0

    def enter(cursor: walk.Cursor) -> Iterator[str]:
        nonlocal entered
        entered += 1
        if entered == depth + 1:
            os.rename("../../d", elsewhere / "d", src_dir_fd=cursor.fd)
        names = os.listdir(cursor.fd)
        assert "kept" not in names
        yield from names
        assert "kept" not in os.listdir(cursor.fd)

    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    if depth < 64:  # the parents are still open
        walk.visit(fd, enter)
    else:
        with pytest.raises(FileNotFoundError, match="moved while it was visited"):
            walk.visit(fd, enter)


def test_deep_changes_are_listed_and_packed(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    upper.mkdir()
    dig(upper, 10_000, "d")
    written = bytearray()

    class Output:
        def write(self, data: bytes | bytearray | memoryview) -> int:
            written.extend(data)
            return len(data)

    layer.write_layer(str(upper), Output())
    assert b"/d/d/file" in written
    found = list(diff.changes(str(upper), []))
    assert len(found) == 10_001
    assert found[-1] == diff.Change("A", "/d" * 10_000 + "/file")
    walk.remove_tree(str(upper))
