"""Limits take effect: the kernel's behaviour with and without each limit."""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pyctr_lite.cgroups import controllers, events
from pyctr_lite.cgroups.group import Group
from pyctr_lite.cgroups.limits import Limits
from pyctr_lite.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cgroups.conftest import Inside

MIB = 1 << 20


def use_64_mib() -> None:
    """Touch 64 MiB of memory."""
    bytearray(os.urandom(1)) * (64 * MIB)


def text(group: Group, controller: str, file: str) -> str:
    directory = group.directory(controller)
    assert directory is not None
    return Path(directory, file).read_text().strip()


def test_a_memory_limit_kills_and_the_kill_is_counted_and_reported(
    group: Group, inside: Callable[..., Inside]
) -> None:
    group.apply(Limits(memory=24 * MIB, memory_swap=24 * MIB))
    watch = events.OomWatch(group)
    assert select.select([watch], [], [], 0)[0] == []
    assert watch.read() == 0
    assert inside(group, use_64_mib).wait() == -signal.SIGKILL
    assert select.select([watch], [], [], 60)[0] == [watch]
    assert watch.read() == 1
    assert group.oom_kills() == 1
    assert inside(group, use_64_mib).wait() == -signal.SIGKILL
    assert select.select([watch], [], [], 60)[0] == [watch]
    assert watch.read() == 1
    assert watch.read() == 0
    watch.close()
    watch.close()
    assert group.oom_kills() == 2


def test_without_a_memory_limit_nothing_is_killed(group: Group, inside: Callable[..., Inside]) -> None:
    watch = events.OomWatch(group)
    assert inside(group, use_64_mib).wait() == 0
    assert select.select([watch], [], [], 0)[0] == []
    assert (watch.read(), group.oom_kills()) == (0, 0)
    watch.close()


def test_removing_a_group_is_not_an_oom_kill(group: Group) -> None:
    watch = events.OomWatch(group)
    group.remove()
    select.select([watch], [], [], 0.05)
    assert watch.read() == 0
    watch.close()


def busy(seconds: float) -> Callable[[], None]:
    def loop() -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass

    return loop


def test_a_cpu_quota_throttles(group: Group, inside: Callable[..., Inside]) -> None:
    group.apply(Limits(cpu_quota=2_000, cpu_period=20_000))
    inside(group, busy(0.4)).wait()
    used = group.stats()
    assert used.cpu_usage_ns < 0.1e9
    assert used.cpu_throttled_periods > 3
    assert used.cpu_throttled_ns > 0


def test_without_a_quota_nothing_is_throttled(group: Group, inside: Callable[..., Inside]) -> None:
    inside(group, busy(0.2)).wait()
    assert group.stats().cpu_usage_ns > 0.02e9
    assert group.stats().cpu_throttled_periods == 0


def forks(count: int) -> Callable[[], int]:
    """Return a function that forks up to `count` children; its result is their number (0: not EAGAIN)."""

    def loop() -> int:
        made: list[int] = []
        try:
            for _ in range(count):
                pid = os.fork()
                if pid == 0:
                    signal.pause()
                made.append(pid)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                made = []
        for pid in made:
            os.kill(pid, signal.SIGKILL)
        return len(made)

    return loop


def test_a_pids_limit_makes_fork_fail_with_eagain(group: Group, inside: Callable[..., Inside]) -> None:
    group.apply(Limits(pids=4))
    assert inside(group, forks(10)).wait() == 3
    group.kill()
    group.apply(Limits(pids=-1))
    assert inside(group, forks(10)).wait() == 10


def affinity() -> int:
    return sum(1 << cpu for cpu in os.sched_getaffinity(0))


def test_a_cpuset_confines_a_group_to_its_cpus(group: Group, inside: Callable[..., Inside]) -> None:
    assert inside(group, affinity).wait() == affinity() % 256
    group.apply(Limits(cpuset_cpus="0"))
    assert inside(group, affinity).wait() == 1


def test_memory_limits_can_be_raised_and_lowered(group: Group) -> None:
    for memory, swap in ((64, 128), (256, 512), (32, 32), (48, 64), (-1, None), (16, 16), (-1, -1)):
        group.apply(
            Limits(
                memory=-1 if memory == -1 else memory * MIB,
                memory_swap=swap if swap in (None, -1) else swap * MIB,
            )
        )
        assert group.stats().memory_limit == (None if memory == -1 else memory * MIB)


def test_a_value_that_the_kernel_refuses_is_an_error_with_controller_file_and_value(group: Group) -> None:
    with pytest.raises(InvalidArgument, match=r"'999'.*cpuset\.cpus.*cpuset"):
        group.apply(Limits(cpuset_cpus="999"))
    with pytest.raises(InvalidArgument, match=r"cpu"):
        group.apply(Limits(cpu_period=100_000_000))


def test_a_disk_is_limited_and_a_missing_disk_is_refused(group: Group) -> None:
    with pytest.raises(InvalidArgument) as error:
        group.apply(Limits(device_read_bps=[(4000, 1, MIB)]))
    assert error.value.hint == "there is no disk 4000:1"
    major, minor = map(int, next(Path("/sys/block").iterdir()).joinpath("dev").read_text().split(":"))
    group.apply(Limits(device_read_bps=[(major, minor, MIB)], device_write_iops=[(major, minor, 9)]))
    file = "io.max" if group.hierarchy.kind == "v2" else "blkio.throttle.read_bps_device"
    assert str(MIB) in text(group, "io", file)


def test_a_write_rate_slows_the_disk_down(group: Group, inside: Callable[..., Inside], tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    disk = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    if (disk / "partition").exists():
        disk = disk.parent  # only a whole disk has a queue, which is what the kernel limits
    if not (disk / "queue").exists():
        pytest.skip("the temporary directory is not on a disk")
    major, minor = map(int, (disk / "dev").read_text().split(":"))

    def write() -> int:
        import mmap

        page = mmap.mmap(-1, 64 << 10)
        fd = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
        began = time.monotonic()
        for _ in range(8):
            os.write(fd, page)
        return min(int((time.monotonic() - began) * 100), 255)

    assert any(inside(group, write).wait() < 25 for _ in range(20))  # other processes use the disk, too
    group.apply(Limits(device_write_bps=[(major, minor, MIB)]))
    assert inside(group, write).wait() >= 25  # 512 KiB at 1 MiB/s, less the burst that the kernel allows at first


def test_a_missing_controller_is_an_error_that_names_it(group: Group) -> None:
    without = [mount for mount in group.hierarchy.mounts if "memory" not in mount.controllers]
    poorer = Group(group.path, type(group.hierarchy)(without))
    with pytest.raises(InvalidArgument, match=r"no cgroup controller memory.*memory\.limit_in_bytes"):
        poorer.apply(Limits(memory=MIB))
    poorer.apply(Limits())


@pytest.mark.parametrize(
    ("file", "hint"),
    [
        ("memory.memsw.limit_in_bytes", "swapaccount=1"),
        ("memory.swap.max", "swapaccount=1"),
        ("io.weight", "bfq"),
        ("hugetlb.3MB.max", "hugepages"),
        ("cpu.max", ""),
    ],
)
def test_a_missing_file_is_an_error_that_names_the_missing_kernel_feature(file: str, hint: str) -> None:
    error = controllers.refused("x", f"/sys/fs/cgroup/g/{file}", "1", FileNotFoundError(errno.ENOENT, "no"))
    assert file in error.message
    assert hint in error.hint


def test_a_weight_is_set_if_the_kernel_has_weights_and_else_an_error(group: Group) -> None:
    directory = group.directory("io")
    assert directory is not None
    paths = [Path(directory, name) for name in ("blkio.bfq.weight", "io.bfq.weight", "io.weight")]
    if existing := [path for path in paths if path.exists()]:
        group.apply(Limits(blkio_weight=300))
        assert "300" in existing[0].read_text() or existing[0].name == "io.weight"
    else:
        with pytest.raises(InvalidArgument) as error:
            group.apply(Limits(blkio_weight=300))
        assert "bfq" in error.value.hint


def test_unified_files_need_their_controller_in_version_2(group: Group) -> None:
    if group.hierarchy.kind == "v2":
        group.apply(Limits(unified={"memory.high": "64M"}))
        assert text(group, "memory", "memory.high") == str(64 * MIB)
    else:
        with pytest.raises(InvalidArgument, match=r"memory\.high"):
            group.apply(Limits(unified={"memory.high": "64M"}))


def test_unified_can_set_the_files_without_a_controller(group: Group) -> None:
    if group.v2 is None:
        pytest.skip("this machine has no cgroups of version 2")
    group.apply(Limits(unified={"cgroup.max.descendants": "3"}))
    assert Path(group.v2, "cgroup.max.descendants").read_text() == "3\n"


@pytest.fixture
def hugetlb(group: Group) -> Iterator[tuple[Group, str]]:
    """Return the group and a page size. The root's `cgroup.subtree_control` is restored after the test."""
    mount = group.hierarchy.of("hugetlb")
    sizes = [path.name for path in Path("/sys/kernel/mm/hugepages").glob("hugepages-2048kB")]
    if mount is None or mount.version == 1 or not sizes:
        pytest.skip("this machine has no hugetlb controller of version 2")
    control = Path(mount.mountpoint, "cgroup.subtree_control")
    before = control.read_text().split()
    yield group, "2MB"
    if "hugetlb" not in before:
        group.kill()
        group.remove()
        Group(os.path.dirname(group.path), group.hierarchy).remove()
        control.write_text("-hugetlb")


def test_a_controller_of_version_2_is_enabled_when_a_limit_needs_it(hugetlb: tuple[Group, str]) -> None:
    group, size = hugetlb
    group.apply(Limits(hugepages=[(size, 4 * MIB)]))
    assert text(group, "hugetlb", f"hugetlb.{size}.max") == str(4 * MIB)
    assert text(group, "hugetlb", f"hugetlb.{size}.rsvd.max") == str(4 * MIB)
    with pytest.raises(InvalidArgument, match="hugetlb"):
        group.apply(Limits(hugepages=[("3MB", MIB)]))


def test_a_controller_cannot_be_enabled_below_a_group_that_has_processes(
    hugetlb: tuple[Group, str], inside: Callable[..., Any]
) -> None:
    group, size = hugetlb
    assert group.v2 is not None
    below = Group(f"{group.path}/below", group.hierarchy.only(2))
    os.mkdir(f"{group.v2}/below")  # `create` would enable controllers, and then the parent takes no process
    process = inside(group, signal.pause)
    deadline = time.monotonic() + 60
    while process.pid not in group.pids() and time.monotonic() < deadline:
        time.sleep(0.001)
    with pytest.raises(InvalidArgument, match=r"cannot enable.*hugetlb") as error:
        below.apply(Limits(hugepages=[(size, 4 * MIB)]))
    assert "processes of its own" in error.value.hint
    process.kill()
    below.apply(Limits(hugepages=[(size, 4 * MIB)]))


def test_a_process_joins_the_leaf_group_of_a_container_that_divided_its_group(
    hugetlb: tuple[Group, str], inside: Callable[..., Any]
) -> None:
    """systemd does so in a container; version 2 then takes processes only in leaf groups."""
    group, size = hugetlb
    assert group.hierarchy.v2 is not None
    leaf = Group(f"{group.path}/leaf", group.hierarchy)
    leaf.create()
    leaf.apply(Limits(hugepages=[(size, 4 * MIB)]))
    first, second = inside(leaf, signal.pause), inside(None, signal.pause)
    deadline = time.monotonic() + 60
    while first.pid not in leaf.pids() and time.monotonic() < deadline:
        time.sleep(0.001)
    with pytest.raises(OSError, match=r"cgroup\.procs") as error:
        group.add(second.pid)
    assert error.value.errno == errno.EBUSY
    group.add(second.pid, beside=first.pid)
    assert controllers.group_of(second.pid, group.hierarchy.v2) == leaf.v2
    group.kill()
    assert {first.wait(), second.wait()} == {-signal.SIGKILL}
