"""DNS messages: a query is taken apart, an answer is put together (RFC 1035; EDNS0: RFC 6891).

A message is a header of 12 bytes, a question, and records. A name is a list of labels, each after its length, up
to a length of 0; a length above 191 starts a pointer to an earlier name. Queries come from the container, which is
not trusted: no pointer is ever followed, so none can lead into a loop.
"""

from __future__ import annotations

import _socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Record = tuple[int, bytes]
    """The type of a record, and its data."""

A, PTR, AAAA, OPT, ANY = 1, 12, 28, 41, 255
"""Types of records."""
IN = 1
"""The class of the Internet."""
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
"""Response codes."""
TTL = 600
"""Seconds for which an answer about a container may be kept: as Docker's."""
MIN_LIMIT, MAX_UDP, MAX_LIMIT = 512, 4096, 65535
"""Maximum bytes of an answer: over UDP without an OPT record in the query, over UDP with one, over TCP."""
UDP_SIZE = 1232
"""Bytes of a datagram that is not fragmented on the usual ways, by the agreement "DNS flag day 2020"."""

_HEADER = struct.Struct(">HHHHHH")
"""Id, flags, and the numbers of questions, answers, authorities and additional records."""
_RECORD = struct.Struct(">HHIH")
"""Type, class, time to live, and length of the data: behind a record's name."""
_RESPONSE, _OPCODE, _TRUNCATED, _RECURSION, _AVAILABLE = 0x8000, 0x7800, 0x0200, 0x0100, 0x0080
_AUTHENTIC, _UNCHECKED = 0x0020, 0x0010
_DNSSEC_OK = 0x8000
_QUESTION_NAME = b"\xc0\x0c"
"""A pointer to the name in the question."""
_PLAIN = bytes(set(range(0x21, 0x7F)) - set(b"./\\"))
"""Bytes of a label that can belong to a container's name; not "/" and ".", so that a name is safe as a file's."""


class Query:
    """A query. `question` is as it came: with its mixed case, which clients compare with the answer's (0x20).

    `name` is in lower case and without a dot at its end, or "" if no container can have it. `edns` is the size of
    answers that the client takes over UDP, or 0 without an OPT record; `error` is not 0 if no answer can be given.
    """

    __slots__ = ("class_", "dnssec", "edns", "error", "flags", "id", "kind", "name", "question")

    def __init__(self, id: int, flags: int) -> None:
        self.id, self.flags = id, flags
        self.question, self.name, self.kind, self.class_ = b"", "", 0, 0
        self.edns, self.dnssec, self.error = 0, False, NOERROR

    @property
    def limit(self) -> int:
        """The maximum number of bytes of an answer over UDP."""
        return max(MIN_LIMIT, min(self.edns, MAX_UDP))


def parse_query(message: bytes) -> Query | None:
    """Parse a query. Return None if it gets no answer: it is too short for one, or an answer itself.

    Of a query that cannot be answered, `error` is FORMERR, NOTIMP or BADVERS. A query has one question (RFC 9619).
    """
    if len(message) < _HEADER.size:
        return None
    id, flags, questions, answers, authorities, additional = _HEADER.unpack_from(message)
    if flags & _RESPONSE:
        return None
    query = Query(id, flags)
    if flags & _OPCODE:
        query.error = NOTIMP
        return query
    try:
        if questions != 1:
            raise ValueError(f"{questions} questions")
        end = _end_of_name(message, _HEADER.size, pointers=False) + 4
        if end > len(message):
            raise ValueError("the question is cut off")
        query.kind, query.class_ = struct.unpack_from(">HH", message, end - 4)
        name = message[_HEADER.size : end - 4]
        if answers or authorities or additional:
            _parse_records(query, message, end, answers + authorities, additional)
    except ValueError:
        query.error = FORMERR
        return query
    query.question, query.name = message[_HEADER.size : end], decode_name(name)
    return query


def answer(
    query: Query,
    records: Iterable[Record] = (),
    limit: int = MAX_LIMIT,
    error: int = NOERROR,
    *,
    truncated: bool = False,
) -> bytes:
    """Return the answer with these records of the question's name, as many as `limit` bytes take.

    If some are left out, or if `truncated`, the answer says so: the client asks again over TCP.
    """
    room = limit - _HEADER.size - len(query.question) - (11 if query.edns else 0)
    taken, count = b"", 0
    for kind, data in records:
        record = _QUESTION_NAME + _RECORD.pack(kind, IN, TTL, len(data)) + data
        if len(taken) + len(record) > room:
            truncated = True
            break
        taken += record
        count += 1
    flags = _RESPONSE | _AVAILABLE | query.flags & (_OPCODE | _RECURSION | _UNCHECKED) | error & 15
    header = _HEADER.pack(
        query.id,
        flags | (_TRUNCATED if truncated else 0),
        1 if query.question else 0,
        count,
        0,
        1 if query.edns else 0,
    )
    return header + query.question + taken + (_opt(UDP_SIZE, query.dnssec, error >> 4) if query.edns else b"")


def forwarded(query: Query, id: int) -> bytes:
    """Return the query for a server of the host: the same question, and nothing else that the client has sent."""
    flags = query.flags & (_RECURSION | _AUTHENTIC | _UNCHECKED)
    opt = _opt(forwarded_limit(query), query.dnssec) if query.edns else b""
    return _HEADER.pack(id, flags, 1, 0, 0, 1 if opt else 0) + query.question + opt


def forwarded_limit(query: Query) -> int:
    """Return the maximum number of bytes of an answer over UDP that `forwarded` asks for."""
    return min(query.limit, UDP_SIZE)


def is_answer(message: bytes, query: Query, id: int) -> bool:
    """Return whether a server's message answers the query that was forwarded with this id.

    A server that could not read the query may leave out the question.
    """
    if len(message) < _HEADER.size:
        return False
    given, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
    if given != id or flags & (_RESPONSE | _OPCODE) != _RESPONSE:
        return False
    if not questions:
        return not answers and flags & 15 in (FORMERR, SERVFAIL, NOTIMP, REFUSED)
    question = message[_HEADER.size : _HEADER.size + len(query.question)]
    same_name = question[:-4].lower() == query.question[:-4].lower()
    return questions == 1 and same_name and question[-4:] == query.question[-4:]


def relayed(query: Query, message: bytes, limit: int) -> bytes:
    """Return a server's answer for the client: with its own id and question; truncated if it exceeds `limit`."""
    if not struct.unpack_from(">H", message, 4)[0]:
        return answer(query, error=error_of(message))
    if len(message) > limit:
        return answer(query, error=error_of(message), truncated=True)
    rest = message[_HEADER.size + len(query.question) :]
    return struct.pack(">H", query.id) + message[2 : _HEADER.size] + query.question + rest


def error_of(message: bytes) -> int:
    """Return the response code of an answer, without the upper bits that an OPT record has."""
    return message[3] & 15


def is_truncated(message: bytes) -> bool:
    """Return whether an answer is incomplete."""
    return bool(message[2] & _TRUNCATED >> 8)


def encode_name(text: str) -> bytes:
    """Encode a name. Raises ValueError if DNS cannot express it: a label above 63 bytes, a name above 255."""
    encoded = b""
    for label in text.removesuffix(".").encode().split(b"."):
        if not 0 < len(label) < 64:
            raise ValueError(f"{text!r} is not a name of DNS")
        encoded += bytes((len(label),)) + label
    if len(encoded) > 254:
        raise ValueError(f"{text!r} is not a name of DNS")
    return encoded + b"\0"


def decode_name(name: bytes) -> str:
    """Decode a name without pointers, in lower case; "" is the root, or a name that no container can have."""
    labels, position = [], 0
    while length := name[position]:
        label = name[position + 1 : position + 1 + length]
        if label.translate(None, _PLAIN):
            return ""
        labels.append(label)
        position += 1 + length
    return b".".join(labels).decode().lower()


def address_of(name: str) -> str:
    """Return the address of a reverse name, such as 4.3.2.1.in-addr.arpa, or "" if it is not one."""
    labels = name.split(".")
    digits, domain = labels[-3::-1], labels[-2:]
    try:
        if domain == ["in-addr", "arpa"] and len(digits) == 4:
            return _socket.inet_ntop(_socket.AF_INET, _socket.inet_pton(_socket.AF_INET, ".".join(digits)))
        if domain == ["ip6", "arpa"] and len(digits) == 32 and all(len(digit) == 1 for digit in digits):
            return _socket.inet_ntop(_socket.AF_INET6, bytes.fromhex("".join(digits)))
    except (OSError, ValueError):
        pass
    return ""


def _parse_records(query: Query, message: bytes, position: int, others: int, additional: int) -> None:
    """Find the OPT record among the additional ones. Raises ValueError if a record is cut off, or for two OPT."""
    found = False
    for number in range(others + additional):
        start = position
        position = _end_of_name(message, position)
        if position + _RECORD.size > len(message):
            raise ValueError("a record is cut off")
        kind, size, more, length = _RECORD.unpack_from(message, position)
        position += _RECORD.size + length
        if position > len(message):
            raise ValueError("a record is cut off")
        if kind == OPT and number >= others:
            if found or message[start]:
                raise ValueError("two OPT records, or one with a name")
            found = True
            query.edns, query.dnssec = max(MIN_LIMIT, size), bool(more & _DNSSEC_OK)
            if more >> 16 & 0xFF:
                query.error = BADVERS


def _end_of_name(message: bytes, start: int, *, pointers: bool = True) -> int:
    """Return the offset behind a name. Raises ValueError if it is cut off, too long, or has a pointer."""
    position = start
    while position < len(message):
        length = message[position]
        position += 1 + length
        if not length:
            break
        if length >= 0xC0 and pointers:
            position += 1 - length
            break
        if length > 63:
            raise ValueError("a label of unknown kind")
    else:
        raise ValueError("a name is cut off")
    if position > len(message) or position - start > 255:
        raise ValueError("a name is cut off, or too long")
    return position


def _opt(size: int, dnssec: bool, error: int = 0) -> bytes:
    """Return an OPT record. `error` are the upper bits of the response code."""
    return b"\0" + _RECORD.pack(OPT, size, error << 24 | (_DNSSEC_OK if dnssec else 0), 0)
