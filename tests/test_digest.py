"""sha256 works with each of the modules in which Python versions keep it."""

from __future__ import annotations

import hashlib
import importlib
import sys

import pytest

from pyctr_lite import digest


@pytest.mark.parametrize("missing", [[], ["_sha2"], ["_sha256"], ["_sha2", "_sha256"]])
def test_sha256_is_found_in_every_python(monkeypatch: pytest.MonkeyPatch, missing: list[str]) -> None:
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    try:
        again = importlib.reload(digest)
        assert again.sha256(b"x").hexdigest() == hashlib.sha256(b"x").hexdigest()
    finally:
        monkeypatch.undo()
        importlib.reload(digest)
