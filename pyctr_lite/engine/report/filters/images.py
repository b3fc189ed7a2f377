"""The filters of `images` and `image prune`."""

from __future__ import annotations

from pyctr_lite.engine.report.filters import grammar
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import timestamps
from pyctr_lite.images import reference
from pyctr_lite.images.image import repository_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pyctr_lite.images.image import Image
    from pyctr_lite.images.store import ImageStore

LISTING = ("before", "dangling", "label", "reference", "since", "until")
PRUNING = ("label", "label!", "until")


class ImageFilter:
    """The images that match all filters, and which of an image's names do (`reference`)."""

    def __init__(self, store: ImageStore, texts: Iterable[str], keys: Collection[str] = LISTING) -> None:
        """Parse the filters. Raises BadFilter, InvalidArgument; NotFound for the image of `before` or `since`."""
        self._values = values = grammar.parse(texts, keys)
        self.patterns = values.get("reference", [])
        self._dangling = grammar.boolean(values, "dangling")
        earlier = [created(store.get(name)) for name in values.get("before", [])]
        limit = grammar.created_before(values)
        self._before = min(earlier if limit is None else [*earlier, limit], default=None)
        self._after = max((created(store.get(name)) for name in values.get("since", [])), default=None)

    def matches(self, image: Image) -> bool:
        """Return whether an image matches, whatever its names."""
        moment = created(image)
        labels = (image.config.get("config") or {}).get("Labels") or {}
        return (
            (self._dangling is None or self._dangling == (not image.references))
            and (self._before is None or moment < self._before)
            and (self._after is None or moment > self._after)
            and grammar.has_labels(labels, self._values)
        )

    def names(self, image: Image) -> list[str]:
        """Return the names of an image that match one of the patterns; all names without a pattern.

        As in Docker, a name by digest is left out if the image has a tag in the same repository.
        """
        tagged = {repository_of(name) for name in image.references}
        return [
            name
            for name in image.names
            if ("@" not in name or repository_of(name) not in tagged)
            and (not self.patterns or any(_matches(pattern, name) for pattern in self.patterns))
        ]


def created(image: Image) -> int:
    """Return when an image was made, in nanoseconds since 1970; 0 if it does not say."""
    try:
        return timestamps.parse(image.created)
    except ValueError:
        return 0


def _matches(pattern: str, name: str) -> bool:
    """Match a familiar name, with or without its tag (reference.FamiliarMatch); `*` does not match `/`."""
    repository = reference.parse(name).repository()
    try:
        parsed = reference.parse(pattern)
        pattern = parsed.repository() if parsed.name_only else parsed.familiar()
    except InvalidArgument:
        pass  # it has `*`, `?` or `[`
    return any(_path_matches(pattern, text) for text in (name, repository))


def _path_matches(pattern: str, text: str) -> bool:
    patterns, parts = pattern.split("/"), text.split("/")
    from fnmatch import fnmatchcase

    return len(patterns) == len(parts) and all(map(fnmatchcase, parts, patterns))
