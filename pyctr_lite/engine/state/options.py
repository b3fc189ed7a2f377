"""What `run`, `create` and `exec` can be told: one attribute a flag, in the engine's units."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ContainerOptions:
    """The options of a new container. None or empty: what the image says, else Docker's default.

    Sizes are bytes, times seconds, `nano_cpus` is 10⁹ a CPU, `volumes`, `mounts`, `tmpfs` are texts in Docker's
    grammar of -v, --mount, --tmpfs; the namespace modes are "", "private", "host" or "container:REFERENCE"
    (`network` also "none"; `userns` is "", "host", "auto", "auto:size=N" or "container:REFERENCE"). `ulimits` are
    name, soft, hard (-1: none); `devices` path, path inside, access; `device_rules` rules as in "c 1:3 rwm";
    `healthcheck` has the keys of Docker's Config.Healthcheck; of the log, `log_options` are as they were given,
    the two after them what they say.
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
        """What differs from the defaults, for the record."""
        return {
            name: getattr(self, name) for name, default in self.DEFAULTS.items() if getattr(self, name) != default
        }


class ExecOptions:
    """The options of one more process in a running container."""

    __slots__ = ("command", "detach", "env", "privileged", "stdin", "tty", "user", "workdir")

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
        self.command, self.env, self.user, self.workdir = command, env or [], user, workdir
        self.stdin, self.tty, self.detach, self.privileged = stdin, tty, detach, privileged


def split_variable(item: str) -> tuple[str, str, str]:
    """NAME=VALUE or NAME in its parts. Fails with InvalidArgument where there is no name."""
    name, equals, value = item.partition("=")
    if not name:
        raise InvalidArgument(f"invalid environment variable: {item}", "it is NAME=VALUE or NAME")
    return name, equals, value
