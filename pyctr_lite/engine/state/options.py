"""Options of `run`, `create` and `exec`: one attribute per flag, in the engine's units.  [hot]"""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Options(Protocol):
        """Options with the default of each."""

        DEFAULTS: dict[str, Any]


class ContainerOptions:
    """The options of a new container. None or empty: the image's value, else Docker's default.

    Sizes are in bytes, times in seconds, and `nano_cpus` is 10⁹ for one CPU. `volumes`, `mounts` and `tmpfs` are
    strings in Docker's grammar of -v, --mount and --tmpfs, `volumes_from` of --volumes-from, `publish` and
    `expose` in that of -p and --expose. The namespace modes are "", "private", "host" or "container:REFERENCE"
    (`userns` is "", "host", "auto", "auto:size=N" or "container:REFERENCE"). `network` is "none", "host",
    "container:REFERENCE" or the name of a network ("": the default one). `networks` are several, by name; each is
    a dict that may have ip, ip6, mac and aliases (a list). `network_rate_in` and `network_rate_out` are in bytes
    per second. `ulimits` are (name, soft, hard), -1 for no limit; `devices` (path, path inside, access);
    `device_read_bps` and `device_write_bps` (path, bytes per second); `device_rules` strings like "c 1:3 rwm".
    `healthcheck` has the keys of Docker's Config.Healthcheck. `log_options` are the values of --log-opt; the
    engine derives `log_max_size` and `log_max_files` from them.
    """

    DEFAULTS: dict[str, Any] = {
        "image": "",
        "command": [],
        "entrypoint": None,
        "name": "",
        "hostname": "",
        "domainname": "",
        "user": "",
        "workdir": "",
        "env": [],
        "labels": {},
        "stdin": False,
        "tty": False,
        "remove": False,
        "volumes": [],
        "volumes_from": [],
        "mounts": [],
        "tmpfs": [],
        "memory": None,
        "memory_swap": None,
        "memory_reservation": None,
        "oom_kill_disable": False,
        "nano_cpus": None,
        "cpu_quota": None,
        "cpu_period": None,
        "cpu_shares": None,
        "cpuset_cpus": "",
        "cpuset_mems": "",
        "pids_limit": None,
        "blkio_weight": None,
        "device_read_bps": [],
        "device_write_bps": [],
        "oom_score_adj": None,
        "network": "",
        "networks": {},
        "publish": [],
        "publish_all": False,
        "expose": [],
        "network_rate_in": None,
        "network_rate_out": None,
        "pid": "",
        "ipc": "",
        "uts": "",
        "userns": "",
        "cgroupns": "",
        "cap_add": [],
        "cap_drop": [],
        "privileged": False,
        "security_opt": [],
        "read_only": False,
        "healthcheck": {},
        "init": False,
        "log_driver": "",
        "log_options": {},
        "log_max_size": 0,
        "log_max_files": 1,
        "restart": "",
        "stop_signal": "",
        "stop_timeout": None,
        "add_hosts": [],
        "dns": [],
        "dns_search": [],
        "dns_options": [],
        "group_add": [],
        "ulimits": [],
        "sysctls": {},
        "devices": [],
        "device_rules": [],
        "shm_size": None,
        "lxcfs": False,
        "labs": "",
    }
    __slots__ = tuple(DEFAULTS)

    image: str
    command: list[str]
    entrypoint: str | None
    name: str
    hostname: str
    domainname: str
    user: str
    workdir: str
    env: list[str]
    labels: dict[str, str]
    stdin: bool
    tty: bool
    remove: bool
    volumes: list[str]
    volumes_from: list[str]
    mounts: list[str]
    tmpfs: list[str]
    memory: int | None
    memory_swap: int | None
    memory_reservation: int | None
    oom_kill_disable: bool
    nano_cpus: int | None
    cpu_quota: int | None
    cpu_period: int | None
    cpu_shares: int | None
    cpuset_cpus: str
    cpuset_mems: str
    pids_limit: int | None
    blkio_weight: int | None
    device_read_bps: list[tuple[str, int]]
    device_write_bps: list[tuple[str, int]]
    oom_score_adj: int | None
    network: str
    networks: dict[str, dict[str, Any]]
    publish: list[str]
    publish_all: bool
    expose: list[str]
    network_rate_in: int | None
    network_rate_out: int | None
    pid: str
    ipc: str
    uts: str
    userns: str
    cgroupns: str
    cap_add: list[str]
    cap_drop: list[str]
    privileged: bool
    security_opt: list[str]
    read_only: bool
    healthcheck: dict[str, Any]
    init: bool
    log_driver: str
    log_options: dict[str, str]
    log_max_size: int
    log_max_files: int
    restart: str
    stop_signal: str
    stop_timeout: int | None
    add_hosts: list[str]
    dns: list[str]
    dns_search: list[str]
    dns_options: list[str]
    group_add: list[str]
    ulimits: list[tuple[str, int, int]]
    sysctls: dict[str, str]
    devices: list[tuple[str, str, str]]
    device_rules: list[str]
    shm_size: int | None
    lxcfs: bool
    labs: str

    def __init__(self, **given: Any) -> None:
        for name, default in self.DEFAULTS.items():
            value = given.pop(name, default)
            setattr(self, name, value.copy() if isinstance(value, list | dict) else value)
        if given:
            raise TypeError(f"unknown option: {', '.join(sorted(given))}")

    def to_json(self) -> dict[str, Any]:
        """Return the values that differ from the defaults, as a record keeps them."""
        return {
            name: getattr(self, name) for name, default in self.DEFAULTS.items() if getattr(self, name) != default
        }


class ExecOptions:
    """The options of `exec`: a further process in a running container."""

    DEFAULTS: dict[str, Any] = {
        "command": [],
        "env": [],
        "user": "",
        "workdir": "",
        "stdin": False,
        "tty": False,
        "detach": False,
        "privileged": False,
    }
    __slots__ = tuple(DEFAULTS)

    def __init__(
        self,
        command: list[str],
        *,
        env: list[str] | None = None,
        user: str = "",
        workdir: str = "",
        stdin: bool = False,
        tty: bool = False,
        detach: bool = False,
        privileged: bool = False,
    ) -> None:
        self.command, self.user, self.workdir = command, user, workdir
        self.env = [] if env is None else env
        self.stdin, self.tty, self.detach, self.privileged = stdin, tty, detach, privileged


def split_variable(item: str) -> tuple[str, str, str]:
    """Split NAME=VALUE or NAME into the name, "=" and the value. Raises InvalidArgument without a name."""
    name, equals, value = item.partition("=")
    if not name:
        raise InvalidArgument(f"invalid environment variable: {item}", "give NAME=VALUE or NAME")
    return name, equals, value


def check_types(options: Options) -> None:
    """Raise InvalidArgument if a value does not have its option's type. The command line passes no such value."""
    for name, default in options.DEFAULTS.items():
        value = getattr(options, name)
        if value != default and not _has_type(name, default, value):
            shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:60] + "…"
            hint = (
                "pyctr_lite.formats.units.bytes_size parses a size" if "bytes" in _type_name(name, default) else ""
            )
            raise InvalidArgument(f"{name} must be {_type_name(name, default)}, not {shown}", hint)


_NUMBERS = {
    **dict.fromkeys(("memory", "memory_reservation", "shm_size", "log_max_size"), "a number of bytes"),
    "memory_swap": "a number of bytes, or -1 for unlimited swap",
    "nano_cpus": "a number of billionths of a CPU",
    **dict.fromkeys(("cpu_quota", "cpu_period"), "a number of microseconds"),
    "pids_limit": "a number of processes, or -1 for no limit",
    **dict.fromkeys(("network_rate_in", "network_rate_out"), "a number of bytes per second"),
    "stop_timeout": "a number of seconds, or -1 to wait forever",
}
_ROWS: dict[str, tuple[type, ...]] = {
    "ulimits": (str, int, int),
    "devices": (str, str, str),
    "device_read_bps": (str, int),
    "device_write_bps": (str, int),
}


def _has_type(name: str, default: Any, value: Any) -> bool:
    if name in _ROWS:
        return isinstance(value, list) and all(
            isinstance(row, list | tuple) and tuple(map(type, row)) == _ROWS[name] for row in value
        )
    if isinstance(default, list):
        return isinstance(value, list) and all(map(_is_text, value))
    if isinstance(default, dict):
        # health.check and networks.check check the values of these two
        return isinstance(value, dict) and all(
            isinstance(key, str) and (name in ("healthcheck", "networks") or isinstance(item, str))
            for key, item in value.items()
        )
    if isinstance(default, str) or name == "entrypoint":
        return _is_text(value)
    return type(value) is (bool if isinstance(default, bool) else int)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _type_name(name: str, default: Any) -> str:
    if name in _ROWS:
        return f"a list of ({', '.join(item.__name__ for item in _ROWS[name])})"
    if isinstance(default, list):
        return "a list of strings without NUL"
    if isinstance(default, dict):
        return "a dict of strings" if name not in ("healthcheck", "networks") else "a dict"
    if isinstance(default, str) or name == "entrypoint":
        return "a string without NUL"
    return "True or False" if isinstance(default, bool) else _NUMBERS.get(name, "a whole number")
