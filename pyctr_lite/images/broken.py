"""Broken images: their config or manifest is missing, or does not match its shape."""

from __future__ import annotations

from pyctr_lite.errors import Conflict, InvalidArgument
from pyctr_lite.images import image as images
from pyctr_lite.images import reference
from pyctr_lite.images.descriptors import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pyctr_lite.images.store import ImageStore

    InUse = Callable[[images.Image], Sequence[str]]


def names(store: ImageStore, in_use: InUse | None = None) -> list[str]:
    """Return the names (digests, if unnamed) of the broken images that no container needs."""
    found = [each for each, _ in store.survey()[1] if not users(store, each, in_use)]
    return [name_of(each) or each["digest"] for each in found]


def find(store: ImageStore, name: str) -> list[dict[str, Any]]:
    """Return the descriptors of a broken image, by its name or the prefix of an ID that can still be read.

    Raises Conflict if several images match the prefix.
    """
    try:
        familiar = reference.parse(name).familiar()
    except InvalidArgument:
        familiar = ""
    prefix = name.removeprefix("sha256:")
    broken = [descriptor for descriptor, _ in store.survey()[1]]
    found = [each for each in broken if familiar and name_of(each) == familiar]
    if not found and prefix:
        found = [
            each
            for each in broken
            if any(id.removeprefix("sha256:").startswith(prefix) for id in store.identities(each))
        ]
    if len({each["digest"] for each in found}) > 1:
        raise Conflict(f"image ID {prefix} is ambiguous", "use a longer prefix")
    return found


def users(store: ImageStore, descriptor: dict[str, Any], in_use: InUse | None) -> list[str]:
    """Return the IDs of the containers that need a broken image, by those of its IDs that can still be read."""
    digest = descriptor["digest"]
    known = [images.Image(id, digest, {}, [], {}) for id in store.identities(descriptor)] if in_use else []
    return [user for image in known if in_use for user in in_use(image)]
