"""Check a new container's options, with the same rules for the command line and the Python API.  [hot]

If Docker has the same rule, the message is Docker's; a message of Docker's client names the flag.
"""

from __future__ import annotations

from pyctr_lite.engine.state import limits
from pyctr_lite.engine.state.options import check_types, split_variable
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import signals
from pyctr_lite.runtime import capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.state.options import ContainerOptions

_MODES = {
    "pid": ("private", "host", "container:"),
    "ipc": ("private", "host", "none", "shareable", "container:"),
    "userns": ("host", "auto", "auto:size=", "container:"),
    "uts": ("private", "host", "container:"),
    "cgroupns": ("private", "host"),
}
"""The modes of each namespace; a mode that ends in a colon or an equals sign needs a value."""
_ZERO_IS_NONE = (
    "memory",
    "memory_swap",
    "memory_reservation",
    "cpu_shares",
    "pids_limit",
    "blkio_weight",
    "shm_size",
)
_CHECKED_EACH = (
    *("ulimits", "devices", "device_rules", "device_read_bps", "device_write_bps"),
    *("sysctls", "dns", "dns_search", "add_hosts"),
)
"""Rare options whose values are checked one by one; their checks are imported only if one is given."""


def validate(options: ContainerOptions) -> None:
    """Check the options that do not depend on the image, and convert them to the form that a record keeps.

    The content of a seccomp profile replaces the path of its file. Raises InvalidArgument.
    """
    check_types(options)
    for name in _ZERO_IS_NONE:
        if getattr(options, name) == 0:
            setattr(options, name, None)
    _set_network(options)
    _check_modes(options)
    _check_limits(options)
    if options.workdir and not options.workdir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{options.workdir}' is invalid, it needs to be an absolute path"
        )
    for item in options.env:
        split_variable(item)
    for name, value in options.labels.items():
        _check_label(name, value)
    for name in (*options.cap_add, *options.cap_drop):
        full = "CAP_" + name.upper().removeprefix("CAP_")
        if full != "CAP_ALL" and full not in capabilities.NUMBERS:
            raise InvalidArgument(
                f"invalid capability: {name}", "capabilities(7) lists them; ALL means all of them"
            )
    for name in _CHECKED_EACH:
        if getattr(options, name):
            from pyctr_lite.engine.creation import values

            values.check_each(name, getattr(options, name))
    options.ulimits = list({item[0]: item for item in options.ulimits}.values())  # the last one counts
    _check_behaviour(options)


def _set_network(options: ContainerOptions) -> None:
    """Set the mode and the networks. The commonest options are not worth an import."""
    if options.network in ("", "bridge", "default", "none", "host") and not (
        options.networks or options.publish or options.publish_all or options.expose
    ):
        if options.network in ("", "bridge", "default"):
            options.network, options.networks = "bridge", {"bridge": {}}
        if not (options.network_rate_in or options.network_rate_out):
            return
    from pyctr_lite.engine.creation import networks

    networks.normalize(options)


def _check_modes(options: ContainerOptions) -> None:
    for name, modes in _MODES.items():
        value = getattr(options, name)
        if value and not any(
            value.startswith(mode) and value != mode if mode[-1] in ":=" else value == mode for mode in modes
        ):
            shown = (mode + {":": "ID", "=": "N"}.get(mode[-1], "") for mode in modes)
            raise InvalidArgument(f"invalid {name} mode: {value}", f"--{name} takes {', '.join(shown)}")
    if options.uts == "host" and options.hostname:
        raise InvalidArgument(
            "conflicting options: hostname and the UTS mode", "the hostname belongs to the host's UTS namespace"
        )
    if options.network == "container:":
        raise InvalidArgument("invalid network mode: container:", "--network container:ID needs a container")
    if options.network.startswith("container:"):
        for flag, value in (("hostname", options.hostname), ("add-host", options.add_hosts)):
            if value:
                raise InvalidArgument(
                    f"conflicting options: --{flag} and --network {options.network}",
                    "they belong to the container whose network is used",
                )


def _check_limits(options: ContainerOptions) -> None:
    if options.nano_cpus is not None and (options.cpu_quota is not None or options.cpu_period is not None):
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set")
    if (options.dns or options.dns_search or options.dns_options) and options.network.startswith("container:"):
        raise InvalidArgument(
            "conflicting options: dns and the network mode", "the other container's resolv.conf is used"
        )
    limits.check(options)
    limits.check_swap(options)
    if options.oom_score_adj is not None and not -1000 <= options.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {options.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if options.shm_size is not None and options.shm_size < 0:
        raise InvalidArgument("SHM size can not be less than 0")


def _check_label(name: str, value: str) -> None:
    text = f"{name}={value}" if value else name
    if not name.strip():
        raise InvalidArgument(f"invalid label '{text}': empty name")
    if name.split() != [name]:
        raise InvalidArgument(f"label '{text}' contains whitespaces", "only its value may")


def _check_behaviour(options: ContainerOptions) -> None:
    """Check the options for security, logs, health checks, the stop signal and restarts."""
    if options.security_opt:
        from pyctr_lite.engine.bundle import security

        options.security_opt = security.normalized(options.security_opt)
    if options.log_options or options.log_driver:
        from pyctr_lite.engine.log import options as log_options

        options.log_driver = options.log_driver or log_options.JSON_FILE
        size, files = log_options.parse(options.log_driver, options.log_options)
        options.log_max_size, options.log_max_files = size, files
    elif (options.log_max_size, options.log_max_files) != (0, 1):
        raise InvalidArgument("log_max_size and log_max_files follow from log_options", "set max-size there")
    if options.healthcheck:
        from pyctr_lite.engine.life import health

        options.healthcheck = health.check(options.healthcheck)
    if options.stop_signal:
        signals.number(options.stop_signal)
    if options.restart:
        from pyctr_lite.engine.life import restart

        policy, _ = restart.parse(options.restart)
        if policy == "no":
            options.restart = ""
        elif options.remove:
            raise InvalidArgument("conflicting options: cannot specify both --restart and --rm")
