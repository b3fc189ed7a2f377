"""The command line's entry: global flags, the verb's module, and errors as one line.  [hot]"""

from __future__ import annotations

import os
import sys

from pyctr_lite import caller, errors
from pyctr_lite.cli import flags, output, parser, verbs

GLOBAL_OPTIONS = (
    flags.Option("root", "string", "Directory of all state (default /var/lib/pyctr_lite, or PYCTR_LITE_ROOT)"),
    flags.Option(
        "labs", "string", "Let functions written in the labs (or DIR) replace the engine's", no_value="@"
    ),
    flags.Option("debug", "bool", "Show where in the source an error comes from", short="D"),
    flags.Option("version", "bool", "Print the version", short="v"),
)
GLOBAL = flags.Command("", "[COMMAND] [ARG...]", "", GLOBAL_OPTIONS, interspersed=False)


def main(argv: list[str] | None = None) -> int:
    """Run a command line; the exit code is Docker's."""
    words = sys.argv[1:] if argv is None else argv
    debug = "--debug" in words or "-D" in words
    name = ""
    try:
        parsed = parser.parse(GLOBAL, words)
        name, count = verbs.find(parsed.arguments)
        if parsed.version and not name:
            from pyctr_lite import __version__

            print(f"pyctr_lite version {__version__}")
            return 0
        if not name:
            from pyctr_lite.cli import overview

            return overview.show(parsed, GLOBAL_OPTIONS)
        labs = "" if parsed.labs is None else _learn(parsed.labs)
        code = _run_verb(name, parsed.arguments[count:], parsed.root, parsed.debug, labs)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        output.lose_unwritten(1)
        return 1
    except (errors.PyctrError, OSError) as error:
        if debug:
            raise
        return report(error, name)
    except Exception as error:
        if debug:
            raise
        line = _line_of_others(error)
        fault = f"\n  {line}" if line else " (a fault of pyctr_lite: --debug shows where)"
        output.complain(f"{type(error).__name__}: {error}", fault)
        return 125 if name in ("run", "exec") else 1


def entry() -> None:
    """What the command `pyctr_lite` calls. Ends the process at once: nothing is left for Python to clean up."""
    caller.settle()
    output.prepare()
    try:
        code = main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    os._exit(output.finish(code))


def report(error: errors.PyctrError | OSError, name: str) -> int:
    """Print an error as one line, and its hint as another: the exit code that belongs to it."""
    if output.lose_unwritten(1) and isinstance(error, output.WriteError):
        return 1  # it has been said
    message, hint, code = _text(error), getattr(error, "hint", ""), getattr(error, "exit_code", None)
    if limit := _limit(error):
        hint = limit
    elif isinstance(error, OSError):
        hint = _line_of_others(error)
    output.complain(message, f"\n  {hint}" if hint else "")
    if code is not None:
        return int(code)
    return 125 if name == "run" else 1


def _limit(error: errors.PyctrError | OSError) -> str:
    """What of the caller's surroundings an error comes from, and what to do: its limits, its directory."""
    import errno

    number = getattr(error, "errno", 0)  # one of a child before its program ran has it too
    if number == errno.EMFILE:
        return "the limit of open files here is too low for this: raise it (ulimit -n 1024)"
    if number == errno.EFBIG:
        return "the limit of a file's size here is too low for this: raise it (ulimit -f unlimited)"
    if isinstance(error, FileNotFoundError) and error.filename is None:
        try:
            os.getcwd()
        except FileNotFoundError:
            return "the current directory has been removed: change to another, or give absolute paths"
    return ""


def _learn(given: str) -> str:
    """Put in the functions of `--labs`, and say which files are left out: the labs' directory."""
    from pyctr_lite.engine import learners

    directory = learners.directory(given)
    for error in learners.activate(directory).values():
        output.complain(f"--labs: {error}", "\n  (the runtime's own functions are used instead)")
    return directory


def _line_of_others(error: BaseException) -> str:
    from pyctr_lite import blame

    return blame.line(blame.frames(error.__traceback__)) or "\n  ".join(getattr(error, "__notes__", ()))


def _run_verb(name: str, words: list[str], root: str | None, debug: bool, labs: str) -> int:
    module = __import__(f"pyctr_lite.cli.{verbs.VERBS[name]}", fromlist=["COMMANDS"])
    command: flags.Command = module.COMMANDS[name]
    parsed = parser.parse(command, words)
    if parsed.help:
        from pyctr_lite.cli import help

        print(help.command_help(command), end="")
        return 0
    assert command.action is not None
    result = command.action(flags.Context(parsed, root, debug, labs))
    return result or 0


def _text(error: errors.PyctrError | OSError) -> str:
    if isinstance(error, errors.PyctrError):
        return error.message
    path = error.filename
    text = error.strerror or str(error)
    return f"{text}: {os.fsdecode(path)}" if isinstance(path, str | bytes) else text


if __name__ == "__main__":
    entry()
