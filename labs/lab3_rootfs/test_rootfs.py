"""The checks of lab 3. Mounts are made in mount namespaces of the checks' own; archives by Python's tarfile."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import itertools
import json
import os
import random
import re
import stat
import tarfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labs.kit.checks.arena import Fd
from labs.kit.checks.expect import CheckFailed, equal, expect, in_child
from labs.kit.checks.syscalls import FILES, MOUNTS, Watch
from pyctr_lite import linux
from pyctr_lite.errors import BrokenArchive
from pyctr_lite.linux import mountinfo
from pyctr_lite.rootfs import layer, whiteout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labs.kit.checks.arena import Answer
    from labs.kit.checks.yours import Function, Yours

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
ODD = ("a b", " a", "a ", "a\nb", "a=b", "-a", "ä", "a*", "'a'", 'a"', "a.b", "x" * 255)
"""Names that a file may have, none of them special to overlayfs or to an archive."""


def name_of(number: int | None) -> str:
    return errno.errorcode.get(number or 0, str(number))


# --- 3.1 -------------------------------------------------------------------------------------------------


def options(text: Any, call: str) -> dict[str, Any]:
    """An overlay mount's options as the kernel reads them: lowerdir is a list, the others are text."""
    expect(
        type(text) is str,
        f"{call} gives {text!r}, of type {type(text).__name__}: what does mount(2) take as options?",
    )
    found: dict[str, Any] = {}
    for option in split(text, ","):
        key, _, value = option.partition("=")
        expect(key not in found, f"{call} gives\n    {text}\nThe option {key} is in it twice: which one counts?")
        found[key] = [plain(path) for path in split(value, ":")] if key == "lowerdir" else plain(value)
    return found


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that no backslash marks."""
    parts = [""]
    for piece in re.findall(r"\\?.|\\$", text, re.S):
        parts[-1:] = [parts[-1], ""] if piece == separator else [parts[-1] + piece]
    return parts


def plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.S)


def asked_for(yours: Yours, lowers: list[str], upper: str, work: str) -> str:
    """Call `overlay_options`, and fail the check unless the kernel would read what was asked for."""
    text = yours(lowers, upper, work)
    call = f"overlay_options({lowers!r}, {upper!r}, {work!r})"
    found, shown = options(text, call), f"{call} gives\n    {text}\n"
    layers = found.get("lowerdir")
    expect(layers is not None, f"{shown}There is no lowerdir= in it: where are the layers to come from?")
    expect(
        layers != lowers[::-1] or lowers == lowers[::-1],
        f"{shown}The layers are in the opposite order. overlayfs takes the first for the topmost, and so does "
        "`lowers`: which layer's file is seen if two have one of the same name?",
    )
    expect(
        layers == lowers,
        f"{shown}The kernel reads these layers in it: {layers!r}; asked for are {lowers!r}. "
        f"{question(lowers, layers)}",
    )
    if not upper:
        expect(
            "upperdir" not in found and "workdir" not in found,
            f"{shown}There is no upper directory: without one the mount is read-only. What do upperdir= and "
            "workdir= name here?",
        )
    for key, wanted in {"upperdir": upper, "workdir": work}.items() if upper else ():
        expect(
            found.get(key) == wanted,
            f"{shown}The kernel reads {key}={found.get(key)!r} in it; asked for is {wanted!r}. Which characters "
            "of a path mean something to the kernel, and what marks them as part of a name?",
        )
    more = sorted(set(found) - {"lowerdir", "upperdir", "workdir"})
    expect(not more, f"{shown}The kernel also reads the options {more}: who asked for them?")
    return str(text)


def question(lowers: list[str], layers: list[str]) -> str:
    if layers == [":".join(lowers)]:
        return "Is a colon part of a name here, or does it stand between two names?"
    if not any(character in "".join(lowers) for character in ":,\\"):
        return "Which of them is missing, changed or too many?"
    return (
        "A colon ends a layer, a comma ends an option, and a backslash marks what comes after it. "
        "How is it to know which of these characters belong to a name?"
    )


def test_3_1_layers_then_upper_then_work(yours: Yours) -> None:
    many = [f"/layers/{index}" for index in range(500)]
    for lowers in (["/top", "/base"], ["/one"], ["/top", "/middle", "/base"], many):
        asked_for(yours, lowers, "", "")
        asked_for(yours, lowers, "/up", "/work")
    asked_for(yours, ["/top", "/base"], "", "/work")


def test_3_1_paths_stay_as_they_are(yours: Yours) -> None:
    for path in (
        " ",
        "relative/path",
        "/with/slash/",
        "/a/../b",
        "//a",
        *(f"/{name}" for name in ODD),
        "caf\udce9",
    ):
        asked_for(yours, [path, "/base"], path, path)
    asked_for(yours, ["/same", "/other", "/same"], "/up", "/work")


def test_3_1_any_characters_in_any_path(yours: Yours) -> None:
    drawn = random.Random(31)

    def path() -> str:
        return "/" + "".join(drawn.choices(["a", "b", "/", ":", ",", "\\", " ", "=", "ü", "lowerdir"], k=5))

    for character in ":,\\":
        for around in ("/a{}b", "/{}a", "/a{}", "/a{0}{0}b"):
            asked_for(yours, [around.format(character), "/base"], "/up", "/work")
            asked_for(yours, ["/top", "/base"], around.format(character), "/work")
            asked_for(yours, ["/top", "/base"], "/up", around.format(character))
    for _ in range(60):
        asked_for(yours, [path() for _ in range(drawn.randint(1, 4))], drawn.choice(["", path()]), path())


def test_3_1_the_kernel_finds_layers_of_any_name(yours: Yours, tmp_path: Path) -> None:
    for number, name in enumerate(("a:b", "a\\:b,c")):
        top, merged = tmp_path / str(number) / name, tmp_path / str(number) / "merged"
        for directory in ("lower", "upper", "work"):
            (top / directory).mkdir(parents=True)
        (top.parent / "base").mkdir()
        merged.mkdir()
        (top / "lower/file").write_text("from below")
        lowers = [f"{top}/lower", f"{top.parent}/base"]
        for upper in ("", f"{top}/upper"):
            text = asked_for(yours, lowers, upper, f"{top}/work" if upper else "")
            found = in_child(partial(mounted, text, str(merged)), linux.CLONE_NEWNS)
            expect(
                found == "from below",
                f"a layer lies in a directory called {name!r}. With the options\n    {text}\n"
                f"mount(2) and reading a file of the layer give {found!r}: how does overlayfs.rst write the path?",
            )
        expect((top / "upper/new").exists(), f"a new file is not in the upper directory in {name!r}: where is it?")


def mounted(text: str, target: str) -> str:
    """Mount an overlay, read a file and write one: what the first has in it, or the error."""
    try:
        linux.mount("overlay", target, "overlay", 0, text)
        found = Path(target, "file").read_text()
    except OSError as error:
        return f"{name_of(error.errno)} ({error.strerror})"
    with contextlib.suppress(OSError):
        Path(target, "new").write_text("x")
    return found


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


@contextlib.contextmanager
def host(yours: Yours) -> Iterator[tuple[Function, Callable[[Callable[[], Any]], Any]]]:
    """The function in a mount namespace of its own, and a look into it as it is before and after."""
    with yours.at(linux.CLONE_NEWNS) as function:
        function.allow(moves=("cwd", "root", "namespaces"))
        yield function, partial(function.process.look, flags=linux.CLONE_NEWNS)


def bind(path: Path, *, flags: int = 0) -> None:
    """Make a directory a mount point."""
    linux.mount(str(path), str(path), None, linux.MS_BIND)
    if flags:
        linux.mount(None, str(path), None, flags)


def entered(answer: Answer) -> None:
    """Fail the check if the function refused a root that is in order."""
    if answer.raised is None:
        return
    asked = {
        errno.EBUSY: "what was unmounted is in use, by you: which flag detaches it all the same?",
        errno.EINVAL: "is what you name a mount point?",
        errno.ENOENT: "a path is looked up from where you stand, and in the root that you have by then: where "
        "does this one begin?",
        errno.EROFS: "the new root is an image's, and read-only here: does a swap need a directory in it?",
    }.get(answer.raised.errno or 0, "what does its man page say of that?")
    raise CheckFailed(
        f"the new root is a mount point, nothing is shared, and yet it raises\n    {answer.raised}\n"
        f"It should return: {asked}",
        answer.raised.traceback,
    )


def place(path: str) -> tuple[int, int, int]:
    """What a path leads to: device, inode, and the mount that it is reached through."""
    with linux.closing(os.open(path, linux.O_PATH | os.O_CLOEXEC)) as fd:
        status = os.fstat(fd)
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    return status.st_dev, status.st_ino, next(int(line.split()[1]) for line in lines if line.startswith("mnt_id"))


def table(function: Function, below: Path | None = None) -> dict[int, tuple[list[str], list[str], str]]:
    """The mounts that the process sees, by their ids: options, propagation and mount point."""
    return {
        mount.id: (mount.options, mount.propagation, mount.mountpoint)
        for mount in mountinfo.mounts(function.process.pid)
        if below is None or Path(mount.mountpoint).is_relative_to(below)
    }


def test_3_2_the_new_root_is_the_root_and_where_you_stand(yours: Yours, root: Path) -> None:
    with host(yours) as (function, look):
        look(partial(bind, root))
        entered(function.answer((str(root),)))
        now, here = (place(f"/proc/{function.process.pid}/{name}") for name in ("root", "cwd"))
        names = len(os.listdir(f"/proc/{function.process.pid}/root"))
        expect(
            now[:2] == place(str(root))[:2],
            f"afterwards / is not the new root, but a directory with {names} entries of another: was it swapped?",
        )
        expect(
            here == now,
            "/ is the new root, but the working directory is another, in the old root: any relative path leads "
            "out. Where do you stand at the end?",
        )


def test_3_2_nothing_of_the_old_root_is_mounted_any_more(yours: Yours, root: Path) -> None:
    def arrange() -> None:
        bind(root)
        linux.mount("tmpfs", "/srv", "tmpfs")
        linux.mount("tmpfs", str(root / "inside"), "tmpfs", linux.MS_NOSUID)
        linux.mount(None, str(root / "inside"), None, linux.MS_SHARED)

    with host(yours) as (function, look):
        look(arrange)
        before, everything = table(function, root), table(function)
        entered(function.answer((str(root),)))
        after = table(function)
    made = [after[id][2] for id in after.keys() - everything.keys()]
    expect(
        not made,
        f"a mount that was not there before is now in /proc/self/mountinfo, at {made}: the new root is a mount "
        "point already. What is yours for?",
    )
    left = sorted(after.keys() - before.keys())
    expect(
        not left,
        f"{len(left)} mounts that are not the new root's are still in /proc/self/mountinfo: what detaches the old "
        "root, with all that is mounted on it?",
    )
    expect(
        before.keys() == after.keys(),
        "the new root had a file system mounted on its directory `inside`, and has lost it: what is below the old "
        "root, and what below the new one?",
    )
    for id, (flags, propagation, _) in before.items():
        expect(
            after[id][:2] == (flags, propagation),
            f"the new root's own mount {after[id][2]} was {propagation or ['private']} with the options {flags}; "
            f"afterwards it is {after[id][1] or ['private']} with {after[id][0]}. Which mount does your "
            "change reach, and what does `.` stand for after pivot_root?",
        )


def test_3_2_no_way_leads_back(yours: Yours, root: Path) -> None:
    with host(yours) as (function, look):
        look(partial(bind, root))
        entered(function.answer((str(root),)))
        expect(
            look(lambda: os.stat("/").st_ino) == root.stat().st_ino,
            "/ is the new root for this process alone: the root mount of its namespace is still the old one, and "
            "`chroot` into a directory, then `..`, leads back to it. Was the root mount swapped, or only this "
            "process's idea of where / is?",
        )


def test_3_2_the_host_keeps_its_mounts(yours: Yours, root: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()

    def arrange() -> None:
        bind(root)
        linux.mount("tmpfs", str(shared), "tmpfs")
        linux.mount(None, str(shared), None, linux.MS_SHARED)
        (shared / "disk").mkdir()
        linux.mount("tmpfs", str(shared / "disk"), "tmpfs")

    with host(yours) as (function, look):
        look(arrange)
        with linux.closing(os.open(f"/proc/{function.process.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)) as old:
            entered(function.answer((str(root),), scene="in_a_copy"))

            def kept() -> list[bool]:
                linux.setns(old, linux.CLONE_NEWNS)
                return [os.path.ismount(shared), os.path.ismount(shared / "disk")]

            found = in_child(kept)
    expect(
        all(found),
        "the host has lost a mount: it was shared with the container's mount namespace, and detaching the old "
        "root there has unmounted it here. What makes the old root's mounts keep it to themselves?",
    )


def test_3_2_nothing_is_made_in_the_new_root(yours: Yours, root: Path) -> None:
    with host(yours) as (function, look):
        look(partial(bind, root))
        entered(function.answer((str(root),)))
        equal(
            sorted(os.listdir(root)),
            ["inside"],
            "the files of the new root: it is an image's. What does pivot_root(2), NOTES, say of a directory for "
            "the old root?",
        )
    with host(yours) as (function, look):
        look(partial(bind, root, flags=linux.MS_BIND | linux.MS_REMOUNT | linux.MS_RDONLY))
        entered(function.answer((str(root),)))


def test_3_2_what_cannot_be_a_root_is_refused(yours: Yours, root: Path) -> None:
    def arrange() -> None:
        linux.mount("tmpfs", str(root), "tmpfs")
        for name in ("plain", "shared", "parent", "parent/below"):
            (root / name).mkdir(exist_ok=True)
        (root / "file").write_text("")
        bind(root / "shared", flags=linux.MS_SHARED)
        linux.mount("tmpfs", str(root / "parent"), "tmpfs")
        (root / "parent/below").mkdir()
        bind(root / "parent/below")
        linux.mount(None, str(root / "parent"), None, linux.MS_SHARED)

    cases = {
        root / "plain": (errno.EINVAL, "it is a plain directory, no mount point"),
        root / "shared": (errno.EINVAL, "it is a mount, but a shared one"),
        root / "parent/below": (errno.EINVAL, "it is a mount on a shared one"),
        Path("/"): (errno.EBUSY, "it is the caller's root itself"),
        Path("/srv"): (errno.EBUSY, "it is a directory on the mount of the caller's root"),
        root / "missing": (errno.ENOENT, "it is not there"),
        root / "file": (errno.ENOTDIR, "it is a file"),
    }
    with host(yours) as (function, look):
        look(arrange)
        before, top = table(function), place(f"/proc/{function.process.pid}/root")
        for path, (number, why) in cases.items():
            about = f"As the new root {path.name or path} is wrong: {why}. Whose is the error to handle?"
            function.raises(OSError, str(path), about=about, number=number)
            now = place(f"/proc/{function.process.pid}/root")
            expect(now == top, f"pivot_root raises {name_of(number)}, and yet / is another now: what undoes it?")
            equal(
                table(function),
                before,
                f"pivot_root raises {name_of(number)} for a root that {why.removeprefix('it ')}; the mounts "
                "(options, propagation, mount point) should be as before. Which step comes too early?",
            )


def test_3_2_paths_of_all_kinds(yours: Yours, root: Path) -> None:
    odd, deep = root.parent / " a: b,ä\n ", root.parent / "deep/root"
    odd.mkdir()
    (deep.parent / "inner").mkdir(parents=True)
    deep.mkdir()
    (root.parent / "link").symlink_to("root")
    (root.parent / "down").symlink_to("deep/inner")
    for directory, path, new in (
        (root.parent, "root", root),
        (root, ".", root),
        (root / "inside", "..", root),
        (Path("/"), f"{root}/", root),
        (Path("/"), str(root.parent / "link"), root),
        (Path("/proc"), str(odd), odd),
        (odd.parent, odd.name, odd),
        (Path("/"), f"{root.parent}/down/../root", deep),
    ):
        with host(yours) as (function, look):
            look(partial(bind, new))
            answer = function.answer((str(directory), path), scene="from_directory")
            about = f"pivot_root({path!r}), called in the working directory {directory}"
            if answer.raised is not None:
                raise CheckFailed(
                    f"{about}, raises\n    {answer.raised}\nIt should return: the path is that of a mount point. "
                    "Where is a relative path looked up once you have moved, and who takes a path apart?",
                    answer.raised.traceback,
                )
            found = place(f"/proc/{function.process.pid}/root")[1]
            expect(
                found == new.stat().st_ino,
                f"{about}, makes another directory the root: where is a relative path looked up?",
            )


def test_3_2_what_the_kernel_refuses_is_raised(yours: Yours, root: Path) -> None:
    def run(function: Function, watch: Watch) -> Any:
        function.allow(moves=("cwd", "root"))
        function.process.look(partial(bind, root), flags=linux.CLONE_NEWNS)
        return function.answer((str(root),), watch=watch)

    yours.each_refusal(
        run,
        (*MOUNTS, "open", "openat", "chdir", "fchdir"),
        errors=(errno.EINVAL, errno.EPERM),
        flags=linux.CLONE_NEWNS,
        about="A program that goes on after a failed step runs in the host's file system, and nobody knows.",
    )


def test_3_2_a_container_sees_its_own_mounts_alone(pyctr: Any) -> None:
    shown = pyctr("run", "--rm", "busybox", "cut", "-d", " ", "-f", "5", "/proc/self/mountinfo").stdout.split()
    own = [path for path in shown if path.split("/")[1] in ("proc", "sys", "dev", "etc")]
    expect(
        shown.count("/") == 1 and len(own) == len(shown) - 1,
        f"a container of the engine sees {len(shown) - len(own)} mounts that are not its /proc, /sys, /dev or "
        "/etc. One is its root: whose are the others?",
    )


# --- 3.3 -------------------------------------------------------------------------------------------------

IMAGE_LINKS = {
    "absolute": "/etc/name",
    "up": "../../../etc/name",
    "directory": "/etc",
    "chain": "absolute",
    "dangling": "/nowhere",
    "loop": "loop",
    "back": "../../..",
}


class Image:
    """A root that is not trusted, and a host beside it with a file of the same name."""

    def __init__(self, top: Path) -> None:
        self.top = top / "image"
        (self.top / "etc/deep").mkdir(parents=True)
        for name in ("name", *ODD):
            (self.top / "etc" / name).write_text("image")
        (top / "etc").mkdir()
        (top / "etc/name").write_text("host")
        for name, target in {**IMAGE_LINKS, "outside": str(top / "etc/name")}.items():
            (self.top / name).symlink_to(target)
        (self.top / "etc/deep/up").symlink_to("../name")
        self.fd = os.open(self.top, OPEN)

    def name(self, fd: int) -> str:
        """A descriptor's path in the image, or where it leads instead."""
        status = os.fstat(fd)
        for path in (self.top, *self.top.rglob("*")):
            if os.path.samestat(path.lstat(), status):
                return self.shown(path)
        return f"{os.readlink(f'/proc/self/fd/{fd}')}, which is not in the root"

    def opened(self, function: Function, path: str, *flags: int) -> str:
        """Call `open_in_root`: the path in the image of what it opened, or an errno's name."""
        function.allow(opens=1)
        answer = function.answer((Fd(self.fd), path, *flags))
        if answer.raised is not None:
            if answer.raised.errno is None:
                raise CheckFailed(str(answer.raised), answer.raised.traceback)
            return name_of(answer.raised.errno)
        expect(
            type(answer.value) is int,
            f"open_in_root returns {answer.value!r}, of type {type(answer.value).__name__}; the caller goes on "
            "with a descriptor: what is yours?",
        )
        with linux.closing(function.process.take(answer.value)) as fd:
            return self.name(fd)

    def expected(self, paths: list[tuple[str, int]]) -> list[str]:
        """What a process sees whose root the image is: the kernel's own answer to each path."""

        def work() -> list[int | str]:
            os.fchdir(self.fd)
            os.chroot(".")
            return [look(path, flags) for path, flags in paths]

        def look(path: str, flags: int) -> int | str:
            try:
                with linux.closing(os.open(path, flags | os.O_CLOEXEC)) as fd:
                    return os.fstat(fd).st_ino
            except OSError as error:
                return name_of(error.errno)

        inodes = {path.lstat().st_ino: path for path in (self.top, *self.top.rglob("*"))}
        found = in_child(work)
        return [one if isinstance(one, str) else self.shown(inodes[one]) for one in found]

    def shown(self, path: Path) -> str:
        return "/" + str(path.relative_to(self.top)).removeprefix(".")


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    made = Image(tmp_path)
    yield made
    os.close(made.fd)


def leads(yours: Function, image: Image, path: str, wanted: str, about: str) -> None:
    """That a path leads to this one of the root's. EXDEV is told first: it has one cause."""
    found = image.opened(yours, path)
    expect(
        found != "EXDEV",
        f"the path {path!r} gives EXDEV: the kernel was asked to refuse all that leads out of the directory "
        "(RESOLVE_BENEATH does so), as `..` and a leading slash do. In a root of its own nothing leads out: which "
        "flag takes the descriptor for `/`?",
    )
    expect(
        found != f"/{path}" or wanted == found,
        f"open_in_root(root, {path!r}) opens the symbolic link itself; it should open {wanted}, which the link "
        "leads to. Which flag keeps a link at the end of a path from being followed?",
    )
    equal(found, wanted, f"open_in_root(root, {path!r}): {about}")


def test_3_3_a_plain_path_is_opened(yours: Yours, image: Image) -> None:
    for path in ("etc/name", "/etc/name", "./etc//name", *(f"etc/{name}" for name in ODD), "etc/deep/"):
        wanted = "/etc/deep" if path.endswith("/") else f"/etc/{path.rpartition('/')[2]}"
        about = "whose root does a leading slash stand for?" if path[0] == "/" else "which file of the root is it?"
        leads(yours, image, path, wanted, about)
    for path, wanted in {"etc/missing": "ENOENT", "missing/name": "ENOENT", "etc/name/x": "ENOTDIR"}.items():
        leads(yours, image, path, wanted, "it leads nowhere. Who is to hear of the kernel's error?")


def test_3_3_dot_dot_stops_at_the_root(yours: Yours, image: Image) -> None:
    for path in ("../etc/name", "etc/../../../etc/name", "/../etc/name"):
        leads(yours, image, path, "/etc/name", "in a root of its own `..` of / is /. Where does yours end?")


def test_3_3_a_link_is_followed_inside_the_root(yours: Yours, image: Image) -> None:
    about = {
        "absolute": "a link to /etc/name: whose /etc does a container mean by it?",
        "directory/name": "a path through a link to /etc: whose /etc is meant?",
        "up": "a link to ../../../etc/name: where do its `..` stop?",
        "chain": "a link to a link to /etc/name: how far are links followed?",
        "etc/deep/up": "a link to ../name in etc/deep: which directory does it begin in?",
    }
    for path, meaning in about.items():
        leads(yours, image, path, "/etc/name", meaning)
    for path, wanted in {"outside": "ENOENT", "dangling": "ENOENT", "loop": "ELOOP"}.items():
        meaning = f"it is a link to {os.readlink(image.top / path)}. Among whose files does the kernel look?"
        leads(yours, image, path, wanted, meaning)


def test_3_3_a_mount_in_the_root_belongs_to_it(yours: Yours, image: Image) -> None:
    target = str(image.top / "etc/deep")

    def mounted() -> int:
        linux.mount("tmpfs", target, "tmpfs")
        return os.stat(target).st_dev

    with yours.at(linux.CLONE_NEWNS) as function:
        function.allow(opens=1)
        device = function.process.look(mounted, flags=linux.CLONE_NEWNS)
        # A descriptor of the image as the process sees it, with the mount: the judge's own has none on it.
        answer = function.answer((str(image.top), "etc/deep"), scene="in_the_root_at")
        expect(
            answer.raised is None,
            "on the root's directory etc/deep another file system is mounted, as a volume is, and opening it "
            f"raises\n    {answer.raised}\nIt should be opened. Which flag refuses to cross a mount?",
        )
        with linux.closing(function.process.take(answer.value)) as fd:
            equal(os.fstat(fd).st_dev, device, "the device of etc/deep, on which another file system is mounted")


def test_3_3_magic_links_are_refused(yours: Yours, image: Image) -> None:
    proc = image.top / "proc"
    proc.mkdir()
    with yours.at(linux.CLONE_NEWNS) as function:
        function.allow(opens=1)
        function.process.look(
            lambda: linux.mount("/proc", str(proc), None, linux.MS_BIND), flags=linux.CLONE_NEWNS
        )
        for path in ("proc/self/cwd/etc/passwd", "proc/self/root", f"proc/{function.process.inner}/exe"):
            answer = function.answer((str(image.top), path), scene="in_the_root_at")
            found = name_of(answer.raised.errno) if answer.raised else "a descriptor"
            equal(
                found,
                "ELOOP",
                f"{path}: there is a magic link in it, which is no path: the kernel jumps. (EXDEV: today's kernel "
                "refuses it of itself, and openat2(2) says not to count on that. Which flag says so?)",
            )


def test_3_3_the_root_itself(yours: Yours, image: Image) -> None:
    for path in ("", "/", ".", "//", "..", "back"):
        found = image.opened(yours, path)
        expect(
            found == "/",
            f"open_in_root(root, {path!r}) gives {found}; it should open the root itself: what does the kernel "
            "make of this path?",
        )


ASKED = {
    "O_PATH": linux.O_PATH,
    "O_RDONLY, which is 0": os.O_RDONLY,
    "O_WRONLY": os.O_WRONLY,
    "O_RDWR | O_APPEND": os.O_RDWR | os.O_APPEND,
    "O_RDONLY | O_NONBLOCK": os.O_RDONLY | os.O_NONBLOCK,
}
SHOWN = os.O_ACCMODE | linux.O_PATH | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
"""The flags of an open file that are compared."""


def test_3_3_the_flags_are_the_caller_s(yours: Yours, image: Image) -> None:
    yours.allow(opens=1)
    for name, flags in {"no flags": None, **ASKED}.items():
        value = yours(Fd(image.fd), "etc/name", *(() if flags is None else (flags,)))
        lines = Path(f"/proc/{yours.process.pid}/fdinfo/{value}").read_text().splitlines()
        found = next(int(line.split()[1], 8) for line in lines if line.startswith("flags:")) & SHOWN
        wanted = (linux.O_PATH if flags is None else flags) | os.O_CLOEXEC
        expect(
            found & os.O_CLOEXEC,
            f"asked for {name}, the descriptor is not close-on-exec: the container's program would inherit it. "
            "linux.openat2 adds that flag; what did you call?",
        )
        expect(
            found == wanted,
            f"asked for {name}, the open file has the flags {found:#o}, and should have {wanted:#o} (O_PATH is "
            f"{linux.O_PATH:#o}, O_CLOEXEC {os.O_CLOEXEC:#o}). Which flags do you hand on?",
        )
    for path, flags, wanted in (
        ("etc/name", os.O_RDONLY | os.O_DIRECTORY, "ENOTDIR"),
        ("absolute", os.O_RDONLY | os.O_NOFOLLOW, "ELOOP"),
        ("absolute", linux.O_PATH | os.O_NOFOLLOW, "/absolute"),
        ("etc", linux.O_PATH | os.O_DIRECTORY, "/etc"),
        ("etc", os.O_WRONLY, "EISDIR"),
    ):
        equal(image.opened(yours, path, flags), wanted, f"open_in_root(root, {path!r}, {flags:#o})")


def test_3_3_descriptor_0_and_another_working_directory(yours: Yours, image: Image) -> None:
    with yours.at(close_stdin=True) as function:
        for path, wanted in {"etc/name": "/etc/name", "": "/", "absolute": "/etc/name"}.items():
            about = f"the root's descriptor is 0, as stdin was closed. open_in_root(0, {path!r})"
            equal(image.opened(function, path), wanted, f"{about}: is 0 a descriptor?")


def test_3_3_one_question_to_the_kernel(yours: Yours, image: Image) -> None:
    for path in ("etc/deep/up", "directory/name"):
        names = ("open", "openat", "openat2", "readlink", "readlinkat", "stat", "lstat", "newfstatat", "statx")
        watch = Watch((*names, "chdir", "fchdir", "chroot"))
        with yours.at() as function:
            function.allow(opens=1)
            function.answer((Fd(image.fd), path), watch=watch)
        seen = [f"{call.name}({', '.join(map(repr, call.paths))})" for call in watch.seen]
        expect(
            len(seen) == 1,
            f"for the path {path} the kernel is asked {len(seen)} times: {', '.join(seen)}. Between two of them a "
            "container that shares the directory can put a link there. Which one call resolves all of a path?",
        )


def test_3_3_the_path_as_it_is(yours: Yours, image: Image) -> None:
    for path in ("etc/name/", "etc/name/.", "/etc/name//", " etc/name", "etc/name "):
        wanted = "ENOENT" if " " in path else "ENOTDIR"
        leads(yours, image, path, wanted, "etc/name is a file. Which characters of the path reach the kernel?")
    (image.top / "etc/caf\udce9").touch()
    leads(yours, image, "etc/caf\udce9", "/etc/caf\udce9", "the name is not UTF-8. Which bytes reach the kernel?")


def test_3_3_as_a_process_sees_it_whose_root_it_is(yours: Yours, image: Image) -> None:
    drawn = random.Random(33)
    parts = ["..", ".", "", "etc", "deep", "name", "a", "b", "missing", "x y", *IMAGE_LINKS]
    for number in range(12):
        directory = drawn.choice([image.top, image.top / "etc", image.top / "etc/deep"])
        target = drawn.choice(["", "/"]) + "/".join(drawn.choices(parts, k=3))
        (directory / f"{'ab'[number % 2]}{number}").symlink_to(target)
        parts.append(f"{'ab'[number % 2]}{number}")
    kinds = [linux.O_PATH, os.O_RDONLY, linux.O_PATH | os.O_DIRECTORY, linux.O_PATH | os.O_NOFOLLOW]
    paths = [
        (drawn.choice(["", "/"]) + ("/".join(drawn.choices(parts, k=drawn.randint(1, 5))) or "."), flags)
        for flags in kinds
        for _ in range(25)
    ]
    for (path, flags), wanted in zip(
        paths, image.expected([(path or ".", flags) for path, flags in paths]), strict=True
    ):
        equal(
            image.opened(yours, path, flags),
            wanted,
            f"open_in_root(root, {path!r}, {flags:#o}), and what a process opens whose / the root is: where do "
            "the two part?",
        )


def test_3_3_what_the_kernel_refuses_is_raised(yours: Yours, image: Image) -> None:
    def run(function: Function, watch: Watch) -> Any:
        function.allow(opens=1)
        return function.answer((Fd(image.fd), "etc/name"), watch=watch)

    yours.each_refusal(
        run,
        ("open", "openat", "openat2"),
        errors=(errno.EACCES, errno.ENOENT, errno.ENOSYS, errno.ELOOP, errno.EXDEV),
        about="Another way to open the path would lead out of the root: what is left then but to fail?",
    )


def test_3_3_a_hostile_image_gets_no_mount_outside(pyctr: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    pyctr("run", "--name", "evil", "busybox", "ln", "-s", str(outside), "/data")
    pyctr("commit", "evil", "evil:1")
    done = pyctr("run", "--rm", "-v", f"{tmp_path}:/data", "evil:1", "ls", "-d", str(outside)).stdout
    equal(done, f"{outside}\n", "an image whose /data is a link to a directory of the host: mounted on inside")
    equal(os.listdir(outside), [], "the host's directory afterwards")


# --- 3.4 -------------------------------------------------------------------------------------------------


def cleaned(yours: Yours, name: bytes, wanted: bytes, about: str) -> None:
    """That a name which is in order becomes another one."""
    answer = yours.answer((name,))
    if answer.raised is not None:
        raise CheckFailed(
            f"clean({name!r}) raises\n    {answer.raised}\nIt should return {wanted!r}: {about}",
            answer.raised.traceback,
        )
    equal(answer.value, wanted, f"clean({name!r}): {about}")


def refused(yours: Yours, name: bytes, about: str) -> None:
    """That a name is refused as the caller expects it, and told."""
    raised = yours.raises(BrokenArchive, name, about=about)
    last = name.rpartition(b"/")[2].decode(errors="ignore")[:20]
    expect(
        last in raised.text,
        f"clean({name!r}) raises BrokenArchive({raised.text!r}), without the name: which of an archive's thousand "
        "entries is it?",
    )


def test_3_4_a_name_is_cleaned(yours: Yours) -> None:
    wanted = {
        b"etc/passwd": b"etc/passwd",
        b"./etc//passwd": b"etc/passwd",
        b"/etc/./passwd/": b"etc/passwd",
        b"///a": b"a",
        b"a/.": b"a",
        b"a//./": b"a",
        b"a///b////c": b"a/b/c",
    }
    for name, clean in wanted.items():
        cleaned(yours, name, clean, "empty parts and `.` say nothing. What is left?")
    for name in (b"", b"./", b"/", b".", b"//.//"):
        cleaned(yours, name, b"", "this is the root itself. What is left of it?")


def test_3_4_dot_dot_inside_the_root_is_taken_back(yours: Yours) -> None:
    names = {b"a/../b": b"b", b"a/b/../../c": b"c", b"a/..": b"", b"a//../b": b"b", b"a/./../b": b"b"}
    names |= {b"a/b/../c/../d": b"a/d", b"/a/../b": b"b", b"a/../b/../c/d/..": b"c"}
    for name, clean in names.items():
        cleaned(yours, name, clean, "it stays inside the root. Is every `..` an attack?")


def test_3_4_a_part_stays_as_it_is(yours: Yours) -> None:
    names = [
        b"caf\xe9",
        b"a\0",
        b"\0a",
        b"...",
        b"a..b",
        b"..a",
        b"a..",
        b".a",
        b"a.",
        b"\\",
        b"a:b,c",
        b"\t",
        b"%2e",
        b"A",
    ]
    names += [os.fsencode(name) for name in ODD]
    for name in names:
        for around in (name, b"dir/" + name, name + b"/file", b"a/" + name + b"/../" + name):
            wanted = b"a/" + name if b"/../" in around else around
            cleaned(yours, around, wanted, f"{name!r} is a name like others. Which of its bytes do you look at?")
    cleaned(yours, b"a/b/" * 3000, b"/".join([b"a", b"b"] * 3000), "a name may be long. What bounds yours?")


@pytest.mark.parametrize("name", [b"../etc/passwd", b"/../etc/passwd", b"a/../../etc/passwd", b"..", b"a/../.."])
def test_3_4_above_the_root_is_refused(yours: Yours, name: bytes) -> None:
    refused(yours, name, f"{name!r} leads above the root. What has this archive in mind?")


def test_3_4_below_a_whiteout_is_refused_and_a_whiteout_is_not(yours: Yours) -> None:
    for name in (b".wh.a", b"dir/.wh.a", b"dir/.wh..wh.opq", b"dir/.wh..wh..opq", b".wh.", b"./a/../.wh.b/"):
        wanted = b".wh.b" if b".." in name and name.startswith(b"./") else name
        about = "the name of a whiteout is in order: which of its parts may have the prefix?"
        cleaned(yours, name, wanted, about)
    for name in (b".wh.a/b", b"dir/.wh.a/b/c", b".wh./b", b"a/.wh..wh.plnk/1.2", b".wh.a/.wh.b", b"x/../.wh.a/b"):
        refused(yours, name, f"{name!r} is below a whiteout: can a whiteout have something below it?")
    for name in (b"foo.wh.bar/x", b".wh/x", b".whx/y", b".WH.a/b", b"wh./x", b" .wh.a/b", b"a.wh./b"):
        cleaned(yours, name, name, "no part of it begins with `.wh.`. Where in a name do you look for the prefix?")
    cleaned(yours, b".wh.x/../a", b"a", "`..` takes the whiteout's name back. What is the name in the end?")


def test_3_4_any_name(yours: Yours) -> None:
    drawn = random.Random(34)
    parts = [b"a", b"b", b"..", b"..", b".", b"", b".wh.a", b"x.wh.", b"\xff", b" "]
    for _ in range(150):
        name = b"/".join(drawn.choices(parts, k=drawn.randint(1, 7)))
        try:
            wanted = layer.clean(name)
        except BrokenArchive as error:
            yours.raises(BrokenArchive, name, about=f"The engine says of it: {error}. Why does yours not?")
        else:
            cleaned(yours, name, wanted, "which of its parts is read in another way here?")


def test_3_4_the_engine_refuses_an_archive_that_leads_out(pyctr: Any, tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar"
    archive.write_bytes(packed(("etc/motd", b"fine"), ("../../escaped", b"x")))
    done = pyctr("import", str(archive), "evil:2", check=False)
    if done.returncode == 0:
        done = pyctr("run", "--rm", "evil:2", "true", check=False)
    expect(
        done.returncode != 0 and "Traceback" not in done.stderr and "../../escaped" in done.stderr,
        f"the engine imports the name ../../escaped: exit status {done.returncode}, {done.stderr!r}. It should "
        "refuse it and name it: what does it get from you?",
    )


# --- 3.5 -------------------------------------------------------------------------------------------------


class Layers:
    """A layer on another one. `merged()` is what an overlay of both shows."""

    def __init__(self, top: Path) -> None:
        self.below, self.layer, self.place = top / "below", top / "layer", top / "merged"
        for directory in (self.below, self.layer, self.place):
            directory.mkdir(parents=True)

    def merged(self) -> list[str]:
        def check() -> list[str]:
            linux.mount("overlay", str(self.place), "overlay", 0, f"lowerdir={self.layer}:{self.below}")
            return sorted(str(path.relative_to(self.place)) for path in self.place.rglob("*"))

        found: list[str] = in_child(check, linux.CLONE_NEWNS)
        return found

    def hide(self, function: Function, name: bytes, **more: Any) -> Answer:
        """Call `make` for a name in the layer."""
        with linux.closing(os.open(self.layer, OPEN)) as fd:
            return function.answer((Fd(fd), name), **more)


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path)


def hidden(layers: Layers, function: Function, name: bytes, **more: Any) -> None:
    """Hide a name, and fail the check if that raises."""
    answer = layers.hide(function, name, **more)
    if answer.raised is not None:
        what = kind_of(layers.layer / os.fsdecode(name))
        raise CheckFailed(
            f"make(directory, {name!r}), where this layer has {what} of that name, raises\n    {answer.raised}\n"
            "It should return: which errors mean that there is nothing left to do?",
            answer.raised.traceback,
        )


def kind_of(path: Path) -> str:
    """What a path is, without following it."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return "nothing"
    kinds = {stat.S_IFDIR: "a directory", stat.S_IFREG: "a file", stat.S_IFLNK: "a symbolic link"}
    kinds |= {stat.S_IFIFO: "a FIFO", stat.S_IFBLK: "a block device"}
    if stat.S_ISCHR(status.st_mode):
        return f"a character device {os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return kinds[stat.S_IFMT(status.st_mode)]


def test_3_5_a_name_below_is_hidden(yours: Yours, layers: Layers) -> None:
    names = ["gone", *ODD, "caf\udce9", ".hidden", ".wh.x"]
    for name in (*names, "keep"):
        (layers.below / name).write_text("x")
    (layers.below / "dir/deep").mkdir(parents=True)
    for name in (*names, "dir"):
        hidden(layers, yours, os.fsencode(name))
        found = sorted(os.listdir(layers.layer))
        expect(
            kind_of(layers.layer / name) == "a character device 0:0",
            f"after make(directory, {os.fsencode(name)!r}) the layer has {kind_of(layers.layer / name)} of that "
            f"name, and should have a character device 0:0 (its names: {found}). What is a whiteout on disk?",
        )
    more = sorted(set(os.listdir(layers.layer)) - {*names, "dir"})
    equal(more, [], "names in the layer that nobody asked for. What does overlayfs make of them?")
    equal(layers.merged(), ["keep"], "an overlay on `keep` and files and a directory that are all hidden")


def test_3_5_a_directory_of_this_layer_stays_and_shows_nothing_from_below(yours: Yours, layers: Layers) -> None:
    for name in ("dir", "other"):
        (layers.below / name).mkdir()
        (layers.below / name / "old").write_text("x")
        (layers.layer / name).mkdir(mode=0o750)
        (layers.layer / name / "new").write_text("x")
    before = (layers.layer / "dir").stat()
    for _ in range(2):  # again is fine
        hidden(layers, yours, b"dir")
    expect((layers.layer / "dir/new").exists(), "this layer's own dir/new is gone: what does a whiteout hide?")
    found = {
        str(path.relative_to(layers.layer.parent)): xattrs
        for path in (layers.layer, *layers.layer.rglob("*"))
        if (xattrs := {name: os.getxattr(path, name) for name in os.listxattr(path)})
    }
    expect(
        "layer" not in found,
        "the directory around `dir` has become opaque: all that lower layers have in it is hidden, not `dir` "
        "alone. Whose descriptor did make_opaque get?",
    )
    if "layer/dir" not in found:
        with yours.at() as function, linux.closing(os.open(layers.layer, OPEN)) as fd:
            function.allow(moves=("cwd",))
            function.answer((str(layers.layer), Fd(fd), b"dir"), scene="from_directory")
        expect(
            not os.listxattr(layers.layer / "dir"),
            "this layer's directory `dir` becomes opaque only if the layer is the working directory: which "
            "directory is `name` looked up in?",
        )
    equal(
        layers.merged(),
        ["dir", "dir/new", "other", "other/new", "other/old"],
        "the overlay after hiding `dir`: dir/old is of the lower layer. What is a directory called that shows "
        "nothing from below?",
    )
    wanted = {"layer/dir": {whiteout.OPAQUE_XATTR: b"y"}}
    equal(found, wanted, "the extended attributes of all files of the layer. What makes `dir` opaque?")
    after = (layers.layer / "dir").stat()
    equal(
        (after.st_ino, oct(after.st_mode)),
        (before.st_ino, oct(before.st_mode)),
        "inode and mode of this layer's own directory: is it the one that was there?",
    )


def test_3_5_what_this_layer_has_stays(yours: Yours, layers: Layers, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    top = layers.layer
    (top / "link").symlink_to(tmp_path / "elsewhere")
    hidden(layers, yours, b"link")
    equal(
        os.listxattr(tmp_path / "elsewhere"),
        [],
        "the layer has a link to a directory elsewhere, and that got an attribute. Was the link followed?",
    )
    (top / "dangling").symlink_to("nowhere")
    (top / "to-file").symlink_to("file")
    (top / "file").write_text("new")
    os.mkfifo(top / "fifo")
    os.mknod(top / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mknod(top / "gone", stat.S_IFCHR, os.makedev(0, 0))
    before = {path.name: path.lstat() for path in top.iterdir()}
    for name in sorted(before):
        about = f"this layer has {kind_of(top / name)} called {name}"
        hidden(layers, yours, name.encode())
        equal(sorted(os.listdir(top)), sorted(before), f"{about}: the names in it after make(directory, …)")
        now = (top / name).lstat()
        equal(
            (now.st_ino, oct(now.st_mode), now.st_rdev, now.st_mtime_ns),
            (before[name].st_ino, oct(before[name].st_mode), before[name].st_rdev, before[name].st_mtime_ns),
            f"{about}, which hides what is below already. Its inode, mode, device and time: a whiteout hides what "
            "is *below*. What has become of it?",
        )


def test_3_5_the_directory_is_the_descriptor_s(yours: Yours, layers: Layers, tmp_path: Path) -> None:
    for name in ("here/gone", "here/dir", "layer/dir"):
        (tmp_path / name).mkdir(parents=True)
    with yours.at() as function:
        function.allow(moves=("cwd",))
        for name in (b"gone", b"dir"):
            with linux.closing(os.open(layers.layer, OPEN)) as fd:
                function.scene("from_directory", str(tmp_path / "here"), Fd(fd), name)
        about = "the working directory has directories `gone` and `dir`, the layer `dir` alone. "
        for name in ("here/gone", "here/dir"):
            equal(
                os.listxattr(tmp_path / name), [], f"{about}Extended attributes of the first. Where did you look?"
            )
        equal(
            kind_of(layers.layer / "gone"),
            "a character device 0:0",
            f"{about}What the layer has as `gone` after make(…, b'gone'): in which directory did you look?",
        )
        equal(
            os.listxattr(layers.layer / "dir") if (layers.layer / "dir").is_dir() else "no such directory",
            [whiteout.OPAQUE_XATTR],
            f"{about}What the layer's `dir` has after make(…, b'dir'): in which directory did you look?",
        )
    with yours.at(close_stdin=True) as function:
        hidden(layers, function, b"other")
        expect(
            kind_of(layers.layer / "other") == "a character device 0:0",
            "the directory's descriptor is 0, as stdin was closed, and it has no whiteout: is 0 a descriptor?",
        )


def test_3_5_errors_are_the_caller_s(yours: Yours, layers: Layers, tmp_path: Path) -> None:
    about = "A name that is not hidden comes back in the container. Which error means that the name is taken?"
    (layers.layer / "file").write_text("")
    for name, number in (
        (b"x" * 256, errno.ENAMETOOLONG),
        (b"missing/x", errno.ENOENT),
        (b"file/x", errno.ENOTDIR),
    ):
        answer = layers.hide(yours, name)
        yours.refused(answer, OSError, about, number, f"make(directory, {name[:20]!r})")
    count = itertools.count()

    def run(function: Function, watch: Watch, *, there: bool) -> Any:
        new = Layers(tmp_path / str(next(count)))
        if there:
            (new.layer / "dir").mkdir()
        return new.hide(function, b"dir", watch=watch)

    names = (*FILES, "newfstatat", "lstat", "stat", "statx")
    for there in (False, True):
        yours.each_refusal(
            partial(run, there=there), names, errors=(errno.EACCES, errno.ENOSPC, errno.ENOTSUP), about=about
        )


def test_3_5_the_engine_unpacks_a_deletion_with_it(pyctr: Any, tmp_path: Path) -> None:
    done = loaded(pyctr, tmp_path, packed(("bin/.wh.vi", b"")))("ls /bin/vi /bin/.wh.vi; ls /bin/sh")
    equal(done, "/bin/sh\n", "an image whose second layer deletes /bin/vi: of vi, .wh.vi and sh there are")


def loaded(pyctr: Any, tmp_path: Path, second: bytes) -> Callable[[str], str]:
    """Load an image of busybox and a second layer: what a shell command in it prints."""
    pyctr("save", "-o", str(tmp_path / "one.tar"), "busybox")
    with tarfile.open(tmp_path / "one.tar") as old, tarfile.open(tmp_path / "two.tar", "w") as new:
        file = old.extractfile("manifest.json")
        assert file is not None
        [manifest] = json.loads(file.read())
        config = json.loads(old.extractfile(manifest["Config"]).read())  # type: ignore[union-attr]
        config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(second).hexdigest())
        config.pop("history", None)
        base = old.extractfile(manifest["Layers"][0])
        assert base is not None
        manifest |= {"Config": "config.json", "Layers": ["0.tar", "1.tar"], "RepoTags": ["less:1"]}
        for name, data in {
            "manifest.json": json.dumps([manifest]).encode(),
            "config.json": json.dumps(config).encode(),
            "0.tar": base.read(),
            "1.tar": second,
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))
    pyctr("load", "-i", str(tmp_path / "two.tar"))
    return lambda script: str(pyctr("run", "--rm", "less:1", "sh", "-c", script, check=False).stdout)


# --- 3.6 -------------------------------------------------------------------------------------------------

KINDS = {
    "directory": tarfile.DIRTYPE,
    "file": tarfile.REGTYPE,
    "link to": tarfile.SYMTYPE,
    "hard link to": tarfile.LNKTYPE,
    "FIFO": tarfile.FIFOTYPE,
    "device": tarfile.CHRTYPE,
}


class One:
    """An entry of an archive. A name that ends in a slash is a directory's."""

    def __init__(self, name: str, data: bytes = b"", kind: str = "", target: str = "", **more: Any) -> None:
        self.kind = kind or ("directory" if name.endswith("/") else "file")
        self.info = tarfile.TarInfo(name)
        self.info.type, self.info.linkname, self.data = KINDS[self.kind], target, data
        self.info.mode = 0o750 if self.kind == "directory" else 0o640
        self.info.size, self.info.devmajor, self.info.devminor = len(data), 1, 3
        for key, value in more.items():
            setattr(self.info, key, value)

    def __repr__(self) -> str:
        return f"{self.kind} {self.info.name}{f' ({self.info.linkname})' if self.info.linkname else ''}"


def packed(*entries: Any) -> bytes:
    """A tar archive of entries; a name, or a name with content, stands for one."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", encoding="utf-8", errors="surrogateescape") as writer:
        for given in entries:
            entry = given if isinstance(given, One) else One(*([given] if isinstance(given, str) else given))
            writer.addfile(entry.info, io.BytesIO(entry.data))
    return archive.getvalue()


def apply(yours: Function, layers: Layers, *entries: Any, **more: Any) -> Answer:
    """Unpack an archive into the layer as the engine does, with the function for each entry."""
    given = (packed(*entries), str(layers.layer), [str(layers.below)])
    return yours.answer(given, scene="unpacked", **more)


def unpacked(yours: Function, layers: Layers, *entries: Any, about: str = "") -> None:
    """The same, and fail the check if it raises."""
    answer = apply(yours, layers, *entries)
    if answer.raised is None:
        return
    names = ", ".join(
        str(One(*([given] if isinstance(given, str) else given[:1]))) for given in map(simple, entries)
    )
    question = about or "what is such an entry to do?"
    if answer.raised.errno == errno.EBADF:
        question = about or (
            "a descriptor of `tree.directory` is closed when the tree uses it for the next entry. The tree "
            "owns it: who has closed it?"
        )
    raise CheckFailed(
        f"unpacking an archive of {names} raises\n    {answer.raised}\nIt should be unpacked: {question}",
        answer.raised.traceback,
    )


def simple(entry: Any) -> Any:
    return (repr(entry).partition(" ")[2],) if isinstance(entry, One) else entry


def names_in(directory: Path) -> list[str]:
    """The names in a directory; none if it is not there."""
    return sorted(os.listdir(directory)) if directory.is_dir() else []


def content(path: Path) -> bytes | str:
    """What a regular file has in it, or the kind of anything else."""
    return path.read_bytes() if path.is_file() and not path.is_symlink() else kind_of(path)


def described(top: Path) -> dict[str, str]:
    """All files of a layer: kind, mode, owner, links, opaque or not, time, and content."""
    found = {}
    for path in (top, *sorted(top.rglob("*"))):
        status = path.lstat()
        is_directory, is_link = stat.S_ISDIR(status.st_mode), path.is_symlink()
        words = [kind_of(path), f"{stat.S_IMODE(status.st_mode):03o}", f"{status.st_uid}:{status.st_gid}"]
        if is_directory and whiteout.OPAQUE_XATTR in os.listxattr(path):
            words.append("opaque")
        if not is_directory and status.st_nlink > 1:
            words.append(f"{status.st_nlink} names")
        if stat.S_ISREG(status.st_mode):
            words.append(repr(path.read_bytes()[:20]))
        words.append(f"to {os.readlink(path)}" if is_link else "")
        words.append(f"of {int(status.st_mtime)}" if status.st_mtime < 10**9 else "of now")
        found[str(path.relative_to(top))] = " ".join(filter(None, words))
    return found


def test_3_6_files_and_directories_are_made(yours: Yours, layers: Layers) -> None:
    unpacked(yours, layers, "etc/", ("etc/motd", b"hello"), ("bin/tool", b"x"), ("top", b""))
    equal(
        layers.merged(),
        ["bin", "bin/tool", "etc", "etc/motd", "top"],
        "an archive of a directory and three files: the names in the layer",
    )
    equal(content(layers.layer / "etc/motd"), b"hello", "the content of a file")
    names = (*ODD, "caf\udce9", ".wh", ".whx", "a.wh.b", "a.wh..wh.b", ".WH.a", "wh.", ".w")
    unpacked(yours, layers, *((f"odd/{name}", b"") for name in names))
    equal(
        names_in(layers.layer / "odd"),
        sorted(names),
        "an archive of files none of whose names begins with `.wh.`: the names in the layer. Which are special?",
    )


def test_3_6_the_root_gets_its_attributes(yours: Yours, layers: Layers) -> None:
    unpacked(
        yours,
        layers,
        One("./", mode=0o711, uid=7, gid=8, mtime=1000),
        ("file", b"x"),
        about="the root is there already: what is left to do with it?",
    )
    equal(
        described(layers.layer)["."],
        "a directory 711 7:8 of 1000",
        "the root, which the archive calls `./`, and the attributes in its entry",
    )
    expect((layers.layer / "file").exists(), "a file that comes after the root `./` is not there: where is it?")
    for wrong in (One(".", b"a file"), One("./", kind="link to", target="/etc"), One("/", kind="FIFO")):
        about = f"The root of an archive is a {wrong.kind}: what can lie in that?"
        raised = yours.refused(apply(yours, layers, wrong), BrokenArchive, about, 0, f"an archive of {wrong}")
        expect(
            raised.text,
            f"an archive of {wrong} raises BrokenArchive without a word; it should say that the root has to be a "
            "directory: what does the user read?",
        )


def test_3_6_a_whiteout_hides_and_is_no_file(yours: Yours, layers: Layers) -> None:
    names = ["old", "where", ".hidden", "wh.x", "h.w", "a.wh.b", "a.wh..wh.b", *ODD, "caf\udce9"]
    names = [name for name in names if len(name) < 250]
    (layers.below / "dir").mkdir()
    for name in (*names, "keep"):
        (layers.below / "dir" / name).write_text("x")
        (layers.below / f"top-{name}").write_text("x")
    for name in names:
        unpacked(yours, layers, f"dir/.wh.{name}", f".wh.top-{name}")
        expect(
            not (layers.layer / f"dir/.wh.{name}").exists(),
            f"the layer has a file called .wh.{name} now: a container would see it, and `{name}` as well. "
            "What does the name say?",
        )
        found = names_in(layers.layer / "dir")
        expect(
            name in found and kind_of(layers.layer / "dir" / name) == "a character device 0:0",
            f"the archive has dir/.wh.{name}, which hides `{name}`; the layer's dir has {found!r}, and "
            f"{kind_of(layers.layer / 'dir' / name)} of that name. How much of the whiteout's name is the prefix?",
        )
    equal(
        layers.merged(),
        ["dir", "dir/keep", "top-keep"],
        "an overlay of a layer with whiteouts, in its root and in dir, on one with the files and two `keep`",
    )


def test_3_6_an_opaque_directory_shows_nothing_from_below(yours: Yours, layers: Layers) -> None:
    for name in ("dir", "late", "other"):
        (layers.below / name).mkdir()
        (layers.below / name / "old").write_text("x")
    unpacked(yours, layers, "dir/", "dir/.wh..wh..opq", ("dir/new", b"x"), ("late/new", b"x"), "late/.wh..wh..opq")
    equal(
        layers.merged(),
        ["dir", "dir/new", "late", "late/new", "other", "other/old"],
        "an overlay of a layer with dir/.wh..wh..opq and dir/new, late/new and late/.wh..wh..opq, on one with "
        "dir/old, late/old and other/old: what does that mark say of *all* that is below?",
    )


def test_3_6_an_opaque_root_shows_nothing_from_below(yours: Yours, layers: Layers) -> None:
    (layers.below / "old").write_text("x")
    unpacked(yours, layers, ".wh..wh..opq", ("new", b"x"))
    equal(
        layers.merged(),
        ["new"],
        "an overlay of a layer with .wh..wh..opq in its root on one with `old`: whose directory is opaque then?",
    )


def test_3_6_the_bookkeeping_of_aufs_is_no_content(yours: Yours, layers: Layers) -> None:
    (layers.below / "dir").mkdir()
    (layers.below / "dir/old").write_text("x")
    names = (".wh..wh.orph", ".wh..wh..tmp", ".wh..wh..opq.", ".wh..wh..opqx", ".wh..wh.")
    unpacked(
        yours, layers, ".wh..wh.aufs", ".wh..wh.plnk/", *((f"dir/{name}", b"x") for name in names), ("file", b"x")
    )
    found = sorted(path.name for path in layers.layer.rglob("*") if path.name != "dir")
    equal(
        found,
        ["file"],
        "a layer that Docker made on aufs, a union file system before overlayfs: of its .wh..wh. names nothing is "
        "content, and only .wh..wh..opq is a mark. The names in the layer",
    )
    equal(
        layers.merged(),
        ["dir", "dir/old", "file"],
        f"an overlay of a layer with {', '.join(names)} in dir on one with dir/old: none of them is a mark. Which "
        "is the one name that makes a directory opaque?",
    )


def test_3_6_of_two_entries_with_one_name_the_later_wins(yours: Yours, layers: Layers, tmp_path: Path) -> None:
    taken = "the name is taken: which of the two entries counts?"
    unpacked(yours, layers, ("file", b"first"), ("file", b"second"), about=taken)
    unpacked(yours, layers, ("dir/inside", b"x"), ("dir", b"a file by now"), about=taken)
    equal(content(layers.layer / "file"), b"second", "a file that the archive has twice. Which one counts?")
    expect((layers.layer / "dir").is_file(), "a file that comes after a directory of its name: what is it now?")
    (tmp_path / "elsewhere").write_text("the host's")
    unpacked(
        yours, layers, One("link", b"", "link to", str(tmp_path / "elsewhere")), ("link", b"new"), about=taken
    )
    equal((tmp_path / "elsewhere").read_text(), "the host's", "a file outside of the layer, which a link led to")
    equal(kind_of(layers.layer / "link"), "a file", "what an archive has of which a link comes first, then a file")
    unpacked(yours, layers, ("turned", b"x"), "turned/", ("fifo", b"x"), One("fifo", kind="FIFO"), about=taken)
    for name, kind in {"turned": "a directory", "fifo": "a FIFO"}.items():
        equal(kind_of(layers.layer / name), kind, f"a file {name}, and then {kind} of its name: what is it now?")
    expect(
        "opaque" not in described(layers.layer)["turned"],
        "a file `turned`, and then a directory of its name: it is opaque now, and hides what the layers below "
        "have in it. What did tree.remove say of the file?",
    )
    for name, target in {"nowhere": "missing", "to-whiteout": "gone", "to-directory": "turned"}.items():
        about = (
            f"{name} is first a link (to {target}), then a directory: is the name looked at, or where it leads?"
        )
        unpacked(yours, layers, ".wh.gone", One(name, b"", "link to", target), f"{name}/", about=about)
        equal(kind_of(layers.layer / name), "a directory", about)
    unpacked(yours, layers, ("both/first", b"x"), One("both/", mode=0o700), ("both/second", b"x"), about=taken)
    equal(
        names_in(layers.layer / "both"),
        ["first", "second"],
        "both/first, then the directory both/ itself, then both/second: a directory that comes twice is one. What "
        "was removed?",
    )
    equal(oct((layers.layer / "both").stat().st_mode), "0o40700", "the mode of a directory: the later entry's")


def test_3_6_a_later_file_takes_a_directory_s_place_further_down(yours: Yours, layers: Layers) -> None:
    about = (
        "when it has removed a directory, the tree closes the descriptors that it has kept. How old is the one of "
        "`sub` that you use then?"
    )
    unpacked(
        yours, layers, ("sub/dir/inside", b"x"), ("sub/dir", b"a file by now"), ("sub/next", b"x"), about=about
    )
    expect((layers.layer / "sub/dir").is_file(), "sub/dir/inside, and then a file sub/dir: what is it now?")


def test_3_6_what_takes_a_whiteout_s_place_hides_on(yours: Yours, layers: Layers) -> None:
    for name in ("dir", "around/dir"):
        (layers.below / name).mkdir(parents=True)
        (layers.below / name / "old").write_text("x")
    (layers.below / "around/neighbour").write_text("x")
    unpacked(
        yours,
        layers,
        ".wh.dir",
        "dir/",
        ("dir/new", b"x"),
        "around/.wh.dir",
        "around/dir/",
        ("around/dir/new", b"x"),
    )
    found = layers.merged()
    expect(
        "around/neighbour" in found,
        "`around/.wh.dir` and then a new `around/dir`: around/neighbour of the layer below is hidden as well now. "
        "What is to be opaque, the new directory or the one around it?",
    )
    equal(
        found,
        ["around", "around/dir", "around/dir/new", "around/neighbour", "dir", "dir/new"],
        "`.wh.dir` and then a new `dir`, in the root and in `around`: the old one was deleted first. What has "
        "become of the whiteout?",
    )
    unpacked(yours, layers, One("null", kind="device"), One("null", kind="directory"))
    equal(
        described(layers.layer).get("null", "nothing").partition(" of ")[0],
        "a directory 750 0:0",
        "a device 1:3, and then a directory of its name: not every device is a whiteout. Who says which it was?",
    )


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh..."])
def test_3_6_a_whiteout_of_nothing_is_refused(yours: Yours, layers: Layers, name: str) -> None:
    about = f"The whiteout {name!r} would hide its own directory, or nothing. Which names does whiteout.py refuse?"
    yours.refused(apply(yours, layers, f"dir/{name}"), BrokenArchive, about, 0, f"an archive of dir/{name}")


def test_3_6_any_entries_in_any_order(yours: Yours, tmp_path: Path) -> None:
    drawn = random.Random(36)
    for number in range(40):
        entries = [entry(drawn, index) for index in range(drawn.randint(2, 7))]
        mine, theirs = Layers(tmp_path / f"{number}/a"), Layers(tmp_path / f"{number}/b")
        for both in (mine, theirs):
            (both.below / "a/b").mkdir(parents=True)
            (both.below / "a/b/old").write_text("x")
            for path in (both.layer, both.below, both.below / "a/b", both.below / "a"):
                os.utime(path, (500, 500))
        wanted = outcome(theirs, packed(*entries))
        answer = apply(yours, mine, *entries)
        found = answer.raised.name if answer.raised else described(mine.layer)
        if found != wanted:
            raise CheckFailed(
                f"an archive of these entries, one after the other:\n    {', '.join(map(repr, entries))}\n"
                f"{difference(found, wanted)}\nWhich of the entries does something else with you?",
                answer.raised.traceback if answer.raised else "",
            )


def entry(drawn: random.Random, index: int) -> One:
    """Any entry, of few names."""
    path = drawn.choice(["a", "b", "a/b", "a/c", "a/b/d"])
    parent, _, name = path.rpartition("/")
    kind = drawn.choice(
        ["directory", "directory", "file", "file", "link to", "hard link to", "FIFO", "device", "wh"]
    )
    if kind == "wh":  # the name says what it is, whatever the type
        name = drawn.choice([f".wh.{name}", f".wh.{name}", ".wh..wh..opq", ".wh..wh.x"])
        kind = drawn.choice(["file", "file", "directory", "link to", "FIFO"])
        return One(f"{parent}/{name}".lstrip("/"), b"", kind, "a" if "link" in kind else "", mtime=1000 + index)
    target = drawn.choice(["a", "b", "a/b"]) if "link" in kind else ""
    return One(path, b"%d" % index if kind == "file" else b"", kind, target, mtime=1000 + index)


def outcome(layers: Layers, archive: bytes) -> Any:
    """What the engine makes of an archive: the layer afterwards, or the name of what is raised."""
    try:
        layer.apply_layer(io.BytesIO(archive), str(layers.layer), [str(layers.below)])
    except (OSError, BrokenArchive) as error:
        return type(error).__name__
    return described(layers.layer)


def difference(found: Any, wanted: Any) -> str:
    if isinstance(found, str) or isinstance(wanted, str):
        return f"    yours gives  {found!r}\n    wanted is    {wanted!r}"
    return "\n".join(
        f"    {name}: yours is {found.get(name, 'not there')}; wanted is {wanted.get(name, 'not there')}"
        for name in sorted({*found, *wanted})
        if found.get(name) != wanted.get(name)
    )


def test_3_6_errors_are_the_caller_s(yours: Yours, tmp_path: Path) -> None:
    entries = ["./", ("file", b"x"), ("file", b"y"), "dir/", ".wh.gone", "gone/", "dir/.wh..wh..opq"]
    count = itertools.count()

    def run(function: Function, watch: Watch) -> Any:
        return apply(function, Layers(tmp_path / str(next(count))), *entries, watch=watch)

    yours.each_refusal(
        run,
        tuple(set(FILES) - {"open", "utimensat", "fchown", "fchmod"}),
        errors=(errno.EACCES,),
        about="The layer lacks what the archive has. Which error means that the name is taken?",
    )


def test_3_6_the_engine_unpacks_an_image_with_it(pyctr: Any, tmp_path: Path) -> None:
    second = packed("etc/", "etc/.wh..wh..opq", ("etc/only", b"here"), "bin/.wh.vi", ".wh..wh.aufs")
    done = loaded(pyctr, tmp_path, second)("ls /etc/only /etc/passwd /bin/vi /.wh*; ls /bin/sh")
    equal(
        done,
        "/etc/only\n/bin/sh\n",
        "an image whose second layer has an opaque etc with `only`, and deletes /bin/vi: what ls shows of these, "
        "/etc/passwd and /bin/sh",
    )
