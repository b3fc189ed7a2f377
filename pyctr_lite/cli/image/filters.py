"""Filters of `images` and `image prune`: dangling, label, before, since, until, reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from pyctr_lite.cli.container import filters
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import timestamps
from pyctr_lite.images import reference as references
from pyctr_lite.images.image import Image
from pyctr_lite.images.store import ImageStore

LISTING = ("before", "dangling", "label", "reference", "since", "until")
PRUNING = ("label", "label!", "until")


class ImageFilter:
    """What `--filter` lets through: of images, and of an image's names (`reference=`)."""

    def __init__(self, texts: Iterable[str], keys: tuple[str, ...], store: ImageStore) -> None:
        """Fails with InvalidArgument for a key that is not in `keys`, with NotFound for an unknown image."""
        self.patterns: list[str] = []
        self.dangling: bool | None = None
        self._tests: list[Callable[[Image], bool]] = []
        for key, values in filters.parse(texts, keys).items():
            for value in values:
                self._add(key, value, store)

    def _add(self, key: str, value: str, store: ImageStore) -> None:
        if key == "reference":
            self.patterns.append(value)
        elif key == "dangling":
            self.dangling = _boolean(value)
        elif key in ("label", "label!"):
            wanted = key == "label"
            self._tests.append(lambda image: filters.has_label(_labels(image), value) == wanted)
        elif key == "until":
            limit = filters.moment(value, "until")
            self._tests.append(lambda image: created(image) < limit)
        else:
            moment = created(store.get(value))
            older = key == "before"
            self._tests.append(lambda image: created(image) < moment if older else created(image) > moment)

    def lets_through(self, image: Image) -> bool:
        """Whether an image fits, its names aside."""
        return (self.dangling is None or self.dangling == (not image.references)) and all(
            test(image) for test in self._tests
        )

    def names(self, image: Image) -> list[str]:
        """The names of an image that fit; all, where no name is asked for."""
        return [
            name
            for name in image.references
            if not self.patterns or any(matches(pattern, name) for pattern in self.patterns)
        ]


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern is a familiar name's, with its tag or without (reference.FamiliarMatch); `*` is no `/`."""
    repository = references.parse(name).repository()
    try:
        parsed = references.parse(pattern)
        pattern = parsed.repository() if parsed.name_only else parsed.familiar()
    except InvalidArgument:
        pass  # with `*`, `?` or `[`
    return any(_path_match(pattern, text) for text in (name, repository))


def created(image: Image) -> int:
    """When an image was made, in nanoseconds since 1970; 0 where it does not say."""
    try:
        return timestamps.parse(image.created)
    except ValueError:
        return 0


def _path_match(pattern: str, text: str) -> bool:
    patterns, parts = pattern.split("/"), text.split("/")
    return len(patterns) == len(parts) and all(map(fnmatchcase, parts, patterns))


def _labels(image: Image) -> dict[str, str]:
    return (image.config.get("config") or {}).get("Labels") or {}


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "1", "false", "0"):
        raise InvalidArgument(f"invalid filter 'dangling={text}'", "It is true or false.")
    return text.lower() in ("true", "1")
