"""The root of a world: the host's programs, which cannot be written to, and the file systems of the kernel."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from labs.kit.capstone import program
from labs.kit.exercises import manifest
from labs.kit.isolation import root as arena
from pyctr_lite import linux
from pyctr_lite.cgroups import hierarchy

OTHERS = ("docker", "podman", "runc", "crun", "bwrap", "nsenter", "unshare", "chroot", "systemd-nspawn")
"""Programs that do a part of the work. In a world each of them prints the rule."""
_HOST = (*arena.SYSTEM, "dev")
_EMPTY = ("capstone", "proc", "root", "run", "srv", "sys", "tmp", "var/tmp")


def build(root: Path, view: Path) -> None:
    """Mount a root at a new directory, with the package at /capstone. The caller is in the world's namespaces."""
    root.mkdir(exist_ok=True)
    linux.mount("tmpfs", str(root), "tmpfs", 0, "mode=755")
    _bind_the_host(root)
    linux.mount("proc", f"{root}/proc", "proc")
    linux.mount("/sys", f"{root}/sys", None, linux.MS_BIND)
    _mount_cgroups(root / "sys/fs/cgroup")
    _bind(view, root / "capstone")


def _bind_the_host(root: Path) -> None:
    """Put the host's programs into a root, without this checkout and without other engines."""
    for name in _EMPTY:
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for name in _HOST:
        host = Path("/", name)
        if host.is_symlink():
            (root / name).symlink_to(os.readlink(host))
        elif host.is_dir():
            _bind(host, root / name, read_only=name != "dev")
    if sys.base_prefix.split("/")[1] not in _HOST:
        _bind(Path(sys.base_prefix), root / sys.base_prefix.lstrip("/"))
    hidden = root / str(manifest.CHECKOUT).lstrip("/")
    if hidden.is_dir():
        linux.mount("tmpfs", str(hidden), "tmpfs", linux.MS_RDONLY)
    _hide_other_engines(root)


def _bind(source: Path, target: Path, *, read_only: bool = True) -> None:
    target.mkdir(parents=True, exist_ok=True)
    linux.mount(str(source), str(target), None, linux.MS_BIND | linux.MS_REC)
    if read_only:
        linux.mount_setattr(linux.AT_FDCWD, str(target), linux.AT_RECURSIVE, set=linux.MOUNT_ATTR_RDONLY)


def _hide_other_engines(root: Path) -> None:
    """Bind a script over each of them that prints the rule."""
    for name in OTHERS:
        for directory in ("usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin"):
            found = root / directory / name
            if found.is_file() and not found.is_symlink():
                script = root / "run" / "not_here"
                script.write_text(f'#!/bin/sh\necho "$0 is not here: {program.RULE}" >&2\nexit 126\n')
                script.chmod(0o755)
                linux.mount(str(script), str(found), None, linux.MS_BIND)


def _mount_cgroups(target: Path) -> None:
    kinds = hierarchy.mounts(hierarchy.current())
    if len(kinds) == 1 and kinds[0][1] == "cgroup2":
        linux.mount("cgroup2", str(target), "cgroup2")
        return
    linux.mount("tmpfs", str(target), "tmpfs", 0, "mode=755")
    for name, fstype, data in kinds:
        (target / name).mkdir()
        linux.mount(fstype, str(target / name), fstype, 0, data or None)
