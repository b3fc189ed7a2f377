"""Fields of tar headers: numbers, times, pax records and names of extended attributes (tar(5))."""

from __future__ import annotations

from pyctr_lite.errors import BrokenArchive


def pax_records(content: bytes) -> dict[bytes, bytes]:
    """Parse the records `length key=value\\n` of an extended header (pax(1), section pax Extended Header)."""
    records: dict[bytes, bytes] = {}
    pieces: list[bytes] = []  # of a sparse map of version 0.0, whose keys repeat
    start = 0
    while start < len(content) and content[start]:
        length, space, _ = content[start : start + 20].partition(b" ")
        end = start + decimal(length, b"pax record") if space else 0
        record = content[start + len(length) + 1 : end]
        key, equals, value = record[:-1].partition(b"=")
        if end > len(content) or not record.endswith(b"\n") or not equals or not key:
            raise BrokenArchive("broken pax header")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            pieces.append(value)
        else:
            records[key] = value
        start = end
    if pieces:
        records[b"GNU.sparse.map"] = b",".join(pieces)
    return records


def xattr_name(key: bytes) -> str:
    """Decode the name of an extended attribute in a pax key, where GNU tar writes `=` as %3D and `%` as %25."""
    return key.replace(b"%3D", b"=").replace(b"%25", b"%").decode(errors="surrogateescape")


def number(field: bytes | memoryview, name: str) -> int:
    """Parse a number in octal digits, or in GNU's base-256 form: two's complement, marked by the top bit.

    `name` names the field in the message of BrokenArchive.
    """
    field = bytes(field)
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    digits = field.partition(b"\0")[0].strip(b" ")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        raise BrokenArchive(f"not a tar archive, or damaged: {name} is {field!r}") from None


def decimal(text: bytes, key: bytes) -> int:
    """Parse the decimal digits of the pax record `key`."""
    if not text.isdigit() or len(text) > 20:
        raise BrokenArchive(f"broken pax header: {key.decode()} is {text[:40]!r}")
    return int(text)


def nanoseconds(text: bytes) -> int:
    """Convert a pax time, decimal seconds with any fraction, to ns."""
    sign = -1 if text.startswith(b"-") else 1
    whole, _, fraction = text.lstrip(b"-").partition(b".")
    if not whole.isdigit() or (fraction and not fraction.isdigit()) or len(text) > 100:
        raise BrokenArchive(f"broken pax header: mtime is {text[:40]!r}")
    return sign * (int(whole) * 10**9 + int(fraction[:9].ljust(9, b"0")))
