"""Context managers for a descriptor and for the umask, as plain classes: contextlib is slow to import."""

from __future__ import annotations

import os

__all__ = ["closing", "umask"]


class closing:
    """Close a descriptor when the block ends: `with linux.closing(os.open(…)) as fd:`."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> int:
        return self.fd

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


class umask:
    """Set the umask for a block, and restore it afterwards (umask(2)). The umask belongs to the whole process."""

    __slots__ = ("mask",)

    def __init__(self, mask: int) -> None:
        self.mask = mask

    def __enter__(self) -> None:
        self.mask = os.umask(self.mask)

    def __exit__(self, *_: object) -> None:
        os.umask(self.mask)
