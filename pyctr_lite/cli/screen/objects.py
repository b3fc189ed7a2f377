"""Inspected objects, printed as one JSON array or by a template.  [hot]"""

from __future__ import annotations

from pyctr_lite.cli.command import output
from pyctr_lite.cli.screen import for_each
from pyctr_lite.errors import NotFound, PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.cli.command.flags import Context


def show(context: Context, find: Callable[[str], Any]) -> int:
    """Print the object that `find` returns for each argument, in the format of `--format`.

    Reports each object that is not found, and then returns 1.
    """
    form = context.flags.format or ""
    if form in ("", "json"):
        found, failures = _collect(context, find)
        output.show_json(found, None if form else 4)
    else:
        failures = _show_by_template(context, find, form)
    for failure in failures:
        for_each.report_failure(context, failure)
    return 1 if failures else 0


def _show_by_template(context: Context, find: Callable[[str], Any], form: str) -> list[PyctrError]:
    from pyctr_lite.cli.gotemplate import template, tokens, types, values  # they take 15 ms to load

    parsed = template.from_flag(form)

    def render(reference: str) -> str:
        value = find(reference)
        return parsed.render(values.as_go(value, known=types.of_object(value)))

    # A template that fails for one object fails for all: report it once.
    texts, failures = _collect(context, render, (tokens.TemplateError,))
    for text in texts:
        output.styled(f"{text}\n")
    return failures


def _collect(
    context: Context, find: Callable[[str], Any], last: tuple[type[PyctrError], ...] = ()
) -> tuple[list[Any], list[PyctrError]]:
    """Return what `find` returns for each argument, and the failures. A failure in `last` ends the search."""
    found: list[Any] = []
    failures: list[PyctrError] = []
    for reference in context.flags.arguments:
        try:
            found.append(find(reference))
        except NotFound as error:
            failures.append(error)
        except last as error:
            failures.append(error)
            break
    return found, failures
