"""A running build: its directory, which protects what it uses, and the removal of what a killed build leaves.

`<root>/build/running/<token>` is locked (flock(2)) as long as its process lives. Its JSON files are roots of the
image store (`images.roots`): layers that the build uses are not removed. Mounts that a step needs on the host are
made in it. The containers of a build have its token as a label. If the process is killed, a guard that it forked
before its first step removes all that at once; `sweep` does the same later if the guard was killed too.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager

from pyctr_lite import linux
from pyctr_lite.engine import background
from pyctr_lite.engine.build import layers
from pyctr_lite.engine.container import containers
from pyctr_lite.engine.life import faults, lifecycle
from pyctr_lite.engine.state.lock import Lock
from pyctr_lite.errors import PyctrError
from pyctr_lite.images import roots, staging, writer
from pyctr_lite.linux import mountinfo
from pyctr_lite.rootfs import overlay, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyctr_lite.engine.home import Home
    from pyctr_lite.images.image import Layer

LABEL = "pyctr_lite.build"
"""The label of a build's containers; its value is the build's token."""
BEGAN = "began"
"""A directory in that of a build, whose time is that of the build's begin."""
_DETACH = linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW


class Session:
    """The directory of one build, as a context manager."""

    def __init__(self, home: Home) -> None:
        sweep(home)
        self.home = home
        self.path, self._lock = staging.make_locked(roots.running_directory(home.paths.root))
        self.token = os.path.basename(self.path)
        self._guard, self._count = -1, 0
        os.mkdir(f"{self.path}/{BEGAN}")

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._guard >= 0:
            os.write(self._guard, b".")
            os.close(self._guard)
        _remove_directory(self.path)
        os.close(self._lock)

    def keep(self, layers: Sequence[Layer]) -> None:
        """Keep layers in the store until the build ends, even if their image is removed."""
        self._count += 1
        roots.write(f"{self.path}/{self._count}.json", layers)

    def guard(self) -> None:
        """Fork the process that cleans up if this one is killed. Idempotent."""
        if self._guard >= 0:
            return
        reading, writing = os.pipe2(os.O_CLOEXEC)
        home, view = self.home, layers.view_path(self.home)

        def body() -> None:
            os.close(writing)
            background.leave_caller(home.paths, {reading})
            if not os.read(reading, 1):  # the other end was closed without a word: the build was killed
                _wait(self.path)
                sweep(home)
                _remove_directory(view)
                with writer.locked(home.images):
                    pass  # it removes the staging directories of dead processes

        background.start(home.paths, body, self._log_fault)
        os.close(reading)
        self._guard = writing

    def _log_fault(self, error: BaseException) -> None:
        """Log an error of the guard, which has no terminal, for `doctor` to show."""
        import traceback

        faults.append(self.home.paths, "guard of a build", "".join(traceback.format_exception(error)))

    @contextmanager
    def mounted(self, lowers: Sequence[str]) -> Iterator[str]:
        """Mount layers (top first) read-only in the session's directory, and yield the path."""
        with self._mountpoint() as path:
            below = list(lowers)
            while len(below) < 2:  # a read-only overlay needs so many
                below.append(f"{path}.{len(below)}")
                os.mkdir(below[-1])
            overlay.mount_overlay(below, "", "", path)
            yield path

    @contextmanager
    def memory(self) -> Iterator[str]:
        """Mount a tmpfs in the session's directory, for secrets, and yield its path."""
        with self._mountpoint() as path:
            linux.mount("tmpfs", path, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC, "mode=700")
            yield path

    @contextmanager
    def _mountpoint(self) -> Iterator[str]:
        self._count += 1
        path = f"{self.path}/mount-{self._count}"
        os.mkdir(path, 0o700)
        try:
            yield path
        finally:
            _unmount(path)
            os.rmdir(path)


def _wait(path: str) -> None:
    """Wait until the lock of a dying build is released: its pipe can be closed before."""
    try:
        with linux.closing(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX)
    except FileNotFoundError:
        pass  # another process sweeps


def dead(home: Home) -> list[str]:
    """Return the tokens of killed builds that nothing has cleaned up after."""
    top = roots.running_directory(home.paths.root)
    try:
        return [token for token in os.listdir(top) if not Lock.is_held(f"{top}/{token}")]
    except FileNotFoundError:
        return []


def sweep(home: Home) -> None:
    """Remove what killed builds left: containers, mounts and directories. Idempotent."""
    tokens = dead(home)
    if not tokens:
        return
    for container in containers.read_all(home)[0]:
        if container.record.labels.get(LABEL) in tokens:
            lifecycle.remove(container, force=True, volumes=True)
    for token in tokens:
        _remove_directory(f"{roots.running_directory(home.paths.root)}/{token}")


def _remove_directory(path: str) -> None:
    """Unmount what is mounted in the directory of a build, and remove it."""
    for mount in reversed(mountinfo.mounts()):
        if f"{mount.mountpoint}/".startswith(path + "/"):
            _unmount(mount.mountpoint)
    try:
        walk.remove_tree(path)
    except FileNotFoundError:
        pass  # another process sweeps, too
    except OSError as error:
        raise PyctrError(f"cannot remove {path}: {error.strerror}") from error


def _unmount(path: str) -> None:
    try:
        linux.umount2(path, _DETACH)
    except OSError:
        pass  # not mounted (any more)
