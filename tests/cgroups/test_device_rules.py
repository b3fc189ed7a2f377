"""Device rules as the kernel enforces them: version 1's files and version 2's BPF program agree."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from pyctr_lite.cgroups import device_filter, devices
from pyctr_lite.cgroups.limits import Limits
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyctr_lite.cgroups.group import Group
    from tests.cgroups.conftest import Inside

NULL, ZERO, KMSG, LOOP = ("c", 1, 3), ("c", 1, 5), ("c", 1, 11), ("b", 7, 0)
READ, WRITE, BOTH = os.O_RDONLY, os.O_WRONLY, os.O_RDWR
DENY_ALL = {"allow": False, "access": "rwm"}


def rule(allow: bool, device: tuple[str, int, int] | None = None, access: str = "rwm") -> dict[str, Any]:
    if device is None:
        return {"allow": allow, "access": access}
    return {"allow": allow, "type": device[0], "major": device[1], "minor": device[2], "access": access}


@pytest.fixture
def may(
    group_of_version: Group, inside: Callable[..., Inside], tmp_path: Path
) -> Callable[[tuple[str, int, int], int], bool]:
    """Check with `may(NULL, READ)` if the rules let a process of the group open a node, device present or not."""
    if group_of_version.hierarchy.v2 is None and "devices" not in group_of_version.hierarchy.controllers:
        pytest.skip("this machine has no device rules of version 1")

    def open_node(device: tuple[str, int, int], flags: int) -> bool:
        path = tmp_path / "-".join(map(str, device))
        if not path.exists():
            os.mknod(path, 0o600 | (stat.S_IFBLK if device[0] == "b" else stat.S_IFCHR), os.makedev(*device[1:]))

        def attempt() -> int:
            try:
                os.close(os.open(path, flags | os.O_NONBLOCK))
            except OSError as error:
                return error.errno or 0
            return 0

        status = inside(group_of_version, attempt).wait()
        assert status in (0, errno.EPERM, errno.ENXIO, errno.EBUSY), os.strerror(status)
        return status != errno.EPERM

    return open_node


def test_without_rules_everything_is_allowed(group_of_version: Group, may: Callable[..., bool]) -> None:
    group_of_version.apply(Limits())
    assert may(KMSG, READ)
    assert may(LOOP, READ)


def test_the_default_rules_allow_the_standard_devices_and_no_disk(
    group_of_version: Group, may: Callable[..., bool]
) -> None:
    group_of_version.apply(Limits(devices=devices.DEFAULT))
    assert may(NULL, BOTH)
    assert may(ZERO, READ)
    assert not may(KMSG, READ)
    assert not may(LOOP, READ)


def test_a_device_can_be_allowed_for_reading_only(group_of_version: Group, may: Callable[..., bool]) -> None:
    group_of_version.apply(Limits(devices=[DENY_ALL, rule(True, KMSG, "r")]))
    assert may(KMSG, READ)
    assert not may(KMSG, WRITE)
    assert not may(KMSG, BOTH)


def test_accesses_allowed_by_two_rules_add_up(group_of_version: Group, may: Callable[..., bool]) -> None:
    group_of_version.apply(
        Limits(devices=[DENY_ALL, rule(True, KMSG, "r"), rule(True, ZERO), rule(True, KMSG, "w")])
    )
    assert may(KMSG, BOTH)


def test_the_last_rule_for_a_device_wins(group_of_version: Group, may: Callable[..., bool]) -> None:
    group_of_version.apply(Limits(devices=[DENY_ALL, rule(True, KMSG), rule(False, KMSG, "w")]))
    assert may(KMSG, READ)
    assert not may(KMSG, WRITE)


def test_one_device_can_be_forbidden_if_all_others_are_allowed(
    group_of_version: Group, may: Callable[..., bool]
) -> None:
    group_of_version.apply(Limits(devices=[rule(True), rule(False, LOOP)]))
    assert may(KMSG, READ)
    assert not may(LOOP, READ)


def test_a_star_matches_any_number(group_of_version: Group, may: Callable[..., bool]) -> None:
    group_of_version.apply(Limits(devices=[DENY_ALL, rule(True, ("b", 7, -1))]))
    assert may(LOOP, READ)
    assert not may(KMSG, READ)


def test_the_rules_apply_to_child_groups(
    group_of_version: Group, may: Callable[..., bool], inside: Callable[..., Inside], tmp_path: Path
) -> None:
    group_of_version.apply(Limits(devices=[rule(True), rule(False, LOOP)]))
    assert not may(LOOP, READ)
    below = type(group_of_version)(f"{group_of_version.path}/below", group_of_version.hierarchy)
    below.create()

    def attempt() -> int:
        try:
            os.close(os.open(tmp_path / "b-7-0", os.O_RDONLY | os.O_NONBLOCK))
        except OSError as error:
            return error.errno or 0
        return 0

    assert inside(below, attempt).wait() == errno.EPERM


def test_new_rules_of_version_2_replace_the_old_ones(group_of_version: Group, may: Callable[..., bool]) -> None:
    group_of_version.apply(Limits(devices=devices.DEFAULT))
    assert not may(KMSG, READ)
    group_of_version.apply(Limits(devices=[rule(True)]))
    assert may(KMSG, READ)


def test_loading_and_attaching_the_program_are_narrated(group_of_version: Group) -> None:
    if group_of_version.v2 is None:
        pytest.skip("version 1 has files instead of a program")
    reader, writer = os.pipe()
    explain.start(writer)
    try:
        group_of_version.apply(Limits(devices=devices.DEFAULT))
    finally:
        explain.stop()
        os.close(writer)
    with open(reader) as stream:
        steps = stream.read()
    assert "bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE" in steps
    assert f'bpf(BPF_PROG_ATTACH, "{group_of_version.v2}", BPF_CGROUP_DEVICE' in steps


def test_a_program_cannot_be_attached_to_an_ordinary_directory(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="bpf") as error:
        device_filter.attach(str(tmp_path), devices.DEFAULT)
    assert error.value.errno in (errno.EBADF, errno.EINVAL)


def test_a_rule_for_an_unknown_device_type_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="device rule"):
        device_filter.compile_rules([{"allow": True, "type": "p"}])


def test_rules_before_one_for_all_devices_are_left_out() -> None:
    """The kernel's verifier refuses instructions that can never be reached."""
    alone = device_filter.compile_rules([rule(True)])
    assert device_filter.compile_rules([rule(False, LOOP), rule(True)]) == alone


def test_rules_of_a_whitelist_change_without_forbidding_everything_in_between() -> None:
    present = ["c *:* m", "c 1:3 rwm", "c 1:11 rwm"]
    wanted = [(False, "a *:* rwm"), (True, "c *:* m"), (True, "c 1:3 rwm"), (True, "c 1:5 r"), (False, "c 1:3 w")]
    assert devices.changes(present, wanted) == [
        (False, "c 1:11 rwm"),
        (True, "c 1:5 r"),
        (False, "c 1:3 w"),
    ]
    assert devices.changes(["a *:* rwm"], wanted) == wanted
    everything = [(True, "a *:* rwm")]
    assert devices.changes(present, everything) == everything


def test_rules_change_while_the_group_has_groups_below_it(
    group_of_version: Group, may: Callable[..., bool]
) -> None:
    """Version 1 refuses a rule for all devices then, with EINVAL: two containers may have nested groups."""
    group_of_version.apply(Limits(devices=[DENY_ALL, rule(True, KMSG)]))
    below = type(group_of_version)(f"{group_of_version.path}/below", group_of_version.hierarchy)
    for directory in below.directories:
        os.mkdir(directory)  # `create` would enable controllers, and then the parent takes no process
    group_of_version.apply(Limits(devices=[DENY_ALL, rule(True, KMSG, "r"), rule(True, LOOP)]))
    assert may(KMSG, READ)
    assert not may(KMSG, WRITE)
    assert may(LOOP, READ)
    below.apply(Limits(devices=[DENY_ALL, rule(True, KMSG, "r")]))
