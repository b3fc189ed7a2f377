"""The manual page: it covers every command and every flag, and man can read it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_lite.cli.command import manual, overview, program, verbs

SHOWN = sorted(name for name in verbs.VERBS if not name.startswith("_"))


@pytest.fixture(scope="module")
def page() -> str:
    return manual.page()


def section(page: str, verb: str) -> str:
    """Return the section of the page for one verb, with plain dashes."""
    return re.split(r"\n\.S[SH] ", page.replace("\\-", "-").partition(f"\n.SS {verb}")[2])[0]


@pytest.mark.parametrize("verb", SHOWN)
def test_the_page_covers_every_command_as_its_help_does(page: str, verb: str) -> None:
    command = overview.command(verb)
    text = section(page, verb)
    assert command.summary in text
    for option in command.options:
        assert (f"--{option.name}" in re.findall(r"--[\w-]+", text)) != option.hidden
        assert option.hidden or not option.short or f"-{option.short}, --{option.name}" in text
    for alias in command.aliases:
        assert alias in text
    assert command.differs.replace("'", "") in text.replace("'", "")


@pytest.mark.parametrize("verb", SHOWN)
def test_the_help_of_every_command_has_an_example(verb: str) -> None:
    command = overview.command(verb)
    assert re.search(rf"pyctr_lite (--\w+ )?({'|'.join([verb, *command.aliases])})\b", command.example)


def test_every_option_and_every_alias_is_explained(page: str) -> None:
    for name in SHOWN:
        command = overview.command(name)
        assert [option.name for option in command.options if not option.help and not option.hidden] == []
        known = {alias for alias, verb in verbs.ALIASES.items() if verb == name}
        assert known - {"container inspect"} <= {*command.aliases}, name
    for option in program.GLOBAL_OPTIONS:
        assert f"--{option.name}" in page.replace("\\-", "-")


def test_man_formats_the_page_without_a_warning(page: str, needs: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "pyctr_lite.1"
    file.write_text(page)
    done = subprocess.run(
        [needs("man"), "--warnings=w", "-l", file],
        env={**os.environ, "MANWIDTH": "100", "MANPAGER": "cat", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    shown = re.sub(r".\x08", "", done.stdout)
    assert "NAME\n       pyctr_lite, pyctr - a container engine with Docker's verbs" in shown
    assert "pyctr_lite run --rm -it -m 64m busybox sh" in shown
    assert "\\&" not in shown
