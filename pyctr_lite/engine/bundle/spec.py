"""The config.json of an OCI bundle, built from a record: Docker's defaults, changed by the container's options."""

from __future__ import annotations

import os

from pyctr_lite import jsonfile
from pyctr_lite.cgroups import devices, hierarchy, limits
from pyctr_lite.engine.bundle import mounts as bundle_mounts
from pyctr_lite.engine.bundle import privileges
from pyctr_lite.runtime import bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.state.record import Record

MASKED_PATHS = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
]
READONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
_NAMESPACES = {"network": "network", "pid": "pid", "ipc": "ipc", "uts": "uts", "cgroupns": "cgroup"}


def build(
    record: Record, directory: str, volumes: str, cgroups_path: str, joined: dict[str, int]
) -> dict[str, Any]:
    """Return the configuration for one start of a container.

    `directory` is the container's directory, `volumes` the volume store's. `joined` maps each option that is
    "container:ID" to the pid of that container.
    Source: OCI runtime spec, config.md and config-linux.md; the defaults are those of Docker's engine.
    """
    options = record.options
    own_name = options.uts != "host" and "uts" not in joined  # another container keeps its hostname
    shows_all = options.privileged or "systempaths=unconfined" in options.security_opt
    nodes, rules = _devices(options)
    parts = bundle_mounts.volume_parts(record, directory, volumes)
    args = [*([bundle_mounts.INIT, "--"] if options.init else []), *record.args]
    return {
        "ociVersion": "1.2.0" if record.id_range else "1.0.2",  # 1.2.0 is the first with the mount option idmap
        "process": {
            "terminal": options.tty,
            "user": record.account,
            "args": args,
            "env": record.env,
            "cwd": record.workdir,
            "capabilities": _capabilities(options),
            "rlimits": privileges.rlimits(options),
            "noNewPrivileges": privileges.no_new_privileges(options),
            **({} if options.oom_score_adj is None else {"oomScoreAdj": options.oom_score_adj}),
        },
        "root": {"path": "rootfs", "readonly": options.read_only},
        "hostname": record.hostname if own_name else "",
        **({"domainname": options.domainname} if options.domainname and own_name else {}),
        "mounts": bundle_mounts.of_record(record, directory, parts),
        "annotations": {
            bundle.OVERLAY_ANNOTATION: jsonfile.dumps(
                {
                    "lower": record.layers,
                    "upper": f"{directory}/upper",
                    "work": f"{directory}/work",
                    "volatile": options.remove,
                }
            ),
            **({bundle.SOURCES_ANNOTATION: jsonfile.dumps(parts)} if parts else {}),
            **({bundle.INIT_ANNOTATION: bundle_mounts.INIT} if bundle_mounts.brings_init(record) else {}),
        },
        "linux": {
            "namespaces": _namespaces(options, joined),
            **(_user_namespace(record.id_range, joined) if record.id_range else {}),
            "cgroupsPath": cgroups_path,
            "resources": _resources(options, rules),
            "devices": nodes,
            **({"sysctl": options.sysctls} if options.sysctls else {}),
            "maskedPaths": [] if shows_all else MASKED_PATHS,
            "readonlyPaths": [] if shows_all else READONLY_PATHS,
            **({"seccomp": filter} if (filter := privileges.seccomp(options)) else {}),
            **bundle_mounts.propagation(record),
        },
    }


def _devices(options: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the device nodes to create in addition to the default ones, and all device rules."""
    if not (options.devices or options.device_rules or options.privileged):
        return [], devices.DEFAULT
    from pyctr_lite.engine.bundle import device_nodes

    if options.privileged:
        return device_nodes.of_host(), [{"allow": True, "access": "rwm"}]
    nodes, rules = device_nodes.of_options(options.devices)
    return nodes, [*devices.DEFAULT, *rules, *map(device_nodes.rule, options.device_rules)]


def _capabilities(options: Any) -> dict[str, list[str]]:
    names = privileges.capability_names(options)
    # No capability is inheritable, or a file with inheritable capabilities could give it back (CVE-2022-29162).
    return {"bounding": names, "effective": names, "permitted": names, "inheritable": [], "ambient": []}


def _namespaces(options: Any, joined: dict[str, int]) -> list[dict[str, str]]:
    entries = [{"type": "mount"}]
    for option, kind in _NAMESPACES.items():
        mode = getattr(options, option)
        if mode == "host":
            continue
        if option in joined:
            name = "net" if kind == "network" else kind
            entries.append({"type": kind, "path": f"/proc/{joined[option]}/ns/{name}"})
        else:
            entries.append({"type": kind})
    if "userns" in joined:
        entries.append({"type": "user", "path": f"/proc/{joined['userns']}/ns/user"})
    elif options.userns not in ("", "host"):
        entries.append({"type": "user"})
    return entries


def _user_namespace(ids: list[int], joined: dict[str, int]) -> dict[str, Any]:
    """Return the id maps of a new user namespace. A joined namespace already has its maps."""
    mapping = [{"containerID": 0, "hostID": ids[0], "size": ids[1]}]
    return {} if "userns" in joined else {"uidMappings": mapping, "gidMappings": mapping}


def _resources(options: Any, device_rules: list[dict[str, Any]]) -> dict[str, Any]:
    limit = limits.Limits()
    limit.memory = options.memory
    limit.memory_swap = options.memory_swap
    if options.memory is not None and options.memory_swap is None and hierarchy.counts_swap():
        limit.memory_swap = options.memory * 2  # as in Docker: as much swap as memory
    limit.memory_reservation = options.memory_reservation
    limit.cpu_quota, limit.cpu_period = options.cpu_quota, options.cpu_period
    if options.nano_cpus:
        limit.cpu_period = 100_000
        limit.cpu_quota = options.nano_cpus * limit.cpu_period // 10**9
    limit.cpu_shares = options.cpu_shares
    limit.cpuset_cpus, limit.cpuset_mems = options.cpuset_cpus, options.cpuset_mems
    limit.pids = options.pids_limit
    limit.blkio_weight = options.blkio_weight
    limit.device_read_bps = [_rate(item) for item in options.device_read_bps]
    limit.device_write_bps = [_rate(item) for item in options.device_write_bps]
    limit.oom_kill_disable = options.oom_kill_disable
    return limit.to_oci() | {"devices": device_rules}


def _rate(item: list[Any]) -> tuple[int, int, int]:
    path, rate = item
    number = os.stat(path).st_rdev
    return os.major(number), os.minor(number), rate
