"""Confirmation before a destructive action."""

from __future__ import annotations

import sys


def confirm(warning: str) -> bool:
    """Print a warning and ask for confirmation. Only "y" is a yes; an end of input is a no."""
    print(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ", end="", flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print()
    return answer.strip().lower() == "y"
