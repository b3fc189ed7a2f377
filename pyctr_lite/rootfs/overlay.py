"""The overlay mount that merges layers into one root file system."""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.linux import explain


def mount_overlay(lowers: list[str], upper: str, work: str, target: str, *, volatile: bool = False) -> None:
    """Mount layers as one tree at `target`: `lowers` (top first) are read, and changes are written to `upper`.

    `work` is an empty directory on the file system of `upper`. Without `upper` the mount is read-only.
    Unmounting writes to disk what the whole file system of `upper` has in memory, which takes long while others
    write to it. `volatile` is for changes that nobody is going to need: neither that nor fsync(2) writes anything.
    Fails with EINVAL if the file system of upper or work is not supported, ESTALE if upper and work belong to
    other layers, E2BIG if there are too many layers. Source: the kernel's Documentation/filesystems/overlayfs.rst.
    """
    more = ",volatile" if volatile else ""
    if upper:
        _forget_volatile(work)
    options = overlay_options(lowers, upper, work) + more
    if len(os.fsencode(options)) < linux.PAGE_SIZE:
        linux.mount("overlay", target, "overlay", 0, options)
        return
    # mount(2) takes one page of options, which 40 layers fill. A descriptor's path is short and needs no escaping.
    paths = [*lowers, upper, work] if upper else lowers
    fds = explain.step(f"open {len(lowers)} layers: their paths are longer than a page", _open_all, paths)
    try:
        short = [f"/proc/self/fd/{fd}" for fd in fds]
        options = overlay_options(short[: len(lowers)], *short[len(lowers) :] or ("", "")) + more
        if len(options) >= linux.PAGE_SIZE:  # the kernel would truncate the text and mount fewer layers
            raise OSError(errno.E2BIG, f"mount: {len(lowers)} layers are too many for one overlay", target)
        linux.mount("overlay", target, "overlay", 0, options)
    finally:
        for fd in fds:
            os.close(fd)


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    """Return the options of an overlay mount as text, with its paths escaped.

    `lowers` are the lower layers, the topmost first, as overlayfs takes them. Changes go to `upper`; `work` is an
    empty directory on its file system. If `upper` is "", the mount is read-only, and the text has neither of them.
    Source: overlayfs.rst.
    """
    options = "lowerdir=" + ":".join(escape(path) for path in lowers)
    if upper:
        options += f",upperdir={escape(upper, separator='')},workdir={escape(work, separator='')}"
    return options


def escape(path: str, separator: str = ":") -> str:
    """Escape the characters with a meaning in overlay's options: backslash, comma, and in lowerdir the colon."""
    for character in ("\\", ",", *separator):
        path = path.replace(character, "\\" + character)
    return path


def _forget_volatile(work: str) -> None:
    """Permit another mount after a volatile one: remove the mark that the kernel leaves in `work`. Idempotent.

    Source: overlayfs.rst, "Volatile mount".
    """
    if os.path.isdir(mark := f"{work}/work/incompat"):
        os.unlink(f"{mark}/volatile/dirty")
        os.rmdir(f"{mark}/volatile")
        os.rmdir(mark)


def _open_all(paths: list[str]) -> list[int]:
    fds: list[int] = []
    try:
        for path in paths:
            fds.append(os.open(path, linux.O_PATH | os.O_CLOEXEC))
    except OSError:
        for fd in fds:
            os.close(fd)
        raise
    return fds
