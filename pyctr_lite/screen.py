"""Safe text for a terminal: text from an image, a container or an archive is shown and cannot control it.

A terminal obeys control characters (ESC and the C1 block begin commands; CR and backspace overwrite; the bidi
overrides reorder a line). They are escaped as `\\x1b`, `\\u202e`. Letters of every script are kept, and so are
the joiners inside words and emoji.
"""

from __future__ import annotations

import io

_LINES = "\n\t"
"""The layout characters of our own output; within a single value they are escaped too."""
_JOINERS = "\u200c\u200d"
_SEPARATORS = "\u2028\u2029"


def visible(text: str, keep: str = _LINES) -> str:
    """Return a text with its control characters escaped, except those in `keep`."""
    if text.isprintable():
        return text
    return "".join([letter if letter.isprintable() or letter in keep else _shown(letter) for letter in text])


def visible_json(text: str) -> str:
    """Return an equivalent JSON text with its control characters as JSON escapes."""
    if text.isprintable():
        return text
    return "".join([letter if _harmless(letter) or letter in _LINES else _json(letter) for letter in text])


class Screen(io.TextIOWrapper):
    """A text stream to a terminal. `write`, and so `print`, escapes control characters; `write_raw` does not."""

    def write(self, text: str, /) -> int:
        """Write a text; of its control characters only newlines and tabs reach the terminal."""
        super().write(visible(text))
        return len(text)

    def write_raw(self, text: str) -> None:
        """Write a text unchanged: our own styles, or the output of a user's `--format` template."""
        super().write(text)


def _harmless(letter: str) -> bool:
    """Return whether a character is display only: a letter, a space of any width, or a joiner."""
    if letter.isprintable() or letter in _JOINERS:
        return True
    return letter > "\x9f" and letter.isspace() and letter not in _SEPARATORS


def _shown(letter: str) -> str:
    if _harmless(letter):
        return letter
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, decoded by surrogateescape
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else _json(letter) if code < 0x10000 else f"\\U{code:08x}"


def _json(letter: str) -> str:
    code = ord(letter)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
