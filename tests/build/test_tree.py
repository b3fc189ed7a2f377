"""What COPY selects from a tree, and the digest of that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyctr_lite.build import checksum
from pyctr_lite.build.patterns import Exclusions
from pyctr_lite.build.tree import Entry, Tree
from pyctr_lite.errors import NotFound


@contextmanager
def tree(path: Path, *ignored: str, owners: bool = False) -> Iterator[Tree]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Tree(fd, Exclusions(ignored), keeps_owners=owners)
    finally:
        os.close(fd)


class Names:
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


@pytest.mark.parametrize("pattern", ["no", "*.c/x", "out", "no*", "a.txt/x"])
def test_a_source_that_is_missing_or_outside_is_not_found(files: Path, pattern: str) -> None:
    with tree(files) as found, pytest.raises(NotFound, match="not found"):
        found.find(pattern)


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
    everything = ["/", "e/", "e/y", "e/z.txt", "link", "x"]
    assert visited(files, "d") == everything
    assert visited(files, "to-d") == everything


def test_what_is_excluded_is_not_visited(files: Path) -> None:
    assert visited(files, "d", "**/*.txt", "d/x") == ["/", "e/", "e/y", "link"]
    assert visited(files, "d", excluded=("e",)) == ["/", "link", "x"]
    assert visited(files, "d", excluded=("*", "!e/y")) == ["/", "e/", "e/y"]


def test_an_excluded_directory_is_entered_for_what_is_included_again(files: Path) -> None:
    assert visited(files, "", "*", "!d/e/y") == ["/", "d/", "d/e/", "d/e/y"]
    assert visited(files, "", "*", "!dd/nothing") == ["/"]


def digest(path: Path, source: str = "", owners: bool = False, table: checksum.Table | None = None) -> str:
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


def test_an_unchanged_file_is_not_read_again(files: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("table") / "table.json"
    os.utime(files / "a.txt", (1, 1))
    status = (files / "a.txt").stat()
    table = checksum.Table(str(path))
    first = digest(files, "a.txt", table=table)
    assert not path.exists()
    table._known["a.txt/"] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, "remembered"]
    table._changed = True
    table.save()
    again = checksum.Table(str(path))
    assert digest(files, "a.txt", table=again) != first
    (files / "a.txt").write_text("other content")
    assert digest(files, "a.txt", table=again) == digest(files, "a.txt")


def test_a_file_that_has_just_been_written_is_read_again(files: Path, tmp_path: Path) -> None:
    table = checksum.Table(str(tmp_path / "table.json"))
    (files / "b.txt").write_text("new")
    digest(files, "b.txt", table=table)
    table.save()
    assert not (tmp_path / "table.json").exists()
