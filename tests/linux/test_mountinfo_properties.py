"""Properties of the mountinfo parser: any possible path survives a round trip."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite import linux
from pyctr_lite.linux import mountinfo

PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).map("/".__add__)


def escaped(path: str) -> str:
    """Escape a path as the kernel does (fs/proc_namespace.c, mangle)."""
    return "".join(f"\\{ord(letter):03o}" if letter in " \t\n\\#" else letter for letter in path)


@given(PATHS, PATHS, PATHS)
def test_any_path_is_parsed_back(root: str, mountpoint: str, source: str) -> None:
    line = (
        f"36 35 98:0 {escaped(root)} {escaped(mountpoint)} rw,noatime master:1 - ext4 {escaped(source)} rw,a=b\n"
    )
    one, other = mountinfo.parse(line + line)
    assert (one.root, one.mountpoint, one.source, one.fstype) == (root, mountpoint, source, "ext4")
    assert other.mountpoint == mountpoint


def test_a_strange_path_written_by_the_kernel_is_parsed_back(tmp_path: Path) -> None:
    """The path has every character that a parser might take for a line end, a separator or an escape."""
    name = "a b\tc\nd\\040#\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029 - x"
    (tmp_path / name).mkdir()
    linux.mount("tmpfs", str(tmp_path / name), "tmpfs")
    try:
        found = [mount for mount in mountinfo.mounts() if mount.mountpoint.startswith(f"{tmp_path}/")]
        assert [os.path.basename(mount.mountpoint) for mount in found] == [name]
    finally:
        linux.umount2(str(tmp_path / name))
