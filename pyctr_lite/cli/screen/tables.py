"""What the listing verbs print: Docker's plain tables, and `--format` with `table`, `json` or a template.  [hot]

The plain table needs no template; the templates are imported where one is asked for.
"""

from __future__ import annotations

from pyctr_lite.cli.command import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from pyctr_lite.cli.gotemplate.template import Template

PADDING = 3
"""Spaces between two columns, and the least width of a column with them: as Docker's tabwriter has them."""
MINIMUM = 10
_BOLD, _FAINT, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


class Listing:
    """The fields of a listing's rows with their headers, and which of them the plain table shows.

    A row is a dict of field → text. `wanted` says which fields a format needs, so that the others, and what is
    costly to find, can be left out of the rows. `labels` tells in which key of a row `{{.Label "name"}}` looks
    for a label: a dict that is not a field itself.
    """

    __slots__ = ("fields", "labels", "shown")

    def __init__(self, fields: dict[str, str], shown: Sequence[str], *, labels: str = "") -> None:
        self.fields = fields
        self.shown = tuple(shown)
        self.labels = labels

    def wanted(self, form: str) -> set[str]:
        """The keys that rows need for a format. Fails with TemplateError where the format is none."""
        text = _template_text(form)
        if not text:
            return set(self.shown)
        template = _template(text)
        every = {*self.fields, self.labels} - {""}
        fields = template.fields()
        if template.asks_for_all():
            return every
        return {*(fields & every), *({self.labels} if "Label" in fields else ())}

    def text(self, rows: Iterable[dict[str, Any]], form: str = "") -> str:
        """The rows in a format: "" and "table" are the plain table, "json" is an object a line.

        On a terminal no cell of a table has a control character; a template's text is as the template makes it.
        Raises TemplateError if the format is not a template, or asks for a field that is not there.
        """
        template_text = _template_text(form)
        if not template_text:
            header = [self.fields[name] for name in self.shown]
            return aligned([header, *([row[name] for name in self.shown] for row in rows)])
        template = _template(template_text)
        lines = [template.render(self._context(row)) for row in rows]
        if not form.startswith("table"):
            return "".join(f"{line}\n" for line in lines)
        from pyctr_lite.cli.gotemplate import functions as template_functions

        header_template = _template(template_text, template_functions.HEADER_FUNCTIONS)
        header_line = header_template.render(self._context(dict(self.fields), label=_label_header))
        return aligned([line.split("\t") for line in "\n".join([header_line, *lines]).split("\n")])

    def show(
        self, rows: Sequence[dict[str, Any]], form: str = "", faint: Callable[[int], bool] | None = None
    ) -> None:
        """Print the rows in a format. At a terminal a table's header is bold.

        Faint are there the rows of which `faint`, given their number, says that they matter less.
        """
        text = self.text(rows, form)
        if (not form or form.startswith("table")) and has_styles():
            header, *lines = text.splitlines()
            if form in ("", "table") and faint is not None:
                lines = [f"{_FAINT}{line}{_PLAIN}" if faint(number) else line for number, line in enumerate(lines)]
            text = "".join(f"{line}\n" for line in (f"{_BOLD}{header}{_PLAIN}", *lines))
        output.styled(text)

    def _context(self, row: dict[str, Any], label: Any = None) -> Any:
        """A row as a template sees it: sorted, as Docker's JSON of it is, and with the method `.Label`."""
        row = dict(sorted(row.items()))
        if not self.labels:
            return row
        from pyctr_lite.cli.gotemplate.functions import Method

        labels = row.get(self.labels, {})
        context = {name: value for name, value in row.items() if name != self.labels}
        return context | {"Label": Method(label or (lambda name: labels.get(name, "")))}


def has_styles() -> bool:
    """Whether who reads stdout sees bold and faint: a person at a terminal, not told otherwise (no-color.org)."""
    import os

    return os.isatty(1) and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def _label_header(name: str) -> str:
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")


def _template_text(form: str) -> str:
    """The template of a format, or "" for the plain table."""
    if form == "json":
        return "{{json .}}"
    text = form[len("table") :] if form.startswith("table") else form
    return text.strip(" ").replace("\\t", "\t").replace("\\n", "\n")


def _template(text: str, functions: Any = None) -> Template:
    from pyctr_lite.cli.gotemplate import functions as template_functions
    from pyctr_lite.cli.gotemplate import template as templates

    return templates.Template(text, functions or template_functions.FUNCTIONS)


def aligned(rows: Sequence[Sequence[str]], minimum: int = MINIMUM) -> str:
    """`align`, with every cell made safe to show if stdout is a terminal."""
    return align([[output.one_line(cell) for cell in row] for row in rows], minimum)


def align(rows: Sequence[Sequence[str]], minimum: int = MINIMUM) -> str:
    """Rows of cells as lines whose columns stand under each other (Go's text/tabwriter, as Docker has it).

    The last cell of a row is not padded. A column is as wide as the widest cell of the rows that stand together
    and go on after it.
    """
    lines = [""] * len(rows)
    for column in range(max(map(len, rows), default=1)):
        together: list[int] = []
        for index, row in enumerate((*rows, ())):
            if len(row) > column + 1:
                together.append(index)
                continue
            width = max([minimum, *(cells(rows[other][column]) + PADDING for other in together)])
            for other in together:
                cell = rows[other][column]
                lines[other] += cell + " " * (width - cells(cell))
            together = []
            if len(row) == column + 1:
                lines[index] += row[column]
    return "".join(f"{line}\n" for line in lines)


def cells(text: str) -> int:
    """How many cells of a terminal a text takes: Chinese and the like take two, combining marks none."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def shorten(text: str, length: int) -> str:
    """A text cut to a length, with an ellipsis for what is gone (Docker's formatter.Ellipsis)."""
    return text if len(text) <= length else text[: length - 1] + "…" if length > 1 else text[:length]
