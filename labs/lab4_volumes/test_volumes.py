"""The checks of lab 4. Mounts are made in a child's mount namespace, on a tmpfs: no mistake reaches a disk."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labs.kit.checks.expect import equal, expect, in_child
from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import mountinfo
from pyctr_lite.volumes import bind, fill, spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def refused(function: Callable[[], Any], what: str) -> str:
    """The words with which something is refused that has to be."""
    try:
        given = function()
    except InvalidArgument as error:
        return error.message
    except Exception as error:
        expect(False, f"{what}: {type(error).__name__}: {error}\n    What reaches the user is an InvalidArgument.")
    expect(False, f"{what} is let through, and gives {given!r}: who says what is wrong with it?")
    raise AssertionError


# --- 4.1 -------------------------------------------------------------------------------------------------


def test_4_1_v_makes_a_missing_directory_with_those_above_it(tmp_path: Path) -> None:
    path = tmp_path / "not/there/yet"
    bind.prepare_source(str(path), True)
    expect(path.is_dir(), "`-v /not/there/yet:/x`: no directory was made. What does -v do where --mount fails?")
    equal(oct(path.stat().st_mode & 0o777), "0o755", "the mode of the directory that was made")


def test_4_1_mount_refuses_a_missing_directory_and_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "missing"
    message = refused(lambda: bind.prepare_source(str(path), False), "`--mount type=bind,src=/missing,…`")
    expect(str(path) in message, f"the message does not name the path that is missing: {message!r}")
    expect(not path.exists(), "--mount was refused, and the directory was made nevertheless")


def test_4_1_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "dir").mkdir(mode=0o700)
    for name in ("file", "dir"):
        for create in (True, False):
            try:
                bind.prepare_source(str(tmp_path / name), create)
            except InvalidArgument as error:
                expect(False, f"the source is there, it is a {name}: {error}. Can a file be bound as well?")
    equal((tmp_path / "file").read_text(), "kept", "the file that was to be bound")
    equal(oct((tmp_path / "dir").stat().st_mode & 0o777), "0o700", "the mode of a directory that was there")


def test_4_1_what_cannot_be_made_is_told_as_a_user_s_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(lambda: bind.prepare_source(str(tmp_path / "file/below"), True), "a directory below a file")


def test_4_1_another_container_may_make_it_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "source", os.makedirs

    def just_made(name: str, *args: Any, **kwargs: Any) -> None:
        path.mkdir(exist_ok=True)
        real(name, *args, **kwargs)

    monkeypatch.setattr(os, "makedirs", just_made)
    try:
        bind.prepare_source(str(path), True)
    except Exception as error:
        expect(
            False,
            f"between your look and os.makedirs another container made the directory, and yours fails: {error}",
        )


def test_4_1_the_engine_makes_it_for_v_only(pyctr: Any, tmp_path: Path) -> None:
    missing, made = tmp_path / "missing", tmp_path / "made"
    done = pyctr("run", "--rm", "--mount", f"type=bind,src={missing},dst=/x", "busybox", "true", check=False)
    equal(
        (done.returncode, missing.exists()),
        (125, False),
        "--mount of a missing source: exit status, and is it there",
    )
    pyctr("run", "--rm", "-v", f"{made}:/x", "busybox", "touch", "/x/file")
    expect((made / "file").exists(), f"`-v {made}:/x` ran, and what the container wrote to /x is not on the host")


# --- 4.2 -------------------------------------------------------------------------------------------------


def parsed(text: str) -> tuple[str, str, str]:
    mount = spec.parse_volume(text)
    return mount.type, mount.source, mount.target


def test_4_2_a_target_alone_is_an_anonymous_volume() -> None:
    equal(parsed("/data"), ("volume", "", "/data"), "-v /data: type, source and target")


def test_4_2_a_name_is_no_path() -> None:
    equal(
        parsed("name:/data"),
        ("volume", "name", "/data"),
        "-v name:/data: a source with no slash or dot at its start is the name of a volume",
    )
    equal(
        spec.parse_volume("name:/data").create_source,
        False,
        "create_source of a volume: it is no directory of the host",
    )


def test_4_2_a_path_is_bound_and_made_where_it_is_missing() -> None:
    equal(parsed("/host:/data"), ("bind", "/host", "/data"), "-v /host:/data: type, source and target")
    equal(spec.parse_volume("/host:/data").create_source, True, "create_source of -v with a path")
    equal(spec.parse_volume("/host:/data").readonly, False, "readonly without an option")


def test_4_2_the_third_part_is_options() -> None:
    equal(
        parsed("/a:/b:ro"), ("bind", "/a", "/b"), "-v /a:/b:ro: type, source and target. What separates the parts?"
    )
    mount = spec.parse_volume("/a:/b:ro,rslave")
    equal((mount.readonly, mount.propagation), (True, "rslave"), "-v /a:/b:ro,rslave: readonly and propagation")
    equal(spec.parse_volume("name:/b:ro").readonly, True, "-v name:/b:ro: readonly")


def test_4_2_a_relative_path_is_the_shells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text, source in (
        ("./sub:/x", f"{tmp_path}/sub"),
        (".:/x", str(tmp_path)),
        ("..:/x", str(tmp_path.parent)),
    ):
        try:
            found = parsed(text)
        except InvalidArgument as error:
            expect(False, f"-v {text} is refused: {error}\n    A source that begins with a dot is a path.")
        equal(found, ("bind", source, "/x"), f"-v {text} in {tmp_path}: type, source and target")


@pytest.mark.parametrize("text", ["", ":/data", "a::b", "name:", "/a:/b:ro:x", "/a:/b:/c:/d"])
def test_4_2_empty_parts_and_too_many_are_refused(text: str) -> None:
    refused(lambda: spec.parse_volume(text), f"-v '{text}'")


def test_4_2_options_are_no_target() -> None:
    message = refused(lambda: spec.parse_volume("/data:ro"), "-v /data:ro, where the target would be `ro`,")
    expect(
        "must be absolute" not in message,
        f"-v /data:ro is refused with {message!r}: that is no help, nobody meant `ro` as a path. "
        "What tells options from a target?",
    )


def test_4_2_all_is_checked_and_paths_are_clean() -> None:
    equal(parsed("/a//b/../c/:/x/./y/"), ("bind", "/a/c", "/x/y"), "paths with dots and slashes too many")
    refused(lambda: spec.parse_volume("/a:/b:sync"), "-v /a:/b:sync, an option that there is not,")
    refused(lambda: spec.parse_volume("name:/b:rslave"), "-v name:/b:rslave, a propagation for a volume,")
    refused(lambda: spec.parse_volume("/a:/"), "-v /a:/, a mount over the root,")


def test_4_2_the_engine_mounts_what_was_asked_for(pyctr: Any, tmp_path: Path) -> None:
    asked = ["-v", "/anonymous", "-v", "lab4:/named", "-v", f"{tmp_path}:/bound:rprivate"]
    pyctr("create", "--name", "box", *asked, "busybox", "true")
    shown = pyctr(
        "inspect", "--format", "{{range .Mounts}}{{.Type}} {{.Destination}}\n{{end}}", "box"
    ).stdout.split("\n")
    wanted = ["bind /bound", "volume /anonymous", "volume /named"]
    equal(sorted(filter(None, shown)), wanted, f"the mounts of a container that was made with {' '.join(asked)}")
    equal(len(pyctr("volume", "ls", "-q", "--filter", "name=lab4").stdout.split()), 1, "the volumes called lab4")


# --- 4.3 -------------------------------------------------------------------------------------------------


class Place:
    """Two directories on a tmpfs of their own: `source` with a file and a directory `below`, and `target`."""

    def __init__(self, directory: str, flags: int = 0) -> None:
        mount_tmpfs(directory, flags)
        self.source, self.target = f"{directory}/source", f"{directory}/target"
        for path in (f"{self.source}/below", self.target):
            os.makedirs(path)
        Path(self.source, "file").write_text("content")


def mount_tmpfs(path: str, flags: int = 0) -> None:
    linux.mount("tmpfs", path, "tmpfs", flags, "size=1m")


def refusal(path: str) -> str:
    """The name of the error that writing brings, or "" where it is let."""
    try:
        with open(path, "a"):
            return ""
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def words(path: str) -> list[str]:
    """What mountinfo says of the mount at a path: its options, then its propagation without the numbers."""
    [mount] = [mount for mount in mountinfo.mounts() if mount.mountpoint == path][-1:]
    return mount.options + [word.partition(":")[0] for word in mount.propagation]


@pytest.fixture
def inside(tmp_path: Path) -> Callable[[Callable[[Place], None]], None]:
    """`inside(function)` calls it with a Place, in a mount namespace of its own."""

    def call(function: Callable[[Place], None], flags: int = 0) -> None:
        in_child(lambda: function(Place(str(tmp_path), flags)), linux.CLONE_NEWNS)

    return call


def test_4_3_two_paths_lead_to_one_inode(inside: Any) -> None:
    def check(place: Place) -> None:
        bind.bind_mount(place.source, place.target)
        found = [(os.stat(path).st_dev, os.stat(path).st_ino) for path in (place.source, place.target)]
        expect(
            found[0] == found[1], "source and target are two inodes: a bind copies nothing. Which flag makes one?"
        )
        Path(place.target, "new").write_text("by the target")
        expect(
            Path(place.source, "new").exists(), "what was written at the target is not to be seen at the source"
        )

    inside(check)


def test_4_3_a_file_on_a_file(inside: Any) -> None:
    def check(place: Place) -> None:
        spot = f"{place.target}/spot"
        Path(spot).touch()
        bind.bind_mount(f"{place.source}/file", spot)
        equal(Path(spot).read_text(), "content", "a file bound on an empty file")

    inside(check)


def test_4_3_mounts_below_come_along_if_recursive(inside: Any) -> None:
    def check(place: Place) -> None:
        mount_tmpfs(f"{place.source}/below")
        Path(place.source, "below/inner").touch()
        bind.bind_mount(place.source, place.target)
        expect(
            os.path.exists(f"{place.target}/below/inner"),
            "there is a mount below the source, and the target shows an empty directory in its place: "
            "which flag takes the mounts below along?",
        )
        linux.umount2(place.target, linux.MNT_DETACH)
        bind.bind_mount(place.source, place.target, recursive=False)
        expect(
            not os.path.exists(f"{place.target}/below/inner"),
            "with recursive=False the mounts below the source came along nevertheless",
        )

    inside(check)


def test_4_3_read_only_holds_and_the_source_stays_writable(inside: Any) -> None:
    def check(place: Place) -> None:
        bind.bind_mount(place.source, place.target, readonly=True)
        expect(
            refusal(f"{place.target}/file"),
            "with readonly=True the target can still be written to: mount(2) ignores MS_RDONLY in the call that "
            "binds. What makes it hold?",
        )
        equal(refusal(f"{place.source}/file"), "", "the error of writing at the source")

    inside(check)


def test_4_3_all_else_is_handed_on(inside: Any) -> None:
    def check(place: Place) -> None:
        linux.mount(place.source, place.source, None, linux.MS_BIND)
        linux.mount(None, place.source, None, linux.MS_SHARED)
        mount_tmpfs(f"{place.source}/below")
        bind.bind_mount(
            place.source,
            place.target,
            readonly=True,
            propagation="rslave",
            flags=linux.MS_NOSUID,
            readonly_recursive=True,
        )
        found = words(place.target)
        expect("nosuid" in found, f"flags=MS_NOSUID was given, and the mount's flags are {found}")
        expect("master" in found, f"propagation=rslave was given; mountinfo shows {found}: a slave has a `master`")
        equal(
            refusal(f"{place.target}/below/x"),
            "EROFS",
            "with readonly_recursive, writing to the mount below: its error",
        )

    inside(check)


def test_4_3_the_engine_binds_a_directory_of_the_host(pyctr: Any, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("from the host")
    done = pyctr("run", "--rm", "-v", f"{tmp_path}:/x", "busybox", "sh", "-c", "cat /x/given; echo hi >/x/made")
    equal(done.stdout, "from the host", "what the container reads of the host's directory")
    equal((tmp_path / "made").read_text(), "hi\n", "what it writes there, read on the host")


# --- 4.4 -------------------------------------------------------------------------------------------------


def bound(place: Place) -> None:
    linux.mount(place.source, place.target, None, linux.MS_BIND | linux.MS_REC)


def test_4_4_read_only_is_for_this_mount_alone(inside: Any) -> None:
    def check(place: Place) -> None:
        bound(place)
        bind.change_mount(place.target, readonly=True, propagation="rprivate")
        equal(
            refusal(f"{place.target}/file"),
            "EROFS",
            "the error of writing to a mount that was made read-only: does the second call say that it changes "
            "what is there?",
        )
        expect(
            not refusal(f"{place.source}/file"),
            "the source is read-only now, and so is all of its file system, for all who use it: which flag says "
            "that only this mount is meant?",
        )

    inside(check)


def test_4_4_what_the_mount_had_it_keeps(inside: Any) -> None:
    def check(place: Place) -> None:
        bound(place)
        before = set(words(place.target)) - {"rw"}
        bind.change_mount(place.target, readonly=True, propagation="rprivate")
        lost = sorted(before - set(words(place.target)))
        expect(
            not lost,
            f"the remount lost {', '.join(lost)}: what its source's mount shuts out is let in here. "
            "A remount sets all flags anew: which did the mount have?",
        )

    inside(check, linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_NOATIME)


def test_4_4_flags_are_added_also_without_read_only(inside: Any) -> None:
    def check(place: Place) -> None:
        bound(place)
        bind.change_mount(place.target, readonly=False, propagation="rprivate", flags=linux.MS_NOSUID)
        found = words(place.target)
        expect("nosuid" in found, f"flags=MS_NOSUID, readonly=False: the mount's flags are {found}")
        expect("nodev" in found, f"flags=MS_NOSUID: the nodev that it had is lost, its flags are {found}")
        equal(refusal(f"{place.target}/file"), "", "readonly=False: the error of writing")

    inside(check, linux.MS_NODEV)


@pytest.mark.parametrize(("recursive", "error"), [(True, "EROFS"), (False, "")])
def test_4_4_the_mounts_below_are_read_only_if_asked_for(inside: Any, recursive: bool, error: str) -> None:
    def check(place: Place) -> None:
        mount_tmpfs(f"{place.source}/below")
        bound(place)
        bind.change_mount(place.target, readonly=True, propagation="rprivate", readonly_recursive=recursive)
        equal(
            refusal(f"{place.target}/below/x"),
            error,
            f"readonly_recursive={recursive}: the error of writing to a mount below. MS_REC does nothing in a "
            "remount; what changes a whole tree?",
        )
        equal(refusal(f"{place.target}/file"), "EROFS", "and to the mount itself")

    inside(check)


@pytest.mark.parametrize(
    ("propagation", "kind"), [("rprivate", ""), ("private", ""), ("rslave", "master"), ("rshared", "shared")]
)
def test_4_4_propagation_says_where_later_mounts_appear(inside: Any, propagation: str, kind: str) -> None:
    def check(place: Place) -> None:
        linux.mount(place.source, place.source, None, linux.MS_BIND)
        linux.mount(None, place.source, None, linux.MS_SHARED)
        bound(place)
        bind.change_mount(place.target, readonly=False, propagation=propagation)
        found = {"shared", "master"} & set(words(place.target))
        expect(
            found == ({kind} if kind else set()),
            f"the source is shared, as systemd makes all mounts, and propagation={propagation} is asked for: "
            f"mountinfo shows {sorted(found) or 'a private mount'}. What sets a mount's propagation?",
        )
        mount_tmpfs(f"{place.source}/below")
        arrived = len([mount for mount in mountinfo.mounts() if mount.mountpoint == f"{place.target}/below"])
        equal(bool(arrived), bool(kind), f"{propagation}: a later mount below the source appears at the target")

    inside(check)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs that the engine sees too: the checks run in a mount namespace of their own."""
    path = tmp_path / "disk"
    path.mkdir()
    mount_tmpfs(str(path), linux.MS_NOSUID)
    yield path
    linux.umount2(str(path), linux.MNT_DETACH)


def test_4_4_the_engine_binds_read_only(pyctr: Any, disk: Path) -> None:
    done = pyctr("run", "--rm", "-v", f"{disk}:/x:ro", "busybox", "touch", "/x/file", check=False)
    expect("Read-only" in done.stderr, f"`-v …:/x:ro`, and `touch /x/file` in the container says {done.stderr!r}")
    shown = pyctr("run", "--rm", "-v", f"{disk}:/x:ro", "busybox", "grep", " /x ", "/proc/self/mountinfo").stdout
    expect("nosuid" in shown, f"the source's mount is nosuid, the container's is not:\n    {shown.strip()}")


# --- 4.5 -------------------------------------------------------------------------------------------------


class Image:
    """A root file system with files in /srv, and a new volume of the store."""

    def __init__(self, top: Path) -> None:
        self.top, self.root, self.volume = top, top / "rootfs", top / "volumes/lab"
        self.data, self.marker = self.volume / "_data", self.volume / "filling"
        (self.root / "srv/sub").mkdir(parents=True)
        for name in ("srv/one", "srv/sub/two"):
            (self.root / name).write_text(name)
        self.data.mkdir(parents=True)

    def fill(self, path: str = "/srv", data: Path | None = None) -> bool:
        root_fd = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        before = len(os.listdir("/proc/self/fd"))
        try:
            given = fill.fill_volume(str(data or self.data), root_fd, path)
            expect(
                len(os.listdir("/proc/self/fd")) == before,
                "what you opened is open afterwards, and with it the lock is held: who closes it?",
            )
        finally:
            os.close(root_fd)
        return given

    def contents(self) -> list[str]:
        return sorted(str(path.relative_to(self.data)) for path in self.data.rglob("*"))


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path)


def test_4_5_a_new_volume_gets_what_the_image_has_there(image: Image) -> None:
    equal(image.fill(), True, "what is returned for a copy that was made")
    equal(image.contents(), ["one", "sub", "sub/two"], "the volume's files, of an image with one and sub/two")
    expect(
        not image.marker.exists(),
        "the copy is whole, and the marker `filling` is still there: what will the next call think?",
    )


def test_4_5_never_over_what_is_there(image: Image) -> None:
    (image.data / "one").write_text("mine")
    given = image.fill()
    expect(
        image.contents() == ["one"] and (image.data / "one").read_text() == "mine",
        f"a volume that had a file of its own now has {image.contents()}: whose are the others?",
    )
    equal(given, False, "what is returned for a volume that had a file already")


def test_4_5_only_once(image: Image) -> None:
    image.fill()
    (image.data / "sub/two").unlink()
    (image.data / "one").write_text("changed")
    image.fill()
    expect(
        image.contents() == ["one", "sub"] and (image.data / "one").read_text() == "changed",
        "a container deleted a file of its volume and changed another; at the next start the image's are back. "
        "When is a volume new?",
    )


def test_4_5_a_link_never_leads_out_of_the_image(image: Image) -> None:
    (image.top / "secret").mkdir()
    (image.top / "secret/key").write_text("the host's")
    (image.root / "out").symlink_to(image.top / "secret")
    (image.root / "up").symlink_to("../" * 20 + str(image.top / "secret").lstrip("/"))
    for path in ("/out", "/up", "/../secret"):
        image.fill(path)
        expect(
            "key" not in image.contents(),
            f"the image has a symbolic link {path}, and the host's files behind it are in the volume now: "
            "whose `/` does the link begin at?",
        )
    (image.root / "within").symlink_to("/srv")
    image.fill("/within")
    equal(
        image.contents(), ["one", "sub", "sub/two"], "the volume's files; its place in the image is a link to /srv"
    )


def test_4_5_where_the_image_has_nothing_nothing_is_done(image: Image) -> None:
    equal(image.fill("/missing/place"), False, "what is returned where the image has nothing at that place")
    equal((image.contents(), image.marker.exists()), ([], False), "the volume's files, and is there a marker")


def test_4_5_a_file_in_the_image_is_no_place_for_a_volume(image: Image) -> None:
    refused(lambda: image.fill("/srv/one"), "a volume over a file of the image")


def test_4_5_a_directory_of_the_host_is_left_alone(image: Image) -> None:
    (image.top / "mine").mkdir()
    equal(image.fill(data=image.top / "mine"), False, "what is returned for a directory that is not called _data")
    equal(os.listdir(image.top / "mine"), [], "the files in a directory of the host's own")


def test_4_5_a_copy_that_was_cut_off_is_taken_up_again(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(source: int, data: int) -> None:
        os.close(os.open("one", os.O_CREAT | os.O_WRONLY, dir_fd=data))
        os.kill(os.getpid(), 9)

    def begun() -> None:
        monkeypatch.setattr(fill, "copy_tree", killed)
        image.fill()

    pid = os.fork()
    if pid == 0:
        try:
            begun()
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    expect(os.WIFSIGNALED(status), "fill.copy_tree was never called: what copies the tree?")
    given = image.fill()
    expect(
        "sub/two" in image.contents(),
        f"a copy was killed after its first file; the next start leaves the volume with {image.contents()}: "
        "what tells half a copy from somebody's files?",
    )
    equal((given, image.marker.exists()), (True, False), "what is returned then, and is the marker still there")


def test_4_5_one_copies_and_the_others_wait(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    real, free = fill.copy_tree, []

    def copy(source: int, data: int) -> None:
        fd = os.open(image.volume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free.append(fd)
        except BlockingIOError:
            pass
        finally:
            os.close(fd)
        real(source, data)

    monkeypatch.setattr(fill, "copy_tree", copy)
    image.fill()
    expect(
        not free,
        "while you copy, another container that starts now can take the lock of the volume's directory, and "
        "copies as well: who waits for whom?",
    )


def test_4_5_a_volume_is_looked_at_under_the_lock(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fcntl.flock

    def filled_meanwhile(fd: int, operation: int) -> None:
        (image.data / "theirs").write_text("x")
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", filled_meanwhile)
    image.fill()
    equal(
        image.contents(),
        ["theirs"],
        "the volume's files. While you waited for the lock, another container filled it: did you look before?",
    )


def test_4_5_the_engine_fills_a_volume_once(pyctr: Any) -> None:
    pyctr("run", "--rm", "-v", "filled:/var", "busybox", "rm", "-r", "/var/www")
    data = Path(pyctr("volume", "inspect", "--format", "{{.Mountpoint}}", "filled").stdout.strip())
    expect(
        (data / "spool").is_dir(), f"busybox has a directory /var/spool; the volume at /var has {os.listdir(data)}"
    )
    pyctr("run", "--rm", "-v", "filled:/var", "busybox", "true")
    expect(not (data / "www").exists(), "a container deleted /var/www in its volume; the next one has it again")
