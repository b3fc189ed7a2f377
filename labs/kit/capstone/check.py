"""A check of the capstone, and what checks have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labs.kit.checks.expect import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from labs.kit.capstone.running import Done
    from labs.kit.capstone.world import World

POINTS = 4
"""The points of each check that is not optional."""
BASE = "/srv/base"
"""The layer that most checks run a command in."""


class NotTried(Exception):
    """The program does not have what an optional check is about."""


@dataclass(frozen=True)
class Check:
    """A check: a title for the table, and the function that runs it in a world. It raises CheckFailed.

    An optional one has no points, and may raise NotTried.
    """

    title: str
    function: Callable[[World], None]
    points: int = POINTS

    @property
    def name(self) -> str:
        """The name that results are kept under."""
        return self.function.__name__


def check(title: str, points: int = POINTS) -> Callable[[Callable[[World], None]], Check]:
    """Make a check of a function."""
    return lambda function: Check(title, function, points)


def sh(script: str, *options: str) -> list[str]:
    """Return the words that run a script of the shell in the layer `base`."""
    return [*options, BASE, "--", "sh", "-c", script]


def ok(done: Done, what: str) -> str:
    """Expect exit status 0, and return the output."""
    expect(done.status == 0, f"{what}: {done.describe()}\n    Which step fails, and in which process?")
    return done.output


def one_line(done: Done, about: str) -> None:
    """Expect one line of error, and no traceback."""
    lines = [line for line in done.errors.splitlines() if line.strip()]
    expect(
        len(lines) == 1 and "Traceback" not in done.errors,
        f"{about} there should be one line on standard error; there are {len(lines)}: "
        f"{' | '.join(lines[-2:])[:300] or 'nothing'}. What does the caller need to know?",
    )


def nothing_left(world: World, when: str) -> None:
    """Expect that the world is as it was: mounts, groups, files and processes."""
    left = world.left()
    zombies = all(thing.startswith("a zombie") for thing in left)
    question = "whose child was it, and who waits for it?" if zombies else "who removes it, on every way out?"
    expect(not left, f"{when} there is still {', '.join(left[:3])}{' and more' * (len(left) > 3)}: {question}")
