"""The root file system of the arena: all that a learner's function needs, and nothing that it could fool.

The system's directories are overlays: what is written to them is gone afterwards. At the checkout's path there is
a copy with the package, the labs' machinery and the learner's own files, but without the checks, the mistakes, the
solutions, and the engine's own version of the exercise that is checked. It is entered by pivot_root, in a mount
namespace of its own, so no path leads to the real checkout.

What root can do to the machine through the kernel itself (a disk's raw device, /proc/sys, a kernel module) is
possible here too: labs/TEACHING.md says what that means for grading.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from labs.kit.exercises import manifest
from labs.kit.isolation import guard
from pyctr_lite import linux
from pyctr_lite.rootfs import overlay

if TYPE_CHECKING:
    from collections.abc import Iterable

SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt")
EMPTY = ("home", "root", "run", "srv", "mnt", "media", "var/lib", "var/tmp")
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


def enter(top: Path, labs: Path, shared: Path, hidden: manifest.Exercise) -> None:
    """Make the root below `top` and enter it. Only for a child in new mount and PID namespaces.

    `labs` is the directory of the learner's files; `shared` is a directory that the arena sees at the same path,
    with what the judge mounts in it later; `hidden` is the exercise whose reference is left out.
    """
    linux.mount(None, str(shared), None, linux.MS_REC | linux.MS_SLAVE)
    linux.mount("tmpfs", str(top), "tmpfs", 0, "mode=0755")
    root, changes = top / "root", top / "changes"
    root.mkdir()
    changes.mkdir()
    for name in SYSTEM:
        _system(name, root, changes)
    for directory in _python(root):
        _overlay(directory, root, changes)
    for name in EMPTY:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    _checkout(root, changes, labs, hidden)
    _devices(root / "dev")
    for name in ("proc", "sys"):
        (root / name).mkdir()
    linux.mount("proc", str(root / "proc"), "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    linux.mount("/sys", str(root / "sys"), None, linux.MS_BIND | linux.MS_REC)
    inside = _inside(root, shared)
    inside.mkdir(parents=True, exist_ok=True)
    linux.mount(str(shared), str(inside), None, linux.MS_BIND | linux.MS_REC)
    linux.mount(str(root), str(root), None, linux.MS_BIND | linux.MS_REC)
    os.chdir(root)
    linux.pivot_root(".", ".")
    linux.umount2(".", linux.MNT_DETACH)
    os.chdir("/")


def _inside(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _system(name: str, root: Path, changes: Path) -> None:
    path = Path("/", name)
    if path.is_symlink():
        (root / name).symlink_to(path.readlink())
    elif path.is_dir():
        _overlay(path, root, changes)


def _python(root: Path) -> Iterable[Path]:
    """Return the directory of this Python, if it is outside of the system's."""
    base = Path(sys.base_prefix).resolve()
    if not _inside(root, base).exists():
        yield base


def _overlay(path: Path, root: Path, changes: Path) -> Path:
    """Show a directory at the same path below the root, so that changes to it are gone afterwards.

    A directory of a file system that overlayfs does not take as a lower layer, as some shared folders, is copied.
    """
    target = _inside(root, path)
    target.mkdir(parents=True, exist_ok=True)
    upper, work = (changes / f"{len(os.listdir(changes))}-{kind}" for kind in ("upper", "work"))
    upper.mkdir()
    work.mkdir()
    options = overlay.overlay_options([str(path)], str(upper), str(work))
    try:
        linux.mount("overlay", str(target), "overlay", 0, options)
    except OSError:
        shutil.copytree(path, target, symlinks=True, dirs_exist_ok=True)
    shutil.copystat(path, target)
    return target


def _checkout(root: Path, changes: Path, labs: Path, hidden: manifest.Exercise) -> None:
    _package(_overlay(manifest.CHECKOUT / "pyctr_lite", root, changes), hidden)
    _hide_compiled(_overlay(manifest.CHECKOUT / ".venv", root, changes))
    shown = _inside(root, manifest.LABS)
    for name in ("__init__.py", "labs.toml"):
        _copy(manifest.LABS / name, shown / name)
    _overlay(manifest.LABS / "kit", root, changes)
    for exercise in manifest.exercises():
        _copy(labs / exercise.place, shown / exercise.place)
        scenes = manifest.LABS / exercise.lab / "scenes.py"
        if scenes.exists():
            _copy(scenes, shown / exercise.lab / "scenes.py")


def _hide_compiled(venv: Path) -> None:
    """Remove the engine's preloaded code, in which the reference is too; an older engine's lies beside it."""
    for path in venv.glob("preload*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)  # the engine may replace it at this moment
    if left := list(venv.glob("preload*")):
        raise OSError(f"{left[0]} cannot be hidden from the arena")


def _package(package: Path, hidden: manifest.Exercise) -> None:
    """Take the reference of one exercise out of the package, and what Python has compiled of its module."""
    module = hidden.function.partition(":")[0].split(".")[1:]
    path = package.joinpath(*module).with_suffix(".py")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink(missing_ok=True)  # Python may replace it at this moment
    path.write_text(guard.without(path.read_text(), hidden))


def _copy(source: Path, target: Path) -> None:
    """Copy a regular file, never through a link; one that is missing stays missing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    with os.fdopen(fd, "rb") as file:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            target.write_bytes(file.read())


def _devices(dev: Path) -> None:
    dev.mkdir()
    for name, (major, minor) in DEVICES.items():
        os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        (dev / name).chmod(0o666)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        (dev / name).symlink_to(target)
    for name in ("pts", "shm", "mqueue"):
        (dev / name).mkdir()
    linux.mount(
        "devpts", str(dev / "pts"), "devpts", linux.MS_NOSUID | linux.MS_NOEXEC, "newinstance,ptmxmode=0666"
    )
    (dev / "ptmx").symlink_to("pts/ptmx")
    linux.mount("tmpfs", str(dev / "shm"), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777")
