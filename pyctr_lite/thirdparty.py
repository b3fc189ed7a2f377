"""Third-party packages (rich, zstandard), made importable only where they are used.

The command starts Python with -S: without the `site` module, which takes 4 to 6 ms and is what puts
`site-packages` on `sys.path`. A verb that wants rich or zstandard calls `enable()` first, before any root
file system or namespace is entered.
"""

from __future__ import annotations

import sys

_enabled = not sys.flags.no_site


def enable() -> None:
    """Put `site-packages` on `sys.path`, as Python itself does without -S; once."""
    global _enabled
    if not _enabled:
        import site

        site.main()
        _enabled = True
