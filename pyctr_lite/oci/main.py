"""Entry point of `pyctr-oci`: parse the global options, run the verb, report errors.

The command line is runc's (its man pages), so that an engine can use one for the other.
"""

from __future__ import annotations

import os
import sys

from pyctr_lite import caller
from pyctr_lite.errors import PyctrError, UsageError
from pyctr_lite.oci import arguments, containers, log
from pyctr_lite.oci.arguments import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

SPEC = "1.3.0"
"""The newest version of the OCI runtime spec that is supported."""

GLOBAL = (
    Option("root", "directory of the containers' states", "DIRECTORY"),
    Option("log", "write errors to a file, too", "FILE"),
    Option("log-format", "of the log: text or json", "FORMAT"),
    Option("debug", "also log steps; a traceback for each error"),
    Option("systemd-cgroup", "let systemd make the cgroups: cgroupsPath is slice:prefix:name"),
    Option("cgroup-manager", "cgroupfs, or systemd as --systemd-cgroup (crun's name)", "MANAGER"),
    Option("rootless", "accepted for runc's sake: root starts containers here", "BOOL"),
    Option("explain", "append every kernel step to a file; also by PYCTR_OCI_EXPLAIN", "FILE"),
    Option("help", "show this help", short="h"),
    Option("version", "show the version", short="v"),
)

VERBS = {
    "create": "create",
    "delete": "delete",
    "events": "events",
    "exec": "execute",
    "features": "features",
    "kill": "kill",
    "list": "listing",
    "pause": "freezing",
    "ps": "ps",
    "resume": "freezing",
    "run": "run",
    "spec": "spec",
    "start": "start",
    "state": "state",
    "update": "update",
}
"""The module of each verb."""


class Context:
    """The global options."""

    __slots__ = ("log", "root", "systemd", "verb")

    def __init__(self, verb: str, given: arguments.Arguments) -> None:
        self.verb = verb
        self.root = given.text("root") or containers.ROOT
        self.systemd = given.on("systemd-cgroup") or given.text("cgroup-manager") == "systemd"
        self.log = log.Log(given.text("log"), given.text("log-format", "text"), debug=given.on("debug"))


def main(argv: list[str]) -> int:
    """Run a command line. Returns its exit code: 0, that of a program in the foreground, or 1 for an error."""
    debug = "--debug" in argv
    try:
        given, left = arguments.parse(GLOBAL, argv, first_word_ends=True)
        if given.on("version"):
            return _show_version()
        if given.on("help") or not left or left[0] == "help":
            from pyctr_lite.oci import help

            return help.overview(GLOBAL, VERBS, bool(given.on("help") or left))
        verb = left.pop(0)
        if verb not in VERBS:
            raise UsageError(f"unknown command {verb}", "--help lists the commands")
        module = __import__(f"pyctr_lite.oci.verbs.{VERBS[verb]}", fromlist=["act"])
        context = Context(verb, given)
    except (PyctrError, OSError) as error:
        if debug:
            raise
        os.write(2, f"pyctr-oci: {describe(error)}\n".encode(errors="surrogateescape"))
        return 1
    return _run(context, module, left, _explain_to(given))


def _run(context: Context, module: ModuleType, words: list[str], explain_to: str) -> int:
    try:
        options = module.OPTIONS
        ends = getattr(module, "FIRST_WORD_ENDS", 0)
        parsed, left = arguments.parse((*options, GLOBAL[-2]), words, first_word_ends=bool(ends))
        parsed.words += left
        if parsed.on("help"):
            from pyctr_lite.oci import help

            return help.of_verb(context.verb, module)
        if explain_to:
            _explain(explain_to, context.verb, words)
        code: int = module.act(parsed, context)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        return 1
    except (PyctrError, OSError) as error:
        context.log.error(describe(error))
        if context.log.debugs:
            raise
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        context.log.error(f"internal error: {type(error).__name__}: {error} (--debug shows where)")
        if context.log.debugs:
            raise
    return int(getattr(module, "FAILURE", 1))


def describe(error: Exception) -> str:
    """Return an error as one line, with its hint in parentheses."""
    if isinstance(error, PyctrError):
        return error.message + (f" ({error.hint})" if error.hint else "")
    if isinstance(error, OSError) and error.strerror:
        path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        return f"{path}: {error.strerror}" if path else error.strerror
    return str(error)


def entry() -> None:
    """Run `pyctr-oci` as a program. Exits at once, because Python has nothing to clean up."""
    caller.settle()
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BrokenPipeError:
        code = 1
    os._exit(code)


def _show_version() -> int:
    from pyctr_lite import __version__

    print(f"pyctr-oci version {__version__}\nspec: {SPEC}")
    return 0


def _explain_to(given: arguments.Arguments) -> str:
    return given.text("explain") or os.getenv("PYCTR_OCI_EXPLAIN") or ""


def _explain(path: str, verb: str, words: list[str]) -> None:
    from pyctr_lite.linux import explain

    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.write(fd, f"\n$ pyctr-oci {' '.join([verb, *words])}\n".encode(errors="surrogateescape"))
    explain.start(fd)
