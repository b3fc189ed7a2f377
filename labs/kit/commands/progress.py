"""The progress of a learner that their files do not show: hints taken and faults named, in labs/.progress.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from labs.kit.isolation import scratch

NAME = ".progress.json"


def load(labs: Path, kind: str) -> dict[str, Any]:
    """Return one kind of progress ("hints", "answers") by the id of its exercise; empty if nothing is known."""
    try:
        return parse((labs / NAME).read_bytes(), kind)
    except OSError:
        return {}


def parse(data: bytes, kind: str) -> dict[str, Any]:
    """Return one kind of progress of a file's contents, which are not trusted; empty if they are no such file."""
    try:
        kinds = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    found = kinds.get(kind) if isinstance(kinds, dict) else None
    return found if isinstance(found, dict) else {}


def remember(labs: Path, kind: str, id: str, value: Any) -> None:
    """Record one value. Raises OSError if the file cannot be written."""
    kinds = {each: load(labs, each) for each in ("hints", "answers")}
    kinds[kind][id] = value
    scratch.write(labs / NAME, (json.dumps(kinds, indent=2, sort_keys=True) + "\n").encode())
