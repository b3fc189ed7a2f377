"""Symbolic modes of `COPY --chmod`. The expected ones are those of BuildKit (tonistiigi/dchapes-mode)."""

from __future__ import annotations

import stat

import pytest

from pyctr_lite.build import modes
from pyctr_lite.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [
        ("0711", 0o640, 0o711),
        ("+x", 0o640, 0o751),
        ("a=rX", 0o640, 0o444),
        ("a=rX", 0o711, 0o555),
        ("-x,a=rX", 0o711, 0o555),
        ("u=rwX,go=rX", stat.S_IFDIR | 0o700, 0o755),
        ("u=rwX,go=rX", stat.S_IFDIR | 0o2700, 0o755),
        ("g=u", 0o6750, 0o6770),
        ("u+s,g+s", 0o755, 0o6755),
        ("u=rwx", 0o6755, 0o2755),
        ("+t", 0o755, 0o1755),
        ("o+t", 0o755, 0o755),
        ("go-rwx", 0o1777, 0o1700),
        ("ug=rw,o=", 0o777, 0o660),
    ],
)
def test_a_mode_is_changed_as_buildkit_does(text: str, mode: int, expected: int) -> None:
    kind = mode if stat.S_IFMT(mode) else stat.S_IFREG | mode
    assert oct(modes.parse(text)(kind)) == oct(expected)


@pytest.mark.parametrize("text", ["999", "10000", "u+q", "u", "u+r,", "+r!"])
def test_a_wrong_mode_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid chmod parameter"):
        modes.parse(text)
