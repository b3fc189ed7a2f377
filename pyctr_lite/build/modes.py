"""`COPY --chmod`: octal, or symbolic as in FreeBSD's chmod(1), which BuildKit follows.

`X` looks at the mode before the first change, `o+t` changes nothing, and `=` also clears the bits for setuid and
setgid, unless it copies the permissions of another class.
"""

from __future__ import annotations

import re
import stat

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
_ACTION = re.compile(r"([-+=])([rwxXst]*|[ugo])(?=[-+=]|$)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}


def parse(text: str) -> Callable[[int], int]:
    """Return a function from the st_mode of a file to its new permission bits. Raises InvalidArgument."""
    if number.is_digits(text):
        if not number.is_octal(text, 0o7777):
            raise InvalidArgument(
                f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
            )
        octal = int(text, 8)
        return lambda mode: octal
    clauses = [_CLAUSE.fullmatch(clause) for clause in text.split(",")]
    if not all(clauses):
        raise InvalidArgument(
            f"invalid chmod parameter: '{text}'", "octal like 0755, or symbolic like u=rwX,go=rX"
        )
    parts = [(found[1], _ACTION.findall(found[2])) for found in clauses if found]

    def change(mode: int) -> int:
        is_program = stat.S_ISDIR(mode) or mode & 0o111 != 0
        for who, actions in parts:
            for operator, permissions in actions:
                given = permissions.replace("X", "x" if is_program else "")
                mode = _change(mode, who, operator, given)
        return stat.S_IMODE(mode)

    return change


def _change(mode: int, who: str, operator: str, permissions: str) -> int:
    classes = "ugo" if not who or "a" in who else who
    bits = affected = 0
    for name in classes:
        shift = _SHIFTS[name]
        affected |= 7 << shift
        if permissions in ("u", "g", "o"):
            bits |= (mode >> _SHIFTS[permissions] & 7) << shift
            continue
        bits |= sum(value << shift for letter, value in (("r", 4), ("w", 2), ("x", 1)) if letter in permissions)
        if "s" in permissions:
            bits |= {"u": stat.S_ISUID, "g": stat.S_ISGID, "o": 0}[name]
    if "t" in permissions and classes != "o":
        bits |= stat.S_ISVTX
    if operator == "+":
        return mode | bits
    if operator == "-":
        return mode & ~bits
    if permissions in ("u", "g", "o"):
        return mode & ~affected | bits
    special = (stat.S_ISUID if "u" in classes else 0) | (stat.S_ISGID if "g" in classes else 0)
    return mode & ~(affected | special) | bits
