"""The files of a world below /srv: layers for the learner's program to run, and directories for its volumes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pyctr_lite.images import busybox
from pyctr_lite.rootfs import whiteout

APPLETS = "awk cat env false head hostname id ifconfig ls ps pwd readlink sh sleep stat touch true wc".split()
ODD = "/srv/odd: a,b\\c"
"""A layer whose name has all the characters that mean something to overlayfs."""


def find_busybox() -> str:
    """Return the path of the machine's static busybox. Raises RuntimeError if there is none."""
    path = shutil.which("busybox")
    if path is None or not busybox.is_static(path):
        raise RuntimeError("the capstone's checks need a static busybox: apt-get install busybox-static")
    return path


def fill(directory: Path) -> None:
    """Make the layers `base`, `odd…` and `top`, the directory `data` for a volume, and `outside`."""
    base, odd, top = directory / "base", directory / Path(ODD).name, directory / "top"
    for name in ("bin", "dev", "etc", "proc", "root", "srv/outside", "tmp"):
        (base / name).mkdir(parents=True)
    shutil.copy(find_busybox(), base / "bin/busybox")
    for applet in APPLETS:
        (base / "bin" / applet).symlink_to("/bin/busybox")
    (base / "dev/null").touch()  # the shell opens it for what runs in the background
    (base / "etc/motd").write_text("not a program\n")
    (base / "link").symlink_to("/srv/outside")
    for layer in (base, odd, top):
        layer.mkdir(exist_ok=True)
        (layer / "which").write_text(f"{layer.name}\n")
    (base / "gone").touch()
    (odd / "middle").touch()
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    whiteout.make(fd, b"gone")
    os.close(fd)
    hello = top / "usr/local/bin/hello"
    hello.parent.mkdir(parents=True)
    hello.write_text("#!/bin/sh\necho hello\n")
    hello.chmod(0o755)
    for name in ("data", "outside"):
        (directory / name).mkdir()
    (directory / "data/letter").write_text("from the host\n")


def describe(directory: Path) -> dict[str, str]:
    """Describe every file below a directory: what a program has changed differs."""
    found = {}
    for path, names, files in os.walk(directory):
        for name in (*names, *files):
            one = Path(path, name)
            status = one.lstat()
            content = os.readlink(one) if one.is_symlink() else str(status.st_mtime_ns)
            found[str(one.relative_to(directory))] = f"{status.st_mode:o} {status.st_size} {content}"
    return found
