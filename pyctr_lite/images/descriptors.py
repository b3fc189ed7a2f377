"""Descriptors in index.json, which other tools or older versions may have written."""

from __future__ import annotations

from pyctr_lite import suggest
from pyctr_lite.errors import InvalidArgument, NotFound, PyctrError
from pyctr_lite.images import image as images
from pyctr_lite.images import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAME_ANNOTATIONS = (images.REF_NAME, images.PULLED, "io.containerd.image.name")


def references_of(descriptor: dict[str, Any]) -> list[references.Reference]:
    """Return the reference in a descriptor; none if it has no name, or a name outside Docker's grammar."""
    name = (descriptor.get("annotations") or {}).get(images.REF_NAME)
    if not name:
        return []
    try:
        return [references.parse(name)]
    except PyctrError:
        return []


def has_name(descriptor: dict[str, Any], wanted: references.Reference) -> bool:
    """Return whether a reference names a descriptor, by tag or by digest."""
    known = references_of(descriptor)
    if wanted.digest:
        digests = descriptor["digest"], pulled_digest(descriptor)
        return wanted.digest in digests and wanted.repository() in [it.repository() for it in known]
    return wanted in known


def pulled_digest(descriptor: dict[str, Any]) -> str:
    """Return the digest of the index through which an image was pulled, "" if there was none."""
    digest: str = (descriptor.get("annotations") or {}).get(images.PULLED) or ""
    return digest if references.is_digest(digest) else ""


def is_hex(text: str) -> bool:
    """Return whether a text consists of lower-case hex digits."""
    return bool(text) and all(character in "0123456789abcdef" for character in text)


def is_descriptor(value: object) -> bool:
    """Return whether a value in index.json is an object with a digest."""
    return isinstance(value, dict) and isinstance(value.get("digest"), str)


def without_bad_annotations(descriptor: dict[str, Any]) -> dict[str, Any]:
    """Return a descriptor without the annotations whose values are not strings."""
    annotations = descriptor.get("annotations")
    if annotations is None or (
        isinstance(annotations, dict) and all(isinstance(value, str) for value in annotations.values())
    ):
        return descriptor
    members = annotations.items() if isinstance(annotations, dict) else ()
    return {**descriptor, "annotations": {key: value for key, value in members if isinstance(value, str)}}


def not_found(descriptors: list[dict[str, Any]], name: str) -> NotFound:
    """Return the error for an unknown image name, with a suggestion."""
    known = [reference.familiar() for descriptor in descriptors for reference in references_of(descriptor)]
    by_digest = "@" in name or is_hex(name.removeprefix("sha256:"))
    shown = name if by_digest else references.parse(name).familiar()
    same = [other for other in known if other.rpartition(":")[0] == shown.rpartition(":")[0]]
    suggestion = f"did you mean {same[0]}?" if same else suggest.did_you_mean(shown, known)
    return NotFound(f"No such image: {shown}", suggestion or "`pyctr_lite images` lists all images")


def name_of(descriptor: dict[str, Any]) -> str:
    """Return the familiar name in a descriptor; a name that is not a reference unchanged; "" for none."""
    name: str = (descriptor.get("annotations") or {}).get(images.REF_NAME) or ""
    try:
        return references.parse(name).familiar()
    except InvalidArgument:
        return name


def without_name(descriptor: dict[str, Any]) -> dict[str, Any]:
    """Return the descriptor without its name."""
    annotations = {
        key: value for key, value in (descriptor.get("annotations") or {}).items() if key not in _NAME_ANNOTATIONS
    }
    bare = {key: value for key, value in descriptor.items() if key != "annotations"}
    return {**bare, "annotations": annotations} if annotations else bare
