"""Image references in Docker's grammar: `[domain/]path[:tag][@digest]` (distribution/reference)."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
MAX_NAME = 255
"""Characters of a domain, a slash and a path."""
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
    """Parse a reference, `[domain/]path[:tag][@digest]`, and add the parts that Docker adds.

    What comes before the first slash is the domain if it has a dot, a colon or an upper-case letter, or is
    "localhost". Else the domain is docker.io, which index.docker.io means, too. On docker.io a path without a
    slash gets "library/" before it. A colon begins the tag, unless a slash comes after it: then a port follows it.
    Without a tag and a digest the tag is "latest", and `name_only` is true; with a digest alone the tag is "".
    Raises InvalidArgument (`invalid` returns it) if a part is not valid, if "domain/path" has more than 255
    characters, or if the text is 64 hex digits, which are the ID of an image.
    Source: distribution, reference/normalize.go and reference/regexp.go.
    """
    name, at, digest = text.partition("@")
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        path, colon, tag = name, "", ""
    first, slash, rest = path.partition("/")
    domain = DEFAULT_DOMAIN
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        domain, path = first, rest
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    if (at and not is_digest(digest)) or (colon and not is_tag(tag)) or is_image_id(text):
        raise invalid(text, path)
    if not (is_domain(domain) and is_path(path)) or len(f"{domain}/{path}") > MAX_NAME:
        raise invalid(text, path)
    return Reference(domain, path, tag if colon or at else DEFAULT_TAG, digest, not colon and not at)


def invalid(text: str, path: str) -> InvalidArgument:
    """Return the error for a text that is not a reference, in Docker's words. `path` is the path found in it."""
    why, tag = "", text.partition("@")[0].rpartition(":")[2]
    if "@" in text and not is_digest(text.partition("@")[2]):
        why = ": the digest is not <algorithm>:<hex>"
    elif ":" in text.partition("@")[0] and "/" not in tag and not is_tag(tag):
        why = ": a tag is at most 128 letters, digits and ._-, and does not start with . or -"
    elif is_image_id(text):
        why = ": 64 hex digits are an image ID, not a name"
    elif path != path.lower() and is_path(path.lower()):
        written = path if path in text else path.removeprefix("library/")
        return InvalidArgument(
            f"invalid reference format: repository name ({path}) must be lowercase: {text!r}",
            f"did you mean {text.replace(written, written.lower())}?",
        )
    return InvalidArgument(f"invalid reference format: {text!r}{why}")


def is_image_id(text: str) -> bool:
    """Return whether a text is 64 hex digits."""
    return len(text) == 64 and _HEX.issuperset(text)


def is_digest(text: str) -> bool:
    """Return whether a text is `<algorithm>:<hex>` with a known algorithm and its length."""
    algorithm, _, encoded = text.partition(":")
    return len(encoded) == DIGEST_HEX.get(algorithm) and _HEX.issuperset(encoded)


def is_tag(text: str) -> bool:
    """Return whether a text is a valid tag: `[\\w][\\w.-]{0,127}`."""
    return 0 < len(text) <= 128 and text[0] in _WORD and _WORD.issuperset(text.translate({46: None, 45: None}))


def is_domain(domain: str) -> bool:
    """Return whether a domain is valid: a host name or an IPv6 address in brackets, perhaps with a port."""
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


def is_path(path: str) -> bool:
    """Return whether a path is valid: components of lower-case letters, digits and separators."""
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
