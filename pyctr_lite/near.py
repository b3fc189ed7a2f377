"""Suggest the closest known word for a typo ("did you mean …?")."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FARTHEST = 2
"""Cobra's distance: two letters typed, forgotten or changed."""
LONGEST = 100
"""Letters of a word that a suggestion is sought for."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that a word begins alone, or that is at most two edits away; "" if there is none.

    The time is in proportion to the number of known words: a long word is nobody's typo.
    """
    if len(word) > LONGEST:
        return ""
    known = sorted(known)
    begun = [other for other in known if len(word) > 1 and other.startswith(word)]
    if len(begun) == 1:
        return begun[0]
    close = [other for other in known if len(other) > 1 and abs(len(other) - len(word)) <= FARTHEST]
    ranked = sorted((distance(word, other), other) for other in close)
    return ranked[0][1] if ranked and ranked[0][0] <= min(FARTHEST, len(word) // 2) else ""


def distance(one: str, other: str) -> int:
    """The least number of letters to insert, delete, replace or swap with their neighbour (Damerau)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]
