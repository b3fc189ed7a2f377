"""Maps of sparse files in archives: GNU tar's old format, and its pax formats 0.0, 0.1 and 1.0.

A map takes at most MAX_MAP bytes of the archive: without a limit, a small archive could use all memory
(CVE-2025-58183).
"""

from __future__ import annotations

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import tarfield

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Pieces = list[tuple[int, int]]

MAX_MAP = 1 << 20
_BLOCK = 512


def gnu_map(header: bytes, next_block: Callable[[], bytes]) -> tuple[Pieces, int]:
    """Return the pieces and the real size of an entry of type S; `next_block` reads a block of the archive."""
    real_size = tarfield.number(header[483:495], "sparse size")
    pieces = _table(header[386:482])
    more = header[482]
    next_block = _limited(next_block)
    while more:
        block = next_block()
        pieces += _table(block[:504])
        more = block[504]
    return pieces, real_size


def pax_map(pax: dict[bytes, bytes], next_block: Callable[[], bytes]) -> tuple[Pieces, int, bytes]:
    """Return the pieces, the real size and the name from GNU.sparse.* records.

    Format 1.0 has its map in front of the data, in blocks that `next_block` reads.
    """
    size = tarfield.decimal(
        pax.get(b"GNU.sparse.realsize", pax.get(b"GNU.sparse.size", b"")), b"GNU.sparse.realsize"
    )
    if pax.get(b"GNU.sparse.major") == b"1":
        lines = _numbers(_limited(next_block))
        numbers = [next(lines) for _ in range(2 * next(lines))]
    else:
        text = pax.get(b"GNU.sparse.map", b"").strip(b",")
        numbers = [tarfield.decimal(field, b"GNU.sparse.map") for field in text.split(b",")] if text else []
    return list(zip(numbers[::2], numbers[1::2], strict=False)), size, pax.get(b"GNU.sparse.name", b"")


def check(pieces: Pieces, size: int, stored: int) -> None:
    """Raise BrokenArchive if pieces overlap, exceed the file, or do not add up to the stored bytes."""
    end = 0
    for offset, length in pieces:
        if offset < end or length < 0:
            raise BrokenArchive("broken sparse map: its pieces overlap")
        end = offset + length
    if end > size or size >= 1 << 63 or sum(length for _, length in pieces) != stored:
        raise BrokenArchive("broken sparse map: its pieces are not the file's size")


def _table(table: bytes) -> Pieces:
    fields = [table[at : at + 24] for at in range(0, len(table), 24)]
    return [
        (tarfield.number(field[:12], "offset"), tarfield.number(field[12:], "length"))
        for field in fields
        if field[0]
    ]


def _numbers(next_block: Callable[[], bytes]) -> Iterator[int]:
    """Yield the numbers of a map: decimal digits, one per line. The map fills whole blocks, so no data is read."""
    rest = b""
    while True:
        *lines, rest = (rest + next_block()).split(b"\n")
        for line in lines:
            yield tarfield.decimal(line, b"sparse map")
        if len(rest) > _BLOCK:
            raise BrokenArchive("broken sparse map: not a number per line")


def _limited(next_block: Callable[[], bytes]) -> Callable[[], bytes]:
    """Return a reader of the same blocks that raises BrokenArchive after MAX_MAP bytes."""
    left = MAX_MAP // _BLOCK

    def block() -> bytes:
        nonlocal left
        left -= 1
        if left < 0:
            raise BrokenArchive(f"a sparse file with a map of more than {MAX_MAP} bytes")
        return next_block()

    return block
