"""Freeze, thaw and kill a whole group at once, in version 1 and in version 2."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.cgroups import freezer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.cgroups.group import Group
    from tests.cgroups.conftest import Counter, Inside


def test_a_frozen_group_stops_and_continues_when_thawed(
    group_of_version: Group, inside: Callable[..., Inside], counter: Counter
) -> None:
    inside(group_of_version, counter.count)
    assert counter.grows()
    assert not group_of_version.frozen()
    group_of_version.freeze()
    assert group_of_version.frozen()
    assert not counter.grows(seconds=0.1)
    group_of_version.thaw()
    assert not group_of_version.frozen()
    assert counter.grows()


def test_sigkill_reaches_a_frozen_process_in_version_2_and_waits_in_version_1(
    group_of_version: Group, inside: Callable[..., Inside], counter: Counter
) -> None:
    process = inside(group_of_version, counter.count)
    assert counter.grows()
    group_of_version.freeze()
    os.kill(process.pid, signal.SIGKILL)
    if group_of_version.v2:
        assert process.ended()
    else:
        assert not process.ended(seconds=0.1)
        group_of_version.thaw()
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("frozen", [False, True])
def test_kill_ends_all_processes_of_a_group_frozen_or_not(
    group_of_version: Group, inside: Callable[..., Inside], counter: Counter, frozen: bool
) -> None:
    reader, writer = os.pipe()

    def family() -> None:
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                os.fork()
                os.write(writer, b".")
                time.sleep(60)
        counter.count()

    process = inside(group_of_version, family)
    os.close(writer)
    seen = b""
    while len(seen) < 6:
        seen += os.read(reader, 6)
    os.close(reader)
    assert len(group_of_version.pids()) == 7
    if frozen:
        group_of_version.freeze()
    group_of_version.kill()
    assert process.wait() == -signal.SIGKILL
    group_of_version.remove()  # waits for all other processes: EBUSY if one is left


def test_killing_a_half_made_group_does_nothing(group: Group) -> None:
    """Such a group is left if its creator is killed between two hierarchies."""
    for directory in group.directories[1:]:
        os.rmdir(directory)
    group.kill()
    group.kill(signal.SIGTERM)
    group.remove()
    assert not group.exists()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", ["thaw", "SIGKILL", "SIGTERM"])
def test_a_group_that_is_removed_meanwhile_has_nothing_to_thaw_or_kill(
    group_of_version: Group, call: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its file is opened the error is ENOENT, then ENODEV. Here by the kernel, at the first write."""
    opened, written = os.open, os.write

    def remove() -> None:
        monkeypatch.undo()
        group_of_version.remove()

    def open_after_removal(path: str, flags: int) -> int:
        if flags & os.O_WRONLY:
            remove()
        return opened(path, flags)

    def write_after_removal(fd: int, data: bytes) -> int:
        remove()
        return written(fd, data)

    if moment == "before":
        monkeypatch.setattr("pyctr_lite.linux.kernelfile.os.open", open_after_removal)
    else:
        monkeypatch.setattr("pyctr_lite.linux.kernelfile.os.write", write_after_removal)
    if call == "thaw":
        group_of_version.thaw()
    else:
        group_of_version.kill(signal.Signals[call])
    assert not group_of_version.exists()


def test_kill_leaves_other_groups_alone(group_of_version: Group, counter: Counter) -> None:
    pid = os.fork()
    if pid == 0:
        counter.count()
    group_of_version.kill()
    assert counter.grows()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_signal_to_a_group_reaches_all_and_a_frozen_group_stays_frozen(
    group_of_version: Group, inside: Callable[..., Inside], counter: Counter, frozen: bool
) -> None:
    process = inside(group_of_version, counter.count)
    assert counter.grows()
    if frozen:
        group_of_version.freeze()
    group_of_version.kill(signal.SIGTERM)
    if frozen and group_of_version.v2:  # a fatal signal thaws the process briefly, so that it can end
        assert process.ended()
        freezer.wait_for_event(group_of_version.v2, "frozen 1", 5)
    assert group_of_version.frozen() is frozen
    group_of_version.thaw()
    assert process.wait() == -signal.SIGTERM


@pytest.mark.parametrize("frozen", [False, True])
def test_a_signal_that_cannot_be_sent_does_not_change_if_the_group_is_frozen(
    group_of_version: Group, inside: Callable[..., Inside], counter: Counter, frozen: bool
) -> None:
    inside(group_of_version, counter.count)
    assert counter.grows()
    if frozen:
        group_of_version.freeze()
    with pytest.raises(OSError, match="Invalid argument"):
        group_of_version.kill(9999)
    assert group_of_version.frozen() is frozen
    assert counter.grows(seconds=0.1) is not frozen
    group_of_version.thaw()


def test_a_group_that_does_not_freeze_in_time_is_thawed_again(
    group_of_version: Group,
    inside: Callable[..., Inside],
    counter: Counter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that waits for a dead disk causes it; here the timeout is negative instead."""
    inside(group_of_version, counter.count)
    assert counter.grows()
    monkeypatch.setattr(freezer, "TIMEOUT", -1.0)
    monkeypatch.setattr(freezer, "frozen", lambda group: False)
    if group_of_version.v2:
        monkeypatch.setattr(freezer, "wait_for_event", _too_late)
    with pytest.raises(TimeoutError):
        group_of_version.freeze()
    monkeypatch.undo()
    assert not group_of_version.frozen()
    assert counter.grows()


def _too_late(directory: str, line: str, seconds: float) -> None:
    raise TimeoutError(directory)
