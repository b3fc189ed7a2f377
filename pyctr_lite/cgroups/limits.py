"""The resource limits of a container, as one value for both versions of cgroups."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Rates = list[tuple[int, int, int]]
"""(major, minor, rate) per disk, by the number of the whole disk; bytes/s or operations/s (0: no limit)."""

_RATES = {
    "device_read_bps": "throttleReadBpsDevice",
    "device_write_bps": "throttleWriteBpsDevice",
    "device_read_iops": "throttleReadIOPSDevice",
    "device_write_iops": "throttleWriteIOPSDevice",
}

_NUMBERS = {
    "cpu_quota": ("cpu", "quota"),
    "cpu_period": ("cpu", "period"),
    "cpu_shares": ("cpu", "shares"),
    "memory": ("memory", "limit"),
    "memory_swap": ("memory", "swap"),
    "memory_reservation": ("memory", "reservation"),
    "oom_kill_disable": ("memory", "disableOOMKiller"),
    "pids": ("pids", "limit"),
    "blkio_weight": ("blockIO", "weight"),
}

_TEXTS = {"cpuset_cpus": ("cpu", "cpus"), "cpuset_mems": ("cpu", "mems")}

_MAY_BE_IGNORED = {("memory", "kernel"), ("memory", "useHierarchy")}
"""Limits that a runtime may ignore: according to the OCI spec, the kernel no longer has them."""

_EMPTY: tuple[object, ...] = (None, "", [], {})


class Limits:
    """The limits of one group. None, an empty list or an empty text leaves a limit unchanged.

    `cpu_quota` (µs of CPU time per period; -1: no limit) and `cpu_period` (µs, 1000 to 1000000);
    `cpu_shares` (weight 2 to 262144, 1024 is the default: version 1's scale); `cpuset_cpus`, `cpuset_mems`
    ("0-2,4"); `memory`, `memory_swap` (memory plus swap, as Docker and OCI count), `memory_reservation` in bytes
    (-1: no limit); `oom_kill_disable`: a process waits for memory instead of being killed; `pids` (tasks; -1: no
    limit); `blkio_weight` (10 to 1000); four lists of rates for disks; `hugepages`: (page size such as "2MB",
    bytes); `unified`: files of version 2 and their texts; `devices`: OCI's device rules, in order; `rare`: the
    limits without an attribute, in OCI's own form (`rare.py`).
    Source: OCI runtime-spec config-linux.md.
    """

    __slots__ = (
        "blkio_weight",
        "cpu_period",
        "cpu_quota",
        "cpu_shares",
        "cpuset_cpus",
        "cpuset_mems",
        "device_read_bps",
        "device_read_iops",
        "device_write_bps",
        "device_write_iops",
        "devices",
        "hugepages",
        "memory",
        "memory_reservation",
        "memory_swap",
        "oom_kill_disable",
        "pids",
        "rare",
        "unified",
    )

    def __init__(
        self,
        *,
        cpu_quota: int | None = None,
        cpu_period: int | None = None,
        cpu_shares: int | None = None,
        cpuset_cpus: str = "",
        cpuset_mems: str = "",
        memory: int | None = None,
        memory_swap: int | None = None,
        memory_reservation: int | None = None,
        oom_kill_disable: bool = False,
        pids: int | None = None,
        blkio_weight: int | None = None,
        device_read_bps: Rates | None = None,
        device_write_bps: Rates | None = None,
        device_read_iops: Rates | None = None,
        device_write_iops: Rates | None = None,
        hugepages: list[tuple[str, int]] | None = None,
        unified: dict[str, str] | None = None,
        devices: list[dict[str, Any]] | None = None,
        rare: dict[str, Any] | None = None,
    ) -> None:
        self.cpu_quota, self.cpu_period, self.cpu_shares = cpu_quota, cpu_period, cpu_shares
        self.cpuset_cpus, self.cpuset_mems = cpuset_cpus, cpuset_mems
        self.memory, self.memory_swap, self.memory_reservation = memory, memory_swap, memory_reservation
        self.oom_kill_disable = oom_kill_disable
        self.pids = pids
        self.blkio_weight = blkio_weight
        self.device_read_bps, self.device_write_bps = device_read_bps or [], device_write_bps or []
        self.device_read_iops, self.device_write_iops = device_read_iops or [], device_write_iops or []
        self.hugepages = hugepages or []
        self.unified = unified or {}
        self.devices = devices or []
        self.rare = rare or {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Limits):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        given = [f"{name}={getattr(self, name)!r}" for name in self.__slots__ if getattr(self, name)]
        return f"Limits({', '.join(given)})"

    @classmethod
    def from_oci(cls, resources: dict[str, Any]) -> Limits:
        """Convert `linux.resources` of an OCI config. A number of 0 means "not set" there, as for other runtimes.

        Only `pids.limit` may be 0; it becomes 1, as in runc, because systemd does not accept 0: neither permits a
        fork. Properties that the spec does not have are ignored, as it requires (config.md, Extensibility).
        """
        limits = cls()
        for name, (part, key) in {**_NUMBERS, **_TEXTS}.items():
            if value := (resources.get(part) or {}).get(key):
                setattr(limits, name, value)
        for name, key in _RATES.items():
            items = (resources.get("blockIO") or {}).get(key) or []
            setattr(limits, name, [(item["major"], item["minor"], item["rate"]) for item in items])
        pids = (resources.get("pids") or {}).get("limit")
        limits.pids = pids if pids is None or pids < 0 else max(pids, 1)
        for item in resources.get("hugepageLimits") or []:
            limits.hugepages.append((item.get("pageSize") or item["pagesize"], item["limit"]))  # Go accepts both
        limits.unified = dict(resources.get("unified") or {})
        limits.devices = list(resources.get("devices") or [])
        limits.rare = _rest(resources)
        return limits

    def to_oci(self) -> dict[str, Any]:
        """Convert to `linux.resources` of an OCI config."""
        resources: dict[str, Any] = {}
        for name, (part, key) in {**_NUMBERS, **_TEXTS}.items():
            if value := getattr(self, name):
                resources.setdefault(part, {})[key] = value
        for name, key in _RATES.items():
            if rates := getattr(self, name):
                resources.setdefault("blockIO", {})[key] = [
                    {"major": major, "minor": minor, "rate": rate} for major, minor, rate in rates
                ]
        if self.hugepages:
            resources["hugepageLimits"] = [{"pageSize": size, "limit": limit} for size, limit in self.hugepages]
        if self.unified:
            resources["unified"] = dict(self.unified)
        if self.devices:
            resources["devices"] = list(self.devices)
        for part, value in self.rare.items():
            resources.setdefault(part, {}).update(value)
        return resources


def _rest(resources: dict[str, Any]) -> dict[str, Any]:
    """Return the limits for which `Limits` has no attribute, without empty ones and those that may be ignored."""
    known = {*_NUMBERS.values(), *_TEXTS.values(), *_MAY_BE_IGNORED}
    known |= {("blockIO", key) for key in _RATES.values()}
    rest = {}
    for part in ("cpu", "memory", "blockIO", "network", "rdma"):
        given = (resources.get(part) or {}).items()
        left = {key: item for key, item in given if (part, key) not in known and item not in _EMPTY}
        if left := {key: item for key, item in left.items() if item is not False}:
            rest[part] = left
    return rest
