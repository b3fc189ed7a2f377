"""Restart policies as decisions: if a container is restarted, and after which delay."""

from __future__ import annotations

import pytest

from pyctr_lite.engine.life import restart
from pyctr_lite.engine.state.states import State
from pyctr_lite.errors import InvalidArgument

THEN = "2024-05-01T10:00:00Z"


@pytest.mark.parametrize(
    ("policy", "code", "stopped", "count", "again"),
    [
        ("", 1, False, 0, False),
        ("no", 1, False, 0, False),
        ("always", 0, False, 9, True),
        ("always", 0, True, 0, False),
        ("unless-stopped", 0, False, 0, True),
        ("unless-stopped", 0, True, 0, False),
        ("on-failure", 0, False, 0, False),
        ("on-failure", 1, False, 1000, True),
        ("on-failure", 1, True, 0, False),
        ("on-failure:2", 1, False, 1, True),
        ("on-failure:2", 1, False, 2, False),
        ("on-failure:0", 1, False, 50, True),
    ],
)
def test_the_policy_decides_if_an_exited_container_is_restarted(
    policy: str, code: int, stopped: bool, count: int, again: bool
) -> None:
    state = State(Status="exited", ExitCode=code, ManuallyStopped=stopped, RestartCount=count, StartedAt=THEN)
    assert restart.after_exit(policy, state) is again


@pytest.mark.parametrize(
    ("policy", "code", "stopped", "starts"),
    [
        ("", 255, False, False),
        ("always", 0, False, True),
        ("always", 0, True, True),  # as in Docker: a manual stop holds only until the daemon starts again
        ("unless-stopped", 255, False, True),
        ("unless-stopped", 255, True, False),
        ("on-failure", 0, False, False),
        ("on-failure", 255, False, True),
    ],
)
def test_the_policy_decides_if_a_boot_starts_a_container(
    policy: str, code: int, stopped: bool, starts: bool
) -> None:
    state = State(Status="exited", ExitCode=code, ManuallyStopped=stopped, StartedAt=THEN)
    assert restart.after_boot(policy, state) is starts
    assert not restart.after_boot(policy, State(Status="running", StartedAt=THEN))
    assert not restart.after_boot(policy, State(Status="created"))


def test_the_delay_doubles_up_to_a_minute_and_is_reset_after_ten_seconds_of_running() -> None:
    delays, delay = [], 0.0
    for _ in range(12):
        delay = restart.next_delay(delay, ran=0.5)
        delays.append(delay)
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0]
    assert restart.next_delay(60.0, ran=9.9) == 60.0
    assert restart.next_delay(60.0, ran=10.0) == 0.1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sometimes", "unknown policy 'sometimes'"),
        ("always:3", "cannot be used with restart policy 'always'"),
        ("on-failure:x", "must be an integer"),
        ("on-failure:-1", "must be an integer"),
        ("on-failure:", "must be an integer"),
    ],
)
def test_an_invalid_policy_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        restart.parse(text)
