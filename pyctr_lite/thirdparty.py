"""Third-party packages (rich, isal, zstandard), made importable on demand.

The command starts Python with -S: without the `site` module, which takes 4 to 6 ms and puts `site-packages` on
`sys.path`. A verb that uses one calls `enable()` first, before it enters a root file system or
namespace.
"""

from __future__ import annotations

import sys

_enabled = not sys.flags.no_site


def enable() -> None:
    """Put `site-packages` on `sys.path`, as Python does without -S. Idempotent."""
    global _enabled
    if not _enabled:
        import site

        site.main()
        _enabled = True
