"""The checks of lab 4. Mounts are made on a tmpfs in a mount namespace of their own: no mistake reaches a disk."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import json
import os
import random
import select
import shutil
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labs.kit.checks.arena import Answer, Died, Fd, Raised
from labs.kit.checks.expect import CheckFailed, equal, expect, in_child
from labs.kit.checks.syscalls import FILES, MOUNTS, Fault, Watch
from labs.kit.subject import codec
from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import mountinfo
from pyctr_lite.volumes import bind, spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labs.kit.checks.syscalls import Call
    from labs.kit.checks.yours import Function, Yours

ODD = " a b, c:d\ne\\ é "
"""A name with all that is special elsewhere: blanks, comma, colon, newline, backslash, a letter of two bytes."""


def refused(answer: Answer, yours: Yours, what: str, *words: str) -> None:
    """Fail the check unless an answer is an InvalidArgument that says these words."""
    about = f"What reaches the user is an InvalidArgument, here about {what}. Who makes it of the error?"
    raised = yours.refused(answer, InvalidArgument, about)
    for word in words:
        expect(
            word in raised.text,
            f"{what}: {yours.name} raises an InvalidArgument, as it should, with the message\n    {raised.text}\n"
            f"in which the user should find\n    {word}\nWhat does the user have to know to put it right?",
        )
        expect(
            not word.startswith("/") or len(raised.text) > len(word) + 5,
            f"{what}: the message of the InvalidArgument is {raised.text!r}, and nothing more: what is wrong "
            "with it?",
        )


# --- 4.1 -------------------------------------------------------------------------------------------------


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_4_1_v_makes_a_missing_directory_with_those_above_it(yours: Yours, tmp_path: Path) -> None:
    for name in ("one", "not/there/yet", f"{ODD}/{ODD}", "with/slash/", "caf\udce9", "$HOME", "${HOME}/~"):
        path = tmp_path / name
        answer = yours.answer((f"{tmp_path}/{name}", True))
        expect(
            answer.raised is None,
            f"`-v …/{name}:/x`, of which nothing is there, fails\n    {answer.raised}\nIt should make the "
            "directory "
            "and those above it. What is missing first?",
        )
        equal(answer.value, None, "what prepare_source returns")
        expect(
            path.is_dir(),
            f"`-v …/{name}:/x`: afterwards there is no directory {name!r}; -v should make it. What does it do "
            "where "
            "--mount fails?",
        )
        while path != tmp_path:
            equal(
                mode(path), "0o755", f"the mode of the directory {path.name!r} that was made, with a umask of 022"
            )
            path = path.parent
    with yours.at(umask=0) as function:
        function(str(tmp_path / "open"), True)
    found = mode(tmp_path / "open")
    expect(
        found == "0o755",
        f"made with a umask of 0 the directory has mode {found}, and 0o755 is asked for: who may write to the "
        "host's directory now? Which mode does a directory get if you ask for none?",
    )


def test_4_1_mount_refuses_a_missing_source_and_makes_none(yours: Yours, tmp_path: Path) -> None:
    for name in ("missing", "not/there/yet", ODD):
        path = str(tmp_path / name)
        answer = yours.answer((path, False))
        expect(
            answer.raised is not None,
            f"`--mount type=bind,src={path},…`, where nothing is there, is let through: a typing error becomes "
            f"{'an empty directory' if os.path.exists(path) else 'an error much later'}. Who says what is wrong?",
        )
        refused(answer, yours, "a bind by --mount of a missing directory (create is False)", path)
        expect(
            not os.listdir(tmp_path),
            "a missing source was refused, and directories were made nevertheless: for whom?",
        )


def test_4_1_what_is_there_is_left_as_it_is(yours: Yours, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "directory").mkdir(mode=0o700)
    (tmp_path / "link to a directory").symlink_to("directory")
    (tmp_path / "link to a file").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "fifo")
    before = {path.name: seen(path) for path in tmp_path.iterdir()}
    for name in (*before, "directory/", "directory/../file", "/dev/null"):
        for create in (True, False):
            path = name if name.startswith("/") else f"{tmp_path}/{name}"
            answer = yours.answer((path, create))
            expect(
                answer.raised is None,
                f"the source is there, it is a {name}, and prepare_source(…, {create}) fails\n    "
                f"{answer.raised}\n"
                "It should be left as it is. Can only a directory be bound?",
            )
            equal(answer.value, None, "what prepare_source returns")
    for path in tmp_path.iterdir():
        equal(seen(path), before.get(path.name), f"mode, time and size of the {path.name} that was there")


def seen(path: Path) -> list[Any]:
    status = path.lstat()
    return [oct(status.st_mode), status.st_ino, status.st_mtime_ns, status.st_size]


def test_4_1_a_path_is_the_kernel_s_to_resolve(yours: Yours, tmp_path: Path) -> None:
    (tmp_path / "deep/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("deep/inner")
    yours(f"{tmp_path}/link/../made", True)
    equal(
        sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("made")),
        ["deep/made"],
        "what is made for `-v …/link/../made:/x`, where `link` leads to deep/inner. Whose `..` is that?",
    )


def test_4_1_the_source_is_looked_at_each_time(yours: Yours, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for _ in range(2):
        yours(str(source), True)
        expect(
            source.is_dir(),
            "the source was made for one container and removed since; for the next one it is not made again: what "
            "is kept from one call to the next?",
        )
        source.rmdir()
    answer = yours.answer((str(source), False))
    refused(answer, yours, "a bind by --mount of a directory that was there before", str(source))


def test_4_1_what_cannot_be_made_is_a_user_s_mistake(yours: Yours, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for name, number in (("file/below", errno.ENOTDIR), ("n" * 300, errno.ENAMETOOLONG), ("loop/x", errno.ELOOP)):
        path = str(tmp_path / name)
        what = f"a directory {name[:20]!r}, which the kernel refuses ({errno.errorcode[number]})"
        refused(yours.answer((path, True)), yours, what, docker_s_line(path, number))
        refused(yours.answer((path, False)), yours, f"{what}, by --mount", path)


def test_4_1_a_link_that_leads_nowhere_is_no_source(yours: Yours, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for create in (False, True):
        answer = yours.answer((str(tmp_path / "link"), create))
        if answer.raised is None:
            asked = "mkdir(2) says EEXIST to it: is that a directory?" if create else "Which look follows a link?"
            expect(
                (tmp_path / "link").exists(),
                f"the source is a symbolic link that leads nowhere, and prepare_source(…, {create}) is content: "
                f"the mount itself would fail with ENOENT, after the container was made. {asked}",
            )
        else:
            refused(answer, yours, "a bind of a symbolic link that leads nowhere", str(tmp_path / "link"))


def docker_s_line(path: str | Path, number: int) -> str:
    return f"error while creating mount source path '{path}': {os.strerror(number)}"


def test_4_1_whatever_the_kernel_refuses_is_said(yours: Yours, tmp_path: Path) -> None:
    errors = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EIO)
    for number, nth in itertools.product(errors, (1, 2)):
        path = tmp_path / f"{number}-{nth}/below"
        watch = Watch(("mkdir", "mkdirat"), tuple(Fault(name, number, nth) for name in ("mkdir", "mkdirat")))
        with yours.at(umask=0o027) as function:
            answer = function.answer((str(path), True), watch=watch)
        what = f"a missing directory of which the kernel refuses mkdir {nth} of 2 with {errno.errorcode[number]}"
        refused(answer, yours, what, docker_s_line(path, number))


def test_4_1_another_container_may_make_it_at_the_same_moment(yours: Yours, tmp_path: Path) -> None:
    def made(call: Call) -> None:
        os.makedirs(call.paths[0], exist_ok=True)

    for name in ("source", "above/source"):
        with yours.at() as function:
            answer = function.answer((str(tmp_path / name), True), watch=Watch(("mkdir", "mkdirat"), before=made))
        expect(
            answer.raised is None,
            "between your look and your mkdir another container made the directory, and yours fails\n"
            f"    {answer.raised}\nIt is there now, as it should be. What is an error about that?",
        )


def test_4_1_the_engine_makes_it_for_v_only(pyctr: Any, tmp_path: Path) -> None:
    missing, made = tmp_path / "missing", tmp_path / "made"
    done = pyctr("create", "--mount", f"type=bind,src={missing},dst=/x", "busybox", "true", check=False)
    equal(
        [done.returncode, missing.exists()],
        [1, False],
        "`create --mount` of a missing source: its exit status, and is it there afterwards",
    )
    pyctr("create", "-v", f"{made}:/x", "busybox", "true")
    expect(made.is_dir(), f"`create -v {made}:/x` worked, and there is no {made} on the host: who makes it?")


# --- 4.2 -------------------------------------------------------------------------------------------------


def parsed(yours: Yours, text: str) -> Any:
    """`parse_volume`: what it returns, which is a MountSpec."""
    answer = yours.answer((text,))
    expect(
        answer.raised is None,
        f"-v {text!r} is refused\n    {answer.raised}\nIt should be taken. Which of its parts is what?",
    )
    return mount_spec(answer.value, text)


def mount_spec(value: Any, text: str) -> Any:
    expect(
        isinstance(value, codec.Record) and value.kind == "MountSpec",
        f"-v {text!r}: parse_volume returns {value!r}; the engine reads a MountSpec. What do you return?",
    )
    return value


def parts(mount: Any) -> list[str]:
    return [mount.type, mount.source, mount.target]


def test_4_2_a_target_alone_is_an_anonymous_volume(yours: Yours) -> None:
    equal(parts(parsed(yours, "/data")), ["volume", "", "/data"], "-v /data: type, source and target")


def test_4_2_a_name_is_not_a_path(yours: Yours) -> None:
    equal(
        parts(parsed(yours, "name:/data")),
        ["volume", "name", "/data"],
        "-v name:/data: a source without a slash or dot at its start is the name of a volume. Type, source, "
        "target:",
    )
    equal(
        parsed(yours, "name:/data").create_source,
        False,
        "create_source of -v name:/data: which directory of the host would have to be made for a name?",
    )


def test_4_2_a_path_is_bound_and_made_if_it_is_missing(yours: Yours) -> None:
    equal(
        parts(parsed(yours, "/host:/data")), ["bind", "/host", "/data"], "-v /host:/data: type, source and target"
    )
    equal(
        parsed(yours, "/host:/data").create_source,
        True,
        "create_source of -v /host:/data: what becomes of a directory that is missing, with -v?",
    )
    equal(parsed(yours, "/host:/data").readonly, False, "readonly of -v /host:/data, without an option")


def test_4_2_the_third_part_is_options(yours: Yours) -> None:
    answer = yours.answer(("/a:/b:ro",))
    expect(
        answer.raised is None,
        f"-v /a:/b:ro is refused\n    {answer.raised}\nIts target should be /b. What separates the parts?",
    )
    equal(
        parts(mount_spec(answer.value, "/a:/b:ro")),
        ["bind", "/a", "/b"],
        "-v /a:/b:ro: type, source and target. What separates the parts?",
    )
    mount = parsed(yours, "/a:/b:ro,rslave")
    equal(
        [mount.readonly, mount.propagation],
        [True, "rslave"],
        "-v /a:/b:ro,rslave: readonly and propagation. Who reads the options?",
    )
    equal(parsed(yours, "name:/b:ro").readonly, True, "readonly of -v name:/b:ro")
    equal(parsed(yours, "name:/b:nocopy").nocopy, True, "nocopy of -v name:/b:nocopy")


def test_4_2_a_relative_path_is_the_shell_s(yours: Yours, tmp_path: Path) -> None:
    (tmp_path / "here/sub").mkdir(parents=True)
    (tmp_path / "here/link").symlink_to("sub")
    with yours.at() as function:
        function.answer(("./sub:/x",), scene="with_a_stale_environment")
        for text, directory, source in (
            ("./sub:/x", "here", "here/sub"),
            (".:/x", "here", "here"),
            ("..:/x", "here", "."),
            (".hidden:/x", "here", "here/.hidden"),
            (".//link/../a b:/x", "here", "here/a b"),
            ("./link:/x", "here", "here/link"),
            ("./sub:/x", "here/sub", "here/sub/sub"),
        ):
            here = str(tmp_path / directory)
            answer = function.answer((here, text), scene="in_directory")
            expect(
                answer.raised is None,
                f"-v {text} is refused\n    {answer.raised}\nA source that begins with a dot is a path, seen from "
                f"the shell's working directory, here {here}. Whose is that directory?",
            )
            found, wanted = parts(mount_spec(answer.value, text)), ["bind", str(tmp_path / source), "/x"]
            also = " May a link in it be followed now?" if "link" in text else ""
            equal(found, wanted, f"-v {text} in the working directory {here}: type, source and target.{also}")
            equal(answer.value.create_source, True, f"create_source of -v {text}: what if it is missing?")


EMPTY, MANY, OPTIONS = "empty section between colons", "too many colons", "invalid volume specification"


def test_4_2_empty_parts_and_too_many_are_refused(yours: Yours) -> None:
    for text in ("/a:/b:ro:x", "/a:/b:/c:/d", "a:/b:ro:z:rw", "/a:/b:ro:ro"):
        not_taken(
            yours,
            text,
            f"it has {text.count(':') + 1} parts: how many may there be?",
            f"invalid spec: {text}: {MANY}",
        )
    for text in (":/data", "name:", "/a::ro", "a::b", "/a:/b:", ":", "::", ":/b:ro", "/a:"):
        not_taken(
            yours, text, "one of its parts is empty: what would it stand for?", f"invalid spec: {text}: {EMPTY}"
        )
    for text in ("::::", "/a::/b:ro", ":/a:/b:ro"):
        not_taken(
            yours,
            text,
            "it has too many parts, and an empty one: what would it stand for?",
            f"invalid spec: {text}: ",
        )


def test_4_2_options_are_not_a_target(yours: Yours) -> None:
    for text in ("/data:ro", "name:rw", "/data:ro,rslave", "/data:nocopy", "./x:z"):
        modes = text.partition(":")[2]
        why = f"its second part is options, and nobody meant {modes!r} as a path. What tells them apart?"
        not_taken(yours, text, why, f"{OPTIONS}: '{text}'")
        answer = yours.answer((text,))
        expect(
            answer.raised is not None and answer.raised.text.endswith(f"{OPTIONS}: '{text}'"),
            f"-v '{text}' is refused with\n    {answer.raised}\nand Docker says no more than {OPTIONS}: "
            f"'{text}', as {why}",
        )


def test_4_2_a_target_is_not_options(yours: Yours) -> None:
    for text in ("/a:name", "/data:ro,ro", "name:data.d", "/a:r"):
        second = text.partition(":")[2]
        message = not_taken(yours, text, f"{second!r} is not absolute. Which function of `spec` checks that?")
        expect(
            "must be absolute" in message,
            f"-v '{text}' is refused with\n    {message}\nas if {second!r} were options; it is a target, and "
            "Docker says "
            "that it must be absolute. What tells them apart?",
        )


def not_taken(yours: Yours, text: str, why: str, words: str = "") -> str:
    """The message with which a text is refused that should be; `words` are Docker's."""
    answer = yours.answer((text,))
    expect(
        answer.raised is not None,
        f"-v '{text}' is let through, and gives {answer.value!r}. It should be refused: {why}",
    )
    raised = yours.refused(answer, InvalidArgument, f"The text is -v '{text}', and {why}")
    in_docker_s_words(raised, words, text, why)
    return raised.text


def in_docker_s_words(raised: Raised, words: str, text: str, why: str) -> None:
    if "finish_volume" in raised.line:
        expect(
            words in raised.text,
            f"-v '{text}' comes as far as spec.finish_volume, which refuses it with\n    {raised.text}\nIt "
            "should be "
            f"refused before, in Docker's words\n    {words}\nas {why}",
        )
    expect(
        words in raised.text,
        f"-v '{text}' is refused, as it should be, but with the words\n    {raised.text}\nDocker's are\n    "
        f"{words}\n"
        "Who searches for the words of a message, and where?",
    )


def test_4_2_all_is_checked_and_paths_are_clean(yours: Yours) -> None:
    equal(
        parts(parsed(yours, "/a//b/../c/:/x/./y/")),
        ["bind", "/a/c", "/x/y"],
        "-v /a//b/../c/:/x/./y/: type, source and target, without the dots and slashes that lead nowhere",
    )
    for text, why in (
        ("/a:/b:sync", "there is no such option"),
        ("/a:/b:ro,ro", "one option comes twice"),
        ("name:/b:rslave", "a volume has no propagation"),
        ("/a:/", "it would hide the whole root"),
        ("name:data", "a target must be absolute"),
        ("../../x y:data", "a target must be absolute"),
        ("n/ame:/b", "a volume's name is not a path"),
        ("/a:/b:nocopy", "nocopy is for volumes"),
    ):
        not_taken(yours, text, f"{why}. Which function of `spec` checks that?")


PARTS = (
    *("/a", "/a b", "//a/./b/", "/é\n", "name", "n", "a b", "é", "~", "~/x", "ro", "ro,z", "rw,rprivate", "ro,ro"),
    *("/data", "/ro", "data", "nocopy", "Z", "/", "/..", "", "idmap", "cached,ro", "sync", " /a", "/a,b", "a.b"),
)


def test_4_2_any_text_gives_what_the_grammar_says(yours: Yours) -> None:
    """The engine's own function is the reference here: all texts of two parts, and some of three."""
    drawn = random.Random(42)
    texts = [*PARTS, *map(":".join, itertools.product(PARTS, repeat=2))]
    texts += [":".join(drawn.choices(PARTS, k=3)) for _ in range(300)]
    texts += [f"{path}:{path}" for path in ("/caf\udce9", "/$HOME", "/${HOME}/~")]
    with yours.at() as function:
        found = function.scene("each", texts)
    for text, answer in zip(texts, found, strict=True):
        if not is_right(text, answer):
            explain(yours, text)
            raise CheckFailed(
                f"-v {text!r}, after many other texts, gives {answer!r}; when it is asked for again it is right. "
                "What "
                "does yours keep from one call to the next?"
            )


def is_right(text: str, answer: list[Any]) -> bool:
    try:
        wanted = spec.parse_volume(text)
    except InvalidArgument as error:
        return answer[0] == "InvalidArgument" and (error.message if text else "") in answer[1] != ""
    return codec.encode(answer) == codec.encode([wanted])


def explain(yours: Yours, text: str) -> None:
    """Ask for one text alone, and say what is wrong with the answer."""
    try:
        wanted: Any = codec.decode(codec.encode(spec.parse_volume(text)))
    except InvalidArgument as error:
        why = f"Docker says {error.message!r}. Which part is it about?"
        message = not_taken(yours, text, why)
        expect(message, f"-v '{text}' is refused without a word: what can the user do about it?")
        if text:
            not_taken(yours, text, why, error.message)
        return
    found = parsed(yours, text)
    asked = " Is white space part of a path?" if any(map(str.isspace, text)) else " Which part is it about?"
    for name, value in wanted.fields.items():
        equal(found.fields.get(name), value, f"-v {text!r}: the attribute {name} of the MountSpec.{asked}")


def test_4_2_the_engine_mounts_what_was_asked_for(pyctr: Any, tmp_path: Path) -> None:
    asked = ["-v", "/anonymous", "-v", "lab4:/named", "-v", f"{tmp_path}:/bound:rprivate"]
    pyctr("create", "--name", "box", *asked, "busybox", "true")
    shown = json.loads(pyctr("inspect", "box").stdout)[0]["Mounts"]
    equal(
        sorted(f"{mount['Type']} {mount['Destination']}" for mount in shown),
        ["bind /bound", "volume /anonymous", "volume /named"],
        f"the mounts of a container that was made with {' '.join(asked)}",
    )
    names = [mount["Name"] for mount in shown if mount["Destination"] == "/named"]
    equal(names, ["lab4"], "the name of the volume at /named")


# --- 4.3 -------------------------------------------------------------------------------------------------


class Place:
    """A tmpfs in a mount namespace of the function's own: `source` with a file and a directory `below`, `target`.

    What the check does there itself is done by `look`, in a process of the judge's.
    """

    def __init__(self, function: Function, top: Path, flags: int = 0) -> None:
        self.function, self.top = function, str(top)
        self.source, self.target = f"{top}/source", f"{top}/target"
        self.look(partial(prepare, self.top, flags))

    def look(self, function: Callable[[], Any]) -> Any:
        return self.function.process.look(function, linux.CLONE_NEWNS)

    def bind(self, *args: Any, about: str = "", **options: Any) -> None:
        """Call the function, which should succeed."""
        answer = self.function.answer(args or (self.source, self.target), options)
        about = about or f"{self.function.name}(source, target{', ' * bool(options)}{spelled(options)}) fails"
        expect(
            answer.raised is None, f"{about}\n    {answer.raised}\nIt should not. What was the kernel asked for?"
        )
        equal(answer.value, None, f"what {self.function.name} returns")

    def tree(self, path: str) -> dict[str, list[str]]:
        return tree(path, self.function.process.pid)


def prepare(top: str, flags: int = 0) -> None:
    mount_tmpfs(top, flags)
    for name in ("source/below", "target", "targets"):
        os.makedirs(f"{top}/{name}")
    for name in ("source/file", "source/below/hidden", "spot", "beside"):
        Path(top, name).write_text(name)


def mount_tmpfs(path: str, flags: int = 0) -> None:
    linux.mount("tmpfs", path, "tmpfs", flags, "size=1m")


def share(path: str) -> None:
    """Make a directory a shared mount, as systemd makes all of the host's."""
    linux.mount(path, path, None, linux.MS_BIND)
    linux.mount(None, path, None, linux.MS_SHARED)


def refusal(path: str) -> str:
    """The name of the error that writing brings, or "written"."""
    try:
        with open(path, "a"):
            return "written"
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def tree(path: str, pid: int | str = "self") -> dict[str, list[str]]:
    """What mountinfo says of the mounts at a path and below it: options, and propagation without numbers."""
    found = {}
    for mount in mountinfo.mounts(pid):
        if f"{mount.mountpoint}/".startswith(f"{path}/"):
            fs = ["read-only file system"] if "ro" in mount.super_options else []
            found[mount.mountpoint] = mount.options + [word.partition(":")[0] for word in mount.propagation] + fs
    return found


@contextlib.contextmanager
def place(yours: Yours, top: Path, flags: int = 0) -> Iterator[Place]:
    with yours.at(linux.CLONE_NEWNS) as function:
        yield Place(function, top, flags)


def test_4_3_two_paths_lead_to_one_inode(yours: Yours, tmp_path: Path) -> None:
    def inodes() -> list[list[int]]:
        return [[status.st_dev, status.st_ino] for status in map(os.stat, (at.source, at.target))]

    with place(yours, tmp_path) as at:
        at.bind()
        found = at.look(inodes)
        expect(
            found[0] == found[1],
            f"source and target are two inodes, {found[0][1]} and {found[1][1]}; they should be one: a bind "
            "copies "
            "nothing. Which flag makes one?",
        )
        expect(
            at.tree(at.target),
            "mountinfo has no mount at the target; there should be one. What does the container see at its path?",
        )


def test_4_3_a_file_on_a_file(yours: Yours, tmp_path: Path) -> None:
    with place(yours, tmp_path) as at:
        spot = f"{at.top}/spot"
        before = set(at.tree(at.top))
        at.bind(f"{at.source}/file", spot, about="a file is bound on a file, and that fails")
        new = sorted(set(at.tree(at.top)) - before)
        expect(
            new == [spot],
            f"a file was bound on {spot}, and the new mount is {', '.join(new) or 'nowhere'}; it should be "
            "there, and "
            "what lies beside it should be as before. What is bound on what?",
        )
        equal(at.look(Path(spot).read_text), "source/file", "the content of a file that another was bound on")


def test_4_3_paths_are_the_kernel_s_to_resolve(yours: Yours, tmp_path: Path) -> None:
    with place(yours, tmp_path) as at:
        at.look(partial(paths_of_all_kinds, at.top))
        for source, target, wanted in PATHS:
            about = f"{source!r} is bound on {target!r}, where `link` leads to deep/inner. Who takes a path apart?"
            at.bind(f"{at.top}/{source}", f"{at.top}/{target}", about=about)
            equal(sorted(at.tree(f"{at.top}/deep")), [f"{at.top}/{wanted}"], f"the new mount: {about}")
            equal(at.look(lambda wanted=wanted: os.listdir(f"{at.top}/{wanted}")), ["seen"], f"its files: {about}")
            at.look(lambda wanted=wanted: linux.umount2(f"{at.top}/{wanted}", 0))


PATHS = (
    ("link/../from", "deep/to", "deep/to"),
    ("deep/from", "link/../to", "deep/to"),
    ("deep/caf\udce9", "deep/to", "deep/to"),
    ("deep/from", "deep/caf\udce9", "deep/caf\udce9"),
)


def paths_of_all_kinds(top: str) -> None:
    """Directories `from` and `to`, and a `link` by whose `..` one comes to others of these names."""
    for name in ("from", "to", "deep/inner", "deep/to", "deep/from", "deep/caf\udce9"):
        Path(top, name).mkdir(parents=True, exist_ok=True)
    for name in ("from", "caf\udce9"):
        Path(top, "deep", name, "seen").touch()
    Path(top, "link").symlink_to("deep/inner")


def test_4_3_what_is_mounted_on_the_target_is_hidden(yours: Yours, tmp_path: Path) -> None:
    with place(yours, tmp_path) as at:
        at.look(lambda: (mount_tmpfs(at.target), Path(at.target, "earlier").touch())[1])
        at.bind()
        expect(
            at.look(lambda: sorted(os.listdir(at.target))) == ["below", "file"],
            "another file system was mounted on the target, and is still seen there after the bind: what does a "
            "mount on a mount do?",
        )
        at.look(lambda: linux.umount2(at.target, 0))
        equal(
            at.look(lambda: os.listdir(at.target)),
            ["earlier"],
            "what is at the target after the bind was unmounted, where another file system was mounted before. "
            "Who took that away?",
        )


def test_4_3_mounts_below_come_along_if_recursive(yours: Yours, tmp_path: Path) -> None:
    with place(yours, tmp_path) as at:
        at.look(lambda: (mount_tmpfs(f"{at.source}/below"), Path(at.source, "below/inner").touch())[1])
        at.bind()
        expect(
            f"{at.target}/below" in at.tree(at.target),
            f"there is a mount below the source, at {at.source}/below; below the target there is none, and the "
            "container sees an empty directory: which flag takes the mounts below along?",
        )
        at.look(lambda: linux.umount2(at.target, linux.MNT_DETACH))
        at.bind(at.source, at.target, recursive=False)
        equal(
            sorted(at.tree(at.target)),
            [at.target],
            "recursive=False: the mounts at the target. The mounts below the source came along nevertheless?",
        )


def test_4_3_the_propagation_is_always_set(yours: Yours, tmp_path: Path) -> None:
    with place(yours, tmp_path) as at:
        at.look(partial(share, at.source))
        at.bind()
        found = at.tree(at.target)[at.target]
        expect(
            not {"shared", "master"} & set(found),
            "the source is a shared mount, as systemd makes all of the host's, and nothing was asked for but the "
            f"default, propagation=rprivate; mountinfo shows the new mount as {found}: what is mounted in the "
            "container appears on the host, too. When is the propagation to be set?",
        )
        at.look(lambda: linux.umount2(at.target, linux.MNT_DETACH))
        at.bind(at.source, at.target, propagation="rslave")
        found = at.tree(at.target)[at.target]
        expect(
            "master" in found and "shared" not in found,
            f"propagation=rslave was given, and mountinfo shows {found}: a slave has a `master`, and is not "
            "shared. "
            "Did it come through?",
        )


def test_4_3_read_only_holds_and_the_source_stays_writable(yours: Yours, tmp_path: Path) -> None:
    with place(yours, tmp_path) as at:
        at.look(lambda: mount_tmpfs(f"{at.source}/below"))
        at.bind(at.source, at.target, readonly=True)
        expect(
            at.look(lambda: refusal(f"{at.target}/file")) == "EROFS",
            "with readonly=True the target can still be written to; it should give EROFS: mount(2) ignores "
            "MS_RDONLY "
            "in the call that binds. What makes it hold?",
        )
        equal(at.look(lambda: refusal(f"{at.source}/file")), "written", "readonly=True: a write at the source")
        expect(
            at.look(lambda: refusal(f"{at.target}/below/x")) == "written",
            "readonly=True, and readonly_recursive was not asked for: the mount below the target is read-only all "
            "the same. Which argument is for the mounts below?",
        )
        at.look(lambda: linux.umount2(at.target, linux.MNT_DETACH))
        at.bind(at.source, at.target, readonly=True, readonly_recursive=True)
        equal(
            at.look(lambda: refusal(f"{at.target}/below/x")),
            "EROFS",
            "readonly=True with readonly_recursive=True: a write to the mount below. Did both come through?",
        )


def test_4_3_more_flags_for_the_new_mount(yours: Yours, tmp_path: Path) -> None:
    with place(yours, tmp_path) as at:
        at.bind(at.source, at.target, flags=linux.MS_NOSUID | linux.MS_NOEXEC)
        found = at.tree(at.target)[at.target]
        expect(
            {"nosuid", "noexec"} <= set(found),
            f"flags=MS_NOSUID|MS_NOEXEC was given, and the mount's flags are {found}: did they come through?",
        )


def test_4_3_a_path_that_does_not_fit_is_an_error(yours: Yours, tmp_path: Path) -> None:
    with place(yours, tmp_path) as at:
        at.function.name = "bind_mount"
        for source, target, number, what in (
            ("missing", "target", errno.ENOENT, "the source is missing"),
            ("source", "missing", errno.ENOENT, "the target is missing"),
            ("source", "spot", errno.ENOTDIR, "the source is a directory, the target a file"),
            ("spot", "target", errno.ENOTDIR, "the source is a file, the target a directory"),
        ):
            before = at.look(lambda: sorted(os.listdir(at.top))), at.tree(at.top)
            at.function.raises(
                OSError,
                f"{at.top}/{source}",
                f"{at.top}/{target}",
                number=number,
                about=f"Here {what}: what does the kernel say to that, and who should hear it?",
            )
            after = at.look(lambda: sorted(os.listdir(at.top))), at.tree(at.top)
            equal(list(after), list(before), f"files and mounts after an error: {what}")


def test_4_3_what_the_kernel_refuses_is_raised(yours: Yours, tmp_path: Path) -> None:
    def run(function: Function, watch: Watch) -> Answer:
        at = Place(function, tmp_path)
        return function.answer((at.source, at.target), {"readonly": True, "readonly_recursive": True}, watch=watch)

    yours.each_refusal(
        run,
        (*MOUNTS, "statfs", "fstatfs"),
        errors=(errno.EPERM, errno.ENOSYS, errno.EINVAL),
        flags=linux.CLONE_NEWNS,
        about="The container would start with another mount than was asked for.",
    )


OPTIONS_OF_BIND = {
    "readonly": (False, True),
    "recursive": (True, False),
    "readonly_recursive": (False, True),
    "propagation": ("rprivate", "private", "rslave", "slave", "rshared", "shared"),
    "flags": (0, linux.MS_NOSUID, linux.MS_NODEV | linux.MS_NOATIME, linux.MS_NOEXEC | linux.MS_NOSYMFOLLOW),
}


def drawn_options(seed: int, count: int) -> list[dict[str, Any]]:
    """Combinations of options, in which each pair of values comes up sooner or later."""
    drawn = random.Random(seed)
    return [{name: drawn.choice(values) for name, values in OPTIONS_OF_BIND.items()} for _ in range(count)]


def spelled(options: dict[str, Any]) -> str:
    words = {**options, "flags": linux.decode_flags(("MS_",), options["flags"])} if "flags" in options else options
    return ", ".join(f"{name}={value}" for name, value in words.items())


def test_4_3_any_combination_is_what_was_asked_for(yours: Yours, tmp_path: Path) -> None:
    """Against the engine's own function, in a mount namespace beside the learner's."""
    combinations = drawn_options(43, 24)
    targets = [f"{tmp_path}/targets/{ODD}{index}{' ' * (index % 2)}" for index in range(len(combinations))]

    def arrange() -> None:
        share(f"{tmp_path}/source")
        mount_tmpfs(f"{tmp_path}/source/below", linux.MS_NODEV)
        linux.mount(None, f"{tmp_path}/source/below", None, linux.MS_SHARED)
        for target in targets:
            os.mkdir(target)

    def reference() -> dict[str, list[str]]:
        prepare(str(tmp_path), linux.MS_NOSUID)
        arrange()
        for target, options in zip(targets, combinations, strict=True):
            bind.bind_mount(f"{tmp_path}/source", target, **options)
        return tree(str(tmp_path))

    with place(yours, tmp_path, linux.MS_NOSUID) as at:
        at.look(arrange)
        for target, options in zip(targets, combinations, strict=True):
            at.bind(at.source, target, **options, about=f"bind_mount(…, {spelled(options)}) fails")
        found, wanted = at.tree(at.top), in_child(reference, linux.CLONE_NEWNS)
    for target, options in zip(targets, combinations, strict=True):
        compared(found, wanted, target, f"bind_mount(source, target, {spelled(options)})")
    compared(found, wanted, f"{tmp_path}/source", "after all of this, the source itself")


def compared(found: dict[str, list[str]], wanted: dict[str, list[str]], target: str, what: str) -> None:
    for path in (target, f"{target}/below"):
        shown = [sorted(mounts[path]) if path in mounts else "no mount" for mounts in (found, wanted)]
        where = "the mount below it" if path != target else "the mount"
        equal(
            shown[0],
            shown[1],
            f"{what}\n    {where}, as mountinfo shows it. Which of the options is not as asked for?",
        )


def test_4_3_the_engine_binds_a_directory_of_the_host(pyctr: Any, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("from the host")
    done = pyctr("run", "--rm", "-v", f"{tmp_path}:/x", "busybox", "sh", "-c", "cat /x/given; echo hi >/x/made")
    equal(done.stdout, "from the host", "what the container reads of the host's directory")
    equal((tmp_path / "made").read_text(), "hi\n", "what it writes there, read on the host")


# --- 4.4 -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def bound(
    yours: Yours, top: Path, flags: int = 0, *, shared: bool = False, below: bool = False
) -> Iterator[Place]:
    """A place whose source is bound on its target, with what is mounted below it."""

    def arrange() -> None:
        if shared:
            share(at.source)
        if below:
            mount_tmpfs(f"{at.source}/below")
            if shared:
                linux.mount(None, f"{at.source}/below", None, linux.MS_SHARED)
        linux.mount(at.source, at.target, None, linux.MS_BIND | linux.MS_REC)

    with place(yours, top, flags) as at:
        at.look(arrange)
        yield at


def changed(at: Place, **options: Any) -> list[str]:
    """Call `change_mount`: what mountinfo shows of the mount then."""
    options = {"readonly": False, "propagation": "rprivate"} | options
    at.bind(at.target, **options, about=f"change_mount(target, {spelled(options)}) fails")
    mounts = at.tree(at.target)
    expect(at.target in mounts, "after change_mount there is no mount at the target any more: who took it away?")
    return mounts[at.target]


def test_4_4_read_only_is_for_this_mount_alone(yours: Yours, tmp_path: Path) -> None:
    with bound(yours, tmp_path) as at:
        before = len(mountinfo.mounts(at.function.process.pid))
        changed(at, readonly=True)
        equal(
            at.look(lambda: refusal(f"{at.target}/file")),
            "EROFS",
            "a write to a mount that was made read-only. Does your call say that it changes what is there?",
        )
        expect(
            at.look(lambda: refusal(f"{at.source}/file")) == "written",
            "the source is read-only now, and so is all of its file system, for all who use it; only the target "
            "should be: which flag says that only this mount is meant?",
        )
        equal(
            len(mountinfo.mounts(at.function.process.pid)),
            before,
            "the number of mounts: change_mount should change one, not add one on top. Does your call say that?",
        )


def test_4_4_what_the_mount_had_it_keeps(yours: Yours, tmp_path: Path) -> None:
    kept = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_NOATIME | linux.MS_NOSYMFOLLOW
    with bound(yours, tmp_path, kept) as at:
        before = set(at.tree(at.target)[at.target]) - {"rw"}
        lost = sorted(before - set(changed(at, readonly=True)))
        expect(
            not lost,
            f"the mount had {', '.join(sorted(before))}, and the remount lost {', '.join(lost)}: what its "
            "source's "
            "mount shuts out is let in here. A remount sets all flags anew: which did the mount have?",
        )
        found = changed(at, flags=linux.MS_NODIRATIME)
        expect(
            "ro" in found,
            "a mount was made read-only; then flags=MS_NODIRATIME was added, readonly=False, and now it has "
            f"{found}: "
            "readonly=False does not ask for more than it had. What did it have?",
        )


def test_4_4_of_two_mounts_the_upper_one_is_meant(yours: Yours, tmp_path: Path) -> None:
    with bound(yours, tmp_path, linux.MS_NODEV) as at:
        at.look(lambda: mount_tmpfs(at.target, linux.MS_NOSUID))
        found = set(changed(at, readonly=True)) & {"ro", "nosuid", "nodev"}
        equal(
            sorted(found),
            ["nosuid", "ro"],
            "a mount with nodev, another one with nosuid on top of it, and readonly=True: the flags of the upper "
            "one, of these three. Which of the two is at the target?",
        )


def test_4_4_a_path_is_the_kernel_s_to_resolve(yours: Yours, tmp_path: Path) -> None:
    with bound(yours, tmp_path) as at:

        def arrange() -> None:
            paths_of_all_kinds(at.top)
            for name in ("to", "deep/to"):
                linux.mount(at.source, f"{at.top}/{name}", None, linux.MS_BIND)

        at.look(arrange)
        about = "the target is link/../to, where `link` leads to deep/inner. Whose `..` is that?"
        at.bind(f"{at.top}/link/../to", readonly=True, propagation="rprivate", about=about)
        found = [name for name in ("to", "deep/to") if "ro" in at.tree(at.top)[f"{at.top}/{name}"]]
        equal(found, ["deep/to"], f"what is read-only afterwards: {about}")


def test_4_4_flags_are_added_also_without_read_only(yours: Yours, tmp_path: Path) -> None:
    with bound(yours, tmp_path, linux.MS_NODEV) as at:
        found = changed(at, flags=linux.MS_NOSUID)
        expect(
            "nosuid" in found,
            f"flags=MS_NOSUID, readonly=False: the mount's flags are {found}, without nosuid. For which of the "
            "arguments does it take a remount?",
        )
        expect(
            "nodev" in found,
            f"flags=MS_NOSUID: the nodev that it had is lost, its flags are {found}: which flags does a remount "
            "set?",
        )
        equal(at.look(lambda: refusal(f"{at.target}/file")), "written", "readonly=False: a write to the mount")
        found = changed(at, readonly=True, flags=linux.MS_NOEXEC)
        expect(
            {"ro", "noexec"} <= set(found),
            f"readonly=True and flags=MS_NOEXEC in one call: the mount has {', '.join(found)}; it should have ro "
            "and "
            "noexec. A remount sets all flags anew: what do several of them in a row do?",
        )


PROPAGATIONS = {
    "rprivate": set(),
    "private": set(),
    "rslave": {"master"},
    "slave": {"master"},
    "rshared": {"shared"},
    "shared": {"shared"},
}


def test_4_4_propagation_says_where_later_mounts_appear(yours: Yours, tmp_path: Path) -> None:
    for propagation, readonly in [*((name, False) for name in PROPAGATIONS), ("rprivate", True), ("rslave", True)]:
        wanted = PROPAGATIONS[propagation]
        with bound(yours, tmp_path / new_directory(tmp_path), shared=True, below=True) as at:
            changed(at, readonly=readonly, propagation=propagation)
            asked = ", if a remount ignores it" if readonly else ""
            found, below = ({"shared", "master"} & set(words) for words in at.tree(at.target).values())
            expect(
                found == wanted,
                f"the source is shared, as systemd makes all mounts, and propagation={propagation}, "
                f"readonly={readonly} is asked for: "
                f"mountinfo shows {sorted(found) or 'a private mount'}; it should be "
                f"{sorted(wanted) or 'private'}. "
                f"What sets a mount's propagation{asked}?",
            )
            wanted_below = wanted if propagation.startswith("r") else {"shared"}
            expect(
                below == wanted_below,
                f"propagation={propagation}: the mount below the target, which was shared, is "
                f"{sorted(below) or 'private'} now; it should be {sorted(wanted_below) or 'private'}. What is "
                "the r of "
                "rprivate for?",
            )


def new_directory(top: Path) -> str:
    (top / (name := str(len(os.listdir(top))))).mkdir()
    return name


def test_4_4_the_mounts_below_are_read_only_if_asked_for(yours: Yours, tmp_path: Path) -> None:
    for recursive, wanted in ((False, "written"), (True, "EROFS")):
        with bound(yours, tmp_path, below=True) as at:
            changed(at, readonly=True, readonly_recursive=recursive)
            equal(
                at.look(lambda: refusal(f"{at.target}/below/x")),
                wanted,
                f"readonly=True, readonly_recursive={recursive}: a write to a mount below. MS_REC does nothing "
                "in a "
                "remount; what changes a whole tree?",
            )
            equal(at.look(lambda: refusal(f"{at.target}/file")), "EROFS", "and a write to the mount itself")
            equal(at.look(lambda: refusal(f"{at.source}/below/x")), "written", "and a write below the source")


def test_4_4_read_only_below_only_if_read_only(yours: Yours, tmp_path: Path) -> None:
    with bound(yours, tmp_path, below=True) as at:
        changed(at, readonly=False, readonly_recursive=True)
        for path in ("file", "below/x"):
            equal(
                at.look(lambda path=path: refusal(f"{at.target}/{path}")),
                "written",
                f"readonly=False, readonly_recursive=True: a write to target/{path}. The docstring says that the "
                "mounts "
                "below become read-only, too: what else has to be?",
            )


def test_4_4_what_the_kernel_refuses_is_raised(yours: Yours, tmp_path: Path) -> None:
    def run(function: Function, watch: Watch) -> Answer:
        at = Place(function, tmp_path)
        at.look(lambda: linux.mount(at.source, at.target, None, linux.MS_BIND))
        options = {"readonly": True, "propagation": "rslave", "readonly_recursive": True}
        return function.answer((at.target,), options, watch=watch)

    yours.each_refusal(
        run,
        (*MOUNTS, "statfs", "fstatfs"),
        errors=(errno.EPERM, errno.ENOSYS, errno.EINVAL),
        flags=linux.CLONE_NEWNS,
        about="The container would get a mount that may do more than was asked for.",
    )
    with bound(yours, tmp_path) as at:
        for path, number in ((f"{at.top}/missing", errno.ENOENT), (f"{at.top}/targets", errno.EINVAL)):
            about = f"{path} is not a mount point: what does the kernel say to that, and who should hear it?"
            for readonly in (True, False):
                at.function.raises(
                    OSError, path, readonly=readonly, propagation="rprivate", about=about, number=number
                )


def test_4_4_any_combination_is_what_was_asked_for(yours: Yours, tmp_path: Path) -> None:
    """Against the engine's own function, in a mount namespace beside the learner's; each mount is changed "
    "twice."""
    drawn = [(one, other) for one, other in itertools.pairwise(drawn_options(44, 24))]
    targets = [f"{tmp_path}/targets/{ODD}{index}{' ' * (index % 2)}" for index in range(len(drawn))]

    def arrange() -> None:
        share(f"{tmp_path}/source")
        mount_tmpfs(f"{tmp_path}/source/below", linux.MS_NODEV)
        linux.mount(None, f"{tmp_path}/source/below", None, linux.MS_SHARED)
        for index, target in enumerate(targets):
            os.mkdir(target)
            linux.mount(f"{tmp_path}/source", target, None, linux.MS_BIND | linux.MS_REC)
            for path, had in ((target, HAD[index % len(HAD)]), (f"{target}/below", HAD[-index % len(HAD)])):
                linux.mount(None, path, None, linux.MS_REMOUNT | linux.MS_BIND | had)

    def reference() -> dict[str, list[str]]:
        prepare(str(tmp_path))
        arrange()
        for target, calls in zip(targets, drawn, strict=True):
            for options in calls:
                bind.change_mount(target, **without_recursive(options))
        return tree(str(tmp_path))

    with place(yours, tmp_path) as at:
        at.look(arrange)
        before = at.tree(at.top)
        for target, calls in zip(targets, drawn, strict=True):
            for options in calls:
                about = f"change_mount(target, {spelled(options)}) fails"
                at.bind(target, **without_recursive(options), about=about)
        found, wanted = at.tree(at.top), in_child(reference, linux.CLONE_NEWNS)
    for target, calls in zip(targets, drawn, strict=True):
        said = "\n    and then ".join(
            f"change_mount(target, {spelled(without_recursive(each))})" for each in calls
        )
        compared(found, wanted, target, f"a mount had {', '.join(before[target])}; then\n    {said}")
    compared(found, wanted, f"{tmp_path}/source", "after all of this, the source itself")


HAD = (
    *(0, linux.MS_NOSUID, linux.MS_NODEV, linux.MS_NOEXEC, linux.MS_RDONLY, linux.MS_NOATIME, linux.MS_NODIRATIME),
    *(
        linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC,
        linux.MS_NOSYMFOLLOW,
        linux.MS_RELATIME | linux.MS_NOSUID,
    ),
)


def without_recursive(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "recursive"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs that the engine sees too: what the judge mounts below its TMPDIR appears in the arena."""
    path = tmp_path / "disk"
    path.mkdir()
    mount_tmpfs(str(path), linux.MS_NOSUID)
    yield path
    linux.umount2(str(path), linux.MNT_DETACH)


def test_4_4_the_engine_binds_read_only(pyctr: Any, disk: Path) -> None:
    script = "touch /x/file; grep ' /x ' /proc/self/mountinfo"
    done = pyctr("run", "--rm", "-v", f"{disk}:/x:ro", "busybox", "sh", "-c", script)
    expect("Read-only" in done.stderr, f"`-v …:/x:ro`, and `touch /x/file` in the container says {done.stderr!r}")
    expect(
        "nosuid" in done.stdout,
        f"the source's mount is nosuid, the container's is not:\n    {done.stdout.strip()}",
    )


# --- 4.5 -------------------------------------------------------------------------------------------------

OPEN = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
CHANGES = tuple(name for name in FILES if not name.startswith(("open", "fchmod", "fchown", "utimensat")))
"""System calls that change a directory; what opens, and what a complete copy gets at its end, is left out."""


class Image:
    """A root file system with files in /srv, and a new volume of the store."""

    def __init__(self, top: Path) -> None:
        self.top, self.root, self.volume = top, top / "rootfs", top / "volumes/lab"
        self.data, self.marker = self.volume / "_data", self.volume / "filling"
        (self.root / "srv/sub").mkdir(parents=True)
        for name in ("srv/one", "srv/sub/two"):
            (self.root / name).write_text(name)
        self.data.mkdir(parents=True)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Fd]:
        """A descriptor of the root, as the engine gives it."""
        fd = os.open(self.root, OPEN)
        try:
            yield Fd(fd)
        finally:
            os.close(fd)

    def answer(
        self, function: Function, path: str = "/srv", data: Path | None = None, watch: Watch | None = None
    ) -> Answer:
        with self.opened() as root_fd:
            return function.answer((str(data or self.data), root_fd, path), watch=watch)

    def fill(self, function: Function, path: str = "/srv", data: Path | None = None) -> Any:
        answer = self.answer(function, path, data)
        expect(answer.raised is None, f"fill_volume({data or self.data}, …, {path!r}) fails\n    {answer.raised}")
        return answer.value

    def contents(self) -> list[str]:
        return sorted(str(path.relative_to(self.data)) for path in self.data.rglob("*"))

    def again(self) -> Image:
        """Another one beside it, for the next round."""
        return Image(self.top / f"again-{len(os.listdir(self.top))}")

    def again_with(self, root: Path) -> Image:
        """Another volume, for a root that is there."""
        image = self.again()
        image.root = root
        return image


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path)


ALL = ["one", "sub", "sub/two"]


def listing(top: Path) -> list[str]:
    """Kind, mode, owner, links and time of all files of a tree, and of its top."""
    found = []
    for path in (top, *sorted(top.rglob("*"))):
        status = path.lstat()
        found.append(
            f"{path.relative_to(top)} {status.st_mode:o} {status.st_uid}:{status.st_gid} {status.st_nlink} links "
            f"{status.st_mtime_ns}"
        )
    return found


def test_4_5_a_new_volume_gets_what_the_image_has_there(yours: Yours, image: Image) -> None:
    os.chown(image.root / "srv/one", 12, 34)
    os.chmod(image.root / "srv/one", 0o4751)
    os.link(image.root / "srv/one", image.root / "srv/sub/again")
    (image.root / "srv/.hidden").symlink_to("/nowhere")
    os.utime(image.root / "srv/sub", (1, 2))
    os.chmod(image.root / "srv", 0o1777)
    os.utime(image.root / "srv", (3, 4))
    before = listing(image.root)
    names: set[str] = set()
    with yours.at() as function:
        watch = Watch((*CHANGES, "openat"), before=lambda call: names.update(os.listdir(image.data)))
        answer = image.answer(function, watch=watch)
    expect(answer.raised is None, f"fill_volume fails\n    {answer.raised}")
    equal(answer.value, True, "what is returned for a copy that was made")
    foreign = sorted(names - set(os.listdir(image.root / "srv")))
    expect(
        not foreign,
        f"while the volume was filled it had {', '.join(foreign)}, which the image does not have; a container "
        "that uses "
        "the volume sees it. Which directory is yours alone?",
    )
    equal(
        image.contents(),
        [".hidden", "one", "sub", "sub/again", "sub/two"],
        "the volume's files, of an image with .hidden, one, sub/again and sub/two at that path",
    )
    equal(
        listing(image.data),
        listing(image.root / "srv"),
        "the volume, file by file, and the image's directory: what does your copy lose?",
    )
    equal(listing(image.root), before, "the image itself, after a copy was made of it: what is copied where?")
    expect(
        not image.marker.exists(),
        "the copy is complete, and the marker `filling` is still there; it should be gone: what will the next "
        "call "
        "think?",
    )
    equal(
        sorted(os.listdir(image.volume)),
        ["_data"],
        "what is in the volume's directory afterwards: whose is the rest?",
    )


def test_4_5_never_over_what_is_there(yours: Yours, image: Image) -> None:
    for name in ("one", ".env", "sub", "lost+found"):
        image = image.again()
        (image.data / name).write_text("mine") if name in ("one", ".env") else (image.data / name).mkdir()
        given = image.fill(yours)
        expect(
            image.contents() == [name],
            f"a volume had {name!r} of its own alone, and now it has {image.contents()}; it should be left as it "
            "is: "
            "whose are the others?",
        )
        equal(given, False, f"what is returned for a volume that had {name!r} already")


def test_4_5_only_once(yours: Yours, image: Image) -> None:
    image.fill(yours)
    (image.data / "sub/two").unlink()
    (image.data / "one").write_text("changed")
    given = image.fill(yours)
    expect(
        image.contents() == ["one", "sub"] and (image.data / "one").read_text() == "changed",
        "a container deleted sub/two in its volume and changed one; after the next start the volume has "
        f"{image.contents()}, and one is {(image.data / 'one').read_text()!r}. When is a volume new?",
    )
    equal(given, False, "what is returned for a volume that was filled before")


def test_4_5_a_volume_of_the_same_name_is_another(yours: Yours, image: Image) -> None:
    image.fill(yours)
    shutil.rmtree(image.data)
    image.data.mkdir()
    equal(image.fill(yours), True, "what is returned for a volume that was removed and made again, by one process")
    equal(image.contents(), ALL, "its files: what is kept from one call to the next?")


def test_4_5_a_link_never_leads_out_of_the_image(yours: Yours, image: Image) -> None:
    (image.top / "secret").mkdir()
    (image.top / "secret/key").write_text("the host's")
    (image.root / "out").symlink_to(image.top / "secret")
    (image.root / "up").symlink_to("../" * 20 + str(image.top / "secret").lstrip("/"))
    (image.root / "nowhere").symlink_to("/missing")
    for path in ("/out", "/up", "/../secret", "/srv/../../secret", "/nowhere"):
        given = image.fill(yours, path)
        expect(
            "key" not in image.contents(),
            f"the image has a symbolic link at {path} or the path has dots, and the host's files behind it are "
            "in the "
            "volume now; there should be none: whose `/` does the link begin at?",
        )
        equal(given, False, f"what is returned for {path}, which leads to nothing inside the image")
    (image.root / "within").symlink_to("/srv")
    image.fill(yours, "/within")
    equal(image.contents(), ALL, "the volume's files; its path in the image is a link to /srv")


def test_4_5_any_directory_of_the_image(yours: Yours, image: Image) -> None:
    (image.root / "empty").mkdir(mode=0o750)
    (image.root / ODD / "srv").mkdir(parents=True)
    (image.root / ODD / "srv/x").touch()
    (image.root / "link").symlink_to(f"{ODD}/srv")
    for path, wanted in (
        *((f"/{ODD}/srv/", ["x"]), ("/srv/sub/..", ALL), ("srv", ALL), ("/empty", []), ("//srv//sub", ["two"])),
        *((path, ["srv", "srv/x"]) for path in (f"/{ODD}", "/link/..")),
        ("/", sorted([ODD, "empty", "link", "srv"])),
    ):
        one = image.again_with(image.root)
        equal(
            one.fill(yours, path),
            True,
            f"what is returned for {path!r} of the image, which is a directory. When is nothing there?",
        )
        equal(
            sorted(os.listdir(one.data)) if path == "/" else one.contents(),
            wanted,
            f"the volume's files for {path!r}",
        )
    equal(mode(one.data), mode(image.root), "the mode of a volume's _data, and of the image's /")


def test_4_5_if_the_image_has_nothing_there_nothing_is_done(yours: Yours, image: Image) -> None:
    for path in ("/missing/place", "/srv/missing"):
        equal(image.fill(yours, path), False, "what is returned if the image has nothing at that path")
        equal(
            [image.contents(), os.listdir(image.volume)],
            [[], ["_data"]],
            "the volume's files, and what is beside _data, if the image has nothing at that path. When is a copy "
            "begun?",
        )


def test_4_5_a_file_in_the_image_is_not_a_place_for_a_volume(yours: Yours, image: Image) -> None:
    (image.root / "link").symlink_to("/srv/one")
    os.mkfifo(image.root / "fifo")
    for path in ("/srv/one", "/link", "/fifo", "/srv/one/below"):
        answer = image.answer(yours, path)
        expect(
            answer.raised is not None,
            f"{path} of the image is not a directory, and fill_volume gives {answer.value!r}. It should raise "
            "InvalidArgument: what would the container find at its path?",
        )
        refused(answer, yours, f"a volume at {path} of the image, where a file is", path)
        equal(
            [image.contents(), os.listdir(image.volume)],
            [[], ["_data"]],
            "the volume's files, and what is beside _data, after that. When is a copy begun?",
        )


def test_4_5_a_directory_of_the_host_is_left_alone(yours: Yours, image: Image) -> None:
    for name in ("mine", "my_data", "_data.old", "_data/mine", "filling"):
        mine = image.top / "host" / name
        mine.mkdir(parents=True)
        before = sorted(map(str, image.top.rglob("*")))
        equal(
            image.fill(yours, data=mine),
            False,
            f"what is returned for …/{name}, a directory that is not called _data: whose is it?",
        )
        equal(
            sorted(map(str, image.top.rglob("*"))),
            before,
            f"the files in and around the host's directory …/{name}",
        )


def test_4_5_descriptor_0_is_a_root_too(yours: Yours, image: Image) -> None:
    with yours.at(close_stdin=True) as function:
        image.fill(function)
    equal(image.contents(), ALL, "the volume's files. root_fd is 0 here, as stdin was closed: is 0 a descriptor?")


def test_4_5_a_volume_is_looked_at_under_the_lock(yours: Yours, image: Image) -> None:
    def filled_meanwhile(call: Call) -> None:
        (image.data / "theirs").touch()

    with yours.at() as function:
        answer = image.answer(function, watch=Watch(("flock",), before=filled_meanwhile))
    expect(answer.raised is None, f"fill_volume fails\n    {answer.raised}")
    expect(
        answer.watch is not None and answer.watch.seen,
        "fill_volume never calls flock(2): two containers may start at once with the same new volume. Who waits "
        "for "
        "whom?",
    )
    equal(
        image.contents(),
        ["theirs"],
        "the volume's files. While you waited for the lock, another container filled it: did you look before?",
    )
    equal(answer.value, False, "what is returned if another container has filled the volume meanwhile")


def test_4_5_one_copies_and_the_others_wait(yours: Yours, image: Image) -> None:
    """The judge is the other container: it has the lock at first, and tries to get it at each step."""
    lock = os.open(image.volume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    free: list[str] = []

    def try_it(call: Call) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        free.append(call.name)
        fcntl.flock(lock, fcntl.LOCK_UN)

    try:
        with yours.at() as function, image.opened() as root_fd:
            fcntl.flock(lock, fcntl.LOCK_EX)
            pending = function.begin(str(image.data), root_fd, "/srv")
            ended = select.select([function.process.channel], [], [], 0.15)[0]
            expect(
                not ended and not image.contents(),
                "another container has the lock of the directory that holds _data, and fill_volume does not wait "
                "for "
                f"it: by now the volume has {image.contents()}. Who waits for whom?",
            )
            fcntl.flock(lock, fcntl.LOCK_UN)
            answer = pending.answer()
            equal(answer.value, True, "what is returned after waiting for another container that copied nothing")
        image = image.again()
        os.close(lock)
        lock = os.open(image.volume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with yours.at() as function:
            image.answer(function, watch=Watch(CHANGES, before=try_it))
    finally:
        os.close(lock)
    expect(
        not free,
        f"while you copy (at {', '.join(dict.fromkeys(free))}), another container that starts now can take the "
        "lock of "
        "the volume's directory, and copies as well: is your lock yours alone, and until when?",
    )


def test_4_5_the_marker_says_that_a_copy_is_half(yours: Yours, image: Image) -> None:
    (image.data / "one").write_text("srv/one")
    image.marker.touch()
    given = image.fill(yours)
    expect(
        "sub/two" in image.contents(),
        "beside _data is the file `filling`, which another start has left there: its copy is half. Yours leaves "
        "the "
        f"volume with {image.contents()}: what tells half a copy from somebody's files?",
    )
    equal(
        [given, image.marker.exists()],
        [True, False],
        "what is returned for a half copy, and is the marker still there",
    )


def test_4_5_a_copy_that_is_killed_is_taken_up_again(yours: Yours, image: Image) -> None:
    """Killed in each of its steps in turn, and refused in each of them by the kernel."""
    watch = Watch((*CHANGES, "openat"))
    with yours.at() as function:
        image.answer(function, watch=watch)
    made = [call.name != "openat" or call.args[2] & os.O_CREAT for call in watch.seen]
    steps = [step for step, changes in enumerate(made) if changes]
    expect(
        any(is_marker(watch.seen[step]) for step in steps),
        f"the file {image.marker} is never made: what tells half a copy from somebody's files?",
    )
    own = [step for step in steps if is_marker(watch.seen[step])]
    for step in sorted({*steps[::2], *own}):
        one = image.again()
        killed(yours, one, watch.names, step)
        taken_up(yours, one, f"a start was killed in its {watch.seen[step].name}{watch.seen[step].paths or ''}")


def is_marker(call: Call) -> bool:
    """Whether a call has the marker as a path, by its whole path or relative to a descriptor."""
    return any(os.path.basename(path) == "filling" for path in call.paths)


def killed(yours: Yours, image: Image, names: tuple[str, ...], step: int) -> None:
    """Call the function, and kill it at this call."""

    def kill(call: Call) -> None:
        if len(watch.seen) == step + 1:
            os.kill(function.process.pid, 9)

    watch = Watch(names, before=kill)
    with yours.at() as function, image.opened() as root_fd, contextlib.suppress(Died):
        function.process.call((str(image.data), root_fd, "/srv"), {}, "", watch)


def taken_up(yours: Yours, image: Image, what: str) -> None:
    found = image.contents()
    image.fill(yours)
    expect(
        image.contents() == ALL,
        f"{what}, with {found} in the volume; the next start leaves the volume with {image.contents()}, and it "
        "should "
        f"have {ALL}: what tells half a copy from somebody's files, and from when to when is it there?",
    )
    expect(
        not image.marker.exists(),
        f"{what}; after the next start the marker `filling` is still there; it should be gone: what will the "
        "next call "
        "think?",
    )


def test_4_5_a_copy_that_fails_is_taken_up_again(yours: Yours, image: Image) -> None:
    for name in ("linkat", "renameat"):
        one = image.again()
        with yours.at() as function:
            answer = one.answer(
                function, watch=Watch((name,), (Fault(name, errno.ENOSPC, 2 if name == "renameat" else 1),))
            )
        what = f"a start failed, as the kernel refused {name} in the copy with ENOSPC"
        yours.refused(answer, OSError, f"This is {what}. Who should hear it?", errno.ENOSPC)
        taken_up(yours, one, what)


def test_4_5_what_the_kernel_refuses_is_raised(yours: Yours, image: Image) -> None:
    (image.root / "empty").mkdir()
    about = "The container would start with half of what the image has."
    yours.each_refusal(
        lambda function, watch: image.again_with(image.root).answer(function, "/empty", watch=watch),
        ("openat", "openat2", "flock", "unlink", "unlinkat"),
        errors=(errno.EIO,),
        spared=("..", "tree", "links", "copied", "copying"),  # of fill.copy_tree
        about=about,
    )
    with yours.at() as function:
        answer = image.again().answer(function, watch=Watch(("getdents64",), (Fault("getdents64", errno.EIO, 1),)))
    yours.refused(answer, OSError, f"The kernel refused to list the volume's directory. {about}", errno.EIO)
    for number in (errno.EACCES, errno.ELOOP, errno.EMFILE):
        with yours.at() as function:
            answer = image.again().answer(function, watch=Watch(("openat2",), (Fault("openat2", number, 1),)))
        if answer.watch is not None and answer.watch.seen:
            yours.refused(answer, OSError, f"The kernel refused to open the image's directory. {about}", number)
    about = "The volume was removed meanwhile. Which missing directory is not an error?"
    for directory in (image.data, image.volume):
        directory.rmdir()
        with image.opened() as root_fd:
            yours.raises(FileNotFoundError, str(image.data), root_fd, "/srv", about=about)


def test_4_5_the_engine_fills_a_volume_once(pyctr: Any) -> None:
    pyctr("run", "--rm", "-v", "filled:/var", "busybox", "rm", "-r", "/var/www")
    data = Path(pyctr("volume", "inspect", "--format", "{{.Mountpoint}}", "filled").stdout.strip())
    expect(
        (data / "spool").is_dir(), f"busybox has a directory /var/spool; the volume at /var has {os.listdir(data)}"
    )
    pyctr("run", "--rm", "-v", "filled:/var", "busybox", "true")
    expect(not (data / "www").exists(), "a container deleted /var/www in its volume; the next one has it again")
