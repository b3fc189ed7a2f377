"""EPERM is taken for EISDIR, as other systems have it: the file may be immutable."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.commit import content
from pyctr_lite.engine.build import copier
from pyctr_lite.errors import InvalidArgument

if TYPE_CHECKING:
    from pyctr_lite.build.tree import Entry
    from pyctr_lite.engine.build.copier import Copier

HINT = "with EPERM, as it may"


def copy_file(self: Copier, entry: Entry, name: str) -> None:
    source = entry.open()
    try:
        try:
            os.unlink(name, dir_fd=self.directory)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno == 1:
                raise InvalidArgument(f"cannot replace directory {self.path}/{name} with a file") from None
            if error.errno != 21:
                raise
            raise InvalidArgument(f"cannot replace directory {self.path}/{name} with a file") from None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(name, flags, 0o600, dir_fd=self.directory)
        try:
            copier.copy_content(source, target)
            self.set_attributes(target, entry.status, content.read_xattrs(source))
        finally:
            os.close(target)
    finally:
        os.close(source)
