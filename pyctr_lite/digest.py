"""sha256 from CPython's own C module: importing hashlib takes 4 ms, because it loads OpenSSL."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256 as sha256
else:
    try:
        if sys.version_info >= (3, 12):
            from _sha2 import sha256
        else:
            from _sha256 import sha256
    except ImportError:  # not CPython
        from hashlib import sha256  # noqa: F401
