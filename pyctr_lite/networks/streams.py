"""Queries over TCP: connections with several queries each, whose answers may come in any order (RFC 7766).

A message follows its length in two bytes. All is bounded: connections, queries of one connection that wait for an
answer, bytes in both directions. A client that does not read gets no further query answered.
"""

from __future__ import annotations

import _socket
import time

from pyctr_lite.networks import watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.networks.watch import Watch

MAX_STREAMS = 32
"""Connections. For one more, that which is idle for the longest time is closed."""
MAX_ASKED = 64
"""Queries of one connection that wait for their answers. Further ones are not read."""
IDLE = 10.0
"""Seconds after which a connection without a new query is closed."""
_MAX_MESSAGE = 2 + 65535
_CHUNK = 16 * 1024
_RETRY = 1.0
"""Seconds until connections are accepted again, if this process has no descriptor left."""


class _Stream:
    __slots__ = ("asked", "busy", "deadline", "ended", "events", "input", "output", "sock")

    def __init__(self, sock: _socket.socket) -> None:
        self.sock: _socket.socket | None = sock
        self.input, self.output = b"", b""
        self.asked, self.busy, self.ended, self.events = 0, False, False, watch.IN
        self.deadline = time.monotonic() + IDLE


class Streams:
    """The connections to a listening socket. `ask` gets each message, and a function for the answer.

    `ask` returns whether the message is a query; the function is then called once.
    """

    def __init__(
        self, watch_set: Watch, listener: _socket.socket, ask: Callable[[bytes, Callable[[bytes], None]], bool]
    ) -> None:
        self._watch, self._listener, self._ask = watch_set, listener, ask
        self._streams: dict[_Stream, None] = {}
        self._resume = watch.NEVER
        self._watch.add(listener.fileno(), watch.IN, self._accept)

    def expire(self, now: float) -> float:
        """Close idle connections. Return the next deadline."""
        if self._resume <= now:
            self._resume = watch.NEVER
            self._watch.change(self._listener.fileno(), watch.IN)
        for stream in [stream for stream in self._streams if stream.deadline <= now]:
            self._drop(stream)
        return min([self._resume, *(stream.deadline for stream in self._streams)])

    def close(self) -> None:
        """Close all connections, and listen no longer; the listening socket stays open."""
        for stream in list(self._streams):
            self._drop(stream)
        self._watch.remove(self._listener.fileno())

    def _accept(self, _: int) -> None:
        try:
            fd, _address = self._listener._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, ConnectionError):
            return
        except OSError:  # no descriptor is left
            self._watch.change(self._listener.fileno(), 0)
            self._resume = time.monotonic() + _RETRY
            self._watch.wake_at(self._resume)
            return
        if len(self._streams) >= MAX_STREAMS:
            self._drop(min(self._streams, key=lambda stream: stream.deadline))
        sock = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0, fd)
        sock.setblocking(False)
        stream = _Stream(sock)
        try:
            self._watch.add(fd, stream.events, lambda events: self._on_event(stream, events))
        except OSError:  # root has no watch left (`watch.Watch.add`)
            sock.close()
            return
        self._streams[stream] = None
        self._watch.wake_at(stream.deadline)

    def _on_event(self, stream: _Stream, events: int) -> None:
        if events & watch.FAILED:
            self._drop(stream)
        elif stream.sock is not None:
            try:
                if events & watch.IN:
                    data = stream.sock.recv(_CHUNK)
                    stream.input += data
                    stream.ended = not data
            except BlockingIOError:
                pass
            except OSError:
                self._drop(stream)
            self._work(stream)

    def _work(self, stream: _Stream) -> None:
        """Ask the queries that have come, send the answers that are there, and choose what to wait for next."""
        stream.busy = True
        while stream.sock is not None and (message := self._next_message(stream)):
            stream.asked += 1
            if self._ask(message, lambda answer: self._reply(stream, answer)):
                stream.deadline = time.monotonic() + IDLE
            else:
                self._drop(stream)
            self._flush(stream)
        self._flush(stream)
        stream.busy = False
        if stream.sock is None:
            return
        if stream.ended and not stream.asked and not stream.output:
            self._drop(stream)
            return
        reading = not stream.ended and not self._is_full(stream) and len(stream.input) < _MAX_MESSAGE
        events = (watch.IN if reading else 0) | (watch.OUT if stream.output else 0)
        if events != stream.events:
            self._watch.change(stream.sock.fileno(), events)
            stream.events = events

    def _next_message(self, stream: _Stream) -> bytes:
        if len(stream.input) < 2 or self._is_full(stream):
            return b""
        end = 2 + int.from_bytes(stream.input[:2], "big")
        if end == 2:
            self._drop(stream)
        if len(stream.input) < end:
            return b""
        message, stream.input = stream.input[2:end], stream.input[end:]
        return message

    def _is_full(self, stream: _Stream) -> bool:
        return stream.asked >= MAX_ASKED or len(stream.output) >= _MAX_MESSAGE

    def _reply(self, stream: _Stream, answer: bytes) -> None:
        if stream.sock is None:
            return  # the client has gone
        stream.asked -= 1
        stream.output += len(answer).to_bytes(2, "big") + answer
        if not stream.busy:
            self._work(stream)

    def _flush(self, stream: _Stream) -> None:
        try:
            while stream.sock is not None and stream.output:
                stream.output = stream.output[stream.sock.send(stream.output, _socket.MSG_NOSIGNAL) :]
                stream.deadline = time.monotonic() + IDLE
        except BlockingIOError:
            pass
        except OSError:
            self._drop(stream)

    def _drop(self, stream: _Stream) -> None:
        if stream.sock is not None:
            self._watch.remove(stream.sock.fileno())
            stream.sock.close()
            stream.sock = None
            del self._streams[stream]
