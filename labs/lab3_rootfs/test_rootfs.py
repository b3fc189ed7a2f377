"""The checks of lab 3. Mounts are made in a mount namespace of the check's own; archives by Python's tarfile."""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labs.kit.checks.expect import CheckFailed, equal, expect, in_child, told
from pyctr_lite import linux
from pyctr_lite.errors import BrokenArchive
from pyctr_lite.linux import mountinfo
from pyctr_lite.rootfs import layer, overlay, pivot, target, whiteout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

# --- 3.1 -------------------------------------------------------------------------------------------------


def test_3_1_layers_then_upper_then_work() -> None:
    equal(
        overlay.overlay_options(["/top", "/base"], "", ""),
        "lowerdir=/top:/base",
        "two layers, read-only. The colon: is it part of a name here, or does it stand between two names?",
    )
    equal(
        overlay.overlay_options(["/top", "/base"], "/up", "/work"),
        "lowerdir=/top:/base,upperdir=/up,workdir=/work",
        "two layers and a place for changes",
    )


@pytest.mark.parametrize("name", ["a:b", "a,b", "a\\b", "a\\:b,", "a b=c"])
def test_3_1_the_kernel_finds_layers_of_any_name(tmp_path: Path, name: str) -> None:
    for directory in ("lower", "upper", "work"):
        (tmp_path / name / directory).mkdir(parents=True)
    (tmp_path / "base").mkdir()
    (tmp_path / "merged").mkdir()
    (tmp_path / name / "lower/file").write_text("from below")
    below, above = [f"{tmp_path}/{name}/lower", f"{tmp_path}/base"], f"{tmp_path}/{name}"

    def mounted(upper: str, work: str) -> str:
        text = overlay.overlay_options(below, upper, work)
        try:
            linux.mount("overlay", str(tmp_path / "merged"), "overlay", 0, text)
        except OSError as error:
            raise CheckFailed(
                f"a layer lies in a directory called {name!r}, and the kernel says {errno.errorcode[error.errno]} "
                f"({error.strerror}) to\n    {text}\n"
                "Here a colon ends a layer, a comma ends an option, and a backslash marks what comes after it. "
                "How is it to know which of these characters belong to a name?"
            ) from None
        found = (tmp_path / "merged/file").read_text()
        if upper:
            (tmp_path / "merged/new").write_text("x")
        linux.umount2(str(tmp_path / "merged"))
        return found

    def check() -> list[str]:
        return [mounted("", ""), mounted(f"{above}/upper", f"{above}/work")]

    equal(in_child(check, linux.CLONE_NEWNS), ["from below"] * 2, f"a file of the layer in {name!r}")
    expect((tmp_path / name / "upper/new").exists(), f"a new file is not in the upper directory in {name!r}")


def test_3_1_the_engine_mounts_with_it(pyctr: Any) -> None:
    script = "echo changed >/etc/motd; cat /etc/motd; ls /bin/sh"
    equal(
        pyctr("run", "--rm", "busybox", "sh", "-c", script).stdout,
        "changed\n/bin/sh\n",
        "a container that reads its image and writes",
    )


# --- 3.2 -------------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to become a root; what lies beside it is the host's."""
    (tmp_path / "root/inside").mkdir(parents=True)
    (tmp_path / "host-file").write_text("secret")
    return tmp_path / "root"


def enter(root: Path) -> None:
    """Bind a directory on itself and make it the root, by 3.2."""
    linux.mount(str(root), str(root), None, linux.MS_BIND)
    try:
        pivot.pivot_root(str(root))
    except OSError as error:
        asked = {
            errno.EBUSY: "what was unmounted is in use, by you: which flag detaches it all the same?",
            errno.EINVAL: "is what you name a mount point?",
            errno.ENOENT: "a path is looked up in the new root as soon as you have swapped: where is it now?",
        }.get(error.errno or 0, "what does its man page say to that?")
        raise CheckFailed(
            f"the new root is a mount point, nothing is shared, and yet: {error.strerror} "
            f"({errno.errorcode[error.errno or 0]}): {asked}"
        ) from error


def test_3_2_the_new_root_is_the_root_and_where_you_stand(root: Path) -> None:
    def check() -> list[Any]:
        enter(root)
        return [sorted(os.listdir("/")), sorted(os.listdir(".")), os.path.samestat(os.stat("/"), os.stat("."))]

    top, here, same = in_child(check, linux.CLONE_NEWNS)
    expect("inside" in top, f"/ has {len(top)} entries afterwards, and not those of the new root: was it swapped?")
    expect(
        same,
        f"/ is the new root, but the working directory is another: it has {len(here)} entries of the old "
        "root in it, and any relative path leads out. Where do you stand at the end?",
    )


def test_3_2_nothing_of_the_old_root_is_mounted_any_more(root: Path) -> None:
    def check() -> list[str]:
        proc = os.open("/proc", OPEN)
        enter(root)
        with open(os.open("self/mountinfo", os.O_RDONLY, dir_fd=proc)) as file:
            return [mount.mountpoint for mount in mountinfo.parse(file.read())]

    left = in_child(check, linux.CLONE_NEWNS)
    expect(
        left == ["/"],
        f"{len(left) - 1} mounts besides the new root are still in /proc/self/mountinfo: what detaches the old "
        "root, with all that is mounted on it?",
    )


def test_3_2_the_classic_escape_finds_nothing(root: Path) -> None:
    def check() -> list[str]:
        enter(root)
        os.chroot("inside")
        for _ in range(40):
            os.chdir("..")
        return sorted(os.listdir("."))

    found = in_child(check, linux.CLONE_NEWNS)
    expect(
        "inside" in found,
        f"chroot into a directory and then 40 times `..` leads to {len(found)} entries outside the new root. "
        "Was the root mount swapped, or only this process's idea of where / is?",
    )


def test_3_2_the_host_keeps_its_mounts(root: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()

    def check() -> list[bool]:
        linux.mount("tmpfs", str(shared), "tmpfs")
        linux.mount(None, str(shared), None, linux.MS_SHARED)
        (shared / "disk").mkdir()
        linux.mount("tmpfs", str(shared / "disk"), "tmpfs")

        def inside() -> None:
            linux.unshare(linux.CLONE_NEWNS)
            enter(root)

        in_child(inside)
        return [os.path.ismount(shared), os.path.ismount(shared / "disk")]

    kept = in_child(check, linux.CLONE_NEWNS)
    expect(
        all(kept),
        "the host has lost a mount: it was shared with the container's mount namespace, and detaching the old "
        "root there has unmounted it here. What makes the old root's mounts keep it to themselves?",
    )


def test_3_2_a_directory_that_is_no_mount_point_is_refused(root: Path) -> None:
    def check() -> list[Any]:
        linux.mount("tmpfs", str(root), "tmpfs")
        (root / "plain").mkdir()
        before = os.stat("/")
        try:
            pivot.pivot_root(str(root / "plain"))
        except OSError as error:
            return [errno.errorcode[error.errno or 0], os.path.samestat(before, os.stat("/"))]
        return ["nothing", False]

    said, same = in_child(check, linux.CLONE_NEWNS)
    expect(
        said == "EINVAL" and same,
        f"a plain directory as the new root: {said} was raised, and / is {'still' if same else 'no longer'} the "
        "old root. Only a mount can be the root of a mount namespace: whose is the error to handle?",
    )


def test_3_2_nothing_is_left_open_or_made(root: Path) -> None:
    def check() -> list[Any]:
        fds = os.open("/proc/self/fd", OPEN)
        before = len(os.listdir(fds))
        enter(root)
        after = len(os.listdir(fds))
        return [after - before, sorted(os.listdir("/"))]

    more, names = in_child(check, linux.CLONE_NEWNS)
    equal(more, 0, "descriptors that are open afterwards and were not before: one of the old root is a way out")
    equal(names, ["inside"], "the files of the new root: it is an image's, and may be read-only")


def test_3_2_a_container_sees_its_own_mounts_alone(pyctr: Any) -> None:
    shown = pyctr("run", "--rm", "busybox", "cut", "-d", " ", "-f", "5", "/proc/self/mountinfo").stdout.split()
    own = [place for place in shown if place.split("/")[1] in ("proc", "sys", "dev", "etc")]
    expect(
        shown.count("/") == 1 and len(own) == len(shown) - 1,
        f"a container of the engine sees {len(shown) - len(own)} mounts that are not its /proc, /sys, /dev or "
        "/etc. One is its root: whose are the others?",
    )


# --- 3.3 -------------------------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path) -> Iterator[int]:
    """A root that is not trusted, and a host beside it with a file of the same name."""
    (tmp_path / "image/etc").mkdir(parents=True)
    (tmp_path / "image/etc/name").write_text("image")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/name").write_text("host")
    (tmp_path / "image/absolute").symlink_to("/etc/name")
    (tmp_path / "image/up").symlink_to("../../../etc/name")
    (tmp_path / "image/directory").symlink_to("/etc")
    (tmp_path / "image/outside").symlink_to(tmp_path / "etc/name")
    fd = os.open(tmp_path / "image", OPEN)
    yield fd
    os.close(fd)


def content(root_fd: int, path: str) -> str:
    try:
        fd = target.open_in_root(root_fd, path, os.O_RDONLY)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    with open(fd) as file:
        return file.read()


def opened(root_fd: int, path: str, about: str) -> None:
    """That the path leads to the root's own file. EXDEV is told first: it has one cause."""
    found = content(root_fd, path)
    expect(
        found != "EXDEV",
        f"the path {path} gives EXDEV: the kernel was asked to refuse all that leads out of the directory "
        "(RESOLVE_BENEATH does so), as `..` and a leading slash do. In a root of its own nothing leads out: which "
        "flag takes the descriptor for `/`?",
    )
    equal(found, "image", about)


def test_3_3_a_plain_path_is_opened(image: int) -> None:
    for path in ("etc/name", "/etc/name", "./etc//name"):
        opened(image, path, f"the file {path}: in the root that the descriptor is")
    equal(content(image, "etc/missing"), "ENOENT", "a file that is not there")


def test_3_3_dot_dot_stops_at_the_root(image: int) -> None:
    for path in ("../etc/name", "etc/../../../etc/name"):
        opened(image, path, f"{path}: in a root of its own `..` of / is /. Where does yours end?")


def test_3_3_a_link_is_followed_inside_the_root(image: int) -> None:
    about = {
        "absolute": "a link to /etc/name: whose /etc does a container mean by it?",
        "directory/name": "a path through a link to /etc",
        "up": "a link to ../../../etc/name: its `..` stop at the root, too",
    }
    for path, meaning in about.items():
        opened(image, path, meaning)
    equal(content(image, "outside"), "ENOENT", "a link to a path that only the host has")


def test_3_3_magic_links_are_refused(tmp_path: Path) -> None:
    def check() -> str:
        (tmp_path / "image/proc").mkdir(parents=True)
        linux.mount("proc", str(tmp_path / "image/proc"), "proc")
        return content(os.open(tmp_path / "image", OPEN), "proc/self/cwd/etc/passwd")

    found = in_child(check, linux.CLONE_NEWNS)
    equal(
        found if found.isupper() else "the host's file",
        "ELOOP",
        "proc/self/cwd is a magic link: no text, the kernel jumps. (EXDEV: today's kernel refuses it of itself, "
        "and openat2(2) says not to count on that. Which flag says so?)",
    )


def test_3_3_the_root_itself_and_the_flags(image: int) -> None:
    for path in ("", "/", "."):
        fd = target.open_in_root(image, path)
        same = os.path.samestat(os.fstat(fd), os.fstat(image))
        os.close(fd)
        expect(same, f"the path {path!r} does not lead to the root itself")
    fd = target.open_in_root(image, "etc/name")
    try:
        os.read(fd, 1)
    except OSError as error:
        equal(errno.errorcode[error.errno or 0], "EBADF", "reading from what was opened as a place only (O_PATH)")
    else:
        raise CheckFailed("without flags the file was opened for reading: are the flags passed on?")
    finally:
        os.close(fd)


def test_3_3_a_hostile_image_gets_no_mount_outside(pyctr: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    pyctr("run", "--name", "evil", "busybox", "ln", "-s", str(outside), "/data")
    pyctr("commit", "evil", "evil:1")
    done = pyctr("run", "--rm", "-v", f"{tmp_path}:/data", "evil:1", "ls", "-d", str(outside)).stdout
    equal(done, f"{outside}\n", "an image whose /data is a link to a directory of the host: mounted on inside")
    equal(os.listdir(outside), [], "the host's directory afterwards")


# --- 3.4 -------------------------------------------------------------------------------------------------


def test_3_4_a_name_is_cleaned() -> None:
    wanted = {
        b"etc/passwd": b"etc/passwd",
        b"./etc//passwd": b"etc/passwd",
        b"/etc/./passwd/": b"etc/passwd",
        b"./": b"",
        b"/": b"",
        b"a..b/...": b"a..b/...",
        b"caf\xe9": b"caf\xe9",
    }
    for name, cleaned in wanted.items():
        equal(layer.clean(name), cleaned, f"the name {name!r}")


def test_3_4_dot_dot_inside_the_root_is_taken_back() -> None:
    for name, cleaned in {b"a/../b": b"b", b"a/b/../../c": b"c", b"a/..": b""}.items():
        try:
            equal(layer.clean(name), cleaned, f"the name {name!r}: it stays inside the root")
        except BrokenArchive:
            raise CheckFailed(f"{name!r} is refused: it stays inside the root. Is every `..` an attack?") from None


@pytest.mark.parametrize("name", [b"../etc/passwd", b"/../etc/passwd", b"a/../../etc/passwd", b".."])
def test_3_4_above_the_root_is_refused(name: bytes) -> None:
    try:
        found = layer.clean(name)
    except BrokenArchive:
        return
    raise CheckFailed(
        f"{name!r} leads above the root, and was taken for {found!r}. What has this archive in mind?"
    )


def test_3_4_below_a_whiteout_is_refused_and_a_whiteout_is_not() -> None:
    for name in (b".wh.a", b"dir/.wh.a", b"dir/.wh..wh..opq"):
        try:
            equal(layer.clean(name), name, f"the whiteout {name!r}: its own name is fine")
        except BrokenArchive:
            raise CheckFailed(
                f"the whiteout {name!r} is refused: which of its parts may have the prefix?"
            ) from None
    for name in (b".wh.a/b", b"dir/.wh.a/b/c"):
        try:
            found = layer.clean(name)
        except BrokenArchive:
            continue
        raise CheckFailed(f"{name!r} was taken for {found!r}: can a whiteout have something below it?")


def test_3_4_the_engine_refuses_an_archive_that_leads_out(pyctr: Any, tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar"
    archive.write_bytes(packed(("etc/motd", b"fine"), ("../../escaped", b"x")))
    done = pyctr("import", str(archive), "evil:2", check=False)
    if done.returncode == 0:
        done = pyctr("run", "--rm", "evil:2", "true", check=False)
    expect(
        done.returncode != 0 and "Traceback" not in done.stderr and "../../escaped" in done.stderr,
        f"the engine imports the name ../../escaped: exit status {done.returncode}, {done.stderr!r}",
    )


# --- 3.5 -------------------------------------------------------------------------------------------------


class Layers:
    """A layer on another one. `merged()` is what an overlay of both shows."""

    def __init__(self, top: Path) -> None:
        self.below, self.layer, self.place = top / "below", top / "layer", top / "merged"
        for directory in (self.below, self.layer, self.place):
            directory.mkdir()

    def merged(self) -> list[str]:
        def check() -> list[str]:
            linux.mount("overlay", str(self.place), "overlay", 0, f"lowerdir={self.layer}:{self.below}")
            return sorted(str(path.relative_to(self.place)) for path in self.place.rglob("*"))

        found: list[str] = in_child(check, linux.CLONE_NEWNS)
        return found

    def hide(self, name: bytes) -> None:
        """By 3.5."""
        fd = os.open(self.layer, OPEN)
        before = len(os.listdir("/proc/self/fd"))
        try:
            whiteout.make(fd, name)
            expect(
                len(os.listdir("/proc/self/fd")) == before,
                "a descriptor that you opened is still open afterwards: who closes it?",
            )
        finally:
            os.close(fd)

    def apply(self, *entries: Any) -> None:
        """By 3.6, as the engine calls it."""
        layer.apply_layer(io.BytesIO(packed(*entries)), str(self.layer), [str(self.below)])


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path)


def test_3_5_a_name_below_is_hidden(layers: Layers) -> None:
    (layers.below / "keep").write_text("x")
    (layers.below / "gone").write_text("x")
    layers.hide(b"gone")
    equal(layers.merged(), ["keep"], "an overlay whose lower layer has `keep` and `gone`, after hiding `gone`")


def test_3_5_a_directory_below_is_hidden_with_all_in_it(layers: Layers) -> None:
    (layers.below / "dir/deep").mkdir(parents=True)
    layers.hide(b"dir")
    equal(layers.merged(), [], "an overlay after hiding a directory of the lower layer")


def test_3_5_a_directory_of_this_layer_stays_and_shows_nothing_from_below(layers: Layers) -> None:
    (layers.below / "dir").mkdir()
    (layers.below / "dir/old").write_text("x")
    (layers.layer / "dir").mkdir()
    (layers.layer / "dir/new").write_text("x")
    layers.hide(b"dir")
    expect((layers.layer / "dir/new").exists(), "this layer's own dir/new is gone: what does a whiteout hide?")
    equal(
        layers.merged(),
        ["dir", "dir/new"],
        "the overlay: dir/old is of the lower layer. What is a directory called that shows nothing from below?",
    )


def test_3_5_a_file_of_this_layer_stays(layers: Layers) -> None:
    (layers.below / "file").write_text("old")
    (layers.layer / "file").write_text("new")
    layers.hide(b"file")
    expect((layers.layer / "file").is_file(), "this layer's own file is gone: a whiteout hides what is *below*")


def test_3_5_a_link_is_not_followed(layers: Layers, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (layers.layer / "link").symlink_to(tmp_path / "elsewhere")
    layers.hide(b"link")
    equal(
        os.listxattr(tmp_path / "elsewhere"),
        [],
        "the layer has a link to a directory elsewhere, and that got an attribute. Was the link followed?",
    )
    expect((layers.layer / "link").is_symlink(), "the layer's own link is gone")


def test_3_5_the_engine_unpacks_a_deletion_with_it(pyctr: Any, tmp_path: Path) -> None:
    pyctr("run", "--name", "less", "busybox", "rm", "/bin/vi")
    pyctr("commit", "less", "less:1")
    pyctr("save", "-o", str(tmp_path / "less.tar"), "less:1")
    pyctr("rmi", "less:1")
    pyctr("load", "-i", str(tmp_path / "less.tar"))
    found = pyctr("run", "--rm", "less:1", "sh", "-c", "ls /bin/vi /bin/.wh.vi; ls /bin/sh", check=False)
    equal(found.stdout, "/bin/sh\n", "an image whose second layer deletes /bin/vi: of vi, .wh.vi and sh there are")


# --- 3.6 -------------------------------------------------------------------------------------------------


def packed(*entries: Any) -> bytes:
    """A tar archive: a name with content is a file, a name alone a directory if it ends in a slash, else empty."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as writer:
        for given in entries:
            name, data = given if isinstance(given, tuple) else (given, b"")
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            info.mode = 0o750 if name.endswith("/") else 0o640
            info.size = len(data)
            writer.addfile(info, io.BytesIO(data))
    return archive.getvalue()


def test_3_6_files_and_directories_are_made(layers: Layers) -> None:
    layers.apply("etc/", ("etc/motd", b"hello"), ("bin/tool", b"x"))
    equal(layers.merged(), ["bin", "bin/tool", "etc", "etc/motd"], "an archive of a directory and two files")
    equal((layers.layer / "etc/motd").read_bytes(), b"hello", "the content of a file")


def test_3_6_the_root_gets_its_attributes(layers: Layers) -> None:
    layers.apply("./", ("file", b"x"))
    equal(stat.S_IMODE(layers.layer.stat().st_mode), 0o750, "the mode of the root, which the archive calls `./`")
    try:
        layers.apply((".", b"a file"))
    except BrokenArchive:
        return
    raise CheckFailed("an archive whose root `.` is a regular file was taken: what can lie in a file?")


def test_3_6_a_whiteout_hides_and_is_no_file(layers: Layers) -> None:
    (layers.below / "dir").mkdir()
    (layers.below / "dir/old").write_text("x")
    layers.apply("dir/.wh.old")
    expect(
        not (layers.layer / "dir/.wh.old").exists(),
        "the layer has a file called .wh.old now: a container would see it, and `old` as well. "
        "What does the name tell?",
    )
    equal(layers.merged(), ["dir"], "an overlay of a layer with dir/.wh.old on one with dir/old")


def test_3_6_an_opaque_directory_shows_nothing_from_below(layers: Layers) -> None:
    (layers.below / "dir").mkdir()
    (layers.below / "dir/old").write_text("x")
    layers.apply("dir/", "dir/.wh..wh..opq", ("dir/new", b"x"))
    equal(
        layers.merged(),
        ["dir", "dir/new"],
        "an overlay of a layer with dir/.wh..wh..opq and dir/new on one with dir/old: what does that mark say of "
        "*all* that is below?",
    )


def test_3_6_the_bookkeeping_of_aufs_is_no_content(layers: Layers) -> None:
    layers.apply(".wh..wh.aufs", ".wh..wh.plnk/", ("dir/.wh..wh.orph", b"x"), ("file", b"x"))
    found = sorted(path.name for path in layers.layer.rglob("*") if path.name != "dir")
    equal(
        found,
        ["file"],
        "a layer that Docker made on aufs: of its .wh..wh. names nothing is content. The layer has",
    )


def test_3_6_of_two_entries_with_one_name_the_later_wins(layers: Layers) -> None:
    layers.apply(("file", b"first"), ("file", b"second"), ("dir/inside", b"x"), ("dir", b"a file by now"))
    equal((layers.layer / "file").read_bytes(), b"second", "a file that the archive has twice")
    expect((layers.layer / "dir").is_file(), "a file that comes after a directory of its name: it takes its place")


def test_3_6_a_later_file_takes_a_directorys_place_further_down(layers: Layers) -> None:
    try:
        layers.apply(("sub/dir/inside", b"x"), ("sub/dir", b"a file by now"))
    except OSError as error:
        raise CheckFailed(
            f"sub/dir/inside, and then a file sub/dir: {told(error)}\n"
            "When it has removed a directory, the tree closes the descriptors that it has kept. How old is the "
            "one of `sub` that you use then?"
        ) from None
    expect((layers.layer / "sub/dir").is_file(), "sub/dir/inside, and then a file sub/dir: it is no file")


def test_3_6_what_takes_a_whiteouts_place_hides_on(layers: Layers) -> None:
    (layers.below / "dir").mkdir()
    (layers.below / "dir/old").write_text("x")
    layers.apply(".wh.dir", "dir/", ("dir/new", b"x"))
    equal(
        layers.merged(),
        ["dir", "dir/new"],
        "`.wh.dir` and then a new `dir`: the old one was deleted first. What has become of the whiteout?",
    )


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh..."])
def test_3_6_a_whiteout_of_nothing_is_refused(layers: Layers, name: str) -> None:
    try:
        layers.apply(f"dir/{name}")
    except BrokenArchive:
        return
    raise CheckFailed(f"the whiteout {name!r} would hide its own directory, or nothing, and was taken")
