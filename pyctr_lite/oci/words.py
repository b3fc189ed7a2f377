"""The words of a command line that are not options."""

from __future__ import annotations

from pyctr_lite.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.oci.arguments import Arguments


def one_id(arguments: Arguments) -> str:
    """Return the only word, a container's id. Raises UsageError."""
    return between(arguments, 1, 1)[0]


def between(arguments: Arguments, least: int, most: int) -> list[str]:
    """Return the words, if there are as many as this. Raises UsageError."""
    count = len(arguments.words)
    if count < least:
        raise UsageError("a container id is missing" if count == 0 else "an argument is missing", "see --help")
    if count > most:
        raise UsageError(f"too many arguments: {' '.join(arguments.words[most:])}", "see --help")
    return arguments.words
