"""One action on many objects: print each success, report each failure, return 1 if any failed.  [hot]"""

from __future__ import annotations

from pyctr_lite.errors import PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyctr_lite.cli.command.flags import Context


def apply(context: Context, references: Iterable[str], act: Callable[[str], object]) -> int:
    """Call `act` on each reference, and print the reference as it was given once that is done."""
    code = 0
    for reference in references:
        try:
            act(reference)
        except (PyctrError, OSError) as error:
            report_failure(context, error)
            code = 1
        else:
            print(reference, flush=True)
    return code


def report_failure(context: Context, error: PyctrError | OSError) -> None:
    """Print one error, so that the caller can go on. With --debug, raise it instead."""
    from pyctr_lite.cli.command import report

    if context.debug:
        raise error
    report.print_error(error, "")
