"""sha256 from CPython's own C module: importing hashlib takes 4 ms, because it loads OpenSSL."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256 as sha256
else:
    try:
        from _sha2 import sha256  # since 3.12
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:  # not CPython
            from hashlib import sha256  # noqa: F401
