"""The engine's options from the flags of `run` and `create`; the engine checks their values.  [hot]"""

from __future__ import annotations

from pyctr_lite.engine.state import options as engine_options
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def from_flags(flags: Any) -> engine_options.ContainerOptions:
    """Return the engine's options for the flags. Raises InvalidArgument for --pull and for an unreadable file."""
    if flags.pull not in ("missing", "never", "always"):
        raise InvalidArgument(
            f'invalid pull option: \'{flags.pull}\': must be one of "always", "missing" or "never"'
        )
    image, *command = flags.arguments
    return engine_options.ContainerOptions(
        image=image,
        command=command,
        entrypoint=flags.entrypoint,
        name=flags.name or "",
        hostname=flags.hostname or "",
        domainname=flags.domainname or "",
        user=flags.user or "",
        workdir=flags.workdir or "",
        env=[*env_files(flags.env_file), *flags.env],
        labels=_labels(flags),
        stdin=flags.interactive,
        tty=flags.tty,
        remove=flags.rm,
        volumes=flags.volume,
        volumes_from=flags.volumes_from,
        mounts=flags.mount,
        tmpfs=flags.tmpfs,
        memory=flags.memory,
        memory_swap=flags.memory_swap,
        memory_reservation=flags.memory_reservation,
        oom_kill_disable=flags.oom_kill_disable,
        nano_cpus=flags.cpus,
        cpu_quota=flags.cpu_quota,
        cpu_period=flags.cpu_period,
        cpu_shares=flags.cpu_shares,
        cpuset_cpus=flags.cpuset_cpus or "",
        cpuset_mems=flags.cpuset_mems or "",
        pids_limit=flags.pids_limit,
        blkio_weight=flags.blkio_weight,
        device_read_bps=flags.device_read_bps,
        device_write_bps=flags.device_write_bps,
        oom_score_adj=flags.oom_score_adj,
        **_networks(flags),
        publish=flags.publish,
        publish_all=flags.publish_all,
        expose=flags.expose,
        network_rate_in=flags.network_rate_in,
        network_rate_out=flags.network_rate_out,
        pid=flags.pid or "",
        ipc=flags.ipc or "",
        uts=flags.uts or "",
        userns=flags.userns or "",
        cgroupns=flags.cgroupns or "",
        cap_add=flags.cap_add,
        cap_drop=flags.cap_drop,
        privileged=flags.privileged,
        security_opt=[*flags.security_opt, *(["no-new-privileges"] if flags.no_new_privileges else [])],
        read_only=flags.read_only,
        init=flags.init,
        log_driver=flags.log_driver or "",
        log_options=dict(text.partition("=")[::2] for text in flags.log_opt),
        healthcheck=_healthcheck(flags),
        restart=flags.restart or "",
        stop_signal=flags.stop_signal or "",
        stop_timeout=flags.stop_timeout,
        add_hosts=flags.add_host,
        dns=flags.dns,
        dns_search=flags.dns_search,
        dns_options=flags.dns_option,
        ulimits=flags.ulimit,
        sysctls=dict(flags.sysctl),
        devices=flags.device,
        device_rules=flags.device_cgroup_rule,
        group_add=flags.group_add,
        shm_size=flags.shm_size,
        lxcfs=flags.lxcfs,
    )


def _networks(flags: Any) -> dict[str, Any]:
    """Return the options `network` and `networks` for the flags of networks."""
    if not (flags.ip or flags.ip6 or flags.network_alias or flags.mac_address or flags.network or flags.link):
        return {}
    from pyctr_lite.cli.container import networks

    return networks.options(flags)


def _healthcheck(flags: Any) -> dict[str, Any]:
    """Return the given parts of Docker's Config.Healthcheck."""
    test = ["CMD-SHELL", flags.health_cmd] if flags.health_cmd else []
    parts = {
        "Test": ["NONE", *test] if flags.no_healthcheck else test,
        "Interval": flags.health_interval,
        "Timeout": flags.health_timeout,
        "StartPeriod": flags.health_start_period,
        "StartInterval": flags.health_start_interval,
        "Retries": flags.health_retries,
    }
    return {key: value for key, value in parts.items() if value}


def _labels(flags: Any) -> dict[str, str]:
    texts = [*env_files(flags.label_file), *flags.label]
    return dict(text.partition("=")[::2] for text in texts)


def env_files(paths: list[str]) -> list[str]:
    """Return the pairs in the files of `--env-file` or `--label-file`."""
    if not paths:
        return []
    from pyctr_lite.cli.container import pairs_file

    return [pair for path in paths for pair in pairs_file.read(path)]


def lazy(name: str) -> Callable[[str], Any]:
    """Return a parser of `values` by its name; it imports that module when it is called."""

    def convert(text: str) -> Any:
        from pyctr_lite.cli.container import values

        return getattr(values, name)(text)

    return convert
