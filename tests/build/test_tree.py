"""What COPY selects from a tree, and the digest of that."""

from __future__ import annotations

import contextlib
import os
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyctr_lite.build import checksum, remembered
from pyctr_lite.build.patterns import Exclusions
from pyctr_lite.build.tree import Entry, Tree, Visitor
from pyctr_lite.errors import NotFound

Change = Callable[[Path], None]


@contextmanager
def tree(path: Path, *ignored: str, owners: bool = False) -> Iterator[Tree]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Tree(fd, Exclusions(ignored), keeps_owners=owners)
    finally:
        os.close(fd)


class Names(Visitor):
    """A visitor that keeps the paths."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.depth = 0

    def enter(self, path: str, status: os.stat_result, xattrs: dict[str, bytes]) -> None:
        self.found.append(f"{path}/")
        self.depth += 1

    def leave(self) -> None:
        self.depth -= 1

    def add(self, entry: Entry, path: str) -> None:
        self.found.append(path)


def visited(path: Path, source: str, *ignored: str, excluded: tuple[str, ...] = ()) -> list[str]:
    names = Names()
    with tree(path, *ignored) as found:
        found.visit(source, names, Exclusions(excluded) if excluded else None)
    assert names.depth == 0
    return names.found


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("a.txt", "b.txt", "d/x", "d/e/y", "d/e/z.txt", "dd/.hidden", "odd [1].c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "d/link").symlink_to("../a.txt")
    (tmp_path / "to-d").symlink_to("d")
    (tmp_path / "out").symlink_to("/etc/passwd")
    (tmp_path / "up").symlink_to("../../../../a.txt")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (".", [""]),
        ("/", [""]),
        ("../..", [""]),
        ("a.txt", ["a.txt"]),
        ("/d//e/", ["d/e"]),
        ("*.txt", ["a.txt", "b.txt"]),
        ("d*", ["d", "dd"]),
        ("d/*", ["d/e", "d/link", "d/x"]),
        ("*/.h*", ["dd/.hidden"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[b-z]*", ["b.txt", "d", "dd", "odd [1].c", "to-d", "up"]),
        ("odd \\[1].c", ["odd [1].c"]),
        ("to-d/x", ["to-d/x"]),
    ],
)
def test_a_source_is_found(files: Path, pattern: str, expected: list[str]) -> None:
    with tree(files) as found:
        assert found.find(pattern) == expected


@pytest.mark.parametrize("pattern", ["no", "out", "a.txt/x", "a\\\\.txt"])
def test_a_source_that_is_missing_or_outside_is_not_found(files: Path, pattern: str) -> None:
    with tree(files) as found, pytest.raises(NotFound, match="not found"):
        found.find(pattern)


def test_a_pattern_may_match_nothing(files: Path) -> None:
    with tree(files) as found:
        assert [found.find(pattern) for pattern in ("no*", "*.c/x", "no/*", "a.tx[a-s]")] == [[], [], [], []]


def test_a_link_leads_to_a_place_inside_the_tree(files: Path) -> None:
    with tree(files) as found:
        assert found.find("up") == ["up"]  # /a.txt of the tree, not of the machine
        assert visited(files, "up") == [""]


def test_an_excluded_source_is_not_found_and_the_hint_says_why(files: Path) -> None:
    with tree(files, "a.txt", "d") as found:
        assert found.find("*.txt") == ["b.txt"]
        for path in ("a.txt", "d/x", "d"):
            with pytest.raises(NotFound) as caught:
                found.find(path)
            assert "dockerignore" in caught.value.hint


def test_a_directory_is_visited_in_order_and_its_links_are_not_followed(files: Path) -> None:
    everything = ["/", "link", "x", "e/", "e/y", "e/z.txt"]
    assert visited(files, "d") == everything
    assert visited(files, "to-d") == everything


def test_what_is_excluded_is_not_visited(files: Path) -> None:
    assert visited(files, "d", "**/*.txt", "d/x") == ["/", "link", "e/", "e/y"]
    assert visited(files, "d", excluded=("e",)) == ["/", "link", "x"]
    assert visited(files, "d", excluded=("*", "!e/y")) == ["/", "e/", "e/y"]


def test_an_excluded_directory_is_entered_for_what_is_included_again(files: Path) -> None:
    assert visited(files, "", "*", "!d/e/y") == ["/", "d/", "d/e/", "d/e/y"]
    assert visited(files, "", "*", "!dd/nothing") == ["/"]


def digest(path: Path, source: str = "", owners: bool = False, table: remembered.Table | None = None) -> str:
    with tree(path, owners=owners) as found:
        return checksum.of_source(found, source, None, table)


def test_the_digest_depends_on_all_but_times_and_owners_of_the_context(files: Path) -> None:
    before, with_owners = digest(files), digest(files, owners=True)
    os.utime(files / "a.txt", (1, 1))
    assert digest(files) == before
    os.chown(files / "a.txt", 5, 6)
    assert digest(files) == before
    assert digest(files, owners=True) != with_owners
    seen = {before}
    changes = [
        lambda: (files / "a.txt").write_text("A.txt"),
        lambda: (files / "a.txt").chmod(0o600),
        lambda: os.setxattr(files / "a.txt", "user.x", b"1"),
        lambda: (files / "d").chmod(0o700),
        lambda: (files / "new").symlink_to("a"),
        lambda: (files / "d/x").rename(files / "d/w"),
        lambda: (files / "empty").mkdir(),
    ]
    for change in changes:
        change()
        seen.add(digest(files))
    assert len(seen) == len(changes) + 1


class Reader:
    """Computes digests with a table, and counts the files that were read."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.count, self._number = path, 0, 0
        original = checksum.read_digest

        def counted(entry: Entry) -> bytes:
            self.count += 1
            return original(entry)

        monkeypatch.setattr(checksum, "read_digest", counted)

    def __call__(self, files: Path, source: str = "") -> tuple[str, int]:
        """Return the digest, and how many files were read for it."""
        self.count = 0
        table = remembered.Table(str(self.path), self._temporary)
        with contextlib.closing(table):
            return digest(files, source, table=table), self.count

    def _temporary(self) -> str:
        self._number += 1
        return f"{self.path}.{self._number}"


@pytest.fixture
def reader(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Reader:
    monkeypatch.setattr(remembered, "_RACY", -1)
    return Reader(tmp_path_factory.mktemp("table") / "table", monkeypatch)


def test_an_unchanged_file_is_not_read_again(files: Path, reader: Reader) -> None:
    for source in ("a.txt", ""):
        first, count = reader(files, source)
        assert count > 0
        assert reader(files, source) == (first, 0)
    (files / "d/x").write_text("other content")
    assert reader(files) == (digest(files), 1)
    assert reader(files)[1] == 0


def change_nothing(files: Path) -> None:
    pass


def add_directories(files: Path) -> None:
    for name in ("0/first", "d/between", "z/last"):
        (files / name).mkdir(parents=True)
        (files / name / "f").write_text("new")


def remove_directories(files: Path) -> None:
    shutil.rmtree(files / "d")
    (files / "b.txt").unlink()


def rename_a_directory(files: Path) -> None:
    (files / "d").rename(files / "c")


def replace_a_file(files: Path) -> None:
    (files / "new").write_text("d/e/y"[::-1])
    (files / "new").rename(files / "d/e/y")


def change_a_mode(files: Path) -> None:
    (files / "d/e/y").chmod(0o711)


CHANGES = [
    change_nothing,
    add_directories,
    remove_directories,
    rename_a_directory,
    replace_a_file,
    change_a_mode,
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("then", CHANGES)
def test_a_table_follows_every_change(files: Path, reader: Reader, change: Change, then: Change) -> None:
    reader(files)
    for step in (change, then):
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            step(files)
        assert reader(files)[0] == digest(files)
        assert reader(files) == (digest(files), 0)
    assert os.listdir(reader.path.parent) == [reader.path.name]


def test_a_table_of_many_directories_is_read_once_and_only_what_changed_is_read(
    tmp_path: Path, reader: Reader
) -> None:
    for name in ("a", "a-b", "a/b", "a/b/c", "a0", "aa", "b"):
        (tmp_path / name).mkdir()
        for number in range(20):
            (tmp_path / name / f"f{number}").write_text(f"{name} {number}")
    assert reader(tmp_path)[1] == 140
    (tmp_path / "a-b/f7").write_text("x")
    (tmp_path / "a0/f7").unlink()
    assert reader(tmp_path) == (digest(tmp_path), 1)
    assert reader(tmp_path) == (digest(tmp_path), 0)


@pytest.mark.parametrize("size", [0, 1, 21, 22, 60, 100, 150, 200])
def test_a_damaged_table_is_not_used_beyond_the_damage(files: Path, reader: Reader, size: int) -> None:
    found, count = reader(files)
    os.truncate(reader.path, size)
    again, read = reader(files)
    assert (again, 0 < read <= count) == (found, True)
    reader.path.write_bytes(b"[1, 2, 3]" * 100)
    assert reader(files) == (found, count)


def test_a_file_that_has_just_been_written_is_read_again(
    files: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "_RACY", 10**12)
    assert reader(files)[1] == reader(files)[1] > 0


def test_tables_without_use_are_removed(files: Path, reader: Reader) -> None:
    old = reader.path.with_name("old")
    old.write_text("")
    os.utime(old, (1, 1))
    reader(files)
    assert os.listdir(reader.path.parent) == [reader.path.name]


def test_the_memory_does_not_grow_with_the_number_of_files(tmp_path: Path, reader: Reader) -> None:
    (tmp_path / "one").write_text("content")
    peaks = []
    for count in (2, 20):
        for number in range(count):
            (tmp_path / f"d{number}").mkdir(exist_ok=True)
            for name in range(500):
                with contextlib.suppress(FileExistsError):
                    os.link(tmp_path / "one", tmp_path / f"d{number}/f{name}")
        reader(tmp_path)
        tracemalloc.start()
        reader(tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]
