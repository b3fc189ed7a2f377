"""The name of an image, taken apart (exercise 7.1)."""

from __future__ import annotations

from labs.kit import Todo
from pyctr_lite.images import reference
from pyctr_lite.images.reference import DEFAULT_DOMAIN, DEFAULT_TAG, MAX_NAME, Reference

# What reference.py of the engine has for you: Reference(domain, path, tag, digest, name_only) is the result;
#   reference.is_domain(text), is_path(text), is_tag(text), is_digest(text)   whether one part is valid
#   reference.is_image_id(text)      whether a text is 64 hex digits
#   reference.invalid(text, path)    the error in Docker's words, for the whole text and the path that is in it


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
    # 1. Take these apart on paper: "busybox", "localhost:5000/a/b:1", "quay.io/a", "host:5000",
    #    "a:1@sha256:<64 hex digits>". Which colon belongs to what, and which "@" ends the name?
    # 2. Which of "someone/tool", "example.org/tool", "localhost/tool", "Upper/tool" is on Docker Hub? Somebody who
    #    reads the name must know from which machine the image will come.
    # 3. Two spellings of one image must become equal references, or one of them is not found. What does Docker Hub
    #    call "busybox", and by which names is Docker Hub known?
    # 4. A tag is missing, or it is there and empty ("busybox:"): is that the same? And a digest ("busybox@")?
    # 5. The name becomes part of paths and addresses. Every part has to be checked, whole, before it is used:
    #    which function does that, and what do you give it?
    raise Todo("7.1")
