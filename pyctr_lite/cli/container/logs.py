"""`logs`.  [hot]"""

from __future__ import annotations

from pyctr_lite.cli.command import output
from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.errors import Conflict
from pyctr_lite.formats import number, timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.log.reader import Entry

_BUFFER = 64 * 1024


def logs(context: Context) -> int:
    """Print a container's output: its stdout to stdout, its stderr to stderr."""
    from pyctr_lite.engine.log import reader
    from pyctr_lite.engine.report.filters import grammar

    flags = context.flags
    since, until = grammar.time_limit("since", flags.since), grammar.time_limit("until", flags.until)
    container = context.engine.containers.get(flags.arguments[0])
    if container.record.options.log_driver == "none":
        raise Conflict(f"{container.name} has no log", "it was created with --log-driver none")
    entries: Iterable[Entry | None]
    if flags.follow:
        entries = reader.follow(container, tail=flags.tail, until=until)
    else:
        entries = reader.read(f"{container.directory}/log.jsonl", tail=flags.tail)
    first = "" if since is None else timestamps.format(since)
    last = "~" if until is None else timestamps.format(until)  # RFC 3339 sorts as text
    streams = _Output()
    try:
        for entry in entries:
            if entry is None:
                streams.flush()
            elif first <= entry.time <= last:
                before = entry.time + " " if flags.timestamps else ""
                if flags.details:
                    before += _details(entry.attributes) + " "
                streams.write(1 if entry.stream == "stdout" else 2, before + entry.text)
    finally:
        streams.flush()
    return 0


def _details(attributes: dict[str, str]) -> str:
    """Format the attributes of a line as Docker's daemon does: k=v,k=v, quoted as in a URL."""
    if not attributes:
        return ""
    from urllib import parse

    quote = parse.quote_plus
    return ",".join(f"{quote(name, '~')}={quote(value, '~')}" for name, value in sorted(attributes.items()))


class _Output:
    """A buffer for stdout and stderr that keeps the order of their lines."""

    def __init__(self) -> None:
        self._fd, self._parts, self._size = 1, [""], 0

    def write(self, fd: int, text: str) -> None:
        if fd != self._fd or self._size > _BUFFER:
            self.flush()
            self._fd = fd
        self._parts.append(text)
        self._size += len(text)

    def flush(self) -> None:
        data = "".join(self._parts).encode(errors="surrogateescape")
        self._parts, self._size = [], 0
        output.write_all(self._fd, data)


def _line_count(text: str) -> int | None:
    if text == "all" or text == "-1":
        return None
    if not number.is_whole(text):
        raise ValueError('must be a number of lines, or "all"')
    return int(text)


COMMANDS = {
    "logs": Command(
        "logs",
        "CONTAINER",
        "Fetch the logs of a container",
        (
            Option("details", "bool", "Show extra details provided to logs"),
            Option("follow", "bool", "Follow log output", short="f"),
            Option("since", "string", "Show logs since timestamp (2013-01-02T13:23:37Z) or relative (42m)"),
            Option("tail", "string", "Number of lines to show from the end", short="n", convert=_line_count),
            Option("timestamps", "bool", "Show timestamps", short="t"),
            Option("until", "string", "Show logs before a timestamp (2013-01-02T13:23:37Z) or relative (42m)"),
        ),
        action=logs,
        aliases=("container logs",),
        example="pyctr_lite logs -f --tail 20 web",
        differs="A --tail that is not a number is an error; Docker prints all lines.",
    )
}
