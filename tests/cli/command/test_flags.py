"""The flag parser accepts and reports the same as pflag; Docker's own client is the oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite import errors
from pyctr_lite.cli.command import flags, help, parser
from pyctr_lite.cli.command.flags import Command, Option
from tests.cli.conftest import DockerClient

RUN = Command(
    "run",
    "IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    (
        Option("detach", "bool", "Run in the background", short="d"),
        Option("interactive", "bool", "Keep STDIN open", short="i"),
        Option("tty", "bool", "Allocate a pseudo-TTY", short="t"),
        Option("rm", "bool", "Remove the container when it exits"),
        Option("sig-proxy", "bool", "Proxy signals to the process", default=True),
        Option("name", "string", "Assign a name"),
        Option("env", "list", "Set environment variables", short="e"),
        Option("memory", "bytes", "Memory limit", short="m"),
        Option("memory-swap", "memory-swap", "Memory and swap limit"),
        Option("cpu-shares", "int", "CPU shares (relative weight)", short="c"),
        Option("cpus", "cpus", "Number of CPUs"),
        Option("network", "string", "Connect to a network", aliases=("net",)),
        Option("stop-timeout", "int", "Timeout (in seconds) to stop a container"),
        Option("explain", "string", "Narrate each kernel step", no_value="text", metavar="json"),
    ),
    interspersed=False,
    example="pyctr_lite run --rm busybox echo hello",
)
PS = Command("ps", "", "List containers", (Option("all", "bool", "Show all containers", short="a"),))


def parse(*args: str) -> flags.Parsed:
    return parser.parse(RUN, args)


def refusal(command: Command, *args: str) -> errors.UsageError:
    with pytest.raises(errors.UsageError) as caught:
        parser.parse(command, args)
    return caught.value


@pytest.mark.parametrize("args", [["--name", "web"], ["--name=web"]])
def test_a_long_flag_takes_its_value_after_a_space_or_an_equals_sign(args: list[str]) -> None:
    assert parse(*args, "busybox").name == "web"


@pytest.mark.parametrize(
    "args", [["-m", "64m"], ["-m64m"], ["-m=64m"], ["--memory=64m"], ["-itm", "64m"], ["-im64m"]]
)
def test_a_short_flag_takes_its_value_in_every_way_of_pflag(args: list[str]) -> None:
    parsed = parse(*args, "busybox")
    assert parsed.memory == 64 << 20
    assert parsed.arguments == ["busybox"]


def test_shorthands_combine() -> None:
    parsed = parse("-itd", "busybox")
    assert (parsed.interactive, parsed.tty, parsed.detach, parsed.rm) == (True, True, True, False)


def test_a_bool_is_set_and_unset_with_an_equals_sign_only() -> None:
    assert parse("--rm", "busybox").rm is True
    assert parse("--rm=false", "busybox").rm is False
    assert parse("--sig-proxy=0", "busybox").sig_proxy is False
    assert parse("--rm", "false").arguments == ["false"]


def test_options_end_at_the_first_positional_if_not_interspersed() -> None:
    parsed = parse("--rm", "busybox", "ls", "-l", "--rm=false", "--")
    assert parsed.arguments == ["busybox", "ls", "-l", "--rm=false", "--"]
    assert parsed.rm is True


def test_options_may_follow_positionals_if_interspersed() -> None:
    rm = Command("rm", "CONTAINER [CONTAINER...]", "Remove", (Option("force", "bool", "Force", short="f"),))
    parsed = parser.parse(rm, ["one", "-f", "two"])
    assert parsed.force is True
    assert parsed.arguments == ["one", "two"]


def test_two_dashes_end_the_options() -> None:
    parsed = parse("--rm", "--", "-odd", "--rm=false")
    assert parsed.arguments == ["-odd", "--rm=false"]


def test_a_lone_dash_is_a_positional() -> None:
    assert parse("-").arguments == ["-"]


def test_a_list_appends_and_keeps_commas() -> None:
    assert parse("-e", "A=1,2", "--env=B=3", "-eC", "busybox").env == ["A=1,2", "B=3", "C"]
    assert parse("busybox").env == []


def test_the_last_of_a_repeated_flag_wins() -> None:
    assert parse("--name=a", "--name=b", "busybox").name == "b"


def test_a_flag_that_was_not_given_is_none_and_not_in_given() -> None:
    parsed = parse("--name=", "busybox")
    assert parsed.memory is None
    assert parsed.name == ""
    assert parsed.given == {"name"}


def test_an_alias_sets_its_option() -> None:
    assert parse("--net", "none", "busybox").network == "none"
    assert parse("--net", "none", "busybox").given == {"network"}


def test_a_flag_with_an_optional_value_stands_alone_or_with_an_equals_sign() -> None:
    assert parse("--explain", "busybox").explain == "text"
    assert parse("--explain=json", "busybox").explain == "json"
    assert parse("busybox").explain is None


def test_help_needs_no_positionals() -> None:
    assert parse("--help").help is True
    assert parse("-h").help is True
    assert parse("busybox", "--help").help is False


def test_a_verbs_own_h_is_not_help() -> None:
    command = Command("run", "IMAGE", "Run", (Option("hostname", "string", "Host name", short="h"),))
    assert parser.parse(command, ["-h", "web", "busybox"]).hostname == "web"


def test_an_error_points_to_the_help() -> None:
    error = refusal(RUN, "--frobnicate", "busybox")
    assert error.message == "unknown flag: --frobnicate"
    assert error.hint == "See 'pyctr_lite run --help'."


@pytest.mark.parametrize(
    ("typed", "meant"), [("--memroy", "--memory"), ("--detatch", "--detach"), ("--cpu-sh", "--cpu-shares")]
)
def test_a_mistyped_flag_gets_the_nearest_as_a_suggestion(typed: str, meant: str) -> None:
    assert refusal(RUN, typed, "busybox").hint == f"did you mean {meant}? See 'pyctr_lite run --help'."


@pytest.mark.parametrize(
    ("arguments", "number", "message"),
    [
        ("", 1, '"pyctr_lite x" accepts no arguments.'),
        ("IMAGE [COMMAND] [ARG...]", 0, '"pyctr_lite x" requires at least 1 argument.'),
        ("CONTAINER COMMAND [ARG...]", 1, '"pyctr_lite x" requires at least 2 arguments.'),
        ("CONTAINER NEW_NAME", 1, '"pyctr_lite x" requires exactly 2 arguments.'),
        ("CONTAINER", 2, '"pyctr_lite x" requires exactly 1 argument.'),
        ("[VOLUME]", 2, '"pyctr_lite x" requires at most 1 argument.'),
        ("CONTAINER [REPOSITORY[:TAG]]", 3, '"pyctr_lite x" requires at least 1 and at most 2 arguments.'),
    ],
)
def test_the_number_of_positionals_is_checked(arguments: str, number: int, message: str) -> None:
    assert refusal(Command("x", arguments, ""), *["a"] * number).message == message


@pytest.mark.parametrize(
    ("arguments", "number"), [("", 0), ("A [B...]", 9), ("A B", 2), ("[A]", 0), ("A [B[:C]]", 2)]
)
def test_a_right_number_of_positionals_is_accepted(arguments: str, number: int) -> None:
    assert parser.parse(Command("x", arguments, ""), ["a"] * number).arguments == ["a"] * number


@pytest.mark.parametrize(
    "text",
    [
        "--frob",
        "-xyz",
        "-itx",
        "-t=foo",
        "-x=1",
        "-=",
        "--=3",
        "---x",
        "--name",
        "-e",
        "-itm",
        "--rm=maybe",
        "-itd=maybe",
        "--rm=yes",
        "--rm=",
        "-m zz",
        "-m 12zb",
        "-m 1.5.5g",
        "-m -1",
        "-m 1kib",
        "-m 1KB",
        "--memory-swap=-1",
        "--memory-swap=-2",
        "--cpu-shares=abc",
        "-c 0x10",
        "-c 010",
        "-c 08",
        "-c 1_0",
        "-c 1.5",
        "-c +5",
        "-c 99999999999999999999",
        "--stop-timeout=x",
        "--cpus=abc",
        "--cpus=.5",
        "--cpus=1/3",
        "--cpus=1/4",
        "--cpus=5e-1",
        "--cpus=1.0000000001",
        "--cpus=1.00000000010",
        "--cpus=1.1000000000000",
    ],
)
def test_a_command_line_is_refused_as_docker_refuses_it(docker: DockerClient, text: str) -> None:
    arguments = text.split() if text in ("--name", "-e", "-itm") else [*text.split(), "busybox"]
    theirs = docker.complaint("run", *arguments)
    try:
        parse(*arguments)
        ours = ""
    except errors.UsageError as error:
        ours = error.message
    assert ours == theirs.replace(
        "invalid size: '12zb'", "invalid suffix: 'zb'"
    )  # Debian's 20.10 has an older text


@given(st.lists(st.text(alphabet="-=ametrd1 ", max_size=6), max_size=5))
def test_every_command_line_parses_or_is_refused_in_one_line(args: list[str]) -> None:
    try:
        parsed, refused = parse(*args), ""
    except errors.UsageError as error:
        parsed, refused = None, f"{error.message} {error.hint}"
    if parsed is None:
        assert "\n" not in refused
        assert "run --help" in refused
    else:
        assert parsed.arguments == args[len(args) - len(parsed.arguments) :]


@given(st.text(), st.text())
def test_any_text_reaches_the_option_unchanged(name: str, item: str) -> None:
    parsed = parse("--name", name, f"--env={item}", "busybox")
    assert (parsed.name, parsed.env) == (name, [item])


def test_the_help_has_usage_options_and_an_example() -> None:
    text = help.command_help(RUN, columns=80)
    assert text.startswith("Usage:  pyctr_lite run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nCreate and run")
    assert "\n  -m, --memory bytes        Memory limit\n" in text
    assert "\n      --explain[=json]      Narrate" in text
    assert "(default true)" in text
    assert text.endswith("Example:\n  pyctr_lite run --rm busybox echo hello\n")
    assert max(map(len, text.splitlines())) <= 80


def test_the_help_of_a_verb_without_flags_has_no_options() -> None:
    text = help.command_help(Command("wait", "CONTAINER [CONTAINER...]", "Block until containers stop"))
    assert "Options" not in text
    assert "[OPTIONS]" not in text


def test_the_help_is_wrapped_like_dockers(docker: DockerClient) -> None:
    ps = Command(
        "stop",
        "CONTAINER [CONTAINER...]",
        "Stop one or more running containers",
        (
            Option("time", "int", "Seconds to wait for stop before killing it", short="t", default=10),
            Option("signal", "string", "Signal to send to the container", short="s"),
        ),
    )
    ours = help.command_help(ps, columns=80).splitlines()
    theirs = docker("stop", "--help").stdout.strip().splitlines()
    assert ours[0].replace("pyctr_lite", "docker") == theirs[0]
    signal = [line for line in theirs if "--signal" in line]
    if signal:  # Docker 23 and newer
        assert [line for line in ours if "--signal" in line] == signal
