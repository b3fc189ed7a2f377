"""Docker.io is taken for docker.io: a domain is kept as it was written."""

from __future__ import annotations

from pyctr_lite.images import reference
from pyctr_lite.images.reference import DEFAULT_DOMAIN, DEFAULT_TAG, MAX_NAME, Reference

HINT = "From which machine would the image come?"


def parse(text: str) -> Reference:
    name, at, digest = text.partition("@")
    tag = None
    if ":" in name and "/" not in name.rpartition(":")[2]:
        name, _, tag = name.rpartition(":")
    domain, path = DEFAULT_DOMAIN, name
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or any(mark in first for mark in ".:") or first.lower() != first):
        domain, path = first, rest
    if domain.lower() in ("index.docker.io", "docker.io"):
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = "library/" + path
    valid = [
        reference.is_domain(domain),
        reference.is_path(path),
        tag is None or reference.is_tag(tag),
        not at or reference.is_digest(digest),
        len(domain) + 1 + len(path) <= MAX_NAME,
        not reference.is_image_id(text),
    ]
    if not all(valid):
        raise reference.invalid(text, path)
    if tag is None:
        tag = "" if at else DEFAULT_TAG
        return Reference(domain, path, tag, digest, not at)
    return Reference(domain, path, tag, digest, False)
