"""What counts in the key of a cached COPY (exercise 7.4)."""

from __future__ import annotations

import os
import stat

from labs.kit import Todo


def part_of_key(
    path: str, status: os.stat_result, content: bytes, xattrs: dict[str, bytes], *, owners: bool
) -> bytes:
    """Return the bytes with which one entry of a COPY counts in the key of its step.

    `content` is the digest of a regular file, which may have any bytes; the target of a link; and else b"".
    `xattrs` are extended attributes. A path, or the name of an attribute, may have bytes that are not UTF-8, as
    os.fsdecode shows them, but no zero byte.
    The bytes are the same if all of this is: the path, the type and the permission bits, the content, the
    attributes in any order, the number of a device (st_rdev), and with `owners` the owner and the group. If one
    of these differs, so do the bytes. Nothing else counts: no time, no size, no place. The bytes of several
    entries follow each other in one hash, so they also show where an entry ends.
    """
    # 1. A build copies a directory that it copied before. Which changes must make the step run again: another
    #    content, a mode, a time, an owner, a target of a link? `git clone` sets new times: what would it mean if
    #    they counted?
    # 2. Look at inode(7): which members of `status` say what an entry is, and which only where it lies or when it
    #    was touched? A file and a link can have the same text: does your text say which is which?
    # 3. The bytes of one entry follow those of another in one hash. If parts are put together without a mark
    #    between them, "ab" + "c" is "a" + "bc". Which byte cannot be in a path? And a digest, or the value of an
    #    attribute, may have any bytes: how does a reader know where it ends?
    # 4. The order of attributes is the file system's. Whose order should it be here?
    # 5. A name that is no UTF-8 has characters that .encode() refuses: which function of os turns it into bytes?
    raise Todo("7.4")
