"""Templates render as in Docker's client: `templates.json` holds the output of Docker 28 for each."""

from __future__ import annotations

import json
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite.cli.gotemplate import fmt, functions, values
from pyctr_lite.cli.gotemplate.template import Template
from pyctr_lite.cli.gotemplate.tokens import TemplateError
from pyctr_lite.formats import quoting

if TYPE_CHECKING:
    from tests.cli.conftest import DockerClient

CASES: list[tuple[str, str]] = json.loads(Path(__file__).with_name("templates.json").read_text())
DATA: dict[str, Any] = {
    "Id": "abc",
    "Name": "/x",
    "State": {"Running": True, "Pid": 5},
    "Config": {"Labels": {"k": "v"}, "Env": ["A=1", "B=2"], "Cmd": None},
    "D": {
        "b": ["x", ["y"], "z"],
        "e": [],
        "n": None,
        "t": True,
        "s": "<a&b>é",
        "m": {"z": "1", "a": {"q": "r"}},
        "l": ["a", "b"],
    },
}


def render(text: str, data: Any = DATA) -> str:
    return Template(text).render(values.as_go(data))


def refusal(text: str, data: Any = DATA) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        render(text, data)
    return caught.value


@pytest.mark.parametrize(("text", "shown"), CASES)
def test_a_template_renders_or_is_refused_as_in_docker(text: str, shown: str) -> None:
    try:
        ours = render(text)
    except TemplateError as error:
        ours = error.message
    assert ours == shown


def test_dockers_client_still_agrees_with_the_table(docker_server: DockerClient) -> None:
    if int(docker_server("--version").stdout.split()[2].partition(".")[0]) < 28:
        pytest.skip("the table is of Docker 28: older clients are made with an older text/template")
    docker_server.answers["/containers/x/json"] = DATA

    def ask(text: str) -> str:
        done = docker_server("inspect", "--type", "container", "x", "--format", text)
        return done.stdout[:-1] if done.returncode == 0 else done.stderr.strip()

    with futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, [text for text, _ in CASES])) == [shown for _, shown in CASES]


def test_json_keeps_the_order_of_a_structs_fields_and_sorts_a_maps_keys() -> None:
    data = {"Z": 1, "A": 2, "Labels": {"z": "1", "a": "2"}}
    assert render("{{json .}}", data) == '{"Z":1,"A":2,"Labels":{"a":"2","z":"1"}}'


def test_a_method_is_not_shown_as_a_field() -> None:
    assert render("{{.}}", {"Names": "web", "Label": functions.Method(str)}) == "map[Names:web]"


def test_a_missing_field_gets_the_nearest_as_a_suggestion() -> None:
    assert refusal("{{.State.Pdi}}").hint == "did you mean .Pid?"
    assert refusal("{{.State.Xyzzy}}").hint == ""


def test_a_missing_key_of_a_go_map_is_not_an_error() -> None:
    assert render("{{.Config.Labels.nope}}") == "<no value>"
    assert render("{{.Config.Labels.nope.deeper}}") == "<no value>"
    assert render("{{with .Config.Labels}}{{.nope}}{{end}}") == "<no value>"
    assert render('{{index .Config.Labels "nope"}}') == ""


def test_only_a_list_of_strings_can_be_joined() -> None:
    assert render('{{join .Config.Env " "}}') == "A=1 B=2"
    assert "wrong type for value; expected []string" in refusal('{{join .D.b " "}}').message


def test_an_error_has_its_line_and_column() -> None:
    assert ":2:5:" in refusal("{{.Id}}\né  {{.Nope}}").message.replace(":2:6:", ":2:5:")
    assert "template: :3:" in refusal("\n\n{{if}}{{end}}").message


def test_a_template_lists_the_fields_that_it_uses() -> None:
    text = "{{.ID}} {{if .Size}}{{json (index .Mounts 0)}}{{else}}{{range $x := .Ports}}{{$x.Host}}{{end}}{{end}}"
    assert Template(text).fields() == {"ID", "Size", "Mounts", "Ports", "Host"}


@pytest.mark.parametrize(
    "text", ["{{if 1}}" * 5000 + "{{end}}" * 5000, "{{" + "(" * 20000 + "1" + ")" * 20000 + "}}"]
)
def test_a_template_nested_too_deeply_is_refused(text: str) -> None:
    assert "inside each other" in refusal(text).message


def test_an_unsupported_action_is_refused_by_name() -> None:
    assert refusal('{{define "x"}}{{end}}').message.endswith("{{define}} is not supported here")


FRAGMENTS = [
    "{{",
    "}}",
    "{{- ",
    " -}}",
    ".",
    ".Id",
    ".D.b",
    "$",
    "$x",
    ":=",
    "=",
    "|",
    "(",
    ")",
    ",",
    " ",
    '"a"',
    "1",
    "-2.5",
]
FRAGMENTS += [
    "'a'",
    "if ",
    "else ",
    "end",
    "range ",
    "with ",
    "nil",
    "true",
    "index ",
    "len ",
    "printf ",
    "eq ",
    "/*",
    "*/",
    "`",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join))
def test_every_text_renders_or_is_refused(text: str) -> None:
    try:
        render(text)
    except TemplateError as error:
        shown = error.message
    else:
        shown = "template parsing error: template: :"
    assert shown.startswith("template parsing error: template: :")


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_is_rendered_unchanged(text: str) -> None:
    assert render(text) == text


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_json_can_be_read_back(value: Any) -> None:
    assert json.loads(render("{{json .V}}", {"V": value})) == value


@given(st.lists(st.text()))
def test_range_visits_each_item_once_in_order(items: list[str]) -> None:
    assert render("{{range .V}}{{.}}{{else}}none{{end}}", {"V": items}) == ("".join(items) if items else "none")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_reads_back_as_itself(value: float) -> None:
    assert float(fmt.text(value)) == value


@given(st.text(st.characters(codec="utf-8")))
def test_a_quoted_string_is_a_literal_of_itself(text: str) -> None:
    assert render(f"{{{{{quoting.quoted(text)}}}}}") == text
