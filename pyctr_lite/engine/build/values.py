"""The values of --secret, --ssh, --cache-from, --cache-to and --allow, in Docker's grammar."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.volumes import fields as mount_fields

NETWORK_HOST, INSECURE = "network.host", "security.insecure"
_INLINE = "BUILDKIT_INLINE_CACHE"


@dataclass
class Secret:
    """A secret of --secret: from a file, or from a variable of the environment."""

    file: str = ""
    env: str = ""


def secret(text: str) -> tuple[str, Secret]:
    """Parse a value of --secret: id=…[,src=FILE][,env=NAME][,type=file|env]. Raises InvalidArgument."""
    found = fields(text, ("id", "src", "source", "env", "type"))
    id, kind = found.get("id", ""), found.get("type", "")
    file = found.get("src") or found.get("source") or ""
    env = found.get("env", "")
    if not id:
        raise InvalidArgument(f"secret '{text}': id is missing", "--secret id=NAME,src=FILE")
    if kind == "env" and not env:
        file, env = "", file or id
    if not file and not env:
        file, env = ("", id) if id in os.environ and kind != "file" else (id, "")
    return id, Secret(file, env)


def agent(text: str) -> tuple[str, str]:
    """Parse a value of --ssh: default, or ID=SOCKET. Raises InvalidArgument."""
    id, _, socket = text.partition("=")
    socket = socket or os.environ.get("SSH_AUTH_SOCK", "")
    if not socket:
        raise InvalidArgument(f"invalid empty ssh agent socket for {id}", "make sure SSH_AUTH_SOCK is set")
    return id, socket


def cache_source(text: str) -> str:
    """Parse a value of --cache-from: an image, or type=registry,ref=IMAGE. Raises InvalidArgument."""
    if "=" not in text:
        return text
    kind = text.removeprefix("type=").partition(",")[0]
    if kind != "registry":
        raise InvalidArgument(f'unsupported cache type "{kind}"', "type=registry,ref=IMAGE")
    found = fields(text, ("type", "ref"))
    if not found.get("ref"):
        raise InvalidArgument(f"ref is required for the cache '{text}'", "type=registry,ref=IMAGE")
    return found["ref"]


def has_inline_cache(cache_to: list[str], build_args: dict[str, str]) -> bool:
    """Return whether the image gets a cache: --cache-to type=inline, or BuildKit's older build argument.

    Raises InvalidArgument for other types.
    """
    for text in cache_to:
        kind = text.removeprefix("type=").partition(",")[0]
        if kind != "inline":
            raise InvalidArgument(f'unsupported cache type "{kind}"', "--cache-to type=inline")
    return bool(cache_to) or build_args.get(_INLINE) == "1"


def check_entitlement(name: str) -> None:
    """Check a value of --allow. Raises InvalidArgument."""
    if name not in (NETWORK_HOST, INSECURE):
        raise InvalidArgument(f"unknown entitlement key {name}", f"one of {NETWORK_HOST}, {INSECURE}")


def fields(text: str, known: tuple[str, ...]) -> dict[str, str]:
    """Split `key=value` fields with known keys. Raises InvalidArgument."""
    found = {}
    for field in mount_fields.split_fields(text):
        key, equals, value = field.partition("=")
        if not equals or key.lower() not in known:
            raise InvalidArgument(f"invalid field '{field}' in '{text}'", f"keys are {', '.join(known)}")
        found[key.lower()] = value
    return found
