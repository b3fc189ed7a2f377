"""Inspected objects, printed as one JSON array or by a template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyctr_lite.cli.command import output
from pyctr_lite.cli.gotemplate import template, types, values
from pyctr_lite.cli.gotemplate.tokens import TemplateError
from pyctr_lite.cli.screen import for_each
from pyctr_lite.errors import NotFound, PyctrError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.cli.command.flags import Context


def show(context: Context, find: Callable[[str], Any]) -> int:
    """Print the object that `find` returns for each argument, in the format of `--format`.

    Reports each object that is not found, and then returns 1.
    """
    form = context.flags.format or ""
    shown_by = template.from_flag(form) if form not in ("", "json") else None
    found: list[Any] = []
    failures: list[PyctrError] = []
    for reference in context.flags.arguments:
        try:
            value = find(reference)
            if shown_by is not None:
                value = shown_by.render(values.as_go(value, known=types.of_object(value)))
            found.append(value)
        except NotFound as error:
            failures.append(error)
        except TemplateError as error:
            failures.append(error)
            break  # the template fails for every object; report it once
    if shown_by is None:
        output.show_json(found, None if form else 4)
    else:
        for text in found:
            output.styled(f"{text}\n")
    for failure in failures:
        for_each.report_failure(context, failure)
    return 1 if failures else 0
