"""The question before what cannot be undone."""

from __future__ import annotations

import sys


def confirm(warning: str) -> bool:
    """Show a warning and ask; only "y" is yes, an end of input is no."""
    print(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ", end="", flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print()
    return answer.strip().lower() == "y"
