"""The checks of lab 5. Trees are made by hand, as overlayfs leaves them; the engine's own runs come last."""

from __future__ import annotations

import contextlib
import copy
import errno
import hashlib
import io
import itertools
import os
import random
import socket
import stat
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labs.kit.checks.arena import Fd
from labs.kit.checks.expect import CheckFailed, equal, expect, in_child
from labs.kit.checks.syscalls import FILES, READS, Watch
from labs.kit.subject.codec import Record
from pyctr_lite import linux
from pyctr_lite.commit import config, diff, header
from pyctr_lite.commit.config import ConfigChange
from pyctr_lite.commit.layer import LayerWriter
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import overlay, whiteout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.kit.checks.arena import Answer
    from labs.kit.checks.yours import Function, Yours

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
ODD_NAMES = [
    *("two words", " ", "-rf", "*", "a,b:c=d", ".hidden", "...", "~", "%s", "new\nline", "back\\slash", "ü"),
    *(os.fsdecode(b"\xff\xfe"), "x" * 255, ".wh.file"),
]
"""Names that a file can have. A file in a tree may be called .wh.file; only an archive cannot hold such a name."""


def make(path: Path, kind: str, text: str = "x") -> Path:
    """Make an inode: a "file", "directory", "link", "fifo", "socket", "whiteout", or a device such as "c 1:3"."""
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(text)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(str(path))
    elif kind == "file":
        path.write_text(text)
    else:
        letter, _, numbers = ("c 0:0" if kind == "whiteout" else kind).partition(" ")
        major, minor = map(int, numbers.split(":"))
        os.mknod(path, {"c": stat.S_IFCHR, "b": stat.S_IFBLK}[letter] | 0o600, os.makedev(major, minor))
    return path


def set_time(path: Path, nanoseconds: int) -> None:
    os.utime(path, ns=(0, nanoseconds), follow_symlinks=False)


# --- 5.1 -------------------------------------------------------------------------------------------------


class Layers:
    """Three layers of an image, and what `lower_entry` finds in them."""

    def __init__(self, yours: Yours, directory: Path) -> None:
        self.yours, self.directory = yours, directory
        self.top, self.middle, self.bottom = self.all = [directory / name for name in ("top", "middle", "bottom")]
        for layer in self.all:
            layer.mkdir()

    def entry(self, name: str, lowers: list[Path] | None = None) -> Any:
        """Return the path of what is shown, below the layers' directory: "middle/etc"."""
        found = self.yours([str(layer) for layer in (self.all if lowers is None else lowers)], name)
        return found.removeprefix(f"{self.directory}/") if isinstance(found, str) else found


def test_5_1_the_topmost_layer_that_has_the_name_decides(yours: Yours, tmp_path: Path) -> None:
    layers = Layers(yours, tmp_path)
    make(layers.bottom / "low", "file")
    make(layers.top / "high", "file")
    for layer in (layers.middle, layers.bottom):
        make(layer / "both", "file")
        make(layer / "turned", "file")
    about = "a plain file that only the top layer has: is it missed, or taken for something else?"
    equal(layers.entry("high"), "top/high", about)
    about = "a plain file that only the bottom layer has: what does it mean that the layers above do not have it?"
    equal(layers.entry("low"), "bottom/low", about)
    about = "a file that two layers have. The list begins with the topmost layer: which one does an overlay show?"
    equal(layers.entry("both"), "middle/both", about)
    about = f"the layers in the opposite order: {about}"
    equal(layers.entry("turned", layers.all[::-1]), "bottom/turned", about)
    equal(layers.entry("none"), None, "a name that no layer has")
    equal(layers.entry("none", []), None, "no layers at all")


def test_5_1_a_whiteout_says_that_the_name_is_gone(yours: Yours, tmp_path: Path) -> None:
    layers = Layers(yours, tmp_path)
    make(layers.bottom / "deleted", "file")
    make(layers.middle / "deleted", "whiteout")
    about = "an overlay of these layers shows nothing there. What is that 0:0 device?"
    expect(
        layers.entry("deleted") != "bottom/deleted",
        "a whiteout in the middle layer, and a file in the bottom layer: an overlay shows nothing, and yours "
        "gives the file below the whiteout. Which layers does a whiteout speak of?",
    )
    equal(layers.entry("deleted"), None, f"a whiteout in the layer above the file: {about}")
    make(layers.bottom / "only", "whiteout")
    equal(layers.entry("only"), None, f"a whiteout in the bottom layer: {about}")
    make(layers.top / "again", "file")
    make(layers.middle / "again", "whiteout")
    make(layers.bottom / "again", "file")
    equal(
        layers.entry("again"),
        "top/again",
        "a file in the top layer, and a whiteout of the same name in the middle one: the file was deleted, and "
        "later made again. Does a whiteout hide what is below it, or what is above it?",
    )


def test_5_1_nothing_else_is_a_whiteout(yours: Yours, tmp_path: Path) -> None:
    layers = Layers(yours, tmp_path)
    for kind in ("c 1:3", "c 0:1", "c 1:0", "b 0:0", "fifo", "socket", "directory", "file"):
        make(layers.middle / kind, kind, "")
        make(layers.bottom / kind, "file")
        found = layers.entry(kind)
        question = (
            "Which one device says that a name is gone?" if found is None else "What is passed over, and why?"
        )
        about = f"the middle layer has an inode of the kind `{kind}` (c: character device, b: block device)"
        equal(found, f"middle/{kind}", f"{about}, and an overlay shows it. {question}")


def test_5_1_a_link_is_an_entry_of_its_own(yours: Yours, tmp_path: Path) -> None:
    layers = Layers(yours, tmp_path)
    make(tmp_path / "gone", "whiteout")
    cases = {
        "nowhere": ("/nowhere", "whose target is missing"),
        "itself": ("itself", "that leads to itself"),
        "host": ("/etc/passwd", "to a file of the host"),
        "device": (str(tmp_path / "gone"), "to a 0:0 device"),
    }
    for name, (target, what) in cases.items():
        make(layers.middle / name, "link", target)
        make(layers.bottom / name, "file")
        about = f"a symbolic link {what}: an overlay shows the link itself. Does your look follow it?"
        equal(layers.entry(name), f"middle/{name}", about)


def test_5_1_any_name(yours: Yours, tmp_path: Path) -> None:
    layers = Layers(yours, tmp_path)
    for name in ODD_NAMES:
        make(layers.bottom / name, "file")
        equal(
            layers.entry(name), f"bottom/{name}", f"a file whose name is {name!r}. What does your look make of it?"
        )
    make(layers.middle / "LETTERS", "file")
    make(layers.bottom / "letters", "file")
    about = "`letters`, beside `LETTERS` in the layer above: for the kernel, upper and lower case make two names"
    equal(layers.entry("letters"), "bottom/letters", about)
    equal(layers.entry("Letters"), None, f"`Letters`, where there are only {about}")


def test_5_1_the_layers_are_looked_at_each_time(yours: Yours, tmp_path: Path) -> None:
    layers = Layers(yours, tmp_path)
    make(layers.bottom / "file", "file")
    layers.entry("file")
    about = "the same question as before, but meanwhile {}: what is kept from one call to the next?"
    make(layers.middle / "file", "file")
    equal(layers.entry("file"), "middle/file", about.format("the middle layer got a file of that name"))
    make(layers.top / "file", "whiteout")
    equal(layers.entry("file"), None, about.format("the top layer got a whiteout"))
    equal(layers.entry("file", layers.all[1:]), "middle/file", "the same name, asked for without the top layer")


def test_5_1_what_the_kernel_refuses_is_raised(yours: Yours, tmp_path: Path) -> None:
    layers = Layers(yours, tmp_path)
    for layer in (layers.middle, layers.bottom):
        make(layer / "file", "file")
    lowers = list(map(str, layers.all))
    yours.each_refusal(
        lambda function, watch: function.answer((lowers, "file"), watch=watch),
        ("stat", "lstat", "newfstatat", "statx"),
        errors=(errno.EIO, errno.EACCES, errno.ENOTDIR),
        about="A layer that cannot be read may have the file, or its whiteout. Which one error means that it is "
        "not there?",
    )


def test_5_1_it_is_what_an_overlay_shows(yours: Yours, tmp_path: Path) -> None:
    """Drawn layers, and a mount of the kernel's: each inode has a time of its own, by which it is known there."""
    kinds = ["missing", "missing", "missing", "whiteout", "whiteout", "file", "directory", "link", "c 1:3", "fifo"]
    layers, drawn, times = Layers(yours, tmp_path), random.Random(51), itertools.count(1_000_000_000)
    owners: dict[int, str] = {}
    trees: dict[str, list[str]] = {}
    for name in map(str, range(30)):
        trees[name] = [drawn.choice(kinds) for _ in layers.all]
        for layer, kind in zip(layers.all, trees[name], strict=True):
            if kind != "missing":
                second = next(times)
                owners[second] = f"{layer.name}/{name}"
                set_time(make(layer / name, kind), second * 10**9)
    shown = in_child(lambda: shown_by_overlay(tmp_path / "merged", layers.all), linux.CLONE_NEWNS)
    for name, tree in trees.items():
        wanted = owners[shown[name]] if name in shown else None
        equal(
            layers.entry(name),
            wanted,
            f"three layers, and what an overlay mount of them shows as {name!r}. From the top they have: "
            f"{', '.join(tree)}. Which of these decides?",
        )


def shown_by_overlay(target: Path, layers: list[Path]) -> dict[str, int]:
    """Mount layers, top first: the time of each inode that is there then, in seconds."""
    target.mkdir()
    options = overlay.overlay_options(list(map(str, layers)), "", "")
    linux.mount("overlay", str(target), "overlay", linux.MS_RDONLY, options)
    return {entry.name: int(entry.stat(follow_symlinks=False).st_mtime) for entry in os.scandir(target)}


def test_5_1_the_engine_reports_a_deleted_file(pyctr: Any) -> None:
    pyctr("run", "--name", "box", "busybox", "sh", "-c", "rm /bin/vi; echo x >/new")
    found = [line for line in pyctr("diff", "box").stdout.splitlines() if line[2:] in ("/bin/vi", "/new")]
    equal(found, ["D /bin/vi", "A /new"], "what `pyctr_lite diff` reports of a deleted file and of a new one")


# --- 5.2 -------------------------------------------------------------------------------------------------


class Tree:
    """An upper directory on two layers, and what `entry_changes` says of it."""

    def __init__(self, function: Function, top: Path) -> None:
        self.function = function
        self.upper, self.middle, self.bottom = self.all = [top / name for name in ("upper", "middle", "bottom")]
        for layer in self.all:
            layer.mkdir(parents=True)
        self.lowers = [str(self.middle), str(self.bottom)]

    def same(self, name: str, kind: str, text: str = "x") -> None:
        """Make the same inode in the bottom layer and in the upper directory, as a copy-up does."""
        for layer in (self.bottom, self.upper):
            set_time(make(layer / name, kind, text), 1_700_000_000_123_456_789)

    def answer(self, name: str, path: str = "", **more: Any) -> Answer:
        with opened(self.upper) as fd:
            return self.function.answer((Fd(fd), name, self.lowers, path or f"/{name}"), **more)

    def changes(self, name: str, path: str = "") -> list[str]:
        """Return the changes as lines, sorted."""
        answer = self.answer(name, path)
        if answer.raised is not None:
            question = (
                "\nThe entry is there, in the directory `upper`; `path` is only for the report. Where does your "
                "look begin, and which links does it follow?"
            )
            question = question if answer.raised.is_a(FileNotFoundError) else ""
            text = f"entry_changes of {name!r} raises\n    {answer.raised}{question}"
            raise CheckFailed(text, answer.raised.traceback)
        return sorted(lines(answer.value))


def lines(found: Any) -> list[str]:
    expect(
        isinstance(found, list) and all(map(is_change, found)),
        f"entry_changes returns {found!r}: the engine adds it to a list of Change. What does yours return?",
    )
    return [f"{each.fields['kind']} {each.fields['path']}" for each in found]


def is_change(value: Any) -> bool:
    if not isinstance(value, Record) or set(value.fields) != {"kind", "path"}:
        return False
    return all(isinstance(member, str) for member in value.fields.values())


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[int]:
    fd = os.open(directory, OPEN)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def tree_of(yours: Yours, top: Path, **options: Any) -> Iterator[Tree]:
    """A tree, and the function in a process where the engine's own walk calls it, too."""
    with yours.at(load="swapped", **options) as function:
        yield Tree(function, top)


def test_5_2_a_new_file_is_added_and_a_deleted_one_deleted(yours: Yours, tmp_path: Path) -> None:
    with tree_of(yours, tmp_path) as tree:
        make(tree.upper / "new", "file")
        make(tree.bottom / "old", "file")
        make(tree.upper / "old", "whiteout")
        answer = tree.answer("new")
        expect(
            answer.raised is None or not answer.raised.is_a(FileNotFoundError),
            "the upper directory has a file `new`, and it is not found. Its directory is the descriptor `upper`: "
            f"where does your look begin?\n    {answer.raised}",
        )
        equal(tree.changes("new"), ["A /new"], "a file that no layer has")
        equal(tree.changes("old"), ["D /old"], "a whiteout over a file of the image")
        about = (
            "a file `new`; the argument `path` is its whole path in the container. Which path does a change have?"
        )
        equal(tree.changes("new", "/srv/www/new"), ["A /srv/www/new"], about)


def test_5_2_deleting_what_was_never_there_is_no_change(yours: Yours, tmp_path: Path) -> None:
    with tree_of(yours, tmp_path) as tree:
        make(tree.upper / "never", "whiteout")
        about = "a whiteout over nothing: the container made a file and deleted it. Is anything gone?"
        equal(tree.changes("never"), [], about)
        make(tree.upper / "hidden", "whiteout")
        make(tree.middle / "hidden", "whiteout")
        make(tree.bottom / "hidden", "file")
        about = "a whiteout over a file that an upper layer of the image has deleted. Is anything gone?"
        equal(tree.changes("hidden"), [], about)
        make(tree.upper / "link", "whiteout")
        make(tree.bottom / "link", "link", "/nowhere")
        equal(tree.changes("link"), ["D /link"], "a whiteout over a symbolic link whose target is missing")
        make(tree.upper / "again", "file")
        make(tree.middle / "again", "whiteout")
        make(tree.bottom / "again", "file")
        about = "a file where the image has a whiteout, with a file below that: what did the image show there?"
        equal(tree.changes("again"), ["A /again"], about)


def test_5_2_of_a_deleted_directory_only_itself_is_told(yours: Yours, tmp_path: Path) -> None:
    with tree_of(yours, tmp_path) as tree:
        make(tree.bottom / "dir", "directory")
        make(tree.bottom / "dir/inside", "file")
        make(tree.upper / "dir", "whiteout")
        equal(tree.changes("dir"), ["D /dir"], "a deleted directory that had a file in it")


def test_5_2_a_file_that_was_only_copied_up_is_no_change(yours: Yours, tmp_path: Path) -> None:
    with tree_of(yours, tmp_path) as tree:
        for name, kind in (("same", "file"), ("pipe", "fifo"), ("null", "c 1:3")):
            tree.same(name, kind)
            about = (
                f"overlayfs copied this {kind} up and nobody wrote to it: it has the size, owner, mode and time "
                "of before. What tells a changed file from a copied one?"
            )
            equal(tree.changes(name), [], about)
        make(tree.bottom / "dir", "directory")
        set_time(make(tree.upper / "dir", "directory"), 0)
        equal(tree.changes("dir"), [], "a directory that both have, empty, with another time: is that a change?")


def test_5_2_each_attribute_counts(yours: Yours, tmp_path: Path) -> None:
    def rewrite(path: Path) -> None:
        path.write_text("longer")
        set_time(path, 1_700_000_000_123_456_789)

    attributes: dict[str, Any] = {
        "another size": rewrite,
        "another time": lambda path: set_time(path, 1_700_000_000_123_456_790),
        "the setuid bit": lambda path: path.chmod(0o4644),
        "another owner": lambda path: os.chown(path, 1000, -1),
        "another group": lambda path: os.chown(path, -1, 1000),
    }
    with tree_of(yours, tmp_path) as tree:
        for number, (what, change) in enumerate(attributes.items()):
            name = f"file{number}"
            tree.same(name, "file")
            change(tree.upper / name)
            equal(tree.changes(name), [f"C /{name}"], f"a file of the image that has {what} now, and nothing else")
        tree.same("dir", "directory")
        (tree.upper / "dir").chmod(0o700)
        equal(tree.changes("dir"), ["C /dir"], "a directory of the image, empty, with another mode now")
        make(tree.bottom / "device", "c 1:3")
        make(tree.upper / "device", "c 1:5")
        equal(tree.changes("device"), ["C /device"], "a device of the image with another number now")


def test_5_2_a_file_capability_counts(yours: Yours, tmp_path: Path) -> None:
    one, other = (
        b"\1\0\0\2" + bytes([bit]) + bytes(15) for bit in (1, 2)
    )  # struct vfs_cap_data of capabilities(7)
    cases: tuple[tuple[str, bytes | None, bytes | None, list[str]], ...] = (
        ("given", None, one, ["C /given"]),
        ("taken", one, None, ["C /taken"]),
        ("changed", one, other, ["C /changed"]),
        ("kept", one, one, []),
    )
    with tree_of(yours, tmp_path) as tree:
        for name, before, now, wanted in cases:
            tree.same(name, "file")
            for layer, value in ((tree.bottom, before), (tree.upper, now)):
                if value is not None:
                    os.setxattr(layer / name, "security.capability", value)
            equal(
                tree.changes(name),
                wanted,
                f"a file with the size, owner, mode and time of before, whose file capability is {name} (what "
                "setcap(8) sets: privileges that its program gets). Is that a change?",
            )


def test_5_2_links_are_not_followed(yours: Yours, tmp_path: Path) -> None:
    with tree_of(yours, tmp_path) as tree:
        make(tmp_path / "gone", "whiteout")
        make(tmp_path / "elsewhere", "directory")
        make(tmp_path / "elsewhere/file", "file")
        targets = {"nowhere": "/nowhere", "host": "/etc/passwd", "device": str(tmp_path / "gone")}
        targets["directory"] = str(tmp_path / "elsewhere")
        for name, target in targets.items():
            tree.same(name, "link", target)
            answer = tree.answer(name)
            about = f"a symbolic link to {target}, copied up and not changed"
            expect(answer.raised is None, f"{about}: does your look follow it?\n    {answer.raised}")
            equal(lines(answer.value), [], f"{about}: which of your looks at it follows it?")
            make(tree.upper / f"new-{name}", "link", target)
            about = f"a new symbolic link to {target}: which of your looks at it follows it?"
            equal(tree.changes(f"new-{name}"), [f"A /new-{name}"], about)


def test_5_2_below_a_directory_its_own_layers_count(yours: Yours, tmp_path: Path) -> None:
    with tree_of(yours, tmp_path) as tree:
        for layer in tree.all:
            make(layer / "dir", "directory")
        make(tree.upper / "dir/only", "file")
        about = "a new file in a directory of the image. When is a directory changed?"
        equal(tree.changes("dir"), ["A /dir/only", "C /dir"], about)
        (tree.upper / "dir/only").unlink()
        make(tree.bottom / "name", "file")
        make(tree.upper / "dir/name", "file")
        about = (
            "a new file /dir/name. The image has a file /name, and none in /dir: with which directories of the "
            "layers are the entries of /dir compared?"
        )
        equal(tree.changes("dir"), ["A /dir/name", "C /dir"], about)
        set_time(make(tree.upper / "dir/copied", "file"), 1_700_000_000_123_456_789)
        set_time(make(tree.bottom / "dir/copied", "file"), 1_700_000_000_123_456_789)
        (tree.upper / "dir/name").unlink()
        about = (
            "a file of /dir, copied up and not changed, that only the bottom layer has. Which layers have a /dir?"
        )
        equal(tree.changes("dir"), [], about)


def test_5_2_a_directory_is_reported_with_what_is_below_it(yours: Yours, tmp_path: Path) -> None:
    with tree_of(yours, tmp_path) as tree:
        make(tree.upper / "new", "directory")
        equal(tree.changes("new"), ["A /new"], "a new directory, empty")
        make(tree.upper / "new/sub", "directory")
        make(tree.upper / "new/sub/file", "file")
        about = "a new directory with a directory in it, and a file in that. Who else reports what is below?"
        equal(tree.changes("new"), ["A /new", "A /new/sub", "A /new/sub/file"], about)
        about = "the same, where `path` is /srv/new"
        wanted = ["A /srv/new", "A /srv/new/sub", "A /srv/new/sub/file"]
        equal(tree.changes("new", "/srv/new"), wanted, about)
        for layer in (tree.bottom, tree.upper):
            make(layer / "dir", "directory")
        equal(tree.changes("dir"), [], "a directory that both have, with nothing in it")
        make(tree.upper / "dir/new", "file")
        about = "a new file in a directory of the image. When is a directory changed?"
        equal(tree.changes("dir"), ["A /dir/new", "C /dir"], about)
        (tree.upper / "dir/new").unlink()
        make(tree.bottom / "dir/old", "file")
        make(tree.upper / "dir/old", "whiteout")
        equal(tree.changes("dir"), ["C /dir", "D /dir/old"], "a deleted file in a directory of the image")


def test_5_2_one_kind_in_the_place_of_another(yours: Yours, tmp_path: Path) -> None:
    with tree_of(yours, tmp_path) as tree:
        make(tree.bottom / "was-file", "file")
        make(tree.upper / "was-file", "directory")
        make(tree.upper / "was-file/new", "file")
        about = (
            "a directory with a file in it, where the image has a file. An entry has one letter: which one here?"
        )
        equal(tree.changes("was-file"), ["A /was-file/new", "C /was-file"], about)
        make(tree.bottom / "was-dir", "directory")
        make(tree.bottom / "was-dir/old", "file")
        make(tree.upper / "was-dir", "link", "/nowhere")
        about = "a symbolic link, where the image has a directory. An entry has one letter: which one here?"
        equal(tree.changes("was-dir"), ["C /was-dir"], about)
        for layer in (tree.bottom, tree.upper):
            make(layer / "opaque", "directory")
        make(tree.bottom / "opaque/old", "file")
        os.setxattr(tree.upper / "opaque", whiteout.OPAQUE_XATTR, b"y")
        about = "a directory that was deleted and made again (an opaque one): its former entries are gone"
        equal(tree.changes("opaque"), ["C /opaque", "D /opaque/old"], about)


def test_5_2_any_name(yours: Yours, tmp_path: Path) -> None:
    with tree_of(yours, tmp_path) as tree:
        for name in ODD_NAMES:
            make(tree.upper / name, "file")
            equal(
                tree.changes(name),
                [f"A /{name}"],
                f"a new file whose name is {name!r}. What does your look make of it?",
            )


def test_5_2_descriptor_0_is_a_directory_as_any_other(yours: Yours, tmp_path: Path) -> None:
    with tree_of(yours, tmp_path, close_stdin=True) as tree:
        tree.same("same", "file")
        about = "`upper` is descriptor 0, as stdin was closed before: which descriptor means that there is none?"
        equal(tree.changes("same"), [], about)


def test_5_2_what_has_gone_meanwhile_is_for_the_caller(yours: Yours, tmp_path: Path) -> None:
    with tree_of(yours, tmp_path) as tree:
        about = "The container has deleted the file between the listing and your look. Who goes on with the next?"
        tree.function.refused(tree.answer("gone"), FileNotFoundError, about)


def test_5_2_what_the_kernel_refuses_is_raised(yours: Yours, tmp_path: Path) -> None:
    numbers = itertools.count()

    def run(function: Function, watch: Any) -> Answer:
        tree = Tree(function, tmp_path / str(next(numbers)))
        for layer in (tree.bottom, tree.upper):
            make(layer / "dir", "directory")
        return tree.answer("dir", watch=watch)

    yours.each_refusal(
        run,
        (*FILES, *(name for name in READS if "xattr" not in name)),
        errors=(errno.EIO,),
        load="swapped",
        about="A report without this entry would say that the container has not changed it.",
    )


def test_5_2_a_directory_may_go_or_change_between_two_looks(yours: Yours, tmp_path: Path) -> None:
    for what in ("goes", "becomes a link to a directory of the host"):
        with tree_of(yours, tmp_path / what) as tree:
            make(tree.upper / "dir", "directory")
            make(tmp_path / what / "host", "directory")
            make(tmp_path / what / "host/secret", "file")

            def change(call: Any, tree: Tree = tree, what: str = what) -> None:
                directory = tree.upper / "dir"
                if call.name == "openat" and call.paths == ("dir",) and directory.is_dir():
                    directory.rmdir()
                    if what != "goes":
                        directory.symlink_to("../host")

            answer = tree.answer("dir", watch=Watch(("openat",), before=change))
            when = f"a directory {what} between your look at it and your open"
            if what == "goes":
                about = f"As {when}: who goes on with the next?"
                tree.function.refused(answer, FileNotFoundError, about)
            shown = [] if answer.raised else lines(answer.value)
            expect(
                "A /dir/secret" not in shown,
                f"{when}, and the changes are {shown}: files of the host. Which flag of open(2) follows no link?",
            )


def test_5_2_drawn_trees_as_the_engine_reports_them(yours: Yours, tmp_path: Path) -> None:
    drawn = random.Random(52)
    with tree_of(yours, tmp_path) as tree:
        for number in range(24):
            name = str(number)
            for layer in tree.all:
                draw(drawn, layer / name, 2)
            with opened(tree.upper) as fd:
                if not os.path.lexists(tree.upper / name):
                    continue
                wanted = diff.entry_changes(fd, name, tree.lowers, f"/{name}")
            found = tree.changes(name)
            about = f"a drawn tree:\n{picture(tree, name)}"
            equal(found, sorted(f"{change.kind} {change.path}" for change in wanted), about)


def draw(drawn: random.Random, path: Path, depth: int) -> None:
    """Make what chance wants at a path: nothing, a file, a whiteout, a directory with more of it."""
    kind = drawn.choice(["missing", "file", "file", "whiteout", "link", *(["directory"] * 4 if depth else [])])
    if kind == "missing":
        return
    make(path, kind)
    if kind == "directory":
        if drawn.random() < 0.2:
            os.setxattr(path, whiteout.OPAQUE_XATTR, b"y")
        for name in "abc":
            draw(drawn, path / name, depth - 1)
    if kind in ("file", "directory"):
        path.chmod(drawn.choice([0o644, 0o644, 0o600]))
    set_time(path, drawn.choice([1, 1, 2]) * 10**9 + 5)


def picture(tree: Tree, name: str) -> str:
    """Return a line for each inode, the upper directory's first."""
    found = []
    for layer in tree.all:
        for path in sorted([layer / name, *(layer / name).rglob("*")]):
            if os.path.lexists(path):
                status = path.lstat()
                what = "whiteout" if whiteout.is_whiteout(status) else stat.filemode(status.st_mode)
                found.append(f"    {layer.name:7} /{path.relative_to(layer)}  {what}  time {status.st_mtime_ns}")
    return "\n".join(found)


def test_5_2_the_engine_tells_the_changes_of_a_container(pyctr: Any) -> None:
    script = "echo x >/new; rm /bin/vi; chmod 700 /root; : >>/etc/passwd"
    pyctr("run", "--name", "box", "busybox", "sh", "-c", script)
    found = pyctr("diff", "box").stdout.splitlines()
    for line in ("A /new", "D /bin/vi", "C /bin"):
        expect(line in found, f"`pyctr_lite diff` does not report `{line}`; it reports {found}")


# --- 5.3 -------------------------------------------------------------------------------------------------


def layer_of(
    yours: Function, latest: int | None, *calls: tuple[tuple[Any, ...], dict[str, Any]], about: str = ""
) -> bytes:
    """Return the archive that calls of a LayerWriter's method make, and look over the writer itself."""
    answer = yours.answer((latest, calls), scene="written")
    if answer.raised is not None:
        raise CheckFailed(f"{about}\n    {answer.raised}".strip(), answer.raised.traceback)
    found = answer.value
    changed = [f"self.{name}" for name, value in found["before"].items() if found["after"].get(name) != value]
    expect(
        not changed or yours.name == "add_entries",
        f"{yours.name} has changed {', '.join(changed)}: what do the layer's later entries need it for?",
    )
    data: bytes = found["bytes"]
    expect(
        (found["diff_id"], found["size"]) == (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)),
        f"the archive has {len(data)} bytes, and the layer's digest is not theirs: self.stream has hashed "
        f"{found['size']} bytes. How did the others get into the archive?",
    )
    return data


def entries_of(data: bytes) -> list[tarfile.TarInfo]:
    """Return the entries of an archive as Python's own tar reads them."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), errorlevel=2) as archive:
            entries = archive.getmembers()
        expect(
            entries or not data.strip(b"\0"),
            "something was written, and yet the archive has no entry: it ends with the first block of zeros. What "
            "is written before the header?",
        )
        return entries
    except tarfile.TarError as error:
        raise CheckFailed(f"Python's tarfile cannot read the archive: {error}. What was written to it?") from None


def whiteouts(yours: Yours, *names: tuple[bytes, bytes], latest: int | None = None) -> list[tarfile.TarInfo]:
    """Return the entries of a layer of whiteouts: (prefix, name) each."""
    return entries_of(layer_of(yours, latest, *((name, {}) for name in names)))


def test_5_3_a_deleted_name_becomes_an_empty_marker_beside_it(yours: Yours) -> None:
    entries = whiteouts(yours, (b"etc/", b"passwd"))
    expect(
        len(entries) == 1,
        f"a whiteout is one entry of the archive; there are {len(entries)}: was it written, to self.stream?",
    )
    [entry] = entries
    equal(
        entry.name,
        "etc/.wh.passwd",
        "the marker's name: it lies where the file lay. Which part of the path gets the prefix?",
    )
    expect(
        not entry.isdev(),
        "the entry is a device: overlayfs's own 0:0 device never goes into a layer. What do OCI's layers have?",
    )
    expect(
        entry.isreg(), f"the entry is of type {entry.type!r}: the marker is a regular file. Which type is that?"
    )
    equal(entry.size, 0, "the marker's size: it is an empty file")


def test_5_3_nothing_in_it_depends_on_the_machine(yours: Yours) -> None:
    for latest in (None, 0, 1_000_000_000):
        [entry] = whiteouts(yours, (b"", b"old"), latest=latest)
        about = "the marker's time: the same deletion gives the same bytes on every day. Where is yours from?"
        equal(entry.mtime, 0, f"{about} (self.latest is {latest})")
        equal(
            oct(entry.mode),
            "0o600",
            "the marker's mode: the docstring names it. Which one do you give?",
        )
        equal((entry.uid, entry.gid), (0, 0), "the marker's owner and group")
        equal((entry.uname, entry.gname), ("", ""), "the names of its owner and group: what are they elsewhere?")


def test_5_3_in_any_directory_with_any_name(yours: Yours) -> None:
    long = b"directory-with-a-long-name/" * 12
    cases = [(b"", b"old"), (b"a/b/c/", b"old"), (b"etc/", b"passwd"), (long, b"file"), (b"", b"x" * 255)]
    cases += [(b"a/", b"y" * 96), (b"a/", b"y" * 95), (b"a/", b"y" * 94), (b".wh/", b".wh")]
    cases += [(b"a/", os.fsencode(name)) for name in ODD_NAMES if not name.startswith(".wh.")]
    cases += [(b"\xff/", b"\xfe"), (b"a/", b".wh..opq")]
    for prefix, name in cases:
        where = prefix if len(prefix) < 30 else prefix[:27] + b"..."
        about = (
            f"a whiteout of the name {name!r} in the directory {where!r} ({len(prefix) + len(name)} bytes in all)"
        )
        question = "which limits does your header have that pax does not have?"
        data = layer_of(yours, None, ((prefix, name), {}), about=f"{about}: {question}")
        names = [os.fsencode(entry.name) for entry in entries_of(data)]
        equal(names, [prefix + b".wh." + name], f"{about}: the names in the archive. What do you make of a name?")


def test_5_3_one_after_the_other(yours: Yours) -> None:
    names = [(b"", b"b"), (b"dir/", b"a"), (b"", b"b"), (b"dir/sub/", b"c")]
    wanted = [".wh.b", "dir/.wh.a", ".wh.b", "dir/sub/.wh.c"]
    equal([entry.name for entry in whiteouts(yours, *names)], wanted, "four calls for one layer")
    found = layer_of(yours, None, ((b"etc/", b"passwd"), {}))
    wanted_bytes = header.entry_header(b"etc/.wh.passwd", header.REGULAR, mode=0o600) + bytes(1024)
    same_bytes(found, wanted_bytes)


def same_bytes(found: bytes, wanted: bytes) -> None:
    """Fail the check if an archive that reads well differs from the engine's."""
    pairs = zip(found, wanted, strict=False)
    shorter = min(len(found), len(wanted))
    at = next((index for index, (one, other) in enumerate(pairs) if one != other), shorter)
    expect(
        found == wanted,
        "tarfile reads the right entries, but the bytes are not those of `header.entry_header`, so the digest "
        f"is not the engine's: yours are {len(found)}, wanted are {len(wanted)}, and the first that differs is "
        f"number {at}. What is written beside one header for each call, or in its place?",
    )


def test_5_3_a_full_disk_is_an_error(yours: Yours) -> None:
    refused_by_a_full_disk(yours, b"etc/", b"passwd")


def refused_by_a_full_disk(yours: Yours, *args: Any) -> None:
    answer = yours.answer(args, scene="written_to_a_full_disk")
    about = "The disk is full, and self.stream.write says so: a layer without this entry would be another image."
    yours.refused(answer, OSError, about, errno.ENOSPC)


def test_5_3_what_the_engine_commits_hides_the_file(pyctr: Any) -> None:
    pyctr("run", "--name", "box", "busybox", "rm", "/bin/vi")
    pyctr("commit", "box", "without-vi")
    done = pyctr("run", "--rm", "without-vi", "sh", "-c", "test -e /bin/vi && echo there || echo gone")
    equal(done.stdout, "gone\n", "/bin/vi in a container of the image that was committed without it")


# --- 5.4 -------------------------------------------------------------------------------------------------


def names_in(yours: Function, directory: Path, prefix: bytes = b"") -> list[str]:
    """Return the names in the archive of a directory, as the engine's `add_entry` writes them."""
    with opened(directory) as fd:
        return [entry.name for entry in entries_of(layer_of(yours, None, ((Fd(fd), prefix), {})))]


def recorded(yours: Function, directory: Path, prefix: bytes = b"", **more: Any) -> list[bytes]:
    """Return the names that were given to `add_entry`, in their order; the rest of each call is looked over."""
    with opened(directory) as fd:
        answer = yours.answer((Fd(fd), prefix), more, scene="recorded")
    if answer.raised is not None:
        is_text = answer.raised.is_a(UnicodeError)
        question = (
            "\nA name may be any bytes, UTF-8 or not. What turns it into its bytes again?" if is_text else ""
        )
        raise CheckFailed(f"{answer.raised}{question}", answer.raised.traceback)
    found = answer.value
    for given, name, where in found["calls"]:
        expect(
            isinstance(name, bytes),
            f"self.add_entry is called with the name {name!r}: names in an archive are bytes. What is yours?",
        )
        equal(
            given, found["directory"], "the first argument of self.add_entry: the directory that was given, open"
        )
        equal(
            where,
            prefix,
            "the last argument of self.add_entry: the path of the directory, as it was given. What becomes of it?",
        )
    return [name for _, name, _ in found["calls"]]


def fill(directory: Path, names: list[bytes]) -> None:
    """Make files in an order that the file system does not list sorted."""
    drawn = random.Random(54)
    for _ in range(20):
        for name in drawn.sample(names, len(names)):
            (directory / os.fsdecode(name)).touch()
        if len(names) < 3 or os.listdir(os.fsencode(directory)) != sorted(names):
            return
        for name in names:
            (directory / os.fsdecode(name)).unlink()


def test_5_4_each_is_given_with_its_directory(yours: Yours, tmp_path: Path) -> None:
    make(tmp_path / "one", "directory")
    fill(tmp_path / "one", [b"only"])
    about = "a directory with one file: what is between the list of names and `self.add_entry`?"
    equal(recorded(yours, tmp_path / "one", b"one/"), [b"only"], about)


def test_5_4_all_that_is_in_a_directory_is_added(yours: Yours, tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden"):
        make(tmp_path / name, "file")
    make(tmp_path / "sub", "directory")
    make(tmp_path / "sub/c", "file")
    make(tmp_path / "link", "link", "sub")
    make(tmp_path / "dangling", "link", "/nowhere")
    make(tmp_path / "pipe", "fifo")
    make(tmp_path / "null", "c 1:3")
    with yours.at(load="swapped") as function:
        wanted = [".hidden", "a", "b", "dangling", "link", "null", "pipe", "sub", "sub/c"]
        same_names(names_in(function, tmp_path), wanted, "the archive of a directory")
        same_names(names_in(function, tmp_path), wanted, "the archive of the same directory, made again")
        wanted = [f"usr/lib/{name}" for name in wanted]
        same_names(names_in(function, tmp_path, b"usr/lib/"), wanted, "the archive, where `prefix` is b'usr/lib/'")
    make(tmp_path / "empty", "directory")
    equal(recorded(yours, tmp_path / "empty"), [], "an empty directory: there is nothing to add")


def same_names(found: list[str], wanted: list[str], about: str) -> None:
    missing = sorted(set(wanted) - set(found))
    expect(not missing, f"{about} has no {', '.join(missing)}: what leaves entries out?")
    others = sorted(set(found) - set(wanted))
    expect(not others, f"{about} has the names {', '.join(others)}: which prefix do the entries get?")
    twice = sorted({name for name in found if found.count(name) > 1})
    expect(not twice, f"{about} has {', '.join(twice)} twice: who adds what is below a directory?")


def test_5_4_the_order_is_not_the_file_systems(yours: Yours, tmp_path: Path) -> None:
    names = [b"name%02d" % number for number in range(12)]
    fill(tmp_path, names)
    found = recorded(yours, tmp_path)
    if found == sorted(names)[::-1]:
        question = "That is the order of their bytes, from its end. Which one is first?"
    else:
        question = (
            "The file system lists them in an order of its own, another one on the next machine, and then the "
            "digest is another, too. Which order is the same everywhere?"
        )
    equal(found, sorted(names), f"the names as they are added. {question}")


def test_5_4_the_order_is_that_of_the_bytes(yours: Yours, tmp_path: Path) -> None:
    cases = {
        "upper and lower case": [b"B", b"a", b"C", b"b", b"_", b"~", b"A"],
        "numbers": [b"file10", b"file2", b"file1", b"10", b"9"],
        "a name that another one begins with": [b"a", b"a-b", b"a.b", b"a b", b"ab", b"a0"],
        "names with a dot": [b".b", b"a", b"..x", b"-", b"#"],
        "letters of other languages": ["é".encode(), b"f", b"z", b"e", "ß".encode(), b"s"],
        "an accent in its letter, or behind it: these are two names": ["\xe9".encode(), b"e", "e\u0301".encode()],
        "odd bytes": [b"new\nline", b" ", b"\x01", b"\x7f", b"x" * 255, b"*"],
    }
    for number, (what, names) in enumerate(cases.items()):
        directory = make(tmp_path / str(number), "directory")
        fill(directory, names)
        about = f"the order of the names ({what}) is that of their bytes, on every machine. What do you sort by?"
        equal(recorded(yours, directory), sorted(names), about)
    directory = make(tmp_path / "text", "directory")
    names = [b"\xef\xbc\x81", b"\xff", b"\xf0\x9f\x90\xb3"]  # U+FF01, no UTF-8 at all, and U+1F433
    fill(directory, names)
    equal(
        recorded(yours, directory),
        sorted(names),
        "three names, of which one is not UTF-8. Python's text has a stand-in for such a byte, U+DCFF, and that "
        "comes before U+FF01: names as text have another order than as bytes. Which of them do you sort?",
    )


def test_5_4_no_kind_of_file_goes_first(yours: Yours, tmp_path: Path) -> None:
    kinds = {"a": "file", "b": "directory", "c": "link", "d": "file", "e": "directory", "f": "fifo", "a-b": "file"}
    for name, kind in kinds.items():
        make(tmp_path / name, kind)
    make(tmp_path / "a.d", "directory")
    make(tmp_path / "0", "whiteout")
    equal(
        recorded(yours, tmp_path),
        sorted([*map(os.fsencode, kinds), b"a.d", b"0"]),
        "files, directories and links as they are added: the bytes of the names decide. What else do you sort by?",
    )


def test_5_4_a_name_that_has_gone_meanwhile_is_passed_over(yours: Yours, tmp_path: Path) -> None:
    names = [b"a", b"b", b"c", b"d"]
    for gone in ([b"b"], [b"d"], [b"b", b"c", b"d"]):
        directory = make(tmp_path / b"-".join(gone).decode(), "directory")
        fill(directory, names)
        with opened(directory) as fd:
            answer = yours.answer((Fd(fd), b""), {"deletes": {b"a": gone}}, scene="recorded")
        which = ", ".join(map(repr, gone))
        expect(
            answer.raised is None,
            f"the container deletes {which} after the directory was listed, and the commit fails: what should "
            f"become of a name that is gone?\n    {answer.raised}",
        )
        tried = [name for _, name, _ in answer.value["calls"]]
        about = f"the container deletes {which} while b'a' is added. What is tried all the same, name by name?"
        equal([name for name in tried if name not in gone], [name for name in names if name not in gone], about)


def test_5_4_any_other_error_ends_the_commit(yours: Yours, tmp_path: Path) -> None:
    fill(tmp_path, [b"a", b"b", b"c"])
    errors: list[tuple[BaseException, type[BaseException], int]] = [
        (OSError(errno.EIO, "the disk is broken"), OSError, errno.EIO),
        (PermissionError(errno.EACCES, "may not be read"), PermissionError, errno.EACCES),
        (OSError(errno.ENOSPC, "the disk is full"), OSError, errno.ENOSPC),
        (NotADirectoryError(errno.ENOTDIR, "no directory"), NotADirectoryError, errno.ENOTDIR),
        (ValueError("a name that no layer may have"), ValueError, 0),
    ]
    for error, kind, number in errors:
        with opened(tmp_path) as fd:
            answer = yours.answer((Fd(fd), b""), {"errors": {b"b": error}}, scene="recorded")
        about = (
            f"self.add_entry raises {type(error).__name__} ({error}) for b'b'. If nobody hears of it, the file is "
            "missing in the image. Which one error means that a name is gone?"
        )
        expect(answer.raised is not None, f"add_entries passes over an error: {about}")
        yours.refused(answer, kind, about, number)


def test_5_4_what_the_kernel_refuses_is_raised(yours: Yours, tmp_path: Path) -> None:
    fill(tmp_path, [b"a", b"b"])

    def run(function: Function, watch: Any) -> Answer:
        with opened(tmp_path) as fd:
            return function.answer((Fd(fd), b""), {}, scene="recorded", watch=watch)

    names = ("getdents64", "stat", "newfstatat", "fstat", "openat", "statx")
    about = "An image without this file would pass for the container."
    yours.each_refusal(run, names, errors=(errno.EIO, errno.EACCES), about=about)


def test_5_4_descriptor_0_is_a_directory_as_any_other(yours: Yours, tmp_path: Path) -> None:
    fill(tmp_path, [b"a"])
    with yours.at(close_stdin=True) as function:
        about = (
            "the directory is descriptor 0, as stdin was closed before: which descriptor means that there is none?"
        )
        equal(recorded(function, tmp_path), [b"a"], about)


def test_5_4_the_engine_commits_all_files(pyctr: Any) -> None:
    script = "mkdir /dir; for i in 3 1 2; do echo $i >/dir/$i; done; echo x >/.hidden"
    pyctr("run", "--name", "box", "busybox", "sh", "-c", script)
    pyctr("commit", "box", "all")
    done = pyctr("run", "--rm", "all", "cat", "/dir/1", "/dir/2", "/dir/3", "/.hidden")
    equal(done.stdout, "1\n2\n3\nx\n", "the files in a container of the image that was committed with them")


# --- 5.5 -------------------------------------------------------------------------------------------------

SECOND = 1_700_000_000
NANOSECONDS = 10**9
FIELDS = {
    "name": "its path",
    "type": "its type, which the caller names",
    "mode": "its mode: all twelve permission bits, and the kind of file is not part of it",
    "uid": "its owner",
    "gid": "its group",
    "uname": "the name of its owner: it means nothing in another root file system",
    "gname": "the name of its group: it means nothing in another root file system",
    "size": "its size, which the caller gives: an entry without data has size 0, whatever the inode's is",
    "mtime": "its time, in seconds",
    "linkname": "where a link leads",
    "device": "the numbers of a device, which the caller gives",
    "xattrs": "its extended attributes",
}


def status_of(**members: int) -> os.stat_result:
    """Return what stat(2) gives of an inode. Times are in nanoseconds, and all three of them different."""
    given = {"mode": stat.S_IFREG | 0o644, "uid": 0, "gid": 0, "size": 0, "mtime": SECOND * NANOSECONDS} | members
    times = {
        "atime": given["mtime"] + 7_000_000_000,
        "mtime": given["mtime"],
        "ctime": given["mtime"] + 9_000_000_000,
    }
    others: dict[str, float] = {"st_rdev": os.makedev(7, 9), "st_blocks": 8, "st_blksize": 4096}
    ten = (given["mode"], 11, 12, 1, given["uid"], given["gid"], given["size"])
    more: dict[str, float] = others | {f"st_{name}_ns": value for name, value in times.items()}
    more |= {f"st_{name}": value / NANOSECONDS for name, value in times.items()}
    return os.stat_result((*ten, *(value // NANOSECONDS for value in times.values())), more)


def header_of(
    yours: Yours, status: os.stat_result, about: str, *, latest: int | None = None, **more: Any
) -> dict[str, Any]:
    """Return the fields of the header that `add_header` writes; wrong ones of them fail the check."""
    path, type = more.pop("path", b"file"), more.pop("type", header.REGULAR)
    given = ((path, type, status), more)
    found = fields_of(layer_of(yours, latest, given, about=f"{about}: add_header raises"))
    output = io.BytesIO()
    engines = LayerWriter(output, latest)
    engines.add_header(path, type, status, **more)
    engines.finish()
    wanted = fields_of(output.getvalue())
    beside = found["length"] - wanted["length"]
    expect(
        beside < 512,
        f"{about}: {beside} bytes are written beside the header. Who writes a file's content, and when?",
    )
    for name, what in FIELDS.items():
        if name != "mtime":
            equal(found[name], wanted[name], f"{about}: {what}. Where is yours from?")
    return found


def fields_of(data: bytes) -> dict[str, Any]:
    """Return the first header of an archive as values."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            entry = archive.next()
    except tarfile.TarError as error:
        raise CheckFailed(f"Python's tarfile cannot read what add_header wrote: {error}") from None
    if entry is None:
        raise CheckFailed("add_header has written nothing to the layer: where does the header go?")
    found = {name: getattr(entry, name) for name in ("type", "uid", "gid", "uname", "gname", "size", "linkname")}
    found["mode"], found["device"] = oct(entry.mode), (entry.devmajor, entry.devminor)
    found["name"] = os.fsencode(entry.name)
    found["linkname"] = os.fsencode(entry.linkname)
    found["length"] = len(data)
    found["mtime"] = entry.pax_headers.get("mtime", str(entry.mtime))
    start = "SCHILY.xattr."
    found["xattrs"] = {
        key.removeprefix(start): value for key, value in entry.pax_headers.items() if key.startswith(start)
    }
    return found


def test_5_5_the_header_says_what_the_file_is(yours: Yours) -> None:
    status = status_of(mode=stat.S_IFREG | 0o644, uid=1234, gid=5678)
    header_of(yours, status, "a file")
    header_of(yours, status_of(uid=0, gid=3_000_000), "a file with a large group id")
    header_of(yours, status_of(uid=4_294_967_294, gid=0), "a file with a large user id")


def test_5_5_the_time_is_the_inodes(yours: Yours) -> None:
    for second in (86_400, 1_000_000_000):
        about = (
            "Its members st_atime, st_mtime and st_ctime are different, and it is later by now. Which is wanted?"
        )
        times(yours, {second * NANOSECONDS: second}, about)


def test_5_5_all_permission_bits_and_nothing_else(yours: Yours) -> None:
    kinds = {
        header.REGULAR: stat.S_IFREG,
        header.DIRECTORY: stat.S_IFDIR,
        header.SYMLINK: stat.S_IFLNK,
        header.CHARACTER: stat.S_IFCHR,
        header.FIFO: stat.S_IFIFO,
    }
    for type, kind in kinds.items():
        for mode in (0, 0o644, 0o777, 0o1777, 0o2750, 0o4755, 0o7777):
            about = f"an inode whose st_mode is {kind | mode:#o} (permissions {mode:#o})"
            header_of(yours, status_of(mode=kind | mode), about, type=type)


def times(yours: Yours, cases: dict[int, int], about: str, latest: int | None = None) -> None:
    """Compare the time of headers: nanoseconds of the inode, and the seconds that are wanted."""
    for nanoseconds, seconds in cases.items():
        which = f"a file that was written at {nanoseconds} ns"
        found = header_of(yours, status_of(mtime=nanoseconds), which, latest=latest)
        equal(found["mtime"], str(seconds), f"{which}: its time in the header. {about}")


def test_5_5_the_time_is_in_whole_seconds_rounded_down(yours: Yours) -> None:
    about = (
        "With the fraction the header would need a pax record, and other tools would write another layer; rounded "
        "up it would lie in the future. How do you get from nanoseconds to seconds?"
    )
    cases = {SECOND * NANOSECONDS + fraction: SECOND for fraction in (0, 1, 499_999_999, 500_000_000, 900_000_000)}
    times(yours, cases | {0: 0, 1: 0, 999_999_999: 0}, about)
    cases = {SECOND * NANOSECONDS + 999_999_999: SECOND, (1 << 33) * NANOSECONDS + 999_999_999: 1 << 33}
    about = "st_mtime is a float, which has no room for nine digits behind a point. Which member is exact?"
    times(yours, cases, about)
    cases = {
        -1: -1,
        -NANOSECONDS: -1,
        -NANOSECONDS - 1: -2,
        -1_500_000_000: -2,
        -315_619_200 * NANOSECONDS: -315_619_200,
    }
    times(yours, cases, "A time before 1970 is negative: which way is down?")


def test_5_5_no_time_is_later_than_the_latest(yours: Yours) -> None:
    now, past = SECOND * NANOSECONDS + 5, -10 * NANOSECONDS
    times(yours, {now: 1_000_000}, "SOURCE_DATE_EPOCH=1000000 and a later file", 1_000_000)
    about = "SOURCE_DATE_EPOCH=2000000000 is a limit; this file is older"
    times(yours, {now: SECOND, past: -10}, about, 2_000_000_000)
    times(yours, {now: 0, past: -10}, "SOURCE_DATE_EPOCH=0 is a limit as any other", 0)
    cases = {now: SECOND, SECOND * NANOSECONDS: SECOND, (SECOND + 1) * NANOSECONDS: SECOND}
    times(yours, cases | {(SECOND - 1) * NANOSECONDS: SECOND - 1}, "The limit is 1700000000", SECOND)
    times(yours, {past: -20, -30 * NANOSECONDS: -30}, "The limit is a time before 1970", -20)
    times(yours, {now: SECOND}, "self.latest is None: there is no limit")


def test_5_5_what_else_is_given_reaches_the_header(yours: Yours) -> None:
    link = status_of(mode=stat.S_IFLNK | 0o777, size=2)
    for target in (b"to", b"/absolute/target", b"x" * 300, b"\xff\xfe"):
        header_of(yours, link, f"a symbolic link to {target[:20]!r}", type=header.SYMLINK, linkname=target)
    twice = status_of(size=1000)
    header_of(yours, twice, "a hard link, whose inode has data", type=header.HARDLINK, linkname=b"first/name")
    for size in (1000, 0, 1, 511, 1 << 20, 9 << 30):
        header_of(yours, status_of(size=77), f"a file, `size` is {size}, and st_size 77", size=size)
    node = status_of(mode=stat.S_IFCHR | 0o600)
    for type, numbers in ((header.CHARACTER, (1, 3)), (header.BLOCK_DEVICE, (8, 16)), (header.CHARACTER, (0, 5))):
        header_of(yours, node, f"a device {numbers[0]}:{numbers[1]}", type=type, device=numbers)
    status = status_of()
    for path in (b"a", b"dir/", b"x" * 100, b"x" * 101, b"y/" * 200 + b"z", b"\xff", "ü".encode(), b"new\nline"):
        header_of(yours, status, f"a file with the path {path[:20]!r} ({len(path)} bytes)", path=path)
    for xattrs in (
        {},
        None,
        {"user.note": b"kept"},
        {"user.b": b"2", "user.a": b"1", "security.capability": b"\1\0"},
    ):
        header_of(yours, status, f"a file with the extended attributes {xattrs}", xattrs=xattrs)
    more: dict[str, Any] = {"linkname": b"to", "xattrs": {"user.note": b"kept"}, "size": 3, "device": (1, 3)}
    header_of(yours, status, "an entry of which all is given at once", latest=5, **more)


def test_5_5_one_header_after_the_other(yours: Yours) -> None:
    one, other = status_of(uid=1, mode=0o100600), status_of(uid=2, mode=0o100755, mtime=5 * NANOSECONDS)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((b"one", header.REGULAR, one), {"xattrs": {"user.one": b"1"}}),
        ((b"link", header.SYMLINK, other), {"linkname": b"one"}),
        ((b"two", header.REGULAR, other), {}),
    ]
    output = io.BytesIO()
    engines = LayerWriter(output, None)
    for args, kwargs in calls:
        engines.add_header(*args, **kwargs)
    engines.finish()
    found, wanted = layer_of(yours, None, *calls), output.getvalue()
    names = [(entry.name, entry.uid, entry.linkname, dict(entry.pax_headers)) for entry in entries_of(found)]
    about = "three headers, one after the other: name, owner, link and pax records of each"
    equal(names, [(e.name, e.uid, e.linkname, dict(e.pax_headers)) for e in entries_of(wanted)], about)
    same_bytes(found, wanted)


def test_5_5_a_full_disk_is_an_error(yours: Yours) -> None:
    refused_by_a_full_disk(yours, b"file", header.REGULAR, status_of())


def test_5_5_the_engine_gives_the_same_digest_twice(pyctr: Any) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do echo $i >/f$i; touch -d @1000000000 /f$i; done"
    for name in ("one", "two"):
        pyctr("run", "--name", name, "busybox", "sh", "-c", script)
        pyctr("commit", name, f"same:{name}")
    format = "{{index .RootFS.Layers 1}}"
    one, two = pyctr("image", "inspect", "--format", format, "same:one", "same:two").stdout.split()
    equal(two, one, "two containers that made the same change: the digests of their layers")


# --- 5.6 -------------------------------------------------------------------------------------------------

PARENT: dict[str, Any] = {
    "created": "2020-01-01T00:00:00Z",
    "author": "somebody",
    "architecture": "arm64",
    "variant": "v8",
    "os": "linux",
    "config": {"Env": ["A=1"], "Cmd": ["sh"], "StopSignal": "SIGINT"},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:base"]},
    "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "import"}],
}
CONTAINER: dict[str, Any] = {
    "Env": ["A=1", "B=2"],
    "Entrypoint": ["/bin/entry"],
    "Cmd": ["make", "it"],
    "Hostname": "3f2a",
    "Tty": True,
    "User": "",
    "Labels": {},
    "WorkingDir": None,
}
NOW = "2026-01-01T00:00:00Z"


def made(yours: Yours, parent: Any = PARENT, container: Any = CONTAINER, **more: Any) -> dict[str, Any]:
    """Return the new config. `diff_id` and `created` have a value by themselves."""
    more = {"created": NOW} | more
    diff_id = more.pop("diff_id", "sha256:new")
    answer = yours.answer((copy.deepcopy(parent), copy.deepcopy(container), diff_id), more)
    if answer.raised is not None:
        question = "A change may be a text or a ConfigChange. Which function makes one of the other?"
        text = f"{question} `changes` are {more['changes']}" if more.get("changes") else ""
        raise CheckFailed(f"{answer.raised}\n{text}".strip(), answer.raised.traceback)
    found = answer.value
    expect(isinstance(found, dict), f"new_config returns {found!r}: the engine writes it as JSON. What is yours?")
    return dict(found)


def test_5_6_the_new_layer_lies_on_top_of_the_parents(yours: Yours) -> None:
    wanted = {"type": "layers", "diff_ids": ["sha256:base", "sha256:new"]}
    equal(made(yours).get("rootfs"), wanted, "rootfs: the parent's layers, and the new one on top of them")
    many = PARENT | {"rootfs": {"type": "layers", "diff_ids": ["sha256:c", "sha256:a", "sha256:b"]}}
    found = made(yours, many)["rootfs"]["diff_ids"]
    equal(found, ["sha256:c", "sha256:a", "sha256:b", "sha256:new"], "the layers, the lowest one first")
    again = made(yours, many, diff_id="sha256:a")["rootfs"]["diff_ids"]
    about = "the layers, where the new one is one that the parent has already: two steps may do the same"
    equal(again, ["sha256:c", "sha256:a", "sha256:b", "sha256:a"], about)
    about = "the layers where `diff_id` is None: nothing has changed. How many layers has the image?"
    equal(made(yours, diff_id=None)["rootfs"]["diff_ids"], ["sha256:base"], about)


def test_5_6_the_rest_is_the_parents(yours: Yours) -> None:
    image = made(yours)
    equal(image.get("created"), NOW, "the time of creation: this image's own. Whose is yours?")
    authors = image.get("author"), made(yours, author="me").get("author")
    equal(authors, ("somebody", "me"), "the author, not given and given: whose is it if nobody is named?")
    for name in ("architecture", "variant", "os"):
        about = f"`{name}`: an image without it runs on no machine, or on the wrong one. Where does it come from?"
        equal(image.get(name), PARENT[name], about)
    more = PARENT | {"os.version": "10", "org.example": {"kept": [1]}}
    found = made(yours, more)
    about = "a member of the parent's config that you do not know: whose is it?"
    equal(found.get("org.example"), {"kept": [1]}, about)
    equal(sorted(found), sorted(more), "the members of the new config")


def test_5_6_the_history_is_kept_and_one_line_longer(yours: Yours) -> None:
    history = made(yours, message="why", author="me").get("history")
    length = len(history) if isinstance(history, list) else repr(history)
    expect(length == 2, f"the history has {length} lines: the parent's one, and this step's. Which is missing?")
    assert history
    equal(history[0], PARENT["history"][0], "the first line: the parent's. In which order do the steps come?")
    wanted = {"created": NOW, "created_by": "make it", "author": "me", "comment": "why"}
    found = history[1] if isinstance(history[1], dict) else {}
    abouts = {
        "created": "`created` of this step's line",
        "created_by": f"`created_by` of this step's line. {about_command(found.get('created_by'))}",
        "author": "`author` of this step's line",
        "comment": "`comment` of this step's line, which is the message",
    }
    for name, about in abouts.items():
        equal(found.get(name), wanted[name], about)
    equal(history[1], wanted, "the line of this step, all of it")
    parent = PARENT | {"history": [*PARENT["history"], wanted]}
    same = made(yours, parent, message="why", author="me")["history"]
    about = "the history of a step whose line is the one before it once more, as with SOURCE_DATE_EPOCH: two lines"
    equal(same[1:], [wanted, wanted], about)
    last = made(yours)["history"][1]
    about = (
        "the line of a step without author and message: the author is then the parent's, and there is no comment"
    )
    equal(last, {"created": NOW, "created_by": "make it", "author": "somebody"}, about)


def about_command(found: object) -> str:
    default = "By default it is the container's Cmd, its words with blanks between them"
    if found is None:
        return f"{default}: who sets it if the caller does not?"
    return (
        f"{default}: {'is the entrypoint part of it?' if '/bin/entry' in str(found) else 'how do you join them?'}"
    )


def test_5_6_changes_are_made(yours: Yours) -> None:
    image = made(yours, changes=['CMD ["serve"]', "ENV C=3"])
    equal(image["config"].get("Cmd"), ["serve"], "Cmd after CMD of -c")
    equal(image["config"].get("Env"), ["A=1", "B=2", "C=3"], "Env after ENV of -c")
    about = "Env after ENV A=2 and then ENV A=3: in which order are they made?"
    equal(made(yours, changes=["ENV A=2", "ENV A=3"])["config"].get("Env"), ["A=3", "B=2"], about)
    unsorted = ["Z=1", "PATH=/bin", "A=1"]
    found = made(yours, container=CONTAINER | {"Env": unsorted})["config"].get("Env")
    equal(found, unsorted, "Env of a container: an image has it in the order of the container")
    image = made(yours, changes=[ConfigChange("USER", "me"), "LABEL a=b", ConfigChange("WORKDIR", "/srv")])
    found = [image["config"].get(name) for name in ("User", "Labels", "WorkingDir")]
    equal(
        found,
        ["me", {"a": "b"}, "/srv"],
        "User, Labels, WorkingDir: of three changes two are ConfigChange already",
    )
    image = made(yours, changes=('ENTRYPOINT ["serve"]',))
    about = "Cmd after ENTRYPOINT of -c: the arguments of another program are dropped. Which function knows that?"
    equal(image["config"].get("Cmd"), None, about)
    changes = ["ENV C=3", ConfigChange("USER", "me")]
    config_of = yours.scene("of_an_iterator", PARENT, CONTAINER, "sha256:new", created=NOW, changes=changes)[
        "config"
    ]
    about = "Env and User after two changes that come from an iterator: how many times can you go through it?"
    equal([config_of.get("Env"), config_of.get("User")], [["A=1", "B=2", "C=3"], "me"], about)
    about = "FROM changes no config. Who finds out that the change was not made?"
    yours.raises(
        InvalidArgument, PARENT, CONTAINER, "sha256:new", created=NOW, changes=["FROM scratch"], about=about
    )


def test_5_6_what_made_the_layer(yours: Yours) -> None:
    cases: list[tuple[dict[str, Any], Any, str]] = [
        ({"created_by": "sh -c x"}, "sh -c x", "which is given"),
        (
            {"created_by": ""},
            None,
            "given as an empty text: the line has no `created_by`. Is an empty text the same as None?",
        ),
        ({"created_by": None}, "make it", "given as None: then it is the container's command"),
        (
            {"changes": ['CMD ["serve"]']},
            "make it",
            "with CMD changed by -c: which of the two commands made the layer?",
        ),
    ]
    for more, wanted, about in cases:
        equal(
            made(yours, **more)["history"][1].get("created_by"), wanted, f"`created_by` of the new line, {about}"
        )
    for command, wanted in ((["true"], "true"), (["sh", "-c", "a  b"], "sh -c a  b"), ([], None), (None, None)):
        image = made_of_little(yours, PARENT, CONTAINER | {"Cmd": command})
        about = f"`created_by` of the new line, where the container's Cmd is {command}"
        equal(image["history"][1].get("created_by"), wanted, about)


def test_5_6_a_step_without_a_layer_is_marked(yours: Yours) -> None:
    about = "`empty_layer` of the new line of history, where `diff_id` is None: the line has no layer"
    equal(made(yours, diff_id=None)["history"][1].get("empty_layer"), True, about)
    about = "a line of history that has a layer: is `empty_layer` in it?"
    equal("empty_layer" in made(yours)["history"][1], False, about)


def test_5_6_only_what_an_image_may_carry_is_in_it(yours: Yours) -> None:
    wanted = {"Env": ["A=1", "B=2"], "Entrypoint": ["/bin/entry"], "Cmd": ["make", "it"]}
    found = made(yours).get("config")
    expect(isinstance(found, dict), f"`config` is {found!r}: it is a dictionary. What is yours?")
    assert found is not None
    others = set(found) - set(wanted)
    questions = {
        "Hostname": "a host name and a terminal are the container's own. Which members may an image carry?",
        "StopSignal": "only the parent has it. The parent's values are merged into the container's already: whose "
        "is the config of the new image?",
        "User": "an empty value says nothing. What is to be left out?",
    }
    for name, question in questions.items():
        expect(name not in others, f"`config` has {', '.join(sorted(others))}; {question}")
    equal(sorted(found), sorted(wanted), "the members of `config`: what of the container's is kept?")
    equal(found, wanted, "the config")
    full = {key: ["x"] for key in config.IMAGE_KEYS}
    equal(
        made(yours, container=full)["config"],
        full,
        "the config of a container that has all that an image may carry",
    )


def test_5_6_the_caller_s_configs_are_not_touched(yours: Yours) -> None:
    parent, container = copy.deepcopy(PARENT), copy.deepcopy(CONTAINER)
    parent["org.example"] = {"deep": {"deeper": [1]}}
    yours.allow(arguments=True)
    more = {"created": NOW, "changes": ["ENV C=3"]}
    answer = yours.answer((parent, container, "sha256:new"), more, scene="changed_afterwards")
    expect(answer.raised is None, str(answer.raised))
    for name, before, after in zip(("parent's", "container's"), (parent, container), answer.args, strict=False):
        expect(
            before == after,
            f"the caller changed what new_config had returned, and the {name} own config has changed with it: "
            f"another image is made of that. Is your copy a deep one?\n    before  {before}\n    after   {after}",
        )


def test_5_6_what_is_missing_is_no_error(yours: Yours) -> None:
    wanted = {
        "created": NOW,
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:new"]},
        "history": [{"created": NOW}],
    }
    equal(made_of_little(yours, {}, {}), wanted, "the config of an import, which has no parent")
    equal(made_of_little(yours, {}, {"Cmd": None}), wanted, "a container whose Cmd is None")
    empty: dict[str, Any] = {"rootfs": None, "history": None, "config": None}
    equal(made_of_little(yours, empty, {}), wanted, "a parent whose rootfs, history and config are None")
    empty = {"rootfs": {"type": "layers", "diff_ids": None}, "history": []}
    equal(made_of_little(yours, empty, {}), wanted, "a parent whose diff_ids are None")
    for rootfs in ({"diff_ids": ["sha256:base"]}, {"type": "", "diff_ids": ["sha256:base"]}):
        equal(
            made_of_little(yours, {"rootfs": rootfs}, {}).get("rootfs"),
            {"type": "layers", "diff_ids": ["sha256:base", "sha256:new"]},
            f"rootfs, where the parent's is {rootfs}. OCI's config.md: the type must be set, to layers. By whom?",
        )


def made_of_little(yours: Yours, parent: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
    """A new config where much is missing that the function may look for."""
    answer = yours.answer((parent, container, "sha256:new"), {"created": NOW})
    if answer.raised is not None:
        raise CheckFailed(
            f"the parent's config is {parent}, the container's is {container}. Which of the members that you look "
            f"for may be missing, or None?\n    {answer.raised}",
            answer.raised.traceback,
        )
    return dict(answer.value) if isinstance(answer.value, dict) else {"returned": answer.value}


def test_5_6_an_author_who_is_not_named_is_the_parents(yours: Yours) -> None:
    about = "the line of a step without author and message: by the docstring, whose is the author then?"
    wanted = {"created": NOW, "created_by": "make it", "author": "somebody"}
    equal(made(yours)["history"][1], wanted, about)
    nobody = {name: value for name, value in PARENT.items() if name != "author"}
    image = made(yours, nobody)
    equal("author" in image, False, "whether there is an author, where neither you nor the parent names one")
    equal(image["history"][1], {"created": NOW, "created_by": "make it"}, "the line of a step of nobody's")


def test_5_6_drawn_configs_as_the_engine_makes_them(yours: Yours) -> None:
    drawn = random.Random(56)
    for _ in range(40):
        parent = some(drawn, PARENT | {"rootfs": some(drawn, PARENT["rootfs"])})
        container = some(
            drawn, CONTAINER | {"Labels": {"a": "b"}, "User": "me", "Cmd": drawn.choice([[], ["x", "y z"]])}
        )
        more: dict[str, Any] = some(
            drawn, {"author": "me", "message": "why", "created_by": drawn.choice(["", "x"])}
        )
        more["changes"] = drawn.sample(
            ["ENV Z=1", "CMD x", 'ENTRYPOINT ["e"]', "LABEL a=c", ConfigChange("USER", "u")], 2
        )
        diff_id = drawn.choice(["sha256:new", None])
        wanted = config.new_config(parent, container, diff_id, created=NOW, **more)
        found = made(yours, parent, container, diff_id=diff_id, **more)
        about = (
            f"parent_config is {parent},\n    container_config {container},\n    diff_id {diff_id!r}, {more}:\n"
        )
        for name in wanted:
            equal(found.get(name), wanted[name], f"{about}    `{name}` of the new config")
        equal(sorted(found), sorted(wanted), f"{about}    the members of the new config")


def some(drawn: random.Random, members: dict[str, Any]) -> dict[str, Any]:
    """Leave out what chance wants."""
    return {name: value for name, value in members.items() if drawn.random() < 0.75}


def test_5_6_two_commits_in_a_row_are_a_build(pyctr: Any) -> None:
    image = "busybox"
    for step in (1, 2):
        pyctr("run", "--name", f"step{step}", image, "sh", "-c", f"echo {step} >/step{step}")
        image = f"built:{step}"
        pyctr("commit", "-m", f"step {step}", f"step{step}", image)
    comments = pyctr("history", "--format", "{{.Comment}}", image).stdout.split("\n")[:2]
    equal(comments, ["step 2", "step 1"], "the history of the second image, newest first")
    done = pyctr("run", "--rm", image, "cat", "/step1", "/step2")
    equal(done.stdout, "1\n2\n", "what each step left")
