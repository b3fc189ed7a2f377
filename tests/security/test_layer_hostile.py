"""Archives that try to write outside their layer: each is refused or contained, and nothing outside is touched."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import layer
from tests.images.archives import directory, entry, hardlink, header, pax, symlink, tar

VICTIM = "do not touch"


class Outside:
    """The files beside the layer, and whether they are unchanged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "dir").mkdir(parents=True)
        (path / "victim").write_text(VICTIM)
        (path / "dir/file").write_text(VICTIM)
        self.before = self.state()

    def state(self) -> list[tuple[str, int, int, int, int, int]]:
        found = []
        for path in sorted([self.path, self.path.parent, *self.path.rglob("*")]):
            status = path.lstat()
            found.append(
                (str(path), status.st_mode, status.st_uid, status.st_nlink, status.st_mtime_ns, status.st_size)
            )
        return found


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    (tmp_path / "layer").mkdir()
    os.setxattr(tmp_path, "user.mark", b"1")
    return Outside(tmp_path / "outside")


def apply(content: bytes, tmp_path: Path) -> None:
    layer.apply_layer(io.BytesIO(content), str(tmp_path / "layer"))


REFUSED = {
    "dot-dot": tar(entry("../outside/victim", b"x")),
    "dot-dot in the middle": tar(directory("a"), entry("a/../../outside/new", b"x")),
    "dot-dot directory": tar(directory("..", mode=0o777)),
    "hard link out": tar(hardlink("x", "../outside/victim")),
    "hard link to an absolute path": tar(hardlink("x", "/etc/passwd")),
    "hard link through a link out": tar(symlink("l", "../outside"), hardlink("x", "l/victim")),
    "hard link to a directory": tar(directory("d"), hardlink("x", "d")),
    "hard link to the root": tar(hardlink("x", ".")),
    "hard link to itself": tar(entry("x"), hardlink("x", "x")),
    "whiteout of dot": tar(entry(".wh..")),
    "whiteout of dot-dot": tar(directory("d"), entry("d/.wh...")),
    "whiteout of nothing": tar(entry(".wh.")),
    "whiteout above": tar(entry("../outside/.wh.victim")),
    "opaque above": tar(entry("../.wh..wh..opq")),
    "below a whiteout": tar(entry(".wh./x")),
    "below a whiteout's name": tar(entry(".wh.d/x")),
    "below a file": tar(entry("f"), entry("f/x")),
    "parent link to nothing": tar(symlink("l", "nowhere/at/all"), entry("l/x")),
    "parent link in a circle": tar(symlink("l", "l"), entry("l/x")),
    "the root as a file": tar(entry(".", b"x")),
    "the root as a link": tar(symlink("./", "../outside")),
    "too long a name": tar(entry("x" * 300)),
    "too long a path": tar(entry("/".join(["x" * 200] * 1400))),
    "an xattr's value that is too long": pax("x", {"SCHILY.xattr.user.x": "v" * 70_000}),
    "an xattr's name that is too long": pax("x", {"SCHILY.xattr.user." + "n" * 300: "v"}),
    "a hard link into aufs's directory that is not there": tar(hardlink("x", ".wh..wh.plnk/7.7")),
    "aufs's directory of another directory": tar(directory("d"), entry("d/.wh..wh.plnk/7.7", b"x")),
    "out through aufs's directory": tar(entry(".wh..wh.plnk/../../outside/victim", b"x")),
    "aufs's directory above the root": tar(entry("../outside/.wh..wh.plnk/7.7", b"x")),
    "a NUL in a pax path": pax("x", {"path": b"a\0b"}),
    "an empty link": tar(symlink("x", "")),
    "unknown type": header("x", b"Z"),
    "absurd pax size": pax("x", {"size": "9" * 19}),
    "negative pax size": pax("x", {"size": "-5"}),
    "negative base-256 size": header("x", b"0", size=b"\xff" * 12),
    "pax uid out of range": pax("x", {"uid": "4294967295"}),
    "pax record without its length": header("p", b"x", b"path=../../x\n") + header("x", b"0"),
    "pax record longer than its header": header("p", b"x", b"9999 path=x\n") + header("x", b"0"),
    "pax record of negative length": header("p", b"x", b"-5 path=x\n") + header("x", b"0"),
    "pax header of gigabytes": header("p", b"x", size=b"77777777777\0"),
    "long name of gigabytes": header("p", b"L", size=b"77777777777\0"),
    "pax mtime is not a number": pax("x", {"mtime": "yesterday"}),
    "pax path outside": pax("harmless", {"path": "../outside/victim"}, b"x"),
    "GNU long name outside": header("././@LongLink", b"L", b"../outside/victim\0") + header("x", b"0", b"x"),
    "GNU long link outside": header("././@LongLink", b"K", b"../outside/victim\0") + header("x", b"1"),
    "sparse map that overlaps": pax("x", {"GNU.sparse.map": "0,3,1,1", "GNU.sparse.size": "9"}, b"data"),
    "sparse map beyond the file": pax("x", {"GNU.sparse.map": "9,4", "GNU.sparse.size": "10"}, b"data"),
    "sparse map of another size": pax("x", {"GNU.sparse.map": "0,9", "GNU.sparse.size": "9"}, b"data"),
    "sparse name outside": pax(
        "x", {"GNU.sparse.map": "0,4", "GNU.sparse.size": "4", "GNU.sparse.name": "../outside/victim"}, b"data"
    ),
    "not a tar archive": b"this is not an archive" * 100,
    "wrong checksum": header("x", b"0").replace(b"x", b"y", 1),
    "an invalid octal number": header("x", b"0", size=b"99999999999\0"),
}  # fmt: skip


@pytest.mark.parametrize("content", REFUSED.values(), ids=list(REFUSED))
def test_a_hostile_layer_is_refused_and_nothing_outside_is_touched(
    content: bytes, outside: Outside, tmp_path: Path
) -> None:
    with pytest.raises(BrokenArchive) as raised:
        apply(content, tmp_path)
    assert "\n" not in raised.value.message
    assert outside.state() == outside.before


CONTAINED = {
    "absolute path": (tar(entry("/outside/victim", b"x")), "outside/victim"),
    "doubled slashes": (tar(entry("//./outside///x", b"x")), "outside/x"),
    "dot-dot that stays": (tar(directory("a"), entry("a/../b", b"x")), "b"),
    "below an absolute link": (tar(directory("outside"), symlink("l", "/outside"), entry("l/x")), "outside/x"),
    "below a link up": (tar(directory("outside"), symlink("l", "../../outside"), entry("l/x")), "outside/x"),
    "below a link through proc": (
        tar(directory("proc"), directory("proc/self"), symlink("proc/self/root", "/"), entry("proc/self/root/x")),
        "x",
    ),
    "over a link to a file": (tar(symlink("l", "../outside/victim"), entry("l", b"x")), "l"),
    "over a link to a directory": (tar(symlink("l", "../outside"), directory("l"), entry("l/victim")), "l/victim"),
    "hard link to a link out": (tar(symlink("l", "../outside/victim"), hardlink("m", "l"), entry("m", b"x")), "m"),
    "whiteout through a link": (
        tar(directory("outside"), symlink("l", "/outside"), entry("l/.wh.victim")),
        "outside/victim",
    ),
    "opaque through a link": (
        tar(directory("outside"), symlink("l", "/outside"), entry("l/.wh..wh..opq")),
        "outside",
    ),
    "whiteout of a link": (tar(symlink("l", "../outside"), entry(".wh.l")), "l"),
    "attributes through a link": (
        tar(directory("l"), symlink("l", "../outside"), directory("l", mode=0o777)),
        "l",
    ),
    "FIFO over and under": (tar(entry("f", type=tarfile.FIFOTYPE), entry("f", b"x")), "f"),
    "device over a file": (tar(entry("f", b"x"), entry("f", type=tarfile.CHRTYPE, devmajor=1, devminor=5)), "f"),
    "xattr of a link": (
        tar(
            entry(
                "l",
                type=tarfile.SYMTYPE,
                linkname="../outside/victim",
                pax_headers={"SCHILY.xattr.trusted.x": "1"},
            )
        ),
        "l",
    ),
    "a pax header for the next only": (pax("a", {"path": "b"}) + header("c", b"0"), "c"),
    "a global pax header": (header("g", b"g", b"12 uid=1000\n") + header("x", b"0"), "x"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "made"), CONTAINED.values(), ids=list(CONTAINED))
def test_a_hostile_layer_is_contained_and_nothing_outside_is_touched(
    content: bytes, made: str, outside: Outside, tmp_path: Path
) -> None:
    apply(content, tmp_path)
    assert (tmp_path / "layer" / made).lstat()
    assert outside.state() == outside.before
    assert os.listxattr(outside.path / "victim") == []


def test_a_device_node_is_created_and_never_opened(tmp_path: Path) -> None:
    (tmp_path / "layer").mkdir()
    apply(tar(entry("full", type=tarfile.CHRTYPE, devmajor=1, devminor=7), hardlink("again", "full")), tmp_path)
    assert (tmp_path / "layer/again").stat().st_rdev == os.makedev(1, 7)


def test_a_truncated_stream_is_refused_except_between_two_entries(tmp_path: Path) -> None:
    whole = pax("a", {"mtime": "5"}, b"x" * 700) + header("b", b"0", b"y" * 10)
    (tmp_path / "layer").mkdir()
    between = {0, 5 * 512}
    for length in range(0, len(whole), 128):
        if length in between:
            continue
        with pytest.raises(BrokenArchive, match="is truncated"):
            apply(whole[:length], tmp_path)
    apply(whole, tmp_path)
