"""Netlink: requests to the kernel's network stack, as messages over a socket (netlink(7), rtnetlink(7)).

A message is a header, a fixed part, and attributes: length, kind and value each. The kernel answers a request with
an error number, 0 for success, and since Linux 4.12 with a sentence that says what was wrong (NETLINK_EXT_ACK).
Python's standard library has the socket; the messages are put together here.
"""

from __future__ import annotations

import _socket
import os
import struct

from pyctr_lite.linux import explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROUTE, NETFILTER = 0, 12
"""Protocols: links, addresses, routes and queues; nf_tables and connection tracking."""
ACK, EXCL, CREATE, APPEND, DUMP = 0x4, 0x200, 0x400, 0x800, 0x300
"""Flags of a request. DUMP asks for a list."""

_REQUEST = 0x1
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, kind, flags, sequence number, port (linux/netlink.h)."""
_CAPPED, _HAS_SENTENCE = 0x100, 0x200
_SENTENCE = 1
_SOL_NETLINK, _CAP_ACK, _EXT_ACK, _STRICT_CHECK = 270, 10, 11, 12
_NESTED = 0x8000

Message = tuple[int, bytes]
"""A message of an answer: its kind, and its content without the header."""


class Socket:
    """A netlink socket. It works on the network namespace that its creator was in."""

    def __init__(self, protocol: int = ROUTE) -> None:
        self.sock = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol)
        for option in (_CAP_ACK, _EXT_ACK, _STRICT_CHECK):
            self.sock.setsockopt(_SOL_NETLINK, option, 1)
        self._serial = 0

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def request(self, text: str, kind: int, flags: int, body: bytes) -> list[Message]:
        """Send one request, narrated as `text`, and return the messages of its answer.

        Raises OSError with the kernel's error number and sentence; `text` says what was asked.
        """
        return explain.step(text, self._request, text, kind, flags, body)  # type: ignore[no-any-return]

    def batch(self, requests: Iterable[tuple[str, int, int, bytes]], begin: Message, end: Message) -> None:
        """Send several requests that succeed or fail together: a transaction of nf_tables.

        `begin` and `end` are the messages around them. Raises the error of the first that failed.
        """
        texts: dict[int, str] = {}
        packet = self._message(begin[0], 0, begin[1])
        for text, kind, flags, body in requests:
            packet += self._message(kind, flags | ACK, body)
            texts[self._serial] = text
        packet += self._message(end[0], 0, end[1])
        explain.step("; ".join(texts.values()), self._batch, packet, texts)

    def _batch(self, packet: bytes, texts: dict[int, str]) -> None:
        self.sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, max(len(packet) * 2, 1 << 16))
        self.sock.send(packet)
        waiting, failure = set(texts), None
        while waiting:
            for kind, serial, content, flags in self._receive():
                if kind == _ERROR:
                    waiting.discard(serial)
                    error = _error(content, flags, texts.get(serial, "the batch"))
                    failure = failure or error
                    if error is not None and serial not in texts:
                        raise error  # of the batch as a whole: nothing else is answered
        if failure is not None:
            raise failure

    def _request(self, text: str, kind: int, flags: int, body: bytes) -> list[Message]:
        dump = flags & DUMP == DUMP
        self.sock.send(self._message(kind, flags | (0 if dump else ACK), body))
        answer: list[Message] = []
        while True:
            for got, serial, content, got_flags in self._receive():
                if serial != self._serial:
                    continue  # of an earlier request that was interrupted
                if got in (_ERROR, _DONE):
                    if error := _error(content, got_flags, text):
                        raise error
                    return answer
                answer.append((got, content))

    def _message(self, kind: int, flags: int, body: bytes) -> bytes:
        self._serial += 1
        return message(kind, flags, self._serial, body)

    def _receive(self) -> Iterator[tuple[int, int, bytes, int]]:
        data = self.sock.recv(1 << 18)
        while data:
            length, kind, flags, serial, _ = _HEADER.unpack_from(data)
            yield kind, serial, data[_HEADER.size : length], flags
            data = data[-(-length // 4) * 4 :]


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    """Return a request: a header, and the body with zero bytes up to a multiple of four, for another behind it.

    The header is five numbers in the machine's byte order: the length of header and body without the zero bytes
    (32 bits), the kind and the flags (16 bits each), the serial number by which the kernel's answer is known, and
    a port, 0 for the kernel (32 bits each). The flags are those given and NLM_F_REQUEST, which is 1.
    Raises struct.error if a number does not fit.
    Source: netlink(7).
    """
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST, serial, 0) + padded(body)


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute: its length and its kind, then the value with zero bytes up to a multiple of four.

    Length and kind are numbers of 16 bits in the machine's byte order. The length counts itself, the kind and the
    value, but not the zero bytes behind it. Raises struct.error if length or kind does not fit into 16 bits.
    Source: rtnetlink(3), RTA_LENGTH and RTA_SPACE.
    """
    return padded(struct.pack("=HH", 4 + len(value), kind) + value)


def text(kind: int, value: str) -> bytes:
    """Return an attribute with a text, which ends with a zero byte."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """Return an attribute with a number of 32 bits in the machine's own byte order."""
    return attribute(kind, struct.pack("=I", value))


def nest(kind: int, *attributes: bytes) -> bytes:
    """Return an attribute that consists of attributes."""
    return attribute(kind | _NESTED, b"".join(attributes))


def attributes(data: bytes) -> dict[int, bytes]:
    """Return the attributes of a message by kind; of several of one kind the last."""
    return dict(each_attribute(data))


def each_attribute(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the attributes of a message: kind and value."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[-(-length // 4) * 4 :]


def padded(data: bytes) -> bytes:
    """Return data with zero bytes up to a multiple of four."""
    return data + bytes(-len(data) % 4)


def _error(content: bytes, flags: int, text: str) -> OSError | None:
    """Return the error of an answer, with the kernel's sentence if there is one, or None for success."""
    (code,) = struct.unpack_from("=i", content) if len(content) >= 4 else (0,)
    if not code:
        return None
    sentence = ""
    if flags & _HAS_SENTENCE:
        # The request's header follows, and its content unless that was left out (NETLINK_CAP_ACK).
        (length,) = struct.unpack_from("=I", content, 4)
        start = 4 + (_HEADER.size if flags & _CAPPED else -(-length // 4) * 4)
        sentence = attributes(content[start:]).get(_SENTENCE, b"").rstrip(b"\0").decode(errors="replace")
    reason = os.strerror(-code) + (f" ({sentence})" if sentence else "")
    return OSError(-code, f"{text}: {reason}")
