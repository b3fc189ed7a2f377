"""From the flags of `run` and `create` to the engine's options.  [hot]"""

from __future__ import annotations

import os

from pyctr_lite.engine.state import options as engine_options
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def from_flags(flags: Any) -> engine_options.ContainerOptions:
    """The engine's options for the flags. Fails with InvalidArgument for values that cannot be."""
    _check_modes(flags)
    if flags.cpus is not None and (flags.cpu_quota is not None or flags.cpu_period is not None):
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set")
    most = os.cpu_count() or 1  # flags.cpus are billionths
    if flags.cpus and not 10**7 <= flags.cpus <= most * 10**9:
        raise InvalidArgument(f"Range of CPUs is from 0.01 to {most}.00, as there are only {most} CPUs available")
    if flags.memory is not None and flags.memory < 6 << 20:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if 0 < (flags.memory_reservation or 0) < 6 << 20:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if flags.memory is not None and flags.memory < (flags.memory_reservation or 0):
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")
    if (flags.dns or flags.dns_search or flags.dns_option) and (flags.network or "").startswith("container:"):
        raise InvalidArgument("conflicting options: dns and the network mode", "the other container's is used")
    if flags.memory_swap is not None and flags.memory is None and flags.memory_swap > 0:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit", "add -m")
    if flags.memory_swap and 0 < flags.memory_swap < (flags.memory or 0):
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit")
    if flags.oom_score_adj is not None and not -1000 <= flags.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {flags.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    image, *command = flags.arguments
    return engine_options.ContainerOptions(
        image=image,
        command=command,
        entrypoint=flags.entrypoint,
        name=flags.name or "",
        hostname=flags.hostname or "",
        domainname=flags.domainname or "",
        user=flags.user or "",
        workdir=_absolute(flags.workdir or ""),
        env=[*env_files(flags.env_file), *flags.env],
        labels=_labels(flags),
        stdin=flags.interactive,
        tty=flags.tty,
        remove=flags.rm,
        volumes=flags.volume,
        mounts=flags.mount,
        tmpfs=flags.tmpfs,
        memory=flags.memory,
        memory_swap=flags.memory_swap or None,
        memory_reservation=flags.memory_reservation or None,
        oom_kill_disable=flags.oom_kill_disable,
        nano_cpus=flags.cpus,
        cpu_quota=flags.cpu_quota,
        cpu_period=flags.cpu_period,
        cpu_shares=flags.cpu_shares or None,
        cpuset_cpus=flags.cpuset_cpus or "",
        cpuset_mems=flags.cpuset_mems or "",
        pids_limit=flags.pids_limit or None,
        blkio_weight=flags.blkio_weight or None,
        device_read_bps=[list(item) for item in flags.device_read_bps],
        device_write_bps=[list(item) for item in flags.device_write_bps],
        oom_score_adj=flags.oom_score_adj,
        network=flags.network or "",
        pid=flags.pid or "",
        ipc=flags.ipc or "",
        uts=flags.uts or "",
        userns=flags.userns or "",
        cgroupns=flags.cgroupns or "",
        cap_add=_capabilities(flags.cap_add),
        cap_drop=_capabilities(flags.cap_drop),
        privileged=flags.privileged,
        security_opt=_security(flags),
        read_only=flags.read_only,
        init=flags.init,
        **_log(flags),
        healthcheck=_healthcheck(flags),
        restart=_restart(flags),
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
        shm_size=flags.shm_size or None,
        lxcfs=flags.lxcfs,
    )


def _check_modes(flags: Any) -> None:
    allowed = {
        "network": ("none", "private", "host", "container:"),
        "pid": ("private", "host", "container:"),
        "ipc": ("private", "host", "none", "shareable", "container:"),
        "userns": ("host", "auto", "auto:size=", "container:"),
        "uts": ("private", "host", "container:"),
        "cgroupns": ("private", "host"),
    }
    for name, modes in allowed.items():
        value = getattr(flags, name)
        if (
            not value
            or (value in modes and value[-1] not in ":=")
            or any(mode[-1] in ":=" and value.startswith(mode) and value != mode for mode in modes)
        ):
            continue
        hint = f"--{name} takes {', '.join(mode + {':': 'ID', '=': 'N'}.get(mode[-1], '') for mode in modes)}"
        raise InvalidArgument(f"invalid {name} mode: {value}", hint)
    if flags.uts == "host" and flags.hostname:
        raise InvalidArgument(
            "conflicting options: hostname and the UTS mode", "the host's UTS namespace has its name"
        )
    if (flags.network or "").startswith("container:"):
        for name in ("hostname", "add_host"):
            if getattr(flags, name):
                raise InvalidArgument(
                    f"conflicting options: --{name.replace('_', '-')} and --network {flags.network}",
                    "names belong to the container whose network it is",
                )
    if flags.pull not in ("missing", "never"):
        raise InvalidArgument(f"--pull {flags.pull}: there is no registry client yet", "load or import the image")


def _healthcheck(flags: Any) -> dict[str, Any]:
    """What is given of Docker's Config.Healthcheck."""
    given = {
        "Test": ["CMD-SHELL", flags.health_cmd] if flags.health_cmd else None,
        "Interval": flags.health_interval,
        "Timeout": flags.health_timeout,
        "StartPeriod": flags.health_start_period,
        "StartInterval": flags.health_start_interval,
        "Retries": flags.health_retries,
    }
    check = {key: value for key, value in given.items() if value}
    if (flags.health_retries or 0) < 0:
        raise InvalidArgument("--health-retries cannot be negative")
    if not flags.no_healthcheck:
        return check
    if check:
        raise InvalidArgument("--no-healthcheck conflicts with --health-* options")
    return {"Test": ["NONE"]}


def _log(flags: Any) -> dict[str, Any]:
    """The options about the log; none where nothing is asked for."""
    if not flags.log_opt and not flags.log_driver:
        return {}
    from pyctr_lite.cli.container import values as container_values

    return container_values.log(flags.log_driver or "json-file", flags.log_opt)


def _restart(flags: Any) -> str:
    """The restart policy, "" for none."""
    if not flags.restart or flags.restart == "no":
        return ""
    from pyctr_lite.engine.life import restart

    restart.parse(flags.restart)
    if flags.rm:
        raise InvalidArgument("conflicting options: cannot specify both --restart and --rm")
    return str(flags.restart)


def _security(flags: Any) -> list[str]:
    texts = [*flags.security_opt, *(["no-new-privileges"] if flags.no_new_privileges else [])]
    if not texts:
        return []
    from pyctr_lite.engine.bundle import security

    return security.normalized(texts)


def _capabilities(names: list[str]) -> list[str]:
    from pyctr_lite.runtime import capabilities

    for name in names:
        full = "CAP_" + name.upper().removeprefix("CAP_")
        if full != "CAP_ALL" and full not in capabilities.NUMBERS:
            raise InvalidArgument(f"invalid capability: {name}", "capabilities(7) lists them, ALL is all of them")
    return names


def env_files(paths: list[str]) -> list[str]:
    """The variables in files of `--env-file`."""
    if not paths:
        return []
    from pyctr_lite.cli.container import pairs_file

    return [pair for path in paths for pair in pairs_file.read(path)]


def _label(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name.strip():
        raise InvalidArgument(f"invalid label '{text}': empty name")
    if name.split() != [name]:
        raise InvalidArgument(f"label '{text}' contains whitespaces", "its value may, its name not")
    return name, value


def _absolute(path: str) -> str:
    if path and not path.startswith("/"):
        raise InvalidArgument(f"the working directory '{path}' is invalid, it needs to be an absolute path")
    return path


def late(name: str) -> Callable[[str], Any]:
    """A conversion of `container_values`, which is imported when it is called."""

    def convert(text: str) -> Any:
        from pyctr_lite.cli.container import values as container_values

        return getattr(container_values, name)(text)

    return convert


def _labels(flags: Any) -> dict[str, str]:
    return dict(_label(item) for item in [*env_files(flags.label_file), *flags.label])


def device_rate(text: str) -> tuple[str, int]:
    """The device and the bytes per second of `--device-read-bps /dev/sda:1mb`."""
    from pyctr_lite.formats import units

    path, colon, rate = text.rpartition(":")
    if not colon or not path.startswith("/dev/"):
        raise InvalidArgument(f"bad format for path: {text}", "it is /dev/PATH:RATE, as in /dev/sda:1mb")
    return path, int(units.bytes_size(rate.removesuffix("ps")))
