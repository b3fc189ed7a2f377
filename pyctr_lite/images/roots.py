"""Layers that something other than an image needs: the cache of builds, and a build that is running.

A root is a JSON file in `<root>/build/cache` or in a directory of `<root>/build/running`. Its member `layers`
lists the layers, bottom first. Their blobs and directories stay in the store as long as the file exists.
"""

from __future__ import annotations

import os

from pyctr_lite import jsonfile
from pyctr_lite.images import image as images
from pyctr_lite.images import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from pyctr_lite.images.image import Layer

_KEYS = ("digest", "diff_id", "size", "media_type")


def cache_directory(root: str) -> str:
    """Return the directory with a file for each cached step."""
    return f"{root}/build/cache"


def running_directory(root: str) -> str:
    """Return the directory with a directory for each running build."""
    return f"{root}/build/running"


def write(path: str, layers: Sequence[Layer], **more: Any) -> None:
    """Write a root with its layers, bottom first, and more members."""
    described = [{key: getattr(layer, key) for key in _KEYS} for layer in layers]
    jsonfile.write(path, {"layers": described, **more})


def read(path: str) -> tuple[list[Layer], dict[str, Any]] | None:
    """Return the layers of a root and its members; None if it is missing or damaged."""
    try:
        value = jsonfile.read(path)
        layers = [images.Layer(*(layer[key] for key in _KEYS)) for layer in value["layers"]]
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    if all(reference.is_digest(layer.digest) and reference.is_digest(layer.diff_id) for layer in layers):
        return layers, value
    return None


def needs(root: str) -> tuple[set[str], set[str]]:
    """Return the digests of the blobs and the chain ids that the roots of a state directory need."""
    blobs: set[str] = set()
    chains: set[str] = set()
    for path in paths(root):
        found = read(path)
        if found is not None:
            blobs |= {layer.digest for layer in found[0]}
            chains |= set(images.chain_ids([layer.diff_id for layer in found[0]]))
    return blobs, chains


def paths(root: str) -> Iterator[str]:
    """Yield the paths of all roots."""
    running = running_directory(root)
    for directory in (cache_directory(root), *(f"{running}/{name}" for name in _names(running))):
        yield from (f"{directory}/{name}" for name in _names(directory) if name.endswith(".json"))


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
