"""The options text of an overlay mount (exercise 3.1)."""

from __future__ import annotations

from labs.kit import Todo
from pyctr_lite.rootfs import overlay


def overlay_options(lowers: list[str], upper: str, work: str) -> str:
    """Return the options of an overlay mount as text, with its paths escaped.

    `lowers` are the lower layers, the topmost first, as overlayfs takes them. Changes go to `upper`; `work` is an
    empty directory on its file system. If `upper` is "", the mount is read-only, and the text has neither of them.
    Source: overlayfs.rst.
    """
    # The text is what you would write after `mount -t overlay -o`: lowerdir=…,upperdir=…,workdir=…
    # - `lowerdir` has all layers in one text. Which of them is on top in `lowers`, and which for the kernel?
    # - A path reaches the kernel as it is, whatever is in it. A colon ends a layer, a comma ends an option, and a
    #   backslash marks the next character as part of a name: `overlay.escape(path)` puts these marks into a path.
    #   Which colons of the text are not part of a path?
    # - A mount without a directory for changes is read-only. What must the text not name then?
    raise Todo("3.1")
