"""For several objects: each that worked is printed, each error told; any error makes the exit code 1.  [hot]"""

from __future__ import annotations

from pyctr_lite.errors import PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyctr_lite.cli.command.flags import Context


def each(context: Context, references: Iterable[str], act: Callable[[str], object]) -> int:
    """Call `act` on each reference and print the reference, as it was given, when that is done."""
    code = 0
    for reference in references:
        try:
            act(reference)
        except (PyctrError, OSError) as error:
            tell(context, error)
            code = 1
        else:
            print(reference, flush=True)
    return code


def tell(context: Context, error: PyctrError | OSError) -> None:
    """Tell of one error and go on; with --debug, go on no more."""
    from pyctr_lite.cli.command import report

    if context.debug:
        raise error
    report.print_error(error, "")
