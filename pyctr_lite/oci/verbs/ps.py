"""`ps`: the processes of a container, as ps(1) shows them."""

from __future__ import annotations

import subprocess

from pyctr_lite import jsonfile
from pyctr_lite.errors import PyctrError, UsageError
from pyctr_lite.oci.arguments import Option
from pyctr_lite.oci.containers import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.main import Context

SUMMARY = "show the processes of a container"
WORDS = "ID [OPTION OF ps(1)…]"
FIRST_WORD_ENDS = 1
OPTIONS = (Option("format", "table or json", "FORMAT", "f"),)


def act(arguments: Arguments, context: Context) -> int:
    """Print the lines of ps(1) for the container's processes, by default of `ps -ef`; or their pids as JSON."""
    if not arguments.words:
        raise UsageError("a container id is missing", "see --help")
    id, *options = arguments.words
    if options[:1] == ["--"]:
        del options[0]
    format = arguments.text("format", "table")
    if format not in ("table", "json"):
        raise UsageError(f"invalid format option: {format}", "it must be table or json")
    container = Container.load(context.root, id)
    pids = container.group.pids()
    if format == "json":
        print(jsonfile.dumps(sorted(pids)))
        return 0
    try:
        done = subprocess.run(["ps", *(options or ["-ef"])], capture_output=True, text=True)
    except FileNotFoundError:
        raise PyctrError(
            "ps(1) is not installed", "apt-get install procps; --format json works without it"
        ) from None
    header, *lines = done.stdout.splitlines() or [""]
    if done.returncode or "PID" not in header.split():
        raise PyctrError(f"ps {' '.join(options)}: {done.stderr.strip() or 'shows no column PID'}")
    column = header.split().index("PID")
    shown = set(map(str, pids))  # compared as text: in a column before, a process may put words of its own
    print(header)
    for line in lines:
        if shown.intersection(line.split()[column : column + 1]):
            print(line)
    return 0
