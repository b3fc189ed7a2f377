"""Names and numbers of signals, in one grammar for `kill`, `--stop-signal` and STOPSIGNAL."""

from __future__ import annotations

import signal

import pytest

from pyctr_lite.commit import config
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import signals


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9", 9),
        ("kill", 9),
        ("SigKill", 9),
        ("RTMIN", signal.SIGRTMIN),
        ("RTMIN+3", signal.SIGRTMIN + 3),
        ("SIGRTMAX-3", signal.SIGRTMAX - 3),
    ],
)
def test_a_signal_has_a_number(text: str, number: int) -> None:
    assert signals.number(text) == number
    assert config.apply_changes({}, [config.parse_change(f"STOPSIGNAL {text}")]) == {"StopSignal": text}


@pytest.mark.parametrize("text", ["0", "65", "-1", "SIG_IGN", "_DFL", "NONE", "RTMIN+31", "RTMIN-1", "9x", "²"])
def test_other_text_is_not_a_signal(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid signal: "):
        signals.number(text)
    with pytest.raises(InvalidArgument, match=r"^invalid signal: "):
        config.parse_change(f"STOPSIGNAL {text}")


def test_signal_names_are_pythons() -> None:
    assert signals.names() == [item.name.removeprefix("SIG") for item in sorted(signal.Signals)]
