"""Output on a terminal only: a progress bar after a second, a bold header; NO_COLOR, and pipes."""

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
    """Return a FIFO into which an archive is written with a pause of two seconds."""
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


def shown_at_terminal(pyctr: Pyctr, environment: dict[str, str], *args: str | Path) -> str:
    """Return all output of a command on a terminal with colours."""
    command = ["env", "TERM=xterm-256color", *(f"{name}={value}" for name, value in environment.items())]
    with at_terminal([*command, *pyctr.command(*args)]) as person:
        assert person.leaves(seconds=60) == 0
        return person.shown


def test_an_action_longer_than_a_second_shows_a_bar_and_erases_it(
    pyctr: Pyctr, slow_archive: Callable[[], Path]
) -> None:
    shown = shown_at_terminal(pyctr, {}, "import", slow_archive(), "slow")
    assert re.search(r"import .*MB", shown)
    assert COLOUR.search(shown)
    assert re.search(r"\x1b\[2K\s*sha256:[0-9a-f]{64}\r\n$", shown)  # the bar was erased


def test_no_color_disables_colours(pyctr: Pyctr, slow_archive: Callable[[], Path]) -> None:
    shown = shown_at_terminal(pyctr, {"NO_COLOR": "1"}, "import", slow_archive(), "slow")
    assert re.search(r"import .*MB", shown)
    assert not COLOUR.search(shown)


def test_a_pipe_gets_only_the_result(pyctr: Pyctr, slow_archive: Callable[[], Path]) -> None:
    done = pyctr("import", slow_archive(), "slow", check=True)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", done.stdout)
    assert done.stderr == ""


def test_a_quick_action_shows_no_bar(pyctr: Pyctr, tmp_path: Path) -> None:
    assert shown_at_terminal(pyctr, {}, "save", "-o", tmp_path / "a.tar", "busybox") == ""


def test_a_header_is_bold_and_a_stopped_container_is_faint(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "made", "busybox", check=True)
    header, row = shown_at_terminal(pyctr, {}, "ps", "-a").splitlines()
    assert header.startswith("\x1b[1mCONTAINER ID")
    assert row.startswith("\x1b[2m")
    assert "\x1b" not in shown_at_terminal(pyctr, {"NO_COLOR": "1"}, "ps", "-a")
    assert "\x1b" not in shown_at_terminal(pyctr, {"TERM": "dumb"}, "ps", "-a")
    assert "\x1b" not in shown_at_terminal(pyctr, {}, "ps", "-a", "--format", "{{.Names}}")
    assert "\x1b" not in pyctr("ps", "-a").stdout
    assert shown_at_terminal(pyctr, {}, "volume", "ls").startswith("\x1b[1mDRIVER")
