"""CVE-2021-30465 (runc before 1.0.0-rc95, May 2021): a directory is swapped for a link between check and use.

The function follows the links of a path one by one and keeps all of them inside the root. Then it opens the path
that it has found. Both steps are right; the mistake is that there are two of them, because somebody may swap a
directory for a link in between.

A real attacker swaps all the time and needs some hundred attempts. `wait_until_it_is` makes the first one a hit:
it holds the engine until the directory is a directory (now check it), then until it is a link (now use it).
"""

from __future__ import annotations

import os
import stat
import time

from pyctr_lite import linux

REPLACES = {"open_in_root": "pyctr_lite.rootfs.target:open_in_root"}
SWAPPED = "/shared/swapped"
"""The directory that the other container swaps."""


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    """Open a path with `root_fd` as `/`, also for the links in it."""
    wait_until_it_is(stat.S_IFDIR, root_fd, path)
    checked = join_securely(root_fd, path)
    wait_until_it_is(stat.S_IFLNK, root_fd, path)
    return os.open(checked, flags | os.O_CLOEXEC, dir_fd=root_fd)


def join_securely(root_fd: int, path: str) -> str:
    """Return the path below the root to which a path leads, without links (runc's SecureJoin)."""
    done, left, links = "", path.split("/")[::-1], 0
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            done = os.path.dirname(done)
            continue
        try:
            link = os.readlink(os.path.join(done, name), dir_fd=root_fd)
        except OSError:
            done = os.path.join(done, name)
            continue
        links += 1
        if links > 40:
            raise OSError(f"too many links: {path}")
        done = "" if link.startswith("/") else done
        left += link.split("/")[::-1]
    return done or "."


def wait_until_it_is(kind: int, root_fd: int, path: str) -> None:
    """Wait until the swapped directory is a file of this kind, at most two seconds. Other paths do not wait."""
    end = time.monotonic() + 2
    while path == SWAPPED and time.monotonic() < end:
        try:
            if stat.S_IFMT(os.stat(path[1:], dir_fd=root_fd, follow_symlinks=False).st_mode) == kind:
                return
        except FileNotFoundError:
            if not os.access("shared", os.F_OK, dir_fd=root_fd):
                return  # a root without the volume
        time.sleep(0.001)
