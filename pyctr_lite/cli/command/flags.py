"""The command line of a verb as a table: its options and arguments, and the values parsed by it.  [hot]

Importing argparse takes 7 ms and click 15-26 ms, of a path that takes 20 ms, and neither has the grammar of pflag,
which Docker's client uses: `--rm=false`, `-it`, `-m64m`, a flag whose value is optional, options that end at the
first positional. The help texts, the completion and the manual page are made from the same tables.
"""

from __future__ import annotations

import os

from pyctr_lite import errors
from pyctr_lite.cli.command import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pyctr_lite.engine.engine import Engine

PROGRAM = "pyctr_lite"
UNLIMITED = -1


class Option:
    """One flag: `Option("memory", "bytes", "Memory limit", short="m")`.

    `kind` is a name in `values.KINDS`, or "list": each use appends. `convert` replaces the kind's conversion
    (in a list, of each item); it raises ValueError or InvalidArgument with the reason. `no_value` is the value of
    a flag that is given without one ("true" for a bool). `aliases` are other long names, not shown in the help.
    The parsed attribute is the name with underscores. If the flag is not given, it is `default`: False for a bool,
    [] for a list, else None.
    """

    __slots__ = (
        "aliases",
        "convert",
        "default",
        "help",
        "hidden",
        "key",
        "kind",
        "metavar",
        "name",
        "no_value",
        "short",
    )

    def __init__(
        self,
        name: str,
        kind: str,
        help: str,
        *,
        short: str = "",
        metavar: str = "",
        default: Any = None,
        convert: Callable[[str], Any] | None = None,
        no_value: str = "",
        aliases: tuple[str, ...] = (),
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.key = name.replace("-", "_")
        self.kind = kind
        self.help = help
        self.short = short
        self.metavar = metavar
        self.default: Any = False if kind == "bool" and default is None else default
        self.convert = convert or values.KINDS.get(kind, str)
        self.no_value = "true" if kind == "bool" else no_value
        self.aliases = aliases
        self.hidden = hidden

    def spelling(self) -> str:
        """Return the flag as an error message names it: `-m, --memory`."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Command:
    """A verb: its name after the program's ("run", "image ls"), its options and arguments, its action.

    `arguments` is the usage text of the positionals, from which their number follows: a word in brackets is
    optional, one with dots repeats ("IMAGE [COMMAND] [ARG...]": at least one). If `interspersed` is false, options
    end at the first positional, so that `run busybox ls -l` gives -l to ls. `aliases` are its other names
    ("container run"); `differs` describes the differences from Docker's verb.
    """

    __slots__ = (
        "action",
        "aliases",
        "arguments",
        "differs",
        "example",
        "interspersed",
        "name",
        "options",
        "summary",
    )

    def __init__(
        self,
        name: str,
        arguments: str,
        summary: str,
        options: tuple[Option, ...] = (),
        *,
        action: Callable[[Context], int | None] | None = None,
        aliases: tuple[str, ...] = (),
        example: str = "",
        interspersed: bool = True,
        differs: str = "",
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.summary = summary
        self.options = options
        self.action = action
        self.aliases = aliases
        self.example = example
        self.interspersed = interspersed
        self.differs = differs

    def arity(self) -> tuple[int, int]:
        """Return the minimum and the maximum number of positionals (UNLIMITED if there is no maximum)."""
        names = self.arguments.split()
        minimum = sum(not name.startswith("[") for name in names)
        return minimum, UNLIMITED if "..." in self.arguments else len(names)

    def arity_error(self, rule: str) -> errors.UsageError:
        """Return a UsageError for a wrong number of positionals, with Docker's exit code for that."""
        error = self.error(f'"{PROGRAM} {self.name}" {rule}.')
        error.exit_code = 1
        return error

    def error(self, message: str, suggestion: str = "") -> errors.UsageError:
        """Return a UsageError whose hint is the suggestion, if any, and this verb's help."""
        see = f"See '{f'{PROGRAM} {self.name}'.strip()} --help'."
        return errors.UsageError(message, f"{suggestion} {see}".lstrip())


class Parsed:
    """The values of a command line: one attribute per option, and the positionals in `arguments`.

    `given` holds the keys of the options that were given; `help` is true if help was requested.
    """

    __slots__ = ("arguments", "given", "help", "values")

    def __init__(self, options: Sequence[Option]) -> None:
        self.arguments: list[str] = []
        self.given: set[str] = set()
        self.help = False
        self.values: dict[str, Any] = {
            option.key: [*(option.default or [])] if option.kind == "list" else option.default
            for option in options
        }

    def __getattr__(self, key: str) -> Any:
        try:
            return self.values[key]
        except KeyError:
            raise AttributeError(f"no option {key}") from None


class Context:
    """The argument of a verb's action: its parsed flags, and the engine, created on first use."""

    def __init__(self, parsed: Parsed, root: str | None, debug: bool, labs: str) -> None:
        self.flags, self.root, self.debug, self.labs = parsed, root, debug, labs
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine of the chosen state directory. Raises PyctrError for anyone but root."""
        if self._engine is None:
            need_root()
            from pyctr_lite.engine import engine

            self._engine = engine.Engine(self.root)
        return self._engine


def need_root() -> None:
    """Raise PyctrError for anyone but root: mounts, namespaces and cgroups need it."""
    if os.geteuid() != 0:
        raise errors.PyctrError(
            "this needs root, to mount and to create namespaces and cgroups", "try: sudo pyctr_lite …"
        )
