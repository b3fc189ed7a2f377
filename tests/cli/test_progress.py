"""What only a person at a terminal sees: a progress bar after a second, a bold header; NO_COLOR, and pipes."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Pyctr
from tests.person import at_terminal

COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-9]|38;[0-9;]*|9[0-7])m")


@pytest.fixture
def slow_archive(tmp_path: Path) -> Callable[[], Path]:
    """A FIFO to which an archive is written with a pause of two seconds in it."""
    (tmp_path / "content").mkdir()
    (tmp_path / "content/file").write_bytes(os.urandom(3 << 20))
    data = subprocess.run(["tar", "-C", tmp_path / "content", "-c", "."], capture_output=True, check=True).stdout
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def feed() -> None:
        with fifo.open("wb") as file:
            file.write(data[: 1 << 20])
            file.flush()
            time.sleep(2)
            file.write(data[1 << 20 :])

    def begin() -> Path:
        threading.Thread(target=feed).start()
        return fifo

    return begin


def shown_at_terminal(pyctr: Pyctr, environment: dict[str, str], *words: str | Path) -> str:
    """All that a command shows at a terminal of colours."""
    command = ["env", "TERM=xterm-256color", *(f"{name}={value}" for name, value in environment.items())]
    with at_terminal([*command, *pyctr.command(*words)]) as person:
        assert person.leaves(seconds=60) == 0
        return person.shown


def test_what_takes_longer_than_a_second_has_a_bar_that_goes(
    pyctr: Pyctr, slow_archive: Callable[[], Path]
) -> None:
    shown = shown_at_terminal(pyctr, {}, "import", slow_archive(), "slow")
    assert re.search(r"import .*MB", shown)
    assert COLOUR.search(shown)
    assert re.search(r"\x1b\[2K\s*sha256:[0-9a-f]{64}\r\n$", shown)  # the bar's line was taken away


def test_no_color_leaves_the_colours_out(pyctr: Pyctr, slow_archive: Callable[[], Path]) -> None:
    shown = shown_at_terminal(pyctr, {"NO_COLOR": "1"}, "import", slow_archive(), "slow")
    assert re.search(r"import .*MB", shown)
    assert not COLOUR.search(shown)


def test_a_pipe_gets_the_result_alone(pyctr: Pyctr, slow_archive: Callable[[], Path]) -> None:
    done = pyctr("import", slow_archive(), "slow", check=True)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", done.stdout)
    assert done.stderr == ""


def test_what_is_quick_shows_no_bar(pyctr: Pyctr, tmp_path: Path) -> None:
    assert shown_at_terminal(pyctr, {}, "save", "-o", tmp_path / "a.tar", "busybox") == ""


def test_a_header_is_bold_and_what_does_not_run_is_faint(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "made", "busybox", check=True)
    header, row = shown_at_terminal(pyctr, {}, "ps", "-a").splitlines()
    assert header.startswith("\x1b[1mCONTAINER ID")
    assert row.startswith("\x1b[2m")
    assert "\x1b" not in shown_at_terminal(pyctr, {"NO_COLOR": "1"}, "ps", "-a")
    assert "\x1b" not in shown_at_terminal(pyctr, {"TERM": "dumb"}, "ps", "-a")
    assert "\x1b" not in shown_at_terminal(pyctr, {}, "ps", "-a", "--format", "{{.Names}}")
    assert "\x1b" not in pyctr("ps", "-a").stdout
    assert shown_at_terminal(pyctr, {}, "volume", "ls").startswith("\x1b[1mDRIVER")
