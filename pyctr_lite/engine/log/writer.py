"""Write a container's log: one JSON object per line, like Docker's json-file driver.

With --log-opt max-size, a full file is renamed to log.jsonl.1, the previous log.jsonl.1 to log.jsonl.2, and so on,
up to max-file files.
"""

from __future__ import annotations

import os
import time

from pyctr_lite import jsonfile
from pyctr_lite.formats import timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_lite.engine.container.container import Container

MAX_LINE = 16 * 1024
"""Maximum bytes of an entry. A longer line is split, as in Docker: endless output must not fill the memory."""


def of_container(container: Container) -> LogWriter | None:
    """Return the writer of a container's log; None with --log-driver none."""
    options, attributes = container.record.options, None
    if options.log_driver == "none":
        return None
    if not options.log_options.keys().isdisjoint(("env", "env-regex", "labels", "labels-regex", "tag")):
        from pyctr_lite.engine.log import attributes as log_attributes

        attributes = log_attributes.of(container)
    return LogWriter(f"{container.directory}/log.jsonl", options.log_max_size, options.log_max_files, attributes)


class LogWriter:
    """Writes chunks of stdout and stderr as lines with their time.

    Every entry has the `attributes`. There are at most `max_files` files, each of at most `max_size` bytes (0: no
    limit); only an entry that is longer than that makes a file larger.
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
        """Write a chunk. An incomplete last line waits for its rest."""
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
        """Write the incomplete last lines, and close. Idempotent."""
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
        """Begin a new file and drop the oldest. A reader keeps its open files."""
        names = [self.path, *(f"{self.path}.{number}" for number in range(1, self.max_files))]
        for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
            try:
                os.rename(newer, older)
            except FileNotFoundError:
                pass  # there are fewer files so far
        if self.max_files == 1 and os.path.exists(
            self.path
        ):  # missing if a full disk interrupted the last rotation
            os.unlink(self.path)
        fd = self._open()
        os.close(self._fd)
        self._fd, self._size = fd, 0

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)


_HEAD = '{"log":"'
_PLAIN = bytes(byte for byte in range(32, 127) if byte not in b'"\\')


def _is_plain(lines: list[bytes]) -> bool:
    """Return whether lines need no JSON escapes and no splitting: then many lines are written at once."""
    return max(map(len, lines)) < MAX_LINE and not b"".join(lines).translate(None, _PLAIN)


def _split(line: bytes) -> Iterator[bytes]:
    for start in range(0, len(line), MAX_LINE):
        yield line[start : start + MAX_LINE]


def _entry(line: bytes, tail: str) -> str:
    text = jsonfile.dumps(line.decode(errors="replace"))
    return _HEAD + text[1:-1] + tail
