"""`events`."""

from __future__ import annotations

import sys
import time

from pyctr_lite import jsonfile
from pyctr_lite.cli.command import output
from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.gotemplate import template, values
from pyctr_lite.cli.gotemplate.tokens import TemplateError
from pyctr_lite.engine.report.filters import grammar
from pyctr_lite.engine.report.filters.events import EventFilter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from pyctr_lite.cli.command.flags import Context

    Event = dict[str, Any]

_GO_NAMES = {
    "status": "Status",
    "id": "ID",
    "from": "From",
    "scope": "Scope",
    "time": "Time",
    "timeNano": "TimeNano",
}
"""JSON key → name of the field in Go's struct, which a template uses."""
_EMPTY: Event = {
    "Type": "",
    "Action": "",
    "Actor": {"ID": "", "Attributes": {}},
    "scope": "",
    "time": 0,
    "timeNano": 0,
}


def events(context: Context) -> int:
    """Print events as they happen; with --since past events first."""
    from pyctr_lite.engine.events import reader

    flags = context.flags
    since, until = grammar.time_limit("since", flags.since), grammar.time_limit("until", flags.until)
    chosen = EventFilter(flags.filter)
    format_event = _formatter(flags.format or "")
    found: Iterable[Event] = reader.follow(context.engine.paths, history=since is not None, until=until)
    for event in found:
        if (since or 0) <= event["timeNano"] <= (until or event["timeNano"]) and chosen.matches(event):
            output.styled(format_event(event) + "\n")
            sys.stdout.flush()
    return 0


def _formatter(form: str) -> Callable[[Event], str]:
    if form in ("json", "{{json .}}"):
        return jsonfile.dumps
    if not form:
        return lambda event: output.one_line(_line(event))
    shown_by = template.from_flag(form)

    def render(event: Event) -> str:
        fields = {"Status": "", "ID": "", "From": ""}  # a volume's event does not have them
        fields |= {_GO_NAMES.get(key, key): value for key, value in event.items()}
        return shown_by.render(values.as_go(fields, values.MAPS | {"Attributes"}))

    try:
        render(_EMPTY)  # to report an unknown field at once, not at the first event
    except TemplateError as error:
        error.exit_code = 64
        raise
    return render


def _line(event: Event) -> str:
    """Format an event as Docker does: local time, type, action, id, attributes."""
    seconds, fraction = divmod(event["timeNano"], 10**9)
    when = time.localtime(seconds)
    zone = time.strftime("%z", when)
    zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    attributes = ", ".join(f"{key}={value}" for key, value in sorted(event["Actor"]["Attributes"].items()))
    text = f"{time.strftime('%Y-%m-%dT%H:%M:%S', when)}.{fraction:09d}{zone} {event['Type']} {event['Action']}"
    return f"{text} {event['Actor']['ID']} ({attributes})" if attributes else f"{text} {event['Actor']['ID']}"


COMMANDS = {
    "events": Command(
        "events",
        "",
        "Get real time events from the engine",
        (
            Option("filter", "list", "Filter output based on conditions provided", short="f"),
            Option("format", "string", "Format output: 'json' or a Go template"),
            Option("since", "string", "Show all events created since timestamp"),
            Option("until", "string", "Stream events until this timestamp"),
        ),
        action=events,
        aliases=("system events",),
        example="pyctr_lite events --since 10m --filter event=die",
    )
}
