"""A light `importlib.metadata` for urllib3, which uses it for HTTP/2 only. Python's own takes 5 ms, so it waits.

It is installed when this module is imported, unless Python's own is loaded, or may be: in a program with `site`.
"""

from __future__ import annotations

import sys

_NAME = "importlib.metadata"


def version(package: str) -> str:
    """Return the version of a package, by Python's own module."""
    remove()
    import importlib.metadata

    return importlib.metadata.version(package)


def remove() -> None:
    """Let the next import find Python's own module. Idempotent."""
    if sys.modules.get(_NAME) is sys.modules[__name__]:
        del sys.modules[_NAME]


if sys.flags.no_site:
    sys.modules.setdefault(_NAME, sys.modules[__name__])
