"""JSON parsing with the C scanner alone: invalid JSON is a ValueError, and Python's `json` is never imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyctr_lite import jsonfile
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    "text", ["", "{", "[1,", '{"a"', '{"a":}', '"\n"', '"\\x"', "[1] 2", "nul", "NaN", '{"a":1,}']
)
def test_invalid_json_is_a_value_error(text: str) -> None:
    program = (
        f"import sys; sys.path.append({str(REPOSITORY)!r}); from pyctr_lite import jsonfile\n"
        "try:\n    print('value', jsonfile.loads(sys.argv[1]))\n"
        "except ValueError as error:\n    print('no JSON' if 'JSON' in str(error) else error)\n"
        "assert 'json' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-IS", "-c", program, text], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("no JSON\n", "")


@pytest.mark.parametrize("planted", ["a file", "a link"])
def test_nothing_is_written_to_a_file_in_the_place_of_the_temporary_one(tmp_path: Path, planted: str) -> None:
    """Its owner could read it: credentials in a directory that others can write to."""
    temporary, other = tmp_path / f"config.json.{os.getpid()}.tmp", tmp_path / "other"
    other.write_text("mine")
    if planted == "a link":
        temporary.symlink_to(other)
    else:
        temporary.hardlink_to(other)
    jsonfile.write(str(tmp_path / "config.json"), {"auths": {}}, 0o600)
    assert other.read_text() == "mine"
    assert jsonfile.read(str(tmp_path / "config.json")) == {"auths": {}}
    assert (tmp_path / "config.json").stat().st_mode & 0o777 == 0o600
    assert not temporary.exists()
