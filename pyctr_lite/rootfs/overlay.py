"""The overlay mount that makes one root file system of many layers."""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.linux import explain


def mount_overlay(lowers: list[str], upper: str, work: str, target: str) -> None:
    """Mount layers as one tree at `target`: read from `lowers` (top first), changes go to `upper`.

    `work` is an empty directory on the file system of `upper`. Without `upper` the mount is read-only.
    Fails with EINVAL where upper or work is on an unfit file system, ESTALE where they belong to another
    set of layers. Source: the kernel's Documentation/filesystems/overlayfs.rst.
    """
    options = overlay_options(lowers, upper, work)
    if len(os.fsencode(options)) < linux.PAGE_SIZE:
        linux.mount("overlay", target, "overlay", 0, options)
        return
    # mount(2) takes one page of options; 40 layers fill it. A descriptor's path is short and needs no escapes.
    paths = [*lowers, upper, work] if upper else lowers
    fds = explain.step(f"open {len(lowers)} layers: their paths are longer than a page", _open_all, paths)
    try:
        short = [f"/proc/self/fd/{fd}" for fd in fds]
        options = overlay_options(short[: len(lowers)], *short[len(lowers) :] or ("", ""))
        if len(options) >= linux.PAGE_SIZE:  # the kernel would cut the text off there, and mount what is left
            raise OSError(errno.E2BIG, f"mount: {len(lowers)} layers are too many for one overlay", target)
        linux.mount("overlay", target, "overlay", 0, options)
    finally:
        for fd in fds:
            os.close(fd)


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    """The options text of an overlay mount, its paths escaped."""
    options = "lowerdir=" + ":".join(escape(path) for path in lowers)
    if upper:
        options += f",upperdir={escape(upper, separator='')},workdir={escape(work, separator='')}"
    return options


def escape(path: str, separator: str = ":") -> str:
    """Escape what overlay's options give a meaning: backslash, comma, and between lower layers the colon."""
    for character in ("\\", ",", *separator):
        path = path.replace(character, "\\" + character)
    return path


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
