"""`spec`: a config.json to start from."""

from __future__ import annotations

import os

from pyctr_lite import jsonfile
from pyctr_lite.cgroups import hierarchy
from pyctr_lite.errors import Conflict, UsageError
from pyctr_lite.oci import main
from pyctr_lite.oci.arguments import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.oci.arguments import Arguments

SUMMARY = "write a config.json to start from"
WORDS = ""
OPTIONS = (
    Option("bundle", "directory to write it to (default: this directory)", "DIRECTORY", "b"),
    Option("rootless", "for a user without privileges: with a user namespace"),
)
_CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
_NO_SUID = ["nosuid", "noexec", "nodev"]


def act(arguments: Arguments, context: main.Context) -> int:
    """Write config.json. Raises Conflict if there is one."""
    if arguments.words:
        raise UsageError(f"too many arguments: {' '.join(arguments.words)}", "see --help")
    path = os.path.join(arguments.text("bundle", "."), "config.json")
    if os.path.lexists(path):
        raise Conflict(f"File {path} exists. Remove it first")
    jsonfile.write(path, example(rootless=arguments.on("rootless")))
    return 0


def example(*, rootless: bool) -> dict[str, Any]:
    """Return the configuration of a shell on a terminal, in `rootfs`, as runc's."""
    names = ["pid", "network", "ipc", "uts", "mount"]
    if hierarchy.current().kind == "v2":
        names.append("cgroup")  # as in runc: in version 1 the container's own group is mounted without it, too
    pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    mounts = [
        _mount("/proc", "proc", "proc"),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", "devpts", pts if rootless else [*pts, "gid=5"]),
        _mount("/dev/shm", "tmpfs", "shm", [*_NO_SUID, "mode=1777", "size=65536k"]),
        _mount("/dev/mqueue", "mqueue", "mqueue", _NO_SUID),
        _mount("/sys", "sysfs", "sysfs", [*_NO_SUID, "ro"]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*_NO_SUID, "relatime", "ro"]),
    ]
    linux: dict[str, Any] = {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": name} for name in names],
        "maskedPaths": [
            *("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
            *("/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"),
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    }
    if rootless:
        # No limits: the files of the host's cgroups belong to root. The network is the host's.
        del linux["resources"]
        linux["namespaces"] = [{"type": name} for name in (*names, "user") if name != "network"]
        linux["uidMappings"] = [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
        linux["gidMappings"] = [{"containerID": 0, "hostID": os.getegid(), "size": 1}]
        mounts[5] = _mount("/sys", "none", "/sys", ["rbind", "nosuid", "noexec", "nodev", "ro"])
    return {
        "ociVersion": main.SPEC,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES),
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "pyctr",
        "mounts": mounts,
        "linux": linux,
    }


def _mount(destination: str, type: str, source: str, options: list[str] | None = None) -> dict[str, Any]:
    mount = {"destination": destination, "type": type, "source": source}
    return mount | ({"options": options} if options else {})
