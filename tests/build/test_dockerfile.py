"""Dockerfiles: instructions, stages, and the lines of errors."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pyctr_lite.build import checks, dockerfile, syntax
from pyctr_lite.build.syntax import DockerfileError

STAGES = """# a comment
ARG BASE=busybox
FROM $BASE AS Build
RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t echo a \\
    # a comment inside
    && echo b
COPY --from=0 --chown=1:2 ["a b", "/c/"]

FROM build
CMD ["sh", "-c", "ls"]
"""


def test_stages_have_names_numbers_and_instructions() -> None:
    parsed = dockerfile.parse(STAGES)
    first, second = parsed.stages
    assert (first.name, first.base, second.name, second.base) == ("build", "$BASE", "", "build")
    assert [it.name for it in first.instructions] == ["RUN", "COPY"]
    assert [it.args for it in parsed.arguments] == [["BASE=busybox"]]
    run, copy = first.instructions
    assert run.flags == {"mount": ["type=cache,target=/c", "type=tmpfs,target=/t"]}
    assert (run.first, run.last, run.json) == (4, 6, False)
    assert (copy.flag("from"), copy.flag("chown"), copy.args) == ("0", "1:2", ["a b", "/c/"])


def test_a_stage_is_found_by_name_or_number_among_the_earlier_ones() -> None:
    parsed = dockerfile.parse(STAGES)
    assert parsed.find("BUILD", 1) is parsed.stages[0] is parsed.find("0", 1)
    assert parsed.find("build", 0) is None
    assert parsed.find("1", 1) is None
    assert parsed.target("") is parsed.stages[1]
    with pytest.raises(DockerfileError, match="could not be found") as caught:
        parsed.target("buid")
    assert caught.value.hint == "did you mean build?"


def test_heredocs_know_whether_variables_count_in_them() -> None:
    text = "FROM scratch\nCOPY <<one <<-'two' /d/\n$x\none\n\ty\n\ttwo\nRUN <<EOF cat\nz\nEOF\n"
    copy, run = dockerfile.parse(text).stages[0].instructions
    assert [(it.name, it.content, it.expand) for it in copy.heredocs] == [
        ("one", "$x\n", True),
        ("two", "y\n", False),
    ]
    assert (run.heredocs[0].content, run.first, run.last) == ("z\n", 7, 9)


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ("ONBUILD RUN <<EOF\necho a\nEOF", "RUN <<EOF\necho a\nEOF"),
        (
            "  onbuild  run --network=none cat <<-a <<b\n\tx\n\ta\ny\nb",
            "run --network=none cat <<-a <<b\n\tx\na\ny\nb",
        ),
        ('ONBUILD \\\n COPY <<"a" \\\n /d\n$x\na', 'COPY <<"a"  /d\n$x\na'),
        ("ONBUILD ADD <<a /d\nONBUILD RUN <<b\na", "ADD <<a /d\nONBUILD RUN <<b\na"),
        ('ONBUILD RUN ["<<EOF"]', 'RUN ["<<EOF"]'),
        ("ONBUILD CMD cat <<EOF", "CMD cat <<EOF"),
        ("ONBUILD RUN \\\n # <<\n make", "RUN  make"),
    ],
)
def test_a_trigger_may_have_heredocs(text: str, trigger: str) -> None:
    lines = text.count("\n") + 1
    parsed = dockerfile.parse(f"FROM a\n{text}\nUSER me\n").stages[0].instructions
    assert [(it.name, it.first) for it in parsed] == [("ONBUILD", 2), ("USER", lines + 2)]
    assert parsed[0].rest == trigger
    again = checks.parse_trigger(trigger)
    assert again.heredocs == parsed[0].heredocs
    assert parsed[0].last == lines + 1


def test_a_heredoc_and_a_continued_line_may_contain_the_word_onbuild() -> None:
    text = "FROM a\nRUN <<EOF\nONBUILD RUN <<A\nEOF\nRUN x \\\nONBUILD RUN y \\\n<<A\nz\nA\n# <<\nONBUILD RUN z\n"
    one, two, three = dockerfile.parse(text).stages[0].instructions
    assert one.heredocs[0].content == "ONBUILD RUN <<A\n"
    assert (two.args, two.heredocs[0].content) == (["x ONBUILD RUN y <<A"], "z\n")
    assert (three.original, three.first) == ("ONBUILD RUN z", 11)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "file with no instructions", 0),
        ("# only\n", "file with no instructions", 0),
        ("FROM a\nRUM b\n", "unknown instruction: RUM", 2),
        ("RUN a\n", "no build stage in current context", 1),
        ("ARG A\n", "dockerfile contains no stages to build", 0),
        ("FROM a b\n", "FROM requires either one or three arguments", 1),
        ("FROM a AS 1x\n", "invalid name for build stage", 1),
        ("FROM a\nCOPY x\n", "COPY requires at least two arguments", 2),
        ("FROM a\nCOPY --form=b x y\n", "unknown flag: --form", 2),
        ("FROM a\nCMD --x y\n", "unknown flag: --x", 2),
        ("FROM a\nCOPY --chown=1 --chown=2 x y\n", "duplicate flag specified: --chown", 2),
        ("FROM a\nCOPY --chown x y\n", "missing a value on flag: --chown", 2),
        ("FROM a\nCOPY --link=maybe x y\n", "expecting boolean value for flag --link", 2),
        ("FROM a\n\nSHELL sh\n", "SHELL requires the arguments to be in JSON form", 3),
        ("FROM a\nENV A=1 B\n", "can't find = in", 2),
        ("FROM a\nUSER\n", "USER requires exactly one argument", 2),
        ("FROM a\nRUN\n", "RUN requires a command", 2),
        ("FROM a\nEXPOSE\n", "EXPOSE requires at least one argument", 2),
        ("FROM a\nRUN <<EOF\nx\n", "unterminated heredoc", 2),
        ("FROM a\nHEALTHCHECK\n", "HEALTHCHECK requires at least one argument", 2),
        ("FROM a\nHEALTHCHECK x y\n", 'Unknown type "X" in HEALTHCHECK (try CMD)', 2),
        ("FROM a\nHEALTHCHECK --interval=1 CMD y\n", "invalid duration '1' for --interval", 2),
        ("FROM a\nHEALTHCHECK --retries=-1 CMD y\n", "--retries cannot be negative (-1)", 2),
        ("FROM a\nHEALTHCHECK NONE y\n", "HEALTHCHECK NONE takes no arguments", 2),
        ("FROM a\nHEALTHCHECK --often=1s CMD y\n", "unknown flag: --often", 2),
        ("FROM a\nRUN x\nRUN --network=some x\n", 'invalid network mode "some"', 3),
        ("FROM a\nRUN --security=none x\n", 'security "none" is not valid', 2),
        ("FROM a\nRUN --mount=type=bnd,target=/x y\n", 'unsupported mount type "bnd"', 2),
        ("FROM a\nRUN --mount=type=cache,tgt=/x y\n", "unexpected key 'tgt' in 'tgt=/x'", 2),
        ("FROM a\nRUN --mount=type=tmpfs,target=/x,size=1q y\n", "invalid value for size: 1q", 2),
        ("FROM a\nRUN --mount=type=cache,target=/x,sharing=all y\n", 'unsupported sharing value "all"', 2),
        ("FROM a\nRUN --mount=type=cache,target=$X,form=all y\n", "unexpected key 'form'", 2),
        ("FROM a\nRUN --mount=from=$X,target=/x y\n", "'from' doesn't support variable expansion", 2),
        ("FROM a\nRUN --mount=target=/x,mode=7 y\n", 'mode not allowed for "bind" type mounts', 2),
        ("FROM a\nCOPY --from=$X y z\n", "variable expansion is not supported for --from", 2),
        ("FROM a\nCOPY x <<EOF\nEOF\n", "COPY cannot accept a heredoc as a destination", 2),
        ("FROM a\nSHELL []\n", "SHELL requires at least one argument", 2),
        ("FROM a\nONBUILD\n", "ONBUILD requires at least one argument", 2),
        ("FROM a\nONBUILD ONBUILD RUN x\n", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", 2),
        ("FROM a\nONBUILD from b\n", "FROM isn't allowed as an ONBUILD trigger", 2),
        ("FROM a\nONBUILD RUN <<a\nb\n", "unterminated heredoc", 2),
        ("FROM a\nONBUILD COPY <<a\nx\na\n", "COPY requires at least two arguments", 2),
        ("FROM a\nONBUILD RUM x\n", "unknown instruction: RUM", 2),
        ("FROM a\nONBUILD HEALTHCHECK x\n", "Unknown type", 2),
        ("FROM a\nENV =x\n", "ENV names can not be blank", 2),
        ("FROM a\nLABEL a=1 =x\n", "LABEL names can not be blank", 2),
        ("FROM a\nLABEL a\n", "LABEL must have two arguments", 2),
        ("FROM a\nARG =x\n", "ARG names can not be blank", 2),
        ('FROM a\nVOLUME ["/a", " "]\n', "VOLUME specified can not be an empty string", 2),
        ("FROM unused\nHEALTHCHECK x\nFROM a\n", "Unknown type", 2),
    ],
)
def test_an_error_names_its_line(text: str, message: str, line: int) -> None:
    with pytest.raises(DockerfileError) as caught:
        dockerfile.parse(text)
    assert message in caught.value.message
    assert caught.value.first == line


def test_an_unknown_word_gets_a_suggestion() -> None:
    for text, hint in (
        ("FROM a\nCOYP b c", "did you mean COPY?"),
        ("FROM a\nADD --chwon=1 b c", "did you mean --chown?"),
    ):
        with pytest.raises(DockerfileError) as caught:
            dockerfile.parse(text)
        assert caught.value.hint == hint


def test_an_excerpt_marks_the_lines_of_the_error() -> None:
    excerpt = dockerfile.parse("FROM a\nRUN x \\\n  y\nUSER b\nUSER c\n# end").excerpt(2, 3)
    assert excerpt.splitlines()[1:-1] == [
        "   1 |     FROM a",
        "   2 | >>> RUN x \\",
        "   3 | >>>   y",
        "   4 |     USER b",
        "   5 |     USER c",
    ]


def test_a_trigger_is_one_instruction_that_is_allowed() -> None:
    assert checks.parse_trigger("RUN make").args == ["make"]
    for text in ("FROM x", "ONBUILD RUN x", "RUN a\nRUN b", "RUM x", "HEALTHCHECK x"):
        with pytest.raises(DockerfileError):
            checks.parse_trigger(text)


def test_every_instruction_has_a_check() -> None:
    assert sorted(checks.CHECKS) == sorted(syntax.NAMES)


def test_the_parser_starts_no_thread() -> None:
    """A process that builds forks containers."""
    program = (
        "import os, pyctr_lite.build.dockerfile as d; d.parse('FROM a'); print(len(os.listdir('/proc/self/task')))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "1\n"
