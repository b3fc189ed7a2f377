"""An image whose layers use every feature: whiteouts, opaque directories, links, owners, xattrs, times."""

from __future__ import annotations

import tarfile

from tests.images.archives import directory, entry, hardlink, symlink, tar

CAPABILITY = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

LAYERS = [
    tar(
        directory("./", mtime=1000),
        directory("bin", mtime=1001),
        entry("bin/tool", b"#!/bin/sh\n", mode=0o4755, mtime=1002),
        hardlink("bin/again", "bin/tool"),
        symlink("link", "bin/tool"),
        directory("d", uid=7, gid=8, mode=0o2770, mtime=1003),
        entry("d/hidden", b"below", mtime=1004),
        entry("d/kept", b"below", uid=70000, gid=70001, mode=0o640, mtime=1005),
        directory("opaque", mtime=1006),
        entry("opaque/below", b"below", mtime=1007),
        directory("tmp", mode=0o1777, mtime=1008),
        entry("ping", b"x", pax_headers={"SCHILY.xattr.security.capability": CAPABILITY}, mtime=1009),
        entry("colour", b"x", pax_headers={"SCHILY.xattr.user.colour": "red"}, mtime=1010),
        entry("caf\udce9 \u03b1", b"names are bytes", mtime=1011),
        entry("fifo", type=tarfile.FIFOTYPE, mtime=1012),
        entry("big", b"0123456789abcdef" * 40_000, mtime=1013),
    ),
    tar(
        directory("d", uid=7, gid=8, mode=0o2770, mtime=2003),
        entry("d/.wh.hidden", mtime=0),
        entry("d/new", b"above", mtime=2001),
        directory("opaque", mtime=2006),
        entry("opaque/.wh..wh..opq", mtime=0),
        entry("opaque/above", b"above", mtime=2002),
        entry(".wh.colour", mtime=0),
    ),
    tar(entry("top", b"third", mtime=3000), entry("d/.wh.new", mtime=0)),
]
"""Bottom first."""

NAMES = [
    "big", "bin", "bin/again", "bin/tool", "caf\udce9 \u03b1", "d", "d/kept", "fifo", "link", "opaque",
    "opaque/above", "ping", "tmp", "top",
]  # fmt: skip
"""The names in the merged tree."""
