"""Resource usage of a group, in the same units whichever version has each controller."""

from __future__ import annotations

import errno

from pyctr_lite.cgroups import controllers
from pyctr_lite.linux import kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

_UNLIMITED = 1 << 62
"""Lower bound of "no limit" in version 1, which is the largest number of whole pages below 2^63."""


class Stats:
    """The resource usage of a group: times in nanoseconds, memory in bytes, None for a limit that is not set.

    `memory_cache` is the page cache, `memory_inactive_file` the part of it that `docker stats` does not count.
    `io` has (major, minor, bytes read, bytes written) for each disk.
    """

    __slots__ = (
        "cpu_periods",
        "cpu_system_ns",
        "cpu_throttled_ns",
        "cpu_throttled_periods",
        "cpu_usage_ns",
        "cpu_user_ns",
        "io",
        "memory_cache",
        "memory_inactive_file",
        "memory_limit",
        "memory_peak",
        "memory_swap",
        "memory_usage",
        "oom_kills",
        "pids",
        "pids_limit",
    )

    def __init__(self) -> None:
        self.cpu_usage_ns = self.cpu_user_ns = self.cpu_system_ns = 0
        self.cpu_periods = self.cpu_throttled_periods = self.cpu_throttled_ns = 0
        self.memory_usage = self.memory_peak = self.memory_swap = 0
        self.memory_cache = self.memory_inactive_file = 0
        self.memory_limit: int | None = None
        self.oom_kills = 0
        self.pids = 0
        self.pids_limit: int | None = None
        self.io: list[tuple[int, int, int, int]] = []

    def __repr__(self) -> str:
        return f"Stats({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"


def read(group: Group) -> Stats:
    """Read the usage of a group. The values of a missing controller are 0."""
    stats = Stats()
    for controller, function in (("cpu", _cpu), ("cpuacct", _cpuacct), ("memory", _memory), ("io", _io)):
        mount = group.hierarchy.of(controller)
        if mount is not None:
            function(stats, mount.mountpoint + group.path, mount.version)
    if pids := group.directory("pids"):
        stats.pids = read_number(f"{pids}/pids.current") or 0
        stats.pids_limit = read_number(f"{pids}/pids.max")
    stats.oom_kills = oom_kills(group)
    return stats


def oom_kills(group: Group) -> int:
    """Count the processes of a group and of those below it that the OOM killer has killed."""
    mount = group.hierarchy.of("memory")
    if mount is None:
        return 0
    directory = mount.mountpoint + group.path
    if mount.version == 2:
        return parse_keyed(read_text(f"{directory}/memory.events")).get("oom_kill", 0)
    paths = controllers.descendants(directory)  # in version 1 each group counts only its own
    return sum(parse_keyed(read_text(f"{path}/memory.oom_control")).get("oom_kill", 0) for path in paths)


def _cpu(stats: Stats, directory: str, version: int) -> None:
    values = parse_keyed(read_text(f"{directory}/cpu.stat"))
    stats.cpu_periods = values.get("nr_periods", 0)
    stats.cpu_throttled_periods = values.get("nr_throttled", 0)
    if version == 1:
        stats.cpu_throttled_ns = values.get("throttled_time", 0)
        return
    stats.cpu_throttled_ns = values.get("throttled_usec", 0) * 1000
    stats.cpu_usage_ns = values.get("usage_usec", 0) * 1000
    stats.cpu_user_ns = values.get("user_usec", 0) * 1000
    stats.cpu_system_ns = values.get("system_usec", 0) * 1000


def _cpuacct(stats: Stats, directory: str, version: int) -> None:
    stats.cpu_usage_ns = read_number(f"{directory}/cpuacct.usage") or 0
    stats.cpu_user_ns = read_number(f"{directory}/cpuacct.usage_user") or 0
    stats.cpu_system_ns = read_number(f"{directory}/cpuacct.usage_sys") or 0


def _memory(stats: Stats, directory: str, version: int) -> None:
    values = parse_keyed(read_text(f"{directory}/memory.stat"))
    if version == 1:
        stats.memory_usage = read_number(f"{directory}/memory.usage_in_bytes") or 0
        stats.memory_limit = read_number(f"{directory}/memory.limit_in_bytes")
        stats.memory_peak = read_number(f"{directory}/memory.max_usage_in_bytes") or 0
        stats.memory_swap = values.get("total_swap", 0)
        stats.memory_cache = values.get("total_cache", 0)
        stats.memory_inactive_file = values.get("total_inactive_file", 0)
        return
    stats.memory_usage = read_number(f"{directory}/memory.current") or 0
    stats.memory_limit = read_number(f"{directory}/memory.max")
    stats.memory_peak = read_number(f"{directory}/memory.peak") or 0
    stats.memory_swap = read_number(f"{directory}/memory.swap.current") or 0
    stats.memory_cache = values.get("file", 0)
    stats.memory_inactive_file = values.get("inactive_file", 0)


def _io(stats: Stats, directory: str, version: int) -> None:
    if version == 1:
        stats.io = parse_blkio(read_text(f"{directory}/blkio.throttle.io_service_bytes_recursive"))
    else:
        stats.io = parse_io_stat(read_text(f"{directory}/io.stat"))


def parse_keyed(text: str) -> dict[str, int]:
    """Parse a "flat keyed" file, a name and a number per line: cpu.stat, memory.stat, memory.events."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def parse_io_stat(text: str) -> list[tuple[int, int, int, int]]:
    """Parse the bytes read and written per disk in version 2's io.stat: `8:0 rbytes=1 wbytes=2 rios=…`."""
    result = []
    for line in text.splitlines():
        device, _, rest = line.partition(" ")
        values = dict(item.split("=", 1) for item in rest.split() if "=" in item)
        if "rbytes" in values and ":" in device:
            major, minor = device.split(":")
            result.append((int(major), int(minor), int(values["rbytes"]), int(values["wbytes"])))
    return result


def parse_blkio(text: str) -> list[tuple[int, int, int, int]]:
    """Parse the bytes read and written per disk in version 1: `8:0 Read 1`, `8:0 Write 2`, … and a total."""
    disks: dict[tuple[int, int], dict[str, int]] = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 3:
            major, minor = fields[0].split(":")
            disks.setdefault((int(major), int(minor)), {})[fields[1]] = int(fields[2])
    return [(*device, values.get("Read", 0), values.get("Write", 0)) for device, values in disks.items()]


def read_number(path: str) -> int | None:
    """Read the number in a file; None for "max", for version 1's "no limit", and if the file does not exist."""
    text = read_text(path)
    if not text.isdecimal():
        return None
    value = int(text)
    return value if value < _UNLIMITED else None


def read_text(path: str) -> str:
    """Read a file; "" if the kernel does not have it, for example without swap accounting."""
    try:
        return kernelfile.read(path)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
            raise
        return ""
