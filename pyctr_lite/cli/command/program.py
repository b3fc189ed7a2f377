"""The program itself as a command: the options before the verb.  [hot]"""

from __future__ import annotations

from pyctr_lite.cli.command import flags

GLOBAL_OPTIONS = (
    flags.Option("root", "string", "Directory of all state (default /var/lib/pyctr_lite, or PYCTR_LITE_ROOT)"),
    flags.Option(
        "labs", "string", "Let functions written in the labs (or DIR) replace the engine's", no_value="@"
    ),
    flags.Option("debug", "bool", "Show where in the source an error comes from", short="D"),
    flags.Option("version", "bool", "Print the version", short="v"),
)
GLOBAL = flags.Command("", "[COMMAND] [ARG...]", "", GLOBAL_OPTIONS, interspersed=False)
