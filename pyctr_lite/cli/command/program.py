"""The global options, which stand before the verb.  [hot]"""

from __future__ import annotations

from pyctr_lite.cli.command import flags

GLOBAL_OPTIONS = (
    flags.Option(
        "root", "string", "State directory (default: $PYCTR_LITE_ROOT or /var/lib/pyctr_lite)", metavar="DIR"
    ),
    flags.Option(
        "labs",
        "string",
        "Replace the engine's functions by your own from the labs (or DIR)",
        metavar="DIR",
        no_value="@",
    ),
    flags.Option("debug", "bool", "Print the traceback of an error", short="D"),
    flags.Option("version", "bool", "Print the version and quit", short="v"),
)
GLOBAL = flags.Command("", "[COMMAND] [ARG...]", "", GLOBAL_OPTIONS, interspersed=False)
