"""Image references in Docker's grammar: `[domain/]path[:tag][@digest]` (distribution/reference)."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
DIGEST_HEX = {"sha256": 64, "sha384": 96, "sha512": 128}

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_MAX_PORT = 65535
_ALNUM = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_WORD = _ALNUM | {"_"}
_HEX = frozenset("0123456789abcdef")


class Reference:
    """A parsed reference. `tag` is "latest" if the text has neither tag nor digest (`name_only`)."""

    __slots__ = ("digest", "domain", "name_only", "path", "tag")

    def __init__(self, domain: str, path: str, tag: str, digest: str, name_only: bool) -> None:
        self.domain, self.path, self.tag, self.digest, self.name_only = domain, path, tag, digest, name_only

    def repository(self) -> str:
        """Return the short name of the repository: `busybox`, `someone/tool`, `quay.io/a/b`."""
        if self.domain != DEFAULT_DOMAIN:
            return f"{self.domain}/{self.path}"
        return self.path.removeprefix("library/") if self.path.count("/") == 1 else self.path

    def familiar(self) -> str:
        """Return the short form: `busybox:latest`."""
        return self.repository() + self._suffix()

    def canonical(self) -> str:
        """Return the full form: `docker.io/library/busybox:latest`."""
        return f"{self.domain}/{self.path}{self._suffix()}"

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.canonical() == other.canonical()

    def __hash__(self) -> int:
        return hash(self.canonical())

    def __repr__(self) -> str:
        return f"Reference({self.canonical()!r})"


def parse(text: str) -> Reference:
    """Parse a reference; missing parts get Docker's defaults (docker.io, library/, latest).

    Raises InvalidArgument with Docker's text.
    """
    rest, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise _invalid(text, "the digest is not <algorithm>:<hex>")
    rest, tag = _split_tag(rest)
    if tag is not None and not is_tag(tag):
        raise _invalid(text, "a tag is at most 128 letters, digits and ._-, and does not start with . or -")
    domain, path = _split_domain(rest)
    if not _is_domain(domain):
        raise _invalid(text)
    if path != path.lower() and _is_path(path.lower()):
        written = path if path in text else path.removeprefix("library/")
        raise InvalidArgument(
            f"invalid reference format: repository name ({path}) must be lowercase: {text!r}",
            f"did you mean {text.replace(written, written.lower())}?",
        )
    if not _is_path(path) or len(domain) + len(path) > 254:
        raise _invalid(text)
    if len(rest) == 64 and _HEX.issuperset(rest):
        raise _invalid(text, "64 hex digits are an image ID, not a name")
    name_only = tag is None and not at
    return Reference(domain, path, DEFAULT_TAG if name_only else tag or "", digest, name_only)


def is_digest(text: str) -> bool:
    """Return whether a text is `<algorithm>:<hex>` with a known algorithm and its length."""
    algorithm, _, encoded = text.partition(":")
    return len(encoded) == DIGEST_HEX.get(algorithm) and _HEX.issuperset(encoded)


def is_tag(text: str) -> bool:
    """Return whether a text is a valid tag: `[\\w][\\w.-]{0,127}`."""
    return 0 < len(text) <= 128 and text[0] in _WORD and _WORD.issuperset(text.translate({46: None, 45: None}))


def _invalid(text: str, why: str = "") -> InvalidArgument:
    return InvalidArgument(f"invalid reference format: {text!r}" + (f": {why}" if why else ""))


def _split_tag(text: str) -> tuple[str, str | None]:
    colon = text.rfind(":")
    if colon < 0 or "/" in text[colon:]:  # a colon before a slash belongs to a port
        return text, None
    return text[:colon], text[colon + 1 :]


def _split_domain(name: str) -> tuple[str, str]:
    """Split off the domain: the part before the first slash if it has a dot, colon or capital, or is localhost."""
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        domain, path = DEFAULT_DOMAIN, name
    else:
        domain, path = "docker.io" if first == "index.docker.io" else first, rest
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = "library/" + path
    return domain, path


def _is_domain(domain: str) -> bool:
    host, colon, port = domain, "", ""
    if domain.startswith("["):
        host, bracket, rest = domain[1:].partition("]")
        if not bracket or not host or not (_HEX | frozenset("ABCDEF:")).issuperset(host):
            return False
        return rest == "" or (rest[0] == ":" and number.is_whole(rest[1:], _MAX_PORT))
    if ":" in domain:
        host, colon, port = domain.partition(":")
    return (not colon or number.is_whole(port, _MAX_PORT)) and all(
        label and label[0] != "-" != label[-1] and _ALNUM.issuperset(label.replace("-", ""))
        for label in host.split(".")
    )


def _is_path(path: str) -> bool:
    return all(_is_component(component) for component in path.split("/"))


def _is_component(component: str) -> bool:
    """Return whether a path component is valid: a-z and 0-9, separated by `.`, `_`, `__` or any number of `-`."""
    if not component or component[0] not in _LOWER or component[-1] not in _LOWER:
        return False
    separator = ""
    for character in component:
        if character not in _LOWER:
            separator += character
            continue
        if separator and separator not in (".", "_", "__") and separator.strip("-"):
            return False
        separator = ""
    return True
