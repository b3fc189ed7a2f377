"""mountinfo parsed from samples of real machines, and compared with findmnt."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from pyctr_lite.linux import mountinfo

DEBIAN = """\
22 28 0:21 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
36 25 0:30 / /proc/sys/fs/binfmt_misc rw,relatime shared:14 master:2 propagate_from:3 - autofs systemd-1 rw,fd=29
90 28 0:40 / /mnt/with\\040blank\\011tab\\012line\\134back rw - tmpfs tmp\\040fs rw
91 28 0:41 / /mnt/none rw - tmpfs  rw
92 28 254:1 /var/lib/x /mnt/bind ro,noatime unbindable - ext4 /dev/vda1 rw,errors=remount-ro
"""
BTRFS = "47 1 0:43 /root / rw,noatime shared:1 - btrfs /dev/nvme0n1p3 rw,compress=zstd:1,ssd,subvol=/root\n"


def test_a_line_is_split_into_fields() -> None:
    first, root, *_ = mountinfo.parse(DEBIAN)
    assert (first.id, first.parent, first.device, first.root) == (22, 28, (0, 21), "/")
    assert (first.mountpoint, first.fstype, first.source) == ("/sys", "sysfs", "sysfs")
    assert first.options == ["rw", "nosuid", "nodev", "noexec", "relatime"]
    assert (root.device, root.super_options) == ((254, 1), ["rw", "errors=remount-ro"])


def test_propagation_is_read_from_the_optional_fields() -> None:
    assert [mount.propagation for mount in mountinfo.parse(DEBIAN)] == [
        ["shared:7"],
        ["shared:1"],
        ["shared:14", "master:2", "propagate_from:3"],
        [],
        [],
        ["unbindable"],
    ]


def test_escaped_characters_are_decoded() -> None:
    escaped = list(mountinfo.parse(DEBIAN))[3]
    assert escaped.mountpoint == "/mnt/with blank\ttab\nline\\back"
    assert escaped.source == "tmp fs"


@pytest.mark.parametrize(
    ("field", "text"),
    [("plain", "plain"), ("a\\040b", "a b"), ("\\134040", "\\040"), ("a\\x", "a\\x"), ("\\", "\\")],
)
def test_only_octal_escapes_are_decoded(field: str, text: str) -> None:
    assert mountinfo.unescape(field) == text


def test_an_empty_source_and_a_bind_mount_are_parsed() -> None:
    _, _, _, _, nothing, bind = mountinfo.parse(DEBIAN)
    assert (nothing.source, nothing.super_options) == ("", ["rw"])
    assert (bind.root, bind.options) == ("/var/lib/x", ["ro", "noatime"])


def test_a_subvolume_is_the_root_of_its_mount() -> None:
    [root] = mountinfo.parse(BTRFS)
    assert (root.root, root.super_options[1]) == ("/root", "compress=zstd:1")


def test_the_parser_agrees_with_findmnt(needs: Callable[[str], str]) -> None:
    command = [needs("findmnt"), "--json", "--list", "--output", "ID,TARGET,FSTYPE,PROPAGATION"]
    theirs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ours = {mount.id: mount for mount in mountinfo.mounts()}
    both = [entry for entry in theirs["filesystems"] if entry["id"] in ours]
    assert both
    for entry in both:
        mount = ours[entry["id"]]
        assert (mount.mountpoint, mount.fstype) == (entry["target"], entry["fstype"])
        shared = any(word.startswith("shared") for word in mount.propagation)
        assert shared == ("shared" in entry["propagation"])


def test_the_mounts_of_a_missing_process_are_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        mountinfo.mounts(2**22 + 1)
