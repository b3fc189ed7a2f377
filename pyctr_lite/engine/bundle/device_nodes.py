"""The host's devices in a container: those of --device, or all with --privileged."""

from __future__ import annotations

import os
import stat

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number
from pyctr_lite.rootfs import devices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_CONTAINER_DEVICES = {"console", "ptmx", *(name for name, _, _ in devices.DEFAULT_DEVICES)}
_SKIPPED_DIRECTORIES = {"pts", "shm", "fd", "mqueue", ".udev"}


def of_host() -> list[dict[str, Any]]:
    """Return `linux.devices` for all devices in the host's /dev, except those of which a container has its own."""
    return [
        _node(path, found)
        for path, found in _below("/dev")
        if path.removeprefix("/dev/") not in _CONTAINER_DEVICES
    ]


def of_options(options: list[list[str]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return `linux.devices` and the device rules for options (path, path inside, access).

    A directory stands for the devices in it. Raises InvalidArgument if a path is neither a device nor a directory
    that contains devices.
    """
    nodes, rules = [], []
    for host, inside, access in options:
        try:
            found = os.stat(host)
        except OSError as error:
            raise _problem(host, os.strerror(error.errno or 0).lower()) from None
        if stat.S_ISDIR(found.st_mode):
            pairs = [(inside + path[len(host.rstrip("/")) :], each) for path, each in _below(host)]
        else:
            pairs = [(inside, found)] if _is_device(found) else []
        if not pairs:
            raise _problem(host, "not a device node")
        for path_inside, each in pairs:
            node = _node(path_inside, each)
            nodes.append(node)
            rules.append(
                {"allow": True, **{key: node[key] for key in ("type", "major", "minor")}, "access": access}
            )
    return nodes, rules


def rule(text: str) -> dict[str, Any]:
    """Parse "c 1:3 rwm" into an OCI device rule. Raises InvalidArgument."""
    kind, numbers, access, *rest = [*text.split(" "), "", "", ""]
    major, _, minor = numbers.partition(":")
    valid = all(part == "*" or number.is_whole(part, 2**32 - 1) for part in (major, minor)) and set(access) <= set(
        "rwm"
    )
    if kind not in ("a", "b", "c") or not valid or not access or any(rest):
        raise InvalidArgument('must be like "c 1:3 rwm": type (a, b or c), major:minor (* for any), access')
    known_numbers = {name: int(part) for name, part in (("major", major), ("minor", minor)) if part != "*"}
    return {"allow": True, "type": kind, **known_numbers, "access": access}


def _below(directory: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED_DIRECTORIES:
                    yield from _below(entry.path)
            elif _is_device(found := entry.stat(follow_symlinks=False)):
                yield entry.path, found


def _is_device(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)


def _node(inside: str, found: os.stat_result) -> dict[str, Any]:
    return {
        "path": inside,
        "type": "c" if stat.S_ISCHR(found.st_mode) else "b",
        "major": os.major(found.st_rdev),
        "minor": os.minor(found.st_rdev),
        "fileMode": stat.S_IMODE(found.st_mode),
        "uid": found.st_uid,
        "gid": found.st_gid,
    }


def _problem(path: str, why: str) -> InvalidArgument:
    return InvalidArgument(f'error gathering device information while adding custom device "{path}": {why}')
