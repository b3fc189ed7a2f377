"""`inspect`: everything known about a container, under Docker's keys."""

from __future__ import annotations

import os

from pyctr_lite.engine.life import health, restart
from pyctr_lite.engine.report import network_settings
from pyctr_lite.errors import BrokenArchive, NotFound
from pyctr_lite.networks import DEFAULT
from pyctr_lite.rootfs import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.state.options import ContainerOptions

_MOUNT_KEYS = ("Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation")


def container(item: Container, *, size: bool = False) -> dict[str, Any]:
    """Return the object that `docker inspect` shows for a container, as far as it applies here."""
    record, options, directory = item.record, item.record.options, item.directory
    tmpfs_paths = {os.path.normpath(path) for path in _tmpfs(options)}
    shown = {
        "Id": record.id,
        "Created": record.created,
        "Path": record.args[0],
        "Args": record.args[1:],
        "State": health.state(item),
        "Image": record.image,
        "ResolvConfPath": f"{directory}/resolv.conf",
        "HostnamePath": f"{directory}/hostname",
        "HostsPath": f"{directory}/hosts",
        "LogPath": "" if options.log_driver == "none" else f"{directory}/log.jsonl",
        "Name": "/" + record.name,
        "RestartCount": item.state.RestartCount,
        "Driver": "overlay2",
        "Platform": "linux",
        "Bundle": directory,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": _host_config(item),
        "GraphDriver": {
            "Name": "overlay2",
            "Data": {
                "LowerDir": ":".join(record.layers),
                "MergedDir": f"{directory}/rootfs",
                "UpperDir": f"{directory}/upper",
                "WorkDir": f"{directory}/work",
            },
        },
        "Mounts": [
            {key: mount[key] for key in _MOUNT_KEYS if mount.get(key) is not None}
            for mount in record.mounts
            if mount["Type"] != "tmpfs" or mount["Destination"] not in tmpfs_paths
        ],
        "Config": config(item),
        "NetworkSettings": network_settings.settings(item),
    }
    if size:
        written = walk.disk_usage(f"{directory}/upper")
        shown |= {
            "SizeRw": written,
            "SizeRootFs": written + sum(walk.disk_usage(layer) for layer in record.layers),
        }
    return shown


def config(item: Container) -> dict[str, Any]:
    """Return the container's configuration in the form of an image's config, which `commit` uses."""
    record, options = item.record, item.record.options
    try:
        image_config: dict[str, Any] = item.home.images.get(record.image).config.get("config") or {}
    except (NotFound, BrokenArchive):
        image_config = {}
    if options.entrypoint is not None:
        entrypoint = [options.entrypoint] if options.entrypoint else None
        command = options.command or None
    else:
        entrypoint = image_config.get("Entrypoint")
        command = options.command or image_config.get("Cmd")
    volumes: dict[str, Any] = {**(image_config.get("Volumes") or {})}
    volumes |= {
        path: {} for path in options.volumes if ":" not in path
    }  # anonymous volumes only: an image has no others
    return {
        "Hostname": record.hostname,
        "Domainname": options.domainname,
        "User": options.user or image_config.get("User", ""),
        "AttachStdin": options.stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": options.tty,
        "OpenStdin": options.stdin,
        "StdinOnce": options.stdin,
        "Env": [item for item in record.env if not item.startswith(("HOSTNAME=", "TERM="))],
        "Cmd": command,
        "Image": record.image_name,
        "Volumes": volumes or None,
        "WorkingDir": options.workdir or image_config.get("WorkingDir", ""),
        "Entrypoint": entrypoint,
        "OnBuild": image_config.get("OnBuild"),
        "ExposedPorts": network_settings.exposed(item, image_config),
        "Labels": record.labels,
        **_healthcheck(options.healthcheck, image_config.get("Healthcheck")),
        "StopSignal": options.stop_signal or image_config.get("StopSignal", ""),
        "StopTimeout": options.stop_timeout,
    }


def _healthcheck(check: dict[str, Any], image_check: dict[str, Any] | None) -> dict[str, Any]:
    """Return the check for `inspect`; "NONE" if the image has a check and the container does not."""
    if check:
        return {"Healthcheck": {key: value for key, value in check.items() if key != "Shell"}}
    return {"Healthcheck": {"Test": ["NONE"]}} if image_check else {}


def _id_mappings(ids: list[int] | None) -> dict[str, Any]:
    """Return the id maps of a user namespace in podman's form, {} without a user namespace."""
    if not ids:
        return {}
    mapping = [f"0:{ids[0]}:{ids[1]}"]
    return {"IDMappings": {"UidMap": mapping, "GidMap": mapping}}


def _tmpfs(options: ContainerOptions) -> dict[str, str]:
    """Return the mount options of each path of `--tmpfs`, which Docker does not list under Mounts."""
    return {path: given for path, _, given in (text.partition(":") for text in options.tmpfs)}


def _host_config(item: Container) -> dict[str, Any]:
    options = item.record.options
    return {
        "Binds": [text for text in options.volumes if ":" in text] or None,
        "VolumesFrom": options.volumes_from or None,
        "Mounts": options.mounts,
        "Tmpfs": _tmpfs(options) or None,
        "NetworkMode": options.network or DEFAULT,
        "PortBindings": network_settings.port_bindings(item),
        "PublishAllPorts": options.publish_all,
        "PidMode": options.pid,
        "IpcMode": options.ipc or "private",
        "UTSMode": options.uts,
        "UsernsMode": options.userns,
        **_id_mappings(item.record.id_range),
        "CgroupnsMode": options.cgroupns or "private",
        "Cgroup": item.paths.group(item.id),
        "LogConfig": {"Type": options.log_driver or "json-file", "Config": options.log_options},
        "RestartPolicy": dict(
            zip(("Name", "MaximumRetryCount"), restart.parse(options.restart or "no"), strict=True)
        ),
        "AutoRemove": options.remove,
        "CapAdd": options.cap_add or None,
        "CapDrop": options.cap_drop or None,
        "GroupAdd": options.group_add or None,
        "Dns": options.dns,
        "DnsOptions": options.dns_options,
        "DnsSearch": options.dns_search,
        "Ulimits": [{"Name": name, "Hard": hard, "Soft": soft} for name, soft, hard in options.ulimits],
        "Sysctls": options.sysctls,
        "Devices": [
            {"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": access}
            for host, inside, access in options.devices
        ],
        "DeviceCgroupRules": options.device_rules or None,
        "ExtraHosts": options.add_hosts or None,
        "Privileged": options.privileged,
        "SecurityOpt": options.security_opt or None,
        "ReadonlyRootfs": options.read_only,
        "Init": options.init,
        "ShmSize": options.shm_size if options.shm_size is not None else 64 << 20,
        "OomKillDisable": options.oom_kill_disable,
        "OomScoreAdj": options.oom_score_adj or 0,
        "Memory": options.memory or 0,
        "MemorySwap": options.memory_swap or (2 * options.memory if options.memory else 0),
        "MemoryReservation": options.memory_reservation or 0,
        "NanoCpus": options.nano_cpus or 0,
        "CpuQuota": options.cpu_quota or 0,
        "CpuPeriod": options.cpu_period or 0,
        "CpuShares": options.cpu_shares or 0,
        "CpusetCpus": options.cpuset_cpus,
        "CpusetMems": options.cpuset_mems,
        "PidsLimit": options.pids_limit,
        "BlkioWeight": options.blkio_weight or 0,
        "NetworkRateIn": options.network_rate_in or 0,
        "NetworkRateOut": options.network_rate_out or 0,
        "BlkioDeviceReadBps": [{"Path": path, "Rate": rate} for path, rate in options.device_read_bps] or None,
        "BlkioDeviceWriteBps": [{"Path": path, "Rate": rate} for path, rate in options.device_write_bps] or None,
    }
