"""`logs`."""

from __future__ import annotations

from pyctr_lite.cli.command import output
from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.errors import Conflict, InvalidArgument
from pyctr_lite.formats import number, times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.log.reader import Entry

_BUFFER = 64 * 1024


def logs(context: Context) -> int:
    """Print what a container wrote: stdout to stdout, stderr to stderr."""
    from pyctr_lite.engine.log import reader as log_reader
    from pyctr_lite.engine.state import record

    flags = context.flags
    since, until = moment("since", flags.since), moment("until", flags.until)
    container = context.engine.containers.get(flags.arguments[0])
    if container.record.options.log_driver == "none":
        raise Conflict(f"the log of {container.name} is not kept", "it was made with --log-driver none")
    entries: Iterable[Entry | None]
    if flags.follow:
        entries = log_reader.follow(container, tail=flags.tail, until=until)
    else:
        entries = log_reader.read(f"{container.directory}/log.jsonl", tail=flags.tail)
    first = "" if since is None else record.timestamp(since)
    last = "~" if until is None else record.timestamp(until)  # RFC 3339 sorts as text
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


def moment(flag: str, text: str | None) -> int | None:
    """Nanoseconds since 1970 for --since or --until. Fails with InvalidArgument in Docker's words."""
    if not text:
        return None
    try:
        return times.since(text)
    except ValueError:
        raise InvalidArgument(
            f'invalid value for "{flag}": failed to parse value as time or duration: "{text}"',
            "It is a time (2024-05-01T10:00:00Z, 1714557600) or how long ago (90s, 1h30m).",
        ) from None


def _details(attributes: dict[str, str]) -> str:
    """The attributes of a line as Docker's daemon writes them: k=v,k=v, quoted as in a URL."""
    if not attributes:
        return ""
    from urllib import parse

    quote = parse.quote_plus
    return ",".join(f"{quote(name, '~')}={quote(value, '~')}" for name, value in sorted(attributes.items()))


class _Output:
    """Two streams in one order: what is for one is written before what comes after it for the other."""

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


def _lines(text: str) -> int | None:
    if text == "all" or text == "-1":
        return None
    if not number.is_whole(text):
        raise ValueError('it is a number of lines, or "all"')
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
            Option("tail", "string", "Number of lines to show from the end", short="n", convert=_lines),
            Option("timestamps", "bool", "Show timestamps", short="t"),
            Option("until", "string", "Show logs before a timestamp (2013-01-02T13:23:37Z) or relative (42m)"),
        ),
        action=logs,
        aliases=("container logs",),
        example="pyctr_lite logs -f --tail 20 web",
        differs="A --tail that is no number is an error; Docker takes it for all.",
    )
}
