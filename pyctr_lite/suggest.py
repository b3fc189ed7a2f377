"""Suggest the closest known word for a typo ("did you mean …?")."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_DISTANCE = 2
"""Edits between a typo and the word that was meant, as in Cobra."""
MAX_LENGTH = 100
"""Longest word, in letters, that gets a suggestion."""


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Return "did you mean …?" for a typo, with `prefix` before the word; "" if no known word is close."""
    found = closest(word, known)
    return f"did you mean {prefix}{found}?" if found else ""


def closest(word: str, known: Iterable[str]) -> str:
    """Return the only known word that starts with `word`, or the one at most two edits away; "" if there is none.

    The time grows with the number of known words, not with the length of `word`: no typo is that long.
    """
    if len(word) > MAX_LENGTH:
        return ""
    known = sorted(known)
    completions = [other for other in known if len(word) > 1 and other.startswith(word)]
    if len(completions) == 1:
        return completions[0]
    similar = [other for other in known if len(other) > 1 and abs(len(other) - len(word)) <= MAX_DISTANCE]
    ranked = sorted((distance(word, other), other) for other in similar)
    return ranked[0][1] if ranked and ranked[0][0] <= min(MAX_DISTANCE, len(word) // 2) else ""


def distance(one: str, other: str) -> int:
    """Count the letters to insert, delete, replace or swap with their neighbour (Damerau-Levenshtein distance)."""
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
