"""The options text of an overlay mount (exercise 3.1)."""

from __future__ import annotations

from labs.kit import Todo
from pyctr_lite.rootfs import overlay


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    """Return the options of an overlay mount as text, with its paths escaped."""
    # The text is what you would write after `mount -t overlay -o`: lowerdir=…,upperdir=…,workdir=…
    # 1. `lowerdir` names all of `lowers`, in the order in which they come (the topmost first), with colons
    #    between them.
    # 2. A path may hold a colon or a comma itself, and a backslash: `overlay.escape(path)` marks them, so that
    #    the kernel takes them for part of a name. Which are the colons that must not be marked?
    # 3. `upperdir` and `workdir` follow, with commas between them, escaped as well.
    # 4. Where `upper` is "", the mount is read-only: the text has neither of the two.
    raise Todo("3.1")
