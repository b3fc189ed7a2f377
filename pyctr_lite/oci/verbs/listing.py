"""`list`: the containers of a root directory."""

from __future__ import annotations

import os

from pyctr_lite import jsonfile
from pyctr_lite.errors import NotFound, UsageError
from pyctr_lite.oci import containers
from pyctr_lite.oci.arguments import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.main import Context

SUMMARY = "list the containers"
WORDS = ""
OPTIONS = (
    Option("format", "table or json", "FORMAT", "f"),
    Option("quiet", "only the ids", short="q"),
)
_COLUMNS = ("id", "pid", "status", "bundle", "created", "owner")


def act(arguments: Arguments, context: Context) -> int:
    """Print the containers: a table, ids, or one line of JSON."""
    format = arguments.text("format", "table")
    if format not in ("table", "json"):
        raise UsageError(f"invalid format option: {format}", "it must be table or json")
    if context.root != containers.ROOT and not os.path.isdir(context.root):
        raise NotFound(f"--root {context.root}: no such directory")
    found = containers.all_in(context.root)
    if arguments.on("quiet"):
        for container in found:
            print(container.id)
        return 0
    described = [container.describe() for container in found]
    if format == "json":
        print(jsonfile.dumps(described) if described else "null")
        return 0
    rows = [[name.upper() for name in _COLUMNS]]
    rows += [[str(state[name]) for name in _COLUMNS] for state in described]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        print("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0
