"""JSON parsing with the C scanner alone: invalid JSON is a ValueError, and Python's `json` is never imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
