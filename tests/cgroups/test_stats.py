"""Statistics: parsing the kernel's texts, and the numbers of a real group."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pyctr_lite.cgroups import stats
from pyctr_lite.cgroups.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.cgroups.group import Group
    from tests.cgroups.conftest import Inside

IO_STAT = "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n8:0 \n7:0 rbytes=1 wbytes=2\n"
BLKIO = "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 12288\n254:0 Total 12288\nTotal 12288\n"


def test_flat_keyed_files_are_parsed() -> None:
    assert stats.parse_keyed("usage_usec 12\nuser_usec 7\n") == {"usage_usec": 12, "user_usec": 7}
    assert stats.parse_keyed("") == {}


def test_io_stat_of_version_2_is_parsed() -> None:
    assert stats.parse_io_stat(IO_STAT) == [(8, 16, 1459200, 314773504), (7, 0, 1, 2)]
    assert stats.parse_io_stat("") == []


def test_blkio_of_version_1_is_parsed() -> None:
    assert stats.parse_blkio(BLKIO) == [(254, 0, 4096, 8192)]
    assert stats.parse_blkio("Total 0\n") == []


def test_a_busy_group_shows_its_usage_and_an_empty_group_shows_zero(
    group: Group, inside: Callable[..., Inside]
) -> None:
    before = group.stats()
    assert (before.cpu_usage_ns, before.pids, before.memory_limit, before.oom_kills) == (0, 0, None, 0)
    group.apply(Limits(memory=256 << 20, pids=10))

    def work() -> None:
        kept = bytearray(8 << 20)
        end = time.process_time() + 0.02
        while time.process_time() < end:
            kept[0] ^= 1

    assert inside(group, work).wait() == 0
    after = group.stats()
    assert after.cpu_usage_ns > 20_000_000
    assert (
        after.cpu_user_ns + after.cpu_system_ns <= after.cpu_usage_ns * 1.2 + 20_000_000
    )  # user and system are counted in ticks of 10 ms
    assert after.memory_peak > 8 << 20
    assert (after.memory_limit, after.pids_limit, after.pids) == (256 << 20, 10, 0)


def test_a_removed_group_has_zero_usage(group: Group) -> None:
    group.remove()
    assert (group.stats().cpu_usage_ns, group.stats().memory_usage) == (0, 0)
