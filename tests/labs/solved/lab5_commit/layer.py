"""Exercises 5.3 to 5.5, solved."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter


def add_whiteout(self: LayerWriter, prefix: bytes, name: bytes) -> None:
    marker = prefix + whiteout.PREFIX + name
    self.stream.write(header.entry_header(marker, header.REGULAR, mode=0o600))


def add_entries(self: LayerWriter, directory: int, prefix: bytes) -> None:
    names = [os.fsencode(name) for name in os.listdir(directory)]
    for name in sorted(names):
        try:
            self.add_entry(directory, name, prefix)
        except FileNotFoundError:
            continue


def add_header(
    self: LayerWriter,
    path: bytes,
    type: bytes,
    status: os.stat_result,
    *,
    size: int = 0,
    linkname: bytes = b"",
    device: tuple[int, int] = (0, 0),
    xattrs: dict[str, bytes] | None = None,
) -> None:
    mtime = status.st_mtime_ns // 1_000_000_000
    if self.latest is not None and mtime > self.latest:
        mtime = self.latest
    self.stream.write(
        header.entry_header(
            path,
            type,
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            size=size,
            mtime=mtime,
            linkname=linkname,
            device=device,
            xattrs=xattrs,
        )
    )
