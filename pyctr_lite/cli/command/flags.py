"""A verb's command line as a table of options, parsed by pflag's rules, as Docker's client does.  [hot]

argparse costs 7 ms to import and click 15-26, on a path of 20 ms, and neither has pflag's grammar:
`--rm=false`, `-it`, `-m64m`, a flag that may stand without its value, options that end at the first positional.
The same tables make the help texts (`help.py`), the completion and the manual.
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
    (for a list: each item's); it raises ValueError or InvalidArgument with what is wrong. `no_value` is the
    text that the flag takes where it stands alone ("true" for a bool). `aliases` are other long names, not
    shown in the help.
    The parsed attribute is the name with underscores; where not given it is `default`: False for a bool, [] for
    a list, None for the others.
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
        """The flag as an error names it: `-m, --memory`."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Command:
    """A verb: its name below the program ("run", "image ls"), what it takes, what it does.

    `arguments` is the usage text of the positionals, which also says how many there are: a word in brackets is
    optional, dots make it many ("IMAGE [COMMAND] [ARG...]": at least one). With `interspersed` false, options
    end at the first positional, so that `run busybox ls -l` gives -l to ls. `aliases` are its other names
    ("container run"); `differs` says where the verb differs from Docker's.
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
        """The least and the greatest number of positionals (UNLIMITED where there is no greatest)."""
        words = self.arguments.split()
        least = sum(not word.startswith("[") for word in words)
        return least, UNLIMITED if "..." in self.arguments else len(words)

    def arity_error(self, rule: str) -> errors.UsageError:
        """A UsageError for a wrong number of positionals, with the exit code that Docker's client has for it."""
        error = self.error(f'"{PROGRAM} {self.name}" {rule}.')
        error.exit_code = 1
        return error

    def error(self, message: str, suggestion: str = "") -> errors.UsageError:
        """A UsageError that points to this verb's help, after a suggestion if there is one."""
        see = f"See '{f'{PROGRAM} {self.name}'.strip()} --help'."
        return errors.UsageError(message, f"{suggestion} {see}".lstrip())


class Parsed:
    """What a command line said: an attribute an option, `arguments` for the positionals.

    `given` holds the keys of the options that were there, `help` whether help was asked for.
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
    """What a verb's action gets: its parsed flags, and the engine, created on first use."""

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
            "this needs root: it mounts, and makes namespaces and cgroups", "try: sudo pyctr_lite …"
        )
