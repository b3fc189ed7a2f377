"""Scenes for the functions of lab 3, if a plain call is not enough. They run in the learner's process.

A scene arranges, calls and returns what it saw. It knows nothing of what is right: the checks judge that.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

from pyctr_lite import linux
from pyctr_lite.rootfs import layer


def from_directory(function: Callable[..., Any], directory: str, *args: Any) -> Any:
    """Call the function with another working directory."""
    os.chdir(directory)
    return function(*args)


def in_a_copy(function: Callable[..., Any], *args: Any) -> Any:
    """Call the function in a copy of the mount namespace; what is shared there is shared with the copy."""
    linux.unshare(linux.CLONE_NEWNS)
    return function(*args)


def in_the_root_at(function: Callable[..., Any], directory: str, *args: Any) -> Any:
    """Call the function with a descriptor of a directory, as the process sees it, for its first argument."""
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return function(root, *args)
    finally:
        os.close(root)


def unpacked(function: Callable[..., Any], archive: bytes, directory: str, lowers: list[str]) -> None:
    """Unpack an archive as the engine does, with the function for each entry."""
    vars(layer)["apply_entry"] = function
    layer.apply_layer(io.BytesIO(archive), directory, lowers)
