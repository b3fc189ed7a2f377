"""The size is the inode's: a hard link seems to have data, which never comes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "which the caller gives"


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
            size=status.st_size,
            mtime=mtime,
            linkname=linkname,
            device=device,
            xattrs=xattrs,
        )
    )
