"""Cache and memory bandwidth of a container: its group in the resctrl file system (Intel RDT, AMD QoS).

From `linux.intelRdt` (OCI runtime spec, config-linux.md). Imported only for a container that has one.
Source: Documentation/filesystems/resctrl.rst.
"""

from __future__ import annotations

import os

from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.linux import kernelfile, mountinfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RECORD = "resctrl"
"""The file of the runtime's directory that lists what `enter` has made, one directory a line."""


def mountpoint() -> str:
    """Return where resctrl is mounted, "" if it is not: the hardware, the kernel or the administrator lacks it."""
    return next((mount.mountpoint for mount in mountinfo.mounts() if mount.fstype == "resctrl"), "")


def check(config: dict[str, Any]) -> None:
    """Check a `linux.intelRdt` object. Raises InvalidArgument, also if resctrl is not mounted."""
    if not mountpoint():
        raise InvalidArgument(
            "intelRdt is specified in config, but Intel RDT is not enabled",
            "mount -t resctrl resctrl /sys/fs/resctrl",
        )
    clos = config.get("closID") or ""
    if clos in (".", "..") or (clos != "/" and "/" in clos):
        raise InvalidArgument(f"invalid intelRdt.closID {clos!r}")
    for line in _schemata(config):
        if "\n" in line or ":" not in line:
            raise InvalidArgument(
                f"invalid line {line!r} of intelRdt", "a resource and its values, e.g. L3:0=f;1=f"
            )
    if not (config.get("memBwSchema") or "MB:").startswith("MB:"):
        raise InvalidArgument(f"invalid intelRdt.memBwSchema {config['memBwSchema']!r}: must start with MB:")


def enter(config: dict[str, Any], id: str, pid: int, directory: str, root: str = "") -> None:
    """Move a process into the group of its class of service, and make the group if it may be made.

    `id` is the container's, `directory` the runtime's directory for it. Raises PyctrError.
    """
    clos, root = config.get("closID") or "", root or mountpoint()
    group, lines, made = _group(config, id, root), _schemata(config), []
    exists = os.path.isdir(group)
    if not exists and clos and not lines:
        raise PyctrError(f"intelRdt: no group {clos} in {root}", "it must exist if no schema is given")
    if exists and clos:
        _compare(kernelfile.read(f"{group}/schemata"), lines, clos)
    try:
        if not exists:
            os.mkdir(group)
            made += [] if clos else [group]
        for line in lines if not exists else []:
            kernelfile.write(f"{group}/schemata", f"{line}\n")
        kernelfile.write(f"{group}/tasks", str(pid))
        if config.get("enableMonitoring"):
            monitor = f"{group}/mon_groups/{id}"
            os.mkdir(monitor)
            made.append(monitor)
            kernelfile.write(f"{monitor}/tasks", str(pid))
    except OSError as error:
        raise PyctrError(f"intelRdt: {error.strerror}: {error.filename}", _reason(root)) from None
    finally:
        with open(f"{directory}/{RECORD}", "w") as record:
            record.write("".join(f"{path}\n" for path in reversed(made)))


def join(config: dict[str, Any], id: str, pid: int, root: str = "") -> None:
    """Move a further process into the groups that `enter` has chosen for the container. Raises PyctrError."""
    root = root or mountpoint()
    group = _group(config, id, root)
    try:
        kernelfile.write(f"{group}/tasks", str(pid))
        if config.get("enableMonitoring"):
            kernelfile.write(f"{group}/mon_groups/{id}/tasks", str(pid))
    except OSError as error:
        raise PyctrError(f"intelRdt: {error.strerror}: {error.filename}", _reason(root)) from None


def remove(directory: str) -> None:
    """Remove what `enter` has made for the container of a runtime's directory. Idempotent."""
    for path in kernelfile.read(f"{directory}/{RECORD}").splitlines():
        try:
            os.rmdir(path)
        except FileNotFoundError:
            pass


def _group(config: dict[str, Any], id: str, root: str) -> str:
    clos = config.get("closID") or ""
    return root if clos == "/" else os.path.join(root, clos or id)


def _schemata(config: dict[str, Any]) -> list[str]:
    """Return the lines for the file `schemata`, in the spec's order."""
    return [line for line in (config.get("l3CacheSchema"), config.get("memBwSchema")) if line] + [
        *(config.get("schemata") or [])
    ]


def _compare(present: str, wanted: list[str], clos: str) -> None:
    """Check that a group that exists has the wanted values. Raises PyctrError."""
    found = _values(present.splitlines())
    for resource, values in _values(wanted).items():
        if not values <= found.get(resource, set()):
            raise PyctrError(
                f"intelRdt: group {clos} exists with other values of {resource} than those of the config"
            )


def _values(lines: list[str]) -> dict[str, set[str]]:
    """Return the values of each resource, without blanks and leading zeros: `L3:0=00f;1=f` is L3: 0=f, 1=f."""
    found: dict[str, set[str]] = {}
    for line in lines:
        resource, _, values = line.strip().partition(":")
        for value in values.split(";"):
            domain, _, number = value.strip().partition("=")
            found.setdefault(resource, set()).add(f"{domain}={number.strip().lower().lstrip('0')}")
    return found


def _reason(root: str) -> str:
    try:
        return kernelfile.read(f"{root}/info/last_cmd_status")
    except OSError:
        return ""
