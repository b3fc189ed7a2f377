"""Entry point of the command line: parse the global flags, run the verb, report errors.  [hot]"""

from __future__ import annotations

import os
import sys

from pyctr_lite import caller, errors
from pyctr_lite.cli.command import flags, output, parser, program, verbs


def main(argv: list[str] | None = None) -> int:
    """Run a command line. Returns Docker's exit code for it."""
    args = sys.argv[1:] if argv is None else argv
    debug, name = False, ""
    try:
        parsed = parser.parse(program.GLOBAL, args)
        debug = parsed.debug
        name, count = verbs.find(parsed.arguments)
        if parsed.version and not name:
            from pyctr_lite import __version__

            print(f"pyctr_lite version {__version__}")
            return 0
        if not name:
            from pyctr_lite.cli.command import overview

            return overview.show(parsed, program.GLOBAL_OPTIONS)
        labs = "" if parsed.labs is None else _activate_labs(parsed.labs)
        code = _run_verb(name, parsed.arguments[count:], parsed.root, parsed.debug, labs)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        output.drop_unwritten(1)
        return 1
    except (errors.PyctrError, OSError) as error:
        if debug:
            raise
        from pyctr_lite.cli.command import report

        return report.print_error(error, name)
    except Exception as error:
        if debug:
            raise
        from pyctr_lite.cli.command import report

        return report.print_internal_error(error, name)


def entry() -> None:
    """Run `pyctr_lite` as a program. Exits at once, because Python has nothing to clean up."""
    caller.settle()
    output.prepare()
    try:
        code = main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    os._exit(output.finish(code))


def _activate_labs(given: str) -> str:
    """Use the learner's functions (`--labs`), and report unusable files. Returns the directory of the labs."""
    from pyctr_lite.engine import labs

    directory = labs.directory(given)
    for error in labs.activate(directory).values():
        output.complain(f"--labs: {error}", "\n  (the engine's own functions are used instead)")
    return directory


def _run_verb(name: str, args: list[str], root: str | None, debug: bool, labs: str) -> int:
    module = __import__(f"pyctr_lite.cli.{verbs.VERBS[name]}", fromlist=["COMMANDS"])
    command: flags.Command = module.COMMANDS[name]
    parsed = parser.parse(command, args)
    if parsed.help:
        from pyctr_lite.cli.command import help

        print(help.command_help(command), end="")
        return 0
    assert command.action is not None
    result = command.action(flags.Context(parsed, root, debug, labs))
    return result or 0


if __name__ == "__main__":
    entry()
