"""`info` and `version`: facts about this machine and this engine, with Docker's keys."""

from __future__ import annotations

import os
import sys

import pyctr_lite
from pyctr_lite.cgroups import hierarchy as hierarchies
from pyctr_lite.engine.bundle import mounts as bundle_mounts
from pyctr_lite.engine.doctor import cgroups as doctor_cgroups
from pyctr_lite.engine.report import usage
from pyctr_lite.engine.state import record
from pyctr_lite.images import platforms
from pyctr_lite.linux import kernelfile, mountinfo
from pyctr_lite.runtime import capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.home import Home

OCI_RUNTIME_SPEC = "1.0.2"
"""The spec version in config.json, unless a container has a user namespace."""
_LIMITS = ("cpu", "cpuset", "memory", "pids", "io")


def info(home: Home) -> dict[str, Any]:
    """Return the keys of `docker info` that apply to this engine, and CgroupKind and CgroupControllers."""
    counts = usage.container_counts(home)
    hierarchy = hierarchies.detect()
    has = {name: hierarchy.of(controller) for name, (controller, _) in doctor_cgroups.CONTROLLERS.items()}
    release = os_release()
    machine = os.uname()
    swap = hierarchies.counts_swap()
    missing = set(capabilities.NUMBERS) - set(capabilities.bounding_set())
    warnings = [f"WARNING: No {name} controller" for name in _LIMITS if has[name] is None]
    warnings += [] if swap else ["WARNING: No swap limit support"]
    warnings += [f"WARNING: {name} is not in the bounding set" for name in sorted(missing)]
    return {
        "Containers": sum(counts.values()),
        "ContainersRunning": counts["running"],
        "ContainersPaused": counts["paused"],
        "ContainersStopped": counts["stopped"],
        "Images": len(home.images.list()),
        "Volumes": len(home.volumes.list()),
        "Driver": "overlay2",
        "DriverStatus": [["Backing Filesystem", filesystem(home.paths.root)]],
        "LoggingDriver": "json-file",
        "Swarm": {"LocalNodeState": "inactive"},
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "2" if hierarchy.kind == "v2" else "1",
        "CgroupKind": hierarchy.kind,
        "CgroupControllers": {name: mount.version for name, mount in has.items() if mount is not None},
        "MemoryLimit": has["memory"] is not None,
        "SwapLimit": swap,
        "CpuCfsPeriod": has["cpu"] is not None,
        "CpuCfsQuota": has["cpu"] is not None,
        "CPUShares": has["cpu"] is not None,
        "CPUSet": has["cpuset"] is not None,
        "PidsLimit": has["pids"] is not None,
        "SystemTime": record.now(),
        "KernelVersion": machine.release,
        "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
        "OSVersion": release.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": machine.machine,
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "DockerRootDir": home.paths.root,
        "RunDir": home.paths.run,
        "Name": machine.nodename,
        "ServerVersion": pyctr_lite.__version__,
        "DefaultRuntime": "pyctr_lite",
        "InitBinary": bundle_mounts.TINI if os.access(bundle_mounts.TINI, os.X_OK) else "",
        "SecurityOptions": ["name=seccomp,profile=builtin"],
        "Warnings": warnings,
    }


def version() -> dict[str, Any]:
    """Return the keys of `docker version`. Client and server are the same program: there is no daemon."""
    machine = os.uname()
    shared = {
        "Version": pyctr_lite.__version__,
        "Os": "linux",
        "Arch": platforms.architecture(),
        "PythonVersion": ".".join(map(str, sys.version_info[:3])),
    }
    return {
        "Client": shared,
        "Server": {**shared, "KernelVersion": machine.release, "OciRuntimeSpec": OCI_RUNTIME_SPEC},
    }


def os_release(path: str = "/etc/os-release") -> dict[str, str]:
    """Return the values of os-release(5) without quotes, or an empty dict if the file is missing."""
    try:
        text = kernelfile.read(path)
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name: value.strip("\"'") for name, equals, value in pairs if equals}


def filesystem(path: str) -> str:
    """Return the type of the file system of a path, or of its nearest parent that exists."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    device = os.stat(path).st_dev
    number = (os.major(device), os.minor(device))
    return next((mount.fstype for mount in reversed(mountinfo.mounts()) if mount.device == number), "unknown")
