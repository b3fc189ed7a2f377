"""The `mounts` of a bundle: Docker's defaults, the engine's files, and the user's mounts, parents first."""

from __future__ import annotations

import os

from pyctr_lite.volumes import bind, sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.state.record import Record

INIT = "/sbin/docker-init"
"""The path of the init in the container."""
TINI, LXCFS = "/usr/bin/tini-static", "/var/lib/lxcfs"
"""The paths on the host that --init and --lxcfs bind-mount into the container."""


def prepare_sources(record: Record) -> None:
    """Create missing sources of -v, as Docker does: a reboot empties /tmp and /run.

    Raises InvalidArgument if the source of a --mount is missing.
    """
    for mount in record.mounts:
        if mount["Type"] == "bind":
            bind.prepare_source(mount["Source"], mount.get("CreateSource", False))


def volume_parts(record: Record, directory: str, volumes: str) -> dict[str, tuple[str, str]]:
    """Return the mounts that show a part of a volume: the source in config.json -> (volume, path below it).

    config.json does not name the part by its path, because a runtime would follow it, and a container may have put
    a link there in the meantime (`sources`).
    """
    parts = {}
    for index, mount in enumerate(record.mounts):
        if mount["Type"] != "tmpfs":
            base, below = sources.origin(mount["Source"], mount.get("Subpath", ""), volumes)
            if below:
                parts[_part(directory, index)] = (base, below)
    return parts


def _part(directory: str, index: int) -> str:
    return f"{directory}/sources/{index}"


def of_record(record: Record, directory: str, parts: dict[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """Return the default mounts, then those of the user and of the engine's files, in Docker's order.

    Parents are mounted before their children and so do not hide them: /etc/hosts is visible in a volume on /etc.
    A mount of the user replaces the default mount at the same path; one on /dev replaces all defaults below /dev.
    """
    options = record.options
    writable = options.privileged
    system = ["nosuid", "noexec", "nodev"]
    tty = ["mode=0620", *(["gid=5"] if record.id_range is None or record.id_range[1] > 5 else [])]
    defaults = [
        _mount("/proc", "proc", "proc", system),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", *tty]),
        _mount("/sys", "sysfs", "sysfs", [*system, "rw" if writable else "ro"]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*system, "relatime", "rw" if writable else "ro"]),
        _mount("/dev/mqueue", "mqueue", "mqueue", system),
    ]
    placed = []
    if options.ipc == "host":
        placed.append(_bind("/dev/shm", "/dev/shm"))
    else:
        size = options.shm_size if options.shm_size is not None else 64 << 20
        defaults.append(_mount("/dev/shm", "tmpfs", "shm", [*system, "mode=1777", f"size={size}"]))
    idmap = ["idmap"] if record.id_range else []  # the engine's files have the container's ids on disk
    for name in ("resolv.conf", "hostname", "hosts"):
        placed.append(_bind(f"{directory}/{name}", f"/etc/{name}", "ro" if options.read_only else "rw", *idmap))
    if options.init:
        placed.append(_bind(TINI, INIT, "ro"))
    if options.lxcfs:
        placed.extend(_lxcfs_mounts())
    taken = {os.path.normpath(mount["Destination"]) for mount in record.mounts}
    if "/dev" in taken:
        taken.update(mount["destination"] for mount in defaults if mount["destination"].startswith("/dev/"))
    defaults = [mount for mount in defaults if mount["destination"] not in taken]
    placed = [mount for mount in placed if mount["destination"] not in taken]
    for index, mount in enumerate(record.mounts):
        if mount["Type"] == "tmpfs":
            placed.append(_mount(mount["Destination"], "tmpfs", "tmpfs", mount["Options"]))
        else:
            part = _part(directory, index)
            placed.append(
                _bind(
                    part if part in parts else mount["Source"],
                    mount["Destination"],
                    "rw" if mount["RW"] else "rro" if mount.get("ReadOnlyRecursive") else "ro",
                    mount["Propagation"] or "rprivate",
                    *(idmap if mount.get("IdMap") else []),
                    recursive=mount.get("Recursive", True),
                )
            )
    return defaults + sorted(placed, key=lambda mount: depth(mount["destination"]))


def depth(destination: str) -> int:
    """Return the number of names in a path. Mounts are made in the order of this depth."""
    return os.path.normpath(destination).count("/")


def _mount(destination: str, type: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": type, "source": source, "options": options}


def _bind(source: str, destination: str, *extra: str, recursive: bool = True) -> dict[str, Any]:
    propagation = (
        () if any("private" in item or "slave" in item or "shared" in item for item in extra) else ("rprivate",)
    )
    return _mount(destination, "bind", source, ["rbind" if recursive else "bind", *propagation, *extra])


def brings_init(record: Record) -> bool:
    """Return whether the init is bind-mounted from the host: --init, and no mount of the user at its path."""
    return record.options.init and all(mount["Destination"] != INIT for mount in record.mounts)


def _lxcfs_mounts() -> list[dict[str, Any]]:
    base = LXCFS
    names = ("cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime")
    mounts = [
        _bind(f"{base}/proc/{name}", f"/proc/{name}") for name in names if os.path.exists(f"{base}/proc/{name}")
    ]
    online = "/sys/devices/system/cpu"
    if os.path.exists(base + online):
        mounts.append(_bind(base + online, online))
    return mounts


def propagation(record: Record) -> dict[str, str]:
    """Return `linux.rootfsPropagation` for the user's mounts. Raises InvalidArgument if a source forbids it."""
    kinds = {mount.get("Propagation") or "" for mount in record.mounts}
    for mount in record.mounts:
        bind.check_propagation(mount["Source"], mount.get("Propagation") or "")
    if kinds & {"shared", "rshared"}:
        return {"rootfsPropagation": "rshared"}
    if kinds & {"slave", "rslave"}:
        return {"rootfsPropagation": "rslave"}
    return {}
