"""Listings look like Docker's; Docker's own client is the oracle."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite.cli.gotemplate.tokens import TemplateError
from pyctr_lite.cli.screen import tables

if TYPE_CHECKING:
    from tests.cli.conftest import DockerClient

VOLUMES = tables.Listing(
    {"Driver": "DRIVER", "Name": "VOLUME NAME", "Mountpoint": "MOUNTPOINT", "Labels": "LABELS"},
    ("Driver", "Name"),
    labels="_labels",
)
ROWS = [
    {"Driver": "local", "Name": "data", "Mountpoint": "/srv/a", "Labels": "a=b", "_labels": {"a": "b"}},
    {"Driver": "local", "Name": "日本語" * 5, "Mountpoint": "/srv/b", "Labels": "", "_labels": {}},
]
WIDE_SINCE = 23
"""The first Docker client for which Chinese letters take two cells."""
FORMATS = [
    "",
    "table",
    "table {{.Name}}\\t{{.Driver}}",
    "table {{.Name}}\\t{{.Driver}}\\t{{.Mountpoint}}",
    "table {{upper .Name}}\t{{lower .Driver}}\t{{json .Labels}}",
    'table {{.Name}}\\t{{.Label "a"}}\\t{{.Label "com.x.some-key_word"}}|',
    "table {{.Name}}{{if .Labels}}\\t{{.Labels}}{{end}}\\n{{.Driver}}",
    "{{.Name}}\\t{{.Driver}}",
    "{{.Name}}={{.Labels}}",
    '{{.Label "a"}}',
    "plain",
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_listing_looks_like_dockers(docker_server: DockerClient, form: str, number: int) -> None:
    rows = ROWS[:number]
    if docker_server.version() < WIDE_SINCE:
        rows = [{**row, "Name": str(row["Name"]).replace("日本語", "xyz")} for row in rows]
    docker_server.answers["/volumes"] = {"Volumes": [{**row, "Labels": row["_labels"]} for row in rows]}
    theirs = docker_server("volume", "ls", *(["--format", form] if form else []))
    assert theirs.returncode == 0, theirs.stderr
    assert VOLUMES.text(rows, form).splitlines() == theirs.stdout.splitlines()


def test_json_is_one_object_per_line() -> None:
    lines = VOLUMES.text([{"Name": "a", "Driver": "local"}, {"Name": "b", "Driver": "x"}], "json").splitlines()
    assert lines == ['{"Driver":"local","Name":"a"}', '{"Driver":"x","Name":"b"}']


def test_an_unknown_field_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(TemplateError, match=r"<\.Nmae>: ") as caught:
        VOLUMES.text(ROWS, "table {{.Nmae}}")
    assert caught.value.hint == "did you mean .Name?"


def test_a_format_that_is_not_a_template_is_refused_even_without_rows() -> None:
    with pytest.raises(TemplateError, match="unclosed action"):
        VOLUMES.text([], "{{.Name")


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("", {"Driver", "Name"}),
        ("table", {"Driver", "Name"}),
        ("{{.Name}}{{if .Labels}}x{{end}}", {"Name", "Labels"}),
        ("table {{.Mountpoint}}", {"Mountpoint"}),
        ('{{.Label "a"}}', {"_labels"}),
        ("json", {"Driver", "Name", "Mountpoint", "Labels", "_labels"}),
        ("{{json .}}", {"Driver", "Name", "Mountpoint", "Labels", "_labels"}),
    ],
)
def test_a_table_lists_the_fields_that_its_format_needs(form: str, wanted: set[str]) -> None:
    assert VOLUMES.wanted(form) == wanted


def test_only_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert tables.shorten("sleep 100000", 8) == "sleep 1…"
    assert tables.shorten("sleep", 5) == "sleep"


@given(st.lists(st.lists(st.text(alphabet="ab ", max_size=14), min_size=3, max_size=3), min_size=1))
def test_columns_are_aligned(rows: list[list[str]]) -> None:
    lines = tables.align(rows).split("\n")[:-1]
    width = max(10, *(len(row[0]) + 3 for row in rows))
    for line, row in zip(lines, rows, strict=True):
        assert line.startswith(row[0].ljust(width) + row[1])
        assert line.endswith(row[2])


def test_the_plain_table_imports_only_cheap_modules() -> None:
    code = (
        "import sys; from pyctr_lite.cli.screen import tables; from pyctr_lite.cli.command import flags; "
        "from pyctr_lite.formats import times, units; print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", f"import sys; sys.path.append('.'); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"re", "enum", "typing", "dataclasses", "json", "collections", "functools", "contextlib", "pathlib"}
    assert not heavy & set(done.stdout.split())
    assert not [name for name in done.stdout.split() if "template" in name]
