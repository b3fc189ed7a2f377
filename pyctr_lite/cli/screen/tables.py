"""Listings: Docker's plain tables, and `--format` with `table`, `json` or a template.  [hot]

The plain table needs no template; the templates are imported only if one is given.
"""

from __future__ import annotations

from pyctr_lite.cli.command import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from pyctr_lite.cli.gotemplate.template import Template

PADDING = 3
"""Spaces between two columns, and the minimum width of a column with them: those of Docker's tabwriter."""
MINIMUM = 10
_BOLD, _FAINT, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


class Listing:
    """The fields of a listing's rows with their headers, and the fields that the plain table shows.

    A row is a dict of field → text. `wanted` returns the fields that a format needs, so that rows can leave out
    the others, which may be costly. `labels` is the key of a row's dict of labels for `{{.Label "name"}}`; it is
    not a field itself.
    """

    __slots__ = ("fields", "labels", "shown")

    def __init__(self, fields: dict[str, str], shown: Sequence[str], *, labels: str = "") -> None:
        self.fields = fields
        self.shown = tuple(shown)
        self.labels = labels

    def wanted(self, form: str) -> set[str]:
        """Return the keys that a format needs in a row. Raises TemplateError if the format is not a template."""
        text = _template_text(form)
        if not text:
            return set(self.shown)
        template = _template(text)
        every = {*self.fields, self.labels} - {""}
        fields = template.fields()
        if template.uses_whole_data():
            return every
        return {*(fields & every), *({self.labels} if "Label" in fields else ())}

    def text(self, rows: Iterable[dict[str, Any]], form: str = "") -> str:
        """Return the rows in a format: "" and "table" are the plain table, "json" is one object per line.

        On a terminal no cell of a table has a control character; a template's text stays as the template makes it.
        Raises TemplateError if the format is not a template, or uses an unknown field.
        """
        template_text = _template_text(form)
        if not template_text:
            header = [self.fields[name] for name in self.shown]
            return aligned([header, *([row[name] for name in self.shown] for row in rows)])
        template = _template(template_text)
        lines = [template.render(self._context(row)) for row in rows]
        if not form.startswith("table"):
            return "".join(f"{line}\n" for line in lines)
        from pyctr_lite.cli.gotemplate.functions import HEADER_FUNCTIONS

        header_template = _template(template_text, HEADER_FUNCTIONS)
        header_line = header_template.render(self._context(dict(self.fields), label=_label_header))
        return aligned([line.split("\t") for line in "\n".join([header_line, *lines]).split("\n")])

    def show(
        self, rows: Sequence[dict[str, Any]], form: str = "", faint: Callable[[int], bool] | None = None
    ) -> None:
        """Print the rows in a format.

        On a terminal a table's header is bold, and a row is faint if `faint`, called with its number, is true.
        """
        text = self.text(rows, form)
        if (not form or form.startswith("table")) and has_styles():
            header, *lines = text.splitlines()
            if form in ("", "table") and faint is not None:
                lines = [f"{_FAINT}{line}{_PLAIN}" if faint(number) else line for number, line in enumerate(lines)]
            text = "".join(f"{line}\n" for line in (f"{_BOLD}{header}{_PLAIN}", *lines))
        output.styled(text)

    def _context(self, row: dict[str, Any], label: Any = None) -> Any:
        """Return a row as a template sees it: sorted, as in Docker's JSON, and with the method `.Label`."""
        row = dict(sorted(row.items()))
        if not self.labels:
            return row
        from pyctr_lite.cli.gotemplate.functions import Method

        labels = row.get(self.labels, {})
        context = {name: value for name, value in row.items() if name != self.labels}
        return context | {"Label": Method(label or (lambda name: labels.get(name, "")))}


def has_styles() -> bool:
    """Return whether to print bold and faint: stdout is a terminal that has styles, and NO_COLOR is not set."""
    import os

    return os.isatty(1) and not os.getenv("NO_COLOR") and os.getenv("TERM", "dumb") != "dumb"


def _label_header(name: str) -> str:
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")


def _template_text(form: str) -> str:
    """Return the template of a format, or "" for the plain table."""
    if form == "json":
        return "{{json .}}"
    text = form[len("table") :] if form.startswith("table") else form
    return text.strip(" ").replace("\\t", "\t").replace("\\n", "\n")


def _template(text: str, functions: Any = None) -> Template:
    from pyctr_lite.cli.gotemplate.functions import FUNCTIONS
    from pyctr_lite.cli.gotemplate.template import Template

    return Template(text, functions or FUNCTIONS)


def aligned(rows: Sequence[Sequence[str]], minimum: int = MINIMUM) -> str:
    """Align rows of cells as `align` does, with every cell made safe to show if stdout is a terminal."""
    return align([[output.one_line(cell) for cell in row] for row in rows], minimum)


def align(rows: Sequence[Sequence[str]], minimum: int = MINIMUM) -> str:
    """Align rows of cells in columns, as Go's text/tabwriter does for Docker.

    The last cell of a row is not padded. A column is as wide as its widest cell in adjacent rows that have
    another cell after it.
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
    """Return the terminal cells that a text takes: two for a wide letter (Chinese), none for a combining mark."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def shorten(text: str, length: int) -> str:
    """Cut a text to a length, with an ellipsis at the end if it was longer (Docker's formatter.Ellipsis)."""
    return text if len(text) <= length else text[: length - 1] + "…" if length > 1 else text[:length]
