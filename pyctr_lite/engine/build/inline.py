"""The cache that an image carries: the keys of the steps that made its layers, for `build --cache-from`.

`--cache-to type=inline` writes them into the image's config. A key is the digest of everything that the result of
a step depends on, so an image that is out of date does no harm. But its maker decides what its layers hold: it has
to be trusted like a base image. Only the steps of the target are in it, as in BuildKit's inline cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyctr_lite.formats import timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.images.image import Image, Layer

MEMBER = "pyctr_lite.build.cache.v0"
"""The member of an image's config: a list of steps with `key`, `created`, and `first` and `last`.

The layers of a step are those from number `first` to before `last`, with the layers below that it needs.
"""


@dataclass
class Found:
    """A step in an image: its layers, bottom first, and when it ran (RFC 3339)."""

    layers: list[Layer]
    created: str


class Inline:
    """The steps of images."""

    def __init__(self) -> None:
        self._steps: dict[str, Found] = {}

    def add(self, image: Image) -> int:
        """Add the steps of an image, and return how many there are. Members of another form do not count."""
        members = image.config.get(MEMBER)
        steps = [_read(member, image.layers) for member in members] if isinstance(members, list) else []
        self._steps |= dict(filter(None, steps))
        return len(self._steps)

    def find(self, key: str) -> Found | None:
        """Return the step with a key."""
        return self._steps.get(key)


def member(key: str, first: int, last: int, created: str) -> dict[str, Any]:
    """Return the member of a step."""
    return {"key": key, "first": first, "last": last, "created": created}


def _read(value: Any, layers: list[Layer]) -> tuple[str, Found] | None:
    if not isinstance(value, dict):
        return None
    key, first, last, created = (value.get(name) for name in ("key", "first", "last", "created"))
    if not (isinstance(key, str) and isinstance(created, str) and type(first) is type(last) is int):
        return None
    try:
        timestamps.parse(created)
    except ValueError:
        return None
    return (key, Found(layers[first:last], created)) if 0 <= first < last <= len(layers) else None
