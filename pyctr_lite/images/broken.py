"""Images in the store whose config or manifest is missing, or not of its shape."""

from __future__ import annotations

from pyctr_lite.errors import Conflict, InvalidArgument
from pyctr_lite.images import image as images
from pyctr_lite.images import reference, writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pyctr_lite.images.store import ImageStore

    InUse = Callable[[images.Image], Sequence[str]]


def names(store: ImageStore, in_use: InUse | None = None) -> list[str]:
    """Return the names, or the digests, of the images that cannot be read and that no container needs."""
    found = [each for each, _ in store.survey()[1] if not users(store, each, in_use)]
    return [writer.name_of(each) or each["digest"] for each in found]


def find(store: ImageStore, name: str) -> list[dict[str, Any]]:
    """Return the descriptors of a broken image, by its name or by the beginning of an ID as far as it can be read.

    Raises Conflict if the beginning fits several images.
    """
    try:
        familiar = reference.parse(name).familiar()
    except InvalidArgument:
        familiar = ""
    beginning = name.removeprefix("sha256:")
    broken = [descriptor for descriptor, _ in store.survey()[1]]
    found = [each for each in broken if familiar and writer.name_of(each) == familiar]
    if not found and beginning:
        found = [
            each
            for each in broken
            if any(id.removeprefix("sha256:").startswith(beginning) for id in store.identities(each))
        ]
    if len({each["digest"] for each in found}) > 1:
        raise Conflict(f"image ID {beginning} is ambiguous", "Write more of the ID.")
    return found


def users(store: ImageStore, descriptor: dict[str, Any], in_use: InUse | None) -> list[str]:
    """Return the containers that need a broken image, as far as it can be read."""
    digest = descriptor["digest"]
    known = [images.Image(id, digest, {}, [], {}) for id in store.identities(descriptor)] if in_use else []
    return [user for image in known if in_use for user in in_use(image)]
