"""Calls of lab 5's functions that need an open layer or an iterator. It runs in the learner's process.

A scene arranges, calls and returns what came of it. It knows nothing of what is right: the checks judge that.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from typing import Any

from pyctr_lite.commit.layer import LayerWriter

FLUSHED_AT = 1 << 20
"""The stream writes to its output when so many bytes have come together."""


def written(
    function: Callable[..., Any], latest: int | None, calls: Iterable[tuple[tuple[Any, ...], dict[str, Any]]]
) -> dict[str, Any]:
    """Call a method of a LayerWriter for one layer: the archive's bytes, its digest, and the writer's members."""
    output = io.BytesIO()
    layer = LayerWriter(output, latest)
    before = _members(layer)
    for args, kwargs in calls:
        function(layer, *args, **kwargs)
    after = _members(layer)
    digest = layer.finish()
    found = {"bytes": output.getvalue(), "diff_id": digest.diff_id, "size": digest.size}
    return found | {"before": before, "after": after}


def _members(layer: LayerWriter) -> dict[str, Any]:
    """Return what a writer has beside its stream."""
    return {name: repr(value) for name, value in vars(layer).items() if name != "stream"}


def written_to_a_full_disk(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Call a method of a LayerWriter whose output has no space left when the stream writes to it."""
    with open("/dev/full", "wb", buffering=0) as full:
        layer = LayerWriter(full, None)
        layer.stream.write(bytes(FLUSHED_AT - 1))
        function(layer, *args, **kwargs)


class _Recorder(LayerWriter):
    """A LayerWriter that records what is added; a file that is gone is an error, as for the engine's."""

    def __init__(self, errors: dict[bytes, BaseException], deletes: dict[bytes, list[bytes]]) -> None:
        super().__init__(io.BytesIO(), None)
        self.errors, self.deletes = errors, deletes
        self.calls: list[tuple[Any, Any, Any]] = []

    def add_entry(self, directory: int, name: bytes, prefix: bytes) -> None:
        self.calls.append((directory, name, prefix))
        if name in self.errors:
            raise self.errors[name]
        for other in self.deletes.get(name, ()):
            os.unlink(other, dir_fd=directory)
        os.stat(name, dir_fd=directory, follow_symlinks=False)


def recorded(
    function: Callable[..., Any],
    directory: int,
    prefix: bytes,
    errors: dict[bytes, BaseException] | None = None,
    deletes: dict[bytes, list[bytes]] | None = None,
) -> dict[str, Any]:
    """Call `add_entries` and record what it adds.

    `errors` are raised when a name is added; `deletes` are the files that are deleted while a name is added.
    """
    recorder = _Recorder(errors or {}, deletes or {})
    function(recorder, directory, prefix)
    return {"directory": directory, "calls": recorder.calls}


def of_an_iterator(function: Callable[..., Any], *args: Any, changes: list[Any], **kwargs: Any) -> Any:
    """Call `new_config` with changes that can be gone through once."""
    return function(*args, changes=iter(changes), **kwargs)


def changed_afterwards(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Call `new_config`, and change every list and dictionary in what it returns."""
    _spoil(function(*args, **kwargs))


def _spoil(value: Any) -> None:
    if isinstance(value, dict):
        for member in value.values():
            _spoil(member)
        value["spoiled"] = True
    elif isinstance(value, list):
        for member in value:
            _spoil(member)
        value.append("spoiled")
