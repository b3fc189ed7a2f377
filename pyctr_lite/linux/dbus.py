"""A client of D-Bus: method calls and signals, over the socket of the system bus or of systemd itself.

A library would be shorter here, but takes 17 ms to import (jeepney), this module 1 ms.
Source: D-Bus Specification (dbus.freedesktop.org), "Marshaling", "Message Format", "Authentication Protocol".
"""

from __future__ import annotations

import _socket
import os
import struct

from pyctr_lite.errors import NotFound, PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SYSTEM_BUS = "/run/dbus/system_bus_socket"
SYSTEMD = "/run/systemd/private"
"""systemd's own socket, for root: it speaks D-Bus without a bus between."""

TIMEOUT = 30.0
"""Seconds to wait for each answer, as in runc."""

_NUMBERS = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d"}
_ALIGNMENT = {"y": 1, "b": 4, "n": 2, "q": 2, "i": 4, "u": 4, "x": 8, "t": 8, "d": 8}
_ALIGNMENT |= {"s": 4, "o": 4, "g": 1, "a": 4, "v": 1, "(": 8, "{": 8}
_CALL, _REPLY, _ERROR, _SIGNAL = 1, 2, 3, 4
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_TO, _DESTINATION, _SIGNATURE = 1, 2, 3, 4, 5, 6, 8


class BusError(PyctrError):
    """An error that the called object returned; `name` is such as org.freedesktop.systemd1.NoSuchUnit."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text or name)
        self.name = name


class Bus:
    """A connection, authenticated by the user id of this process."""

    def __init__(self, service: str, hint: str) -> None:
        """Connect. Raises NotFound, which names the service and gives the hint, if no socket accepts it."""
        self._serial = 0
        self._signals: list[tuple[dict[int, Any], list[Any]]] = []
        path, self._is_bus = _address()
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._socket.settimeout(TIMEOUT)
        try:
            self._socket.connect(path)
            self._authenticate()
        except OSError as error:
            self._socket.close()
            raise NotFound(f"cannot connect to {service} at {path}: {error.strerror}", hint) from None
        if self._is_bus:
            self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")

    def __enter__(self) -> Bus:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def set_timeout(self, seconds: float) -> None:
        """Wait at most this long for each answer."""
        self._socket.settimeout(seconds)

    def call(
        self, destination: str, path: str, interface: str, member: str, signature: str = "", *values: Any
    ) -> list[Any]:
        """Call a method, and return its results. A value of type v is a pair (signature, value).

        Raises BusError if the method fails, and PyctrError without an answer in `TIMEOUT` seconds.
        """
        self._serial += 1
        fields = [
            (_PATH, ("o", path)),
            (_INTERFACE, ("s", interface)),
            (_MEMBER, ("s", member)),
            (_DESTINATION, ("s", destination)),
        ]
        body = marshal(signature, values)
        if signature:
            fields.append((_SIGNATURE, ("g", signature)))
        header = marshal("yyyyuua(yv)", (ord("l"), _CALL, 0, 1, len(body), self._serial, fields))
        self._socket.sendall(header + bytes(-len(header) % 8) + body)
        while True:
            kind, found, results = self._receive()
            if kind == _SIGNAL:
                self._signals.append((found, results))
            elif found.get(_REPLY_TO) == self._serial:
                if kind == _ERROR:
                    raise BusError(found[_ERROR_NAME], str(results[0]) if results else "")
                return results

    def subscribe(self, interface: str, member: str) -> None:
        """Ask the bus for a signal. systemd's own socket sends all signals to everyone."""
        if self._is_bus:
            rule = f"type='signal',interface='{interface}',member='{member}'"
            bus = "org.freedesktop.DBus"
            self.call(bus, "/org/freedesktop/DBus", bus, "AddMatch", "s", rule)

    def next_signal(self, member: str) -> list[Any]:
        """Return the values of the next signal with this name, which may have come during a call."""
        while True:
            while self._signals:
                fields, values = self._signals.pop(0)
                if fields.get(_MEMBER) == member:
                    return values
            kind, fields, values = self._receive()
            if kind == _SIGNAL:
                self._signals.append((fields, values))

    def _authenticate(self) -> None:
        user = str(os.geteuid()).encode().hex()
        self._socket.sendall(f"\0AUTH EXTERNAL {user}\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n"):
            answer += self._read(1)  # what follows belongs to the first message
        if not answer.startswith(b"OK "):
            raise PermissionError(1, "the bus refuses this user")
        self._socket.sendall(b"BEGIN\r\n")

    def _receive(self) -> tuple[int, dict[int, Any], list[Any]]:
        """Return the type, the header fields and the values of the next message."""
        start = self._read(16)
        if start[:1] != b"l":
            raise PyctrError("the D-Bus message is not little-endian")
        length, _, size = struct.unpack("<III", start[4:])
        rest = self._read(size + -size % 8 + length)
        (pairs,) = unmarshal("a(yv)", start + rest, 12)
        fields = {code: value for code, (_, value) in pairs}
        return start[1], fields, unmarshal(fields.get(_SIGNATURE, ""), rest[size + -size % 8 :], 0)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                piece = self._socket.recv(count - len(data))
            except TimeoutError:
                raise PyctrError(f"no answer over D-Bus within {self._socket.gettimeout():g} s") from None
            if not piece:
                raise ConnectionResetError(104, "the bus closed the connection")
            data += piece
        return data


def split(signature: str) -> list[str]:
    """Split a signature into complete types: "sa(sv)u" into "s", "a(sv)", "u"."""
    types, start, depth = [], 0, 0
    for index, letter in enumerate(signature):
        depth += (letter in "({") - (letter in ")}")
        if depth == 0 and letter != "a":
            types.append(signature[start : index + 1])
            start = index + 1
    return types


def marshal(signature: str, values: Any) -> bytes:
    """Convert values to bytes that start at a multiple of 8."""
    buffer = bytearray()
    for kind, value in zip(split(signature), values, strict=True):
        _put(buffer, kind, value)
    return bytes(buffer)


def unmarshal(signature: str, data: bytes, start: int) -> list[Any]:
    """Convert bytes to values. A value of type v becomes a pair (signature, value)."""
    values = []
    for kind in split(signature):
        value, start = _get(data, start, kind)
        values.append(value)
    return values


def _put(buffer: bytearray, kind: str, value: Any) -> None:
    buffer += bytes(-len(buffer) % _ALIGNMENT[kind[0]])
    if kind in _NUMBERS:
        buffer += struct.pack("<" + _NUMBERS[kind], value)
    elif kind in ("s", "o", "g"):
        text = value.encode()
        buffer += struct.pack("<B" if kind == "g" else "<I", len(text)) + text + b"\0"
    elif kind == "v":
        _put(buffer, "g", value[0])
        _put(buffer, *value)
    elif kind[0] == "a":
        size_at = len(buffer)
        buffer += bytes(4)
        buffer += bytes(-len(buffer) % _ALIGNMENT[kind[1]])
        start = len(buffer)
        for item in value:
            _put(buffer, kind[1:], item)
        struct.pack_into("<I", buffer, size_at, len(buffer) - start)
    else:
        for part, item in zip(split(kind[1:-1]), value, strict=True):
            _put(buffer, part, item)


def _get(data: bytes, at: int, kind: str) -> tuple[Any, int]:
    at += -at % _ALIGNMENT[kind[0]]
    if kind in _NUMBERS:
        size = struct.calcsize(_NUMBERS[kind])
        number = struct.unpack_from("<" + _NUMBERS[kind], data, at)[0]
        return bool(number) if kind == "b" else number, at + size
    if kind in ("s", "o", "g"):
        width = 1 if kind == "g" else 4
        size = int.from_bytes(data[at : at + width], "little")
        start = at + width
        return data[start : start + size].decode(), start + size + 1
    if kind == "v":
        inner, at = _get(data, at, "g")
        value, at = _get(data, at, inner)
        return (inner, value), at
    values = []
    if kind[0] == "a":
        size = int.from_bytes(data[at : at + 4], "little")
        at += 4
        end = at + -at % _ALIGNMENT[kind[1]] + size
        while at < end:
            value, at = _get(data, at, kind[1:])
            values.append(value)
        return values, end
    for part in split(kind[1:-1]):
        value, at = _get(data, at, part)
        values.append(value)
    return tuple(values), at


def _address() -> tuple[str, bool]:
    """Return the path of a socket, and whether a bus is behind it."""
    address = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", "")
    if address.startswith("unix:path="):
        return address.removeprefix("unix:path=").partition(",")[0], True
    if not os.path.exists(SYSTEM_BUS) and os.path.exists(SYSTEMD):
        return SYSTEMD, False
    return SYSTEM_BUS, True
