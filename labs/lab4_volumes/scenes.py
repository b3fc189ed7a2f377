"""What is done with the functions of lab 4 where a plain call is not enough. It runs in the learner's process.

A scene arranges, calls and returns what it saw. It knows nothing of what is right: the checks judge that.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


def in_directory(function: Callable[..., Any], directory: str, *args: Any, **kwargs: Any) -> Any:
    """Call the function with another working directory."""
    before = os.getcwd()
    os.chdir(directory)
    try:
        return function(*args, **kwargs)
    finally:
        os.chdir(before)


def each(function: Callable[..., Any], texts: list[str]) -> list[list[Any]]:
    """Call the function with each text: a list of its value, or of its error's class and text."""
    found = []
    for text in texts:
        try:
            found.append([function(text)])
        except Exception as error:
            found.append([type(error).__name__, str(error)])
    return found


def with_a_stale_environment(function: Callable[..., Any], text: str) -> Any:
    """Call the function with a PWD in the environment that is not the working directory, from here on."""
    os.environ["PWD"] = "/elsewhere"
    return function(text)
