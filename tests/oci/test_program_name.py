"""The name of the first process: that of the program as it was asked for, if nobody else reaches the root."""

from __future__ import annotations

import subprocess

from tests.oci.conftest import Oci


def test_a_program_in_an_overlay_is_named_as_it_was_asked_for(oci: Oci) -> None:
    """In a plain directory it is executed by a descriptor, and named after the file at the end of its links."""
    oci.write("cat", "/proc/self/comm")
    assert oci("run", "-b", oci.bundle, "plain", check=True).stdout != "cat\n"
    for name in ("upper", "work"):
        (oci.directory / name).mkdir()
    root, layers = oci.bundle / "rootfs", oci.directory
    options = f"lowerdir={root},upperdir={layers / 'upper'},workdir={layers / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", root], check=True)
    try:
        assert oci("run", "-b", oci.bundle, "overlay", check=True).stdout == "cat\n"
    finally:
        subprocess.run(["umount", root], check=True)
