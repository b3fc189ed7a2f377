"""TIOCSTI pushes text into a terminal's input, as if typed: never into that of a container's caller."""

from __future__ import annotations

import shlex

import pytest

from tests.conftest import Pyctr
from tests.person import at_terminal
from tests.syscalls import PERL_MOUNTS

PUSH = """
$| = 1;
my $pushed = 0;
foreach my $path (</proc/self/fd/*>, "/dev/tty", "/dev/console", </dev/pts/[0-9]*>) {
    open(my $terminal, "+<", $path) or next;
    foreach (split //, "hijacked\\n") { $pushed++ if ioctl($terminal, 0x5412, $_); }
}
print "pushed $pushed;";
"""
READ = "busybox sh -c 'read -t 1 line; echo \"<$line>\"'"
"""Reads the next line from the terminal, like the caller's shell."""


def then_reads(command: list[str]) -> tuple[str, str]:
    """Run a command at a terminal; return its output, and the line in the terminal's input afterwards."""
    with at_terminal(["sh", "-c", f"{shlex.join(command)}; stty sane; echo; {READ}"]) as person:
        shown = person.sees("pushed ") + person.sees(";")
        person.sees("<")
        line = person.sees(">").removesuffix(">")
        person.leaves()
    return shown.replace("\r", "").replace("\n", ""), line


def test_pushing_into_the_terminal_works_without_a_container() -> None:
    shown, line = then_reads(["perl", "-e", PUSH])
    assert not shown.endswith("pushed 0;")
    assert line.endswith("hijacked")


@pytest.mark.parametrize(
    "flags", [[], ["-i"], ["--privileged"], ["--net", "host", "--pid", "host", "--ipc", "host"]]
)
def test_a_container_without_a_terminal_cannot_push_into_the_callers(pyctr: Pyctr, flags: list[str]) -> None:
    command = pyctr.command("run", "--rm", *flags, *PERL_MOUNTS, "busybox", "perl", "-e", PUSH)
    shown, line = then_reads(command)
    assert shown.endswith("pushed 0;")
    assert line == ""


def test_a_container_with_a_terminal_pushes_only_into_its_own(pyctr: Pyctr) -> None:
    command = pyctr.command(
        "run", "--rm", "-it", "--cap-add", "SYS_ADMIN", *PERL_MOUNTS, "busybox", "perl", "-e", PUSH
    )
    shown, line = then_reads(command)
    assert not shown.endswith("pushed 0;")
    assert line == ""


@pytest.mark.parametrize("flags", [[], ["-i"], ["-it"], ["--privileged"]])
def test_exec_cannot_push_into_the_callers_terminal(pyctr: Pyctr, flags: list[str]) -> None:
    pyctr("run", "-d", "--name", "box", *PERL_MOUNTS, "busybox", "sleep", "60", check=True)
    shown, line = then_reads(pyctr.command("exec", *flags, "box", "perl", "-e", PUSH))
    assert line == ""
    if "-it" not in flags:
        assert shown.endswith("pushed 0;")
