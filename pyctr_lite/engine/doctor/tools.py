"""Findings about tools beside the kernel: Python and its bytecode, tini, lxcfs, the busybox image."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pyctr_lite
from pyctr_lite.engine.bundle import mounts as bundle_mounts
from pyctr_lite.engine.doctor.finding import Finding
from pyctr_lite.errors import NotFound, PyctrError
from pyctr_lite.linux import mountinfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_lite.engine.home import Home

OLDEST_PYTHON = (3, 11)


def findings(home: Home) -> Iterator[Finding]:
    """Examine each tool."""
    version = ".".join(map(str, sys.version_info[:3]))
    fix = "make PYTHON=/path/to/python3"
    yield Finding("tools", "python", sys.version_info >= OLDEST_PYTHON, f"{version}, {sys.executable}", fix)
    package = Path(pyctr_lite.__file__).parent
    stale = uncompiled(package)
    text = f"{len(stale)} modules are recompiled at each start" if stale else "all modules are compiled"
    yield Finding("tools", "bytecode", not stale, text, f"python3 -m compileall {package}", needed=False)
    tini = os.access(bundle_mounts.TINI, os.X_OK)
    text = bundle_mounts.TINI if tini else f"{bundle_mounts.TINI} is missing: no run --init"
    yield Finding("tools", "tini", tini, text, "apt-get install tini", needed=False)
    yield _lxcfs()
    yield _busybox(home)


def uncompiled(package: Path) -> list[Path]:
    """Return the modules whose bytecode is missing or does not match the source (PEP 3147, PEP 552)."""
    return [path for path in sorted(package.rglob("*.py")) if not _is_compiled(path)]


def _is_compiled(path: Path) -> bool:
    status = path.stat()
    try:
        with open(importlib.util.cache_from_source(str(path)), "rb") as file:
            header = file.read(16)
    except OSError:
        return False
    if header[:4] != importlib.util.MAGIC_NUMBER or len(header) < 16:
        return False
    if int.from_bytes(header[4:8], "little"):
        return True  # the bytecode is checked by the hash of the source, not by its time
    times = (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
    return (int.from_bytes(header[8:12], "little"), int.from_bytes(header[12:], "little")) == times


def _lxcfs() -> Finding:
    mounted = any(
        mount.mountpoint == bundle_mounts.LXCFS and "lxcfs" in mount.fstype for mount in mountinfo.mounts()
    )
    text = f"not running on {bundle_mounts.LXCFS}: no run --lxcfs"
    if mounted:
        try:
            with open(f"{bundle_mounts.LXCFS}/proc/uptime") as file:
                file.read()
            text = f"running on {bundle_mounts.LXCFS}"
        except OSError as error:
            mounted, text = False, f"mounted, but it does not answer: {error.strerror}"
    return Finding("tools", "lxcfs", mounted, text, "make setup starts it", needed=False)


def _busybox(home: Home) -> Finding:
    fix = "pyctr_lite image bootstrap busybox"
    try:
        image = home.images.get("busybox:latest")
    except NotFound:
        return Finding("tools", "busybox", False, "no image busybox:latest", fix, needed=False)
    except PyctrError as error:
        return Finding("tools", "busybox", False, error.message, fix)
    except PermissionError:
        return Finding("tools", "busybox", False, "only root can read the images", "use sudo", needed=False)
    return Finding("tools", "busybox", True, f"busybox:latest is image {image.id[7:19]}")
