"""Variables of a build, and the instructions that only change the config."""

from __future__ import annotations

from typing import Any

import pytest

from pyctr_lite.build import dockerfile, metadata, scope
from pyctr_lite.build.syntax import DockerfileError


def run(text: str, **given: str) -> tuple[dict[str, Any], scope.Scope, list[str]]:
    """Apply the instructions of the last stage; return the config, the scope and the history."""
    parsed = dockerfile.parse(text)
    arguments = scope.Arguments(given, scope.platform_arguments("linux/amd64", ""), parsed.escape)
    for instruction in parsed.arguments:
        arguments.declare_global(instruction)
    config: dict[str, Any] = {"Env": ["PATH=/bin"], "Cmd": ["old"]}
    variables = scope.Scope(arguments, {"PATH": "/bin"})
    cmd_set, lines = False, []
    for instruction in parsed.stages[-1].instructions:
        lines.append(metadata.apply(config, variables, instruction, cmd_set))
        cmd_set = cmd_set or instruction.name == "CMD"
    return config, variables, lines


def test_an_argument_before_from_counts_in_a_stage_only_if_declared_again() -> None:
    text = "ARG A=1\nARG B=$A-2\nFROM x\nARG B\nENV SEEN=$A,$B\n"
    assert run(text)[0]["Env"] == ["PATH=/bin", "SEEN=,1-2"]
    assert run(text, A="7")[0]["Env"] == ["PATH=/bin", "SEEN=,7-2"]
    assert run(text, B="given")[0]["Env"] == ["PATH=/bin", "SEEN=,given"]


def test_the_later_one_of_arg_and_env_wins() -> None:
    _, variables, _ = run("FROM x\nARG V=arg\nENV V=env\nARG W=arg2\nENV W=${W}+\n", V="given")
    assert (variables.environment["V"], variables.environment["W"]) == ("env", "arg2+")


def test_variables_of_one_line_see_the_environment_before_it() -> None:
    config, _, lines = run("FROM x\nENV a=1\nENV a=2 b=$a\nARG c=3 d=$c\nENV e=$d.\n")
    assert config["Env"][1:] == ["a=2", "b=1", "e=."]
    assert lines == ["ENV a=1", "ENV a=2 b=1", "ARG c=3 d=", "ENV e=."]


def test_every_build_has_the_arguments_of_its_platform() -> None:
    _, variables, _ = run("FROM x\nARG TARGETPLATFORM\nARG TARGETARCH\nARG BUILDOS\n")
    assert variables.prefix() == ["|3", "TARGETPLATFORM=linux/amd64", "TARGETARCH=amd64", "BUILDOS=linux"]


def test_an_argument_that_nothing_declares_is_unused_unless_it_is_a_proxy() -> None:
    _, variables, _ = run("FROM x\nARG A\n", A="1", B="2", http_proxy="p")
    assert variables.arguments.unused() == ["B"]
    assert variables.arguments.proxies() == {"http_proxy": "p"}


def test_metadata_becomes_the_config_and_history_of_buildkit() -> None:
    config, _, lines = run(
        "FROM x\nARG P=80\nLABEL a=b \"c d\"='e f'\nLABEL old form\n"
        "EXPOSE $P 90-91/udp\nUSER u:g\nVOLUME /v [x]\n"
        'VOLUME ["/w w"]\nSTOPSIGNAL INT\nSHELL ["/bin/ash","-ec"]\nHEALTHCHECK --interval=5s CMD x y\n'
        "ONBUILD COPY . .\nMAINTAINER me\nENTRYPOINT run it\n"
    )
    assert config["Labels"] == {"a": "b", "c d": "e f", "old": "form"}
    assert list(config["ExposedPorts"]) == ["80/tcp", "90/udp", "91/udp"]
    assert (config["User"], config["StopSignal"]) == ("u:g", "INT")
    assert list(config["Volumes"]) == ["/v", "[x]", "/w w"]
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "x y"], "Interval": 5 * 10**9}
    assert config["OnBuild"] == ["COPY . ."]
    assert config["Entrypoint"] == ["/bin/ash", "-ec", "run it"]
    assert "Cmd" not in config
    assert lines[1:] == [
        "LABEL a=b c d=e f",
        "LABEL old=form",
        "EXPOSE [80/tcp 90/udp 91/udp]",
        "USER u:g",
        "VOLUME [/v [x]]",
        "VOLUME [/w w]",
        "STOPSIGNAL INT",
        "SHELL [/bin/ash -ec]",
        "HEALTHCHECK {Test:[CMD-SHELL x y] Interval:5s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
        "",
        "MAINTAINER me",
        'ENTRYPOINT ["/bin/ash" "-ec" "run it"]',
    ]


def test_words_in_the_history_are_quoted_as_go_does() -> None:
    _, _, lines = run('FROM x\nCMD ["a\\n\\té", "\\"\\\\"]\nENTRYPOINT\n')
    assert lines == [r'CMD ["a\n\té" "\"\\"]', 'ENTRYPOINT ["/bin/sh" "-c" ""]']


def test_a_time_of_0_in_a_health_check_is_the_default() -> None:
    config, _, _ = run("FROM x\nHEALTHCHECK --interval=0s --timeout=0 --retries=0 CMD x\n")
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "x"]}


def test_an_entrypoint_keeps_a_cmd_of_its_own_stage() -> None:
    config, _, lines = run('FROM x\nCMD a "b"\nENTRYPOINT ["e"]\n')
    assert (config["Cmd"], config["Entrypoint"]) == (["/bin/sh", "-c", 'a "b"'], ["e"])
    assert lines[0] == 'CMD ["/bin/sh" "-c" "a \\"b\\""]'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ENV a=${b?needed}", "b: needed"),
        ("EXPOSE 70000", "70000"),
        ("STOPSIGNAL NOPE", "NOPE"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("HEALTHCHECK --interval=1us CMD x", "cannot be less than 1ms"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD"),
    ],
)
def test_a_wrong_value_is_an_error_at_its_line(line: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        run(f"FROM x\n\n{line}\n")
    assert message in caught.value.message
    assert caught.value.first == 3


@pytest.mark.parametrize(
    ("path", "before", "expected"),
    [
        ("/a", "", "/a"),
        ("b", "/a", "/a/b"),
        ("../c", "/a/b", "/a/c"),
        ("..", "/", "/"),
        ("//x//y/", "", "//x//y/"),
        ("a", "//x//y/", "/x/y/a"),
    ],
)
def test_a_working_directory_is_relative_to_the_one_before(path: str, before: str, expected: str) -> None:
    assert metadata.working_directory({"WorkingDir": before}, path) == expected
