"""The checks of lab 5. Trees are made by hand, as overlayfs leaves them; the engine's own runs come last."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from labs.kit.checks.expect import CheckFailed, equal, expect, told
from pyctr_lite.commit import config, diff, header
from pyctr_lite.commit.layer import LayerWriter
from pyctr_lite.rootfs import whiteout

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Tree:
    """An upper directory on two layers; `lowers` are top first."""

    def __init__(self, top: Path) -> None:
        self.upper, self.middle, self.bottom = top / "upper", top / "middle", top / "bottom"
        self.lowers = [str(self.middle), str(self.bottom)]
        for layer in (self.upper, self.middle, self.bottom):
            layer.mkdir()

    def hide(self, layer: Path, name: str) -> None:
        """What overlayfs leaves where a file was deleted."""
        os.mknod(layer / name, stat.S_IFCHR, os.makedev(0, 0))

    def changes(self, name: str) -> list[str]:
        """What 5.2 says of one entry of the upper directory."""
        fd = os.open(self.upper, OPEN)
        before = len(os.listdir("/proc/self/fd"))
        try:
            found = diff.entry_changes(fd, name, self.lowers, f"/{name}")
            expect(
                len(os.listdir("/proc/self/fd")) == before,
                "a descriptor that you opened is still open afterwards: who closes it?",
            )
        finally:
            os.close(fd)
        return [f"{change.kind} {change.path}" for change in found]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


# --- 5.1 -------------------------------------------------------------------------------------------------


def test_5_1_the_topmost_layer_that_has_the_name_decides(tree: Tree) -> None:
    (tree.bottom / "low").write_text("x")
    (tree.bottom / "both").write_text("old")
    (tree.middle / "both").write_text("new")
    equal(diff.lower_entry(tree.lowers, "low"), str(tree.bottom / "low"), "a file that only the bottom layer has")
    equal(
        diff.lower_entry(tree.lowers, "both"),
        str(tree.middle / "both"),
        "a file that both layers have: which one does an overlay show?",
    )
    equal(diff.lower_entry(tree.lowers, "none"), None, "a name that no layer has")
    equal(diff.lower_entry([], "none"), None, "no layers at all")


def test_5_1_a_whiteout_says_that_the_name_is_gone(tree: Tree) -> None:
    (tree.bottom / "file").write_text("x")
    tree.hide(tree.middle, "file")
    equal(
        diff.lower_entry(tree.lowers, "file"),
        None,
        "a whiteout above the file: an overlay of these layers shows nothing there. What is that 0:0 device?",
    )


def test_5_1_a_link_that_leads_nowhere_is_there_too(tree: Tree) -> None:
    (tree.bottom / "link").symlink_to("/nowhere")
    equal(
        diff.lower_entry(tree.lowers, "link"),
        str(tree.bottom / "link"),
        "a symbolic link whose target is missing: does your look follow it?",
    )


# --- 5.2 -------------------------------------------------------------------------------------------------


def test_5_2_a_new_file_is_added_and_a_deleted_one_deleted(tree: Tree) -> None:
    (tree.upper / "new").write_text("x")
    (tree.bottom / "old").write_text("x")
    tree.hide(tree.upper, "old")
    equal(tree.changes("new"), ["A /new"], "a file that no layer has")
    equal(tree.changes("old"), ["D /old"], "a whiteout over a file of the image")


def test_5_2_deleting_what_was_never_there_is_no_change(tree: Tree) -> None:
    tree.hide(tree.upper, "made-and-deleted")
    equal(
        tree.changes("made-and-deleted"),
        [],
        "a whiteout over nothing: the container made a file and deleted it. Is anything gone?",
    )


def test_5_2_of_a_deleted_directory_only_itself_is_told(tree: Tree) -> None:
    (tree.bottom / "dir").mkdir()
    (tree.bottom / "dir/inside").write_text("x")
    tree.hide(tree.upper, "dir")
    equal(tree.changes("dir"), ["D /dir"], "a deleted directory that had a file in it")


def test_5_2_a_file_that_was_only_copied_up_is_no_change(tree: Tree) -> None:
    for layer in (tree.bottom, tree.upper):
        (layer / "same").write_text("x")
        os.utime(layer / "same", ns=(0, 1_700_000_000_123_456_789))
    equal(
        tree.changes("same"),
        [],
        "overlayfs copied this file up and nobody wrote to it: it has the size, owner, mode and time of before. "
        "What tells a changed file from a copied one?",
    )
    (tree.upper / "same").write_text("longer")
    equal(tree.changes("same"), ["C /same"], "now somebody wrote to it")


def test_5_2_a_directory_is_changed_where_something_in_it_is(tree: Tree) -> None:
    for layer in (tree.bottom, tree.upper):
        (layer / "dir").mkdir()
    equal(tree.changes("dir"), [], "a directory that is in both, with nothing in it")
    (tree.upper / "dir/new").write_text("x")
    equal(sorted(tree.changes("dir")), ["A /dir/new", "C /dir"], "a new file in a directory of the image")


def test_5_2_a_new_mode_is_a_change(tree: Tree) -> None:
    for layer in (tree.bottom, tree.upper):
        (layer / "tool").write_text("x")
        os.utime(layer / "tool", ns=(0, 0))
    os.chmod(tree.upper / "tool", 0o4755)
    equal(tree.changes("tool"), ["C /tool"], "the same bytes, but now setuid")


def test_5_2_the_engine_tells_the_changes_of_a_container(pyctr: Any) -> None:
    pyctr(
        "run", "--name", "box", "busybox", "sh", "-c", "echo x >/new; rm /bin/vi; chmod 700 /root; : >>/etc/passwd"
    )
    found = pyctr("diff", "box").stdout.splitlines()
    for line in ("A /new", "D /bin/vi", "C /bin"):
        expect(line in found, f"`pyctr_lite diff` does not tell `{line}`; it tells {found}")


# --- 5.3 -------------------------------------------------------------------------------------------------


def packed(write: Any, latest: int | None = None) -> list[tarfile.TarInfo]:
    """The entries of a layer that `write(layer)` makes, as Python's own tar reads them."""
    output = io.BytesIO()
    layer = LayerWriter(output, latest)
    write(layer)
    layer.finish()
    with tarfile.open(fileobj=io.BytesIO(output.getvalue())) as archive:
        return archive.getmembers()


def test_5_3_a_deleted_name_becomes_an_empty_marker_beside_it() -> None:
    entries = packed(lambda layer: layer.add_whiteout(b"etc/", b"passwd"))
    expect(len(entries) == 1, f"a whiteout is one entry of the archive; there are {len(entries)}: was it written?")
    [entry] = entries
    equal(entry.name, "etc/.wh.passwd", "the marker's name: it lies where the file lay")
    expect(
        not entry.isdev(),
        "the entry is a device: overlayfs's own 0:0 device never goes into a layer. What do OCI's layers have?",
    )
    expect(entry.isreg(), f"the entry is of type {entry.type!r}: the marker is a regular file")
    equal((entry.size, entry.mtime), (0, 0), "its size and its time")


def test_5_3_in_the_root_too() -> None:
    [entry] = packed(lambda layer: layer.add_whiteout(b"", b"old"))
    equal(entry.name, ".wh.old", "the marker of a name in the root")


def test_5_3_what_the_engine_commits_hides_the_file(pyctr: Any) -> None:
    pyctr("run", "--name", "box", "busybox", "rm", "/bin/vi")
    pyctr("commit", "box", "without-vi")
    done = pyctr("run", "--rm", "without-vi", "sh", "-c", "test -e /bin/vi && echo there || echo gone")
    equal(done.stdout, "gone\n", "/bin/vi in a container of the image that was committed without it")


# --- 5.4 -------------------------------------------------------------------------------------------------


class Listing:
    """`os.listdir` as another file system would answer: the same names in another order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.listdir
        monkeypatch.setattr(os, "listdir", lambda *place: sorted(real(*place), reverse=True))


def names_of(directory: Path) -> list[str]:
    fd = os.open(directory, OPEN)
    try:
        return [entry.name for entry in packed(lambda layer: layer.add_entries(fd, b""))]
    finally:
        os.close(fd)


def test_5_4_all_that_is_in_a_directory_is_added(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b", "a", "sub/c", ".hidden"):
        (tmp_path / name).write_text(name)
    equal(sorted(names_of(tmp_path)), [".hidden", "a", "b", "sub", "sub/c"], "the names in the archive")


def test_5_4_the_order_is_not_the_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two", "three", "four", "five"):
        (tmp_path / name).write_text(name)
    before = names_of(tmp_path)
    Listing(monkeypatch)
    equal(
        names_of(tmp_path),
        before,
        "the same directory on a file system that lists its names in another order: the bytes differ, and so "
        "does the digest. Which order is the same everywhere?",
    )
    equal(before, sorted(before), "the order of the names in the archive: by their bytes")


def test_5_4_the_order_is_that_of_the_bytes(tmp_path: Path) -> None:
    for name in (b"\xff", b"\xef\xbc\x81"):  # no UTF-8 at all, and U+FF01
        with open(os.path.join(os.fsencode(tmp_path), name), "w"):
            pass
    equal(
        [os.fsencode(name) for name in names_of(tmp_path)],
        [b"\xef\xbc\x81", b"\xff"],
        "two names, the second one is no UTF-8. Python's text has a stand-in for such a byte, U+DCFF, and that "
        "comes before U+FF01: names as text have another order than as bytes. Which of them do you sort?",
    )


def test_5_4_a_name_that_has_gone_meanwhile_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "z"):
        (tmp_path / name).write_text("x")
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda *place: [*real(*place), "deleted-just-now"])
    equal(names_of(tmp_path), ["a", "z"], "a file was deleted between the listing and the look at it")


# --- 5.5 -------------------------------------------------------------------------------------------------


def entry_of(path: Path, latest: int | None = None, **more: Any) -> tarfile.TarInfo:
    status = os.stat(path)
    [entry] = packed(lambda layer: layer.add_header(b"file", header.REGULAR, status, **more), latest)
    return entry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("")
    os.chown(path, 1234, 5678)
    os.chmod(path, 0o2750)
    os.utime(path, ns=(0, 1_700_000_000_900_000_000))
    return path


def test_5_5_the_header_says_what_the_file_is(file: Path) -> None:
    entry = entry_of(file)
    equal(oct(entry.mode), "0o2750", "the mode: the kind of file is not part of it")
    equal((entry.uid, entry.gid), (1234, 5678), "owner and group")
    equal((entry.uname, entry.gname), ("", ""), "names of users mean nothing in another root file system")


def test_5_5_the_time_is_in_whole_seconds_rounded_down(file: Path) -> None:
    equal(
        entry_of(file).mtime,
        1_700_000_000,
        "a file that was written at 1700000000.9 s: with the fraction the header would need a pax record, "
        "and other tools would write another layer",
    )


def test_5_5_no_time_is_later_than_the_latest(file: Path) -> None:
    equal(entry_of(file, 1_000_000).mtime, 1_000_000, "SOURCE_DATE_EPOCH=1000000 and a later file")
    equal(entry_of(file, 2_000_000_000).mtime, 1_700_000_000, "SOURCE_DATE_EPOCH is a limit; this file is older")
    equal(entry_of(file, 0).mtime, 0, "SOURCE_DATE_EPOCH=0 is a limit as any other")


def test_5_5_what_else_is_given_reaches_the_header(file: Path) -> None:
    status = os.stat(file)
    xattrs = {"user.note": b"kept"}
    [link] = packed(lambda layer: layer.add_header(b"l", header.SYMLINK, status, linkname=b"to", xattrs=xattrs))
    equal(link.linkname, "to", "where a symbolic link leads")
    equal(link.pax_headers.get("SCHILY.xattr.user.note"), "kept", "its extended attributes")
    [node] = packed(lambda layer: layer.add_header(b"d", header.CHARACTER, status, device=(1, 3)))
    equal((node.devmajor, node.devminor), (1, 3), "the numbers of a device")


def test_5_5_the_engine_gives_the_same_digest_twice(pyctr: Any) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do echo $i >/f$i; touch -d @1000000000 /f$i; done"
    digests = []
    for name in ("one", "two"):
        pyctr("run", "--name", name, "busybox", "sh", "-c", script)
        pyctr("commit", name, f"same:{name}")
        shown = pyctr("image", "inspect", "--format", "{{index .RootFS.Layers 1}}", f"same:{name}")
        digests.append(shown.stdout.strip())
    equal(digests[1], digests[0], "two containers that made the same change: the digests of their layers")


# --- 5.6 -------------------------------------------------------------------------------------------------

PARENT = {
    "created": "2020-01-01T00:00:00Z",
    "author": "somebody",
    "architecture": "amd64",
    "os": "linux",
    "config": {"Env": ["A=1"], "Cmd": ["sh"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:base"]},
    "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "import"}],
}
CONTAINER = {"Env": ["A=1", "B=2"], "Cmd": ["make", "it"], "Hostname": "3f2a", "Tty": True, "User": ""}


def made(**more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"created": "2026-01-01T00:00:00Z"} | more
    return config.new_config(PARENT, CONTAINER, given.pop("diff_id", "sha256:new"), **given)


def test_5_6_the_new_layer_lies_on_top_of_the_parents() -> None:
    equal(made()["rootfs"], {"type": "layers", "diff_ids": ["sha256:base", "sha256:new"]}, "rootfs")
    equal(made(diff_id=None)["rootfs"]["diff_ids"], ["sha256:base"], "the layers where nothing has changed")


def test_5_6_the_history_is_kept_and_one_line_longer() -> None:
    history = made(message="why", author="me")["history"]
    expect(len(history) == 2, f"the history has {len(history)} lines: the parent's one, and this step's")
    equal(history[0], PARENT["history"][0], "the first line: the parent's")
    wanted = {"created": "2026-01-01T00:00:00Z", "created_by": "make it", "author": "me", "comment": "why"}
    equal(history[1], wanted, "the line of this step")
    equal(
        made(created_by="sh -c x")["history"][1]["created_by"],
        "sh -c x",
        "the command that made the layer, if given",
    )
    equal(made(diff_id=None)["history"][1].get("empty_layer"), True, "empty_layer of a step without a layer")


def test_5_6_only_what_an_image_may_carry_is_in_it() -> None:
    equal(
        made()["config"],
        {"Env": ["A=1", "B=2"], "Cmd": ["make", "it"]},
        "the config: a host name and a terminal are the container's own, and empty values say nothing",
    )


def test_5_6_changes_are_made_and_the_author_stays() -> None:
    image = made(changes=['CMD ["serve"]', "ENV C=3"])
    equal(image["config"]["Cmd"], ["serve"], "CMD of -c")
    equal(image["config"]["Env"], ["A=1", "B=2", "C=3"], "ENV of -c")
    equal(
        (image["author"], made(author="me")["author"]),
        ("somebody", "me"),
        "the author: the parent's, or one given",
    )
    equal(image["created"], "2026-01-01T00:00:00Z", "the time of creation")


def test_5_6_the_parents_config_is_not_touched() -> None:
    before = repr(PARENT)
    image = made(changes=["ENV C=3"])
    image["history"][0]["comment"] = "changed afterwards"
    expect(
        repr(PARENT) == before,
        "the parent's own config was changed: another image is made of it. Is your copy a deep one?",
    )


def made_of_nothing(parent: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
    """A new config where much is missing that the function may look for."""
    try:
        return config.new_config(parent, container, "sha256:new", created="2026-01-01T00:00:00Z")
    except (KeyError, TypeError) as error:
        raise CheckFailed(
            f"the parent's config is {parent}, as of an import, and the container's {container}, without a "
            f"command. Which of the members that you look for may be missing?\n    {told(error)}"
        ) from None


def test_5_6_what_is_missing_is_no_error() -> None:
    wanted = {
        "created": "2026-01-01T00:00:00Z",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:new"]},
        "history": [{"created": "2026-01-01T00:00:00Z"}],
    }
    equal(made_of_nothing({}, {}), wanted, "the config of an import, which has no parent")
    equal(made_of_nothing({}, {"Cmd": None}), wanted, "a container whose Cmd is None")
    equal(
        made_of_nothing({"rootfs": {"diff_ids": ["sha256:base"]}}, {})["rootfs"],
        {"type": "layers", "diff_ids": ["sha256:base", "sha256:new"]},
        "rootfs, where the parent's says no type. OCI's config.md: the type must be set, to `layers`. By whom?",
    )


def test_5_6_three_commits_in_a_row_are_a_build(pyctr: Any) -> None:
    image = "busybox"
    for step in (1, 2, 3):
        pyctr("run", "--name", f"step{step}", image, "sh", "-c", f"echo {step} >/step{step}")
        image = f"built:{step}"
        pyctr("commit", "-m", f"step {step}", f"step{step}", image)
    comments = pyctr("history", "--format", "{{.Comment}}", "built:3").stdout.split("\n")[:3]
    equal(comments, ["step 3", "step 2", "step 1"], "the history of the third image, newest first")
    equal(
        pyctr("run", "--rm", image, "cat", "/step1", "/step2", "/step3").stdout, "1\n2\n3\n", "what each step left"
    )
