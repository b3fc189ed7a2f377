"""Writing a container's log: a JSON object a line, as Docker's json-file driver does.

With --log-opt max-size a full file is named log.jsonl.1, what was that log.jsonl.2, and so on up to max-file.
"""

from __future__ import annotations

import os
import time

from pyctr_lite import jsonfile
from pyctr_lite.formats import timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE = 16 * 1024
"""A line longer than this is split, as Docker does: output without an end must not grow our memory."""


class LogWriter:
    """Writes the chunks of stdout and stderr as lines with their time.

    `attributes` are in every entry. No file is larger than `max_size` bytes (0: no limit), but for a single line
    that is; there are at most `max_files` of them.
    """

    def __init__(
        self, path: str, max_size: int = 0, max_files: int = 1, attributes: dict[str, str] | None = None
    ) -> None:
        self.path, self.max_size, self.max_files = path, max_size, max_files
        self._fd = self._open()
        self._size = os.fstat(self._fd).st_size
        self._partial = {"stdout": b"", "stderr": b""}
        attrs = f'"attrs":{jsonfile.dumps(dict(sorted(attributes.items())))},' if attributes else ""
        self._tails = {stream: f'","stream":"{stream}",{attrs}"time":"' for stream in self._partial}

    def write(self, stream: str, data: bytes) -> None:
        """Take a chunk; what ends no line yet waits for the rest."""
        when = timestamps.format(time.time_ns())
        tail = self._tail(stream, when)
        *lines, rest = (self._partial[stream] + data).split(b"\n")
        if lines and _is_plain(lines):
            text = b"\n".join(lines).decode("ascii")
            entries = [_HEAD + text.replace("\n", f"\\n{tail}{_HEAD}") + "\\n" + tail]
        else:
            entries = [_entry(piece, tail) for line in lines for piece in _split(line + b"\n")]
        while len(rest) >= MAX_LINE:
            entries.append(_entry(rest[:MAX_LINE], tail))
            rest = rest[MAX_LINE:]
        self._partial[stream] = rest
        if entries:
            self._append("".join(entries))

    def close(self) -> None:
        """Write what is left without an end of line, and close."""
        if self._fd < 0:
            return
        when = timestamps.format(time.time_ns())
        rest = "".join(_entry(data, self._tail(stream, when)) for stream, data in self._partial.items() if data)
        if rest:
            self._append(rest)
        os.close(self._fd)
        self._fd = -1

    def _tail(self, stream: str, when: str) -> str:
        return f'{self._tails[stream]}{when}"}}\n'

    def _append(self, text: str) -> None:
        content = text.encode(errors="surrogateescape")
        try:
            while content:
                end = len(content)
                if self.max_size:
                    end = content.rfind(b"\n", 0, max(0, self.max_size - self._size)) + 1
                    if not end and self._size:
                        self._rotate()
                        continue
                    end = end or content.index(b"\n") + 1
                written = os.write(self._fd, content[:end] if end < len(content) else content)
                self._size += written
                content = content[written:]
        except OSError:
            pass  # a full disk must not stop the container

    def _rotate(self) -> None:
        """Begin a new file; the oldest goes. Whoever reads one of them goes on reading it."""
        names = [self.path, *(f"{self.path}.{number}" for number in range(1, self.max_files))]
        for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
            try:
                os.rename(newer, older)
            except FileNotFoundError:
                pass  # there were not so many yet
        if self.max_files == 1 and os.path.exists(self.path):  # not where a full disk cut off the last attempt
            os.unlink(self.path)
        fd = self._open()
        os.close(self._fd)
        self._fd, self._size = fd, 0

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)


_HEAD = '{"log":"'
_PLAIN = bytes(byte for byte in range(32, 127) if byte not in b'"\\')


def _is_plain(lines: list[bytes]) -> bool:
    """Whether lines are JSON as they are: short ASCII text. Then a flood of them is written at once."""
    return max(map(len, lines)) < MAX_LINE and not b"".join(lines).translate(None, _PLAIN)


def _split(line: bytes) -> Iterator[bytes]:
    for start in range(0, len(line), MAX_LINE):
        yield line[start : start + MAX_LINE]


def _entry(line: bytes, tail: str) -> str:
    text = jsonfile.dumps(line.decode(errors="replace"))
    return _HEAD + text[1:-1] + tail
