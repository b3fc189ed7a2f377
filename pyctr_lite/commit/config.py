"""The config of a committed image: the container's, changed by `-c`, with the parent's history (OCI config.md)."""

from __future__ import annotations

import copy
import os
import time
from dataclasses import dataclass

from pyctr_lite.commit import instructions
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number, timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


# Members of a container's configuration that an image keeps; others (Hostname, Tty, …) are the container's own.
IMAGE_KEYS = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir",
    "Labels", "StopSignal", "ArgsEscaped", "Healthcheck", "OnBuild", "Shell",
)  # fmt: skip


@dataclass(frozen=True)
class ConfigChange:
    """An instruction of `-c`: `ConfigChange("CMD", '["sh"]')`."""

    instruction: str
    arguments: str


def parse_change(text: str) -> ConfigChange:
    """Parse a Dockerfile instruction of `commit -c` or `import -c`.

    Raises InvalidArgument if the instruction does not change a config, or if its arguments are invalid.
    """
    joined = text.replace("\\\n", "").strip()
    keyword, arguments = [*joined.split(None, 1), "", ""][:2]
    change = ConfigChange(keyword.upper(), arguments)
    if change.instruction not in instructions.INSTRUCTIONS:
        allowed = ", ".join(instructions.INSTRUCTIONS)
        raise InvalidArgument(f"{keyword or repr(text)} is not a valid change command", f"Use one of {allowed}.")
    if "\n" in arguments:
        raise InvalidArgument(
            f"{change.instruction}: one instruction for each --change", "Repeat -c for several instructions."
        )
    if "$" not in arguments:  # check it now, unless it depends on the environment
        instructions.INSTRUCTIONS[change.instruction]({}, arguments)
    return change


def apply_changes(config: Mapping[str, Any], changes: Iterable[ConfigChange]) -> dict[str, Any]:
    """Return a copy of a `config` object with the changes applied in order.

    ENTRYPOINT drops an earlier CMD, because it held the arguments of another program, but not a CMD among the same
    changes (as in a Dockerfile). If no program is left, the earlier CMD stays (moby, daemon/commit.go, merge):
    `ENTRYPOINT []` alone removes only the entry point.
    """
    changed = copy.deepcopy(dict(config))
    cmd_set = False
    for change in changes:
        instructions.INSTRUCTIONS[change.instruction](changed, change.arguments)
        if change.instruction == "CMD":
            cmd_set = True
        elif change.instruction == "ENTRYPOINT" and not cmd_set:
            changed.pop("Cmd", None)
    if not changed.get("Entrypoint") and not changed.get("Cmd") and config.get("Cmd"):
        changed["Cmd"] = list(config["Cmd"])
    return changed


def new_config(
    parent_config: Mapping[str, Any],
    container_config: Mapping[str, Any],
    diff_id: str | None,
    *,
    created: str,
    author: str = "",
    message: str = "",
    changes: Iterable[str | ConfigChange] = (),
    created_by: str | None = None,
) -> dict[str, Any]:
    """Return the OCI image config of a parent image plus one layer.

    `parent_config` is the whole config of the container's image, with a complete history ({} for an import, whose
    caller adds `architecture` and `os`); what is not named here is kept from it. `container_config` has Docker's
    keys (Env, Cmd, …), with the image's values already merged in. The result shares nothing with the two.
    `diff_id` is the new layer's, or None if nothing changed: then only a history entry is added. `created` is
    an RFC 3339 time; `author` defaults to the parent's, `created_by` to the container's command (the words
    of its Cmd, before `changes`, joined by blanks). Source: OCI image-spec config.md.
    """
    parsed = [parse_change(change) if isinstance(change, str) else change for change in changes]
    image = copy.deepcopy(dict(parent_config))
    image["created"] = created
    author = author or image.get("author", "")
    if author:
        image["author"] = author
    config = apply_changes(container_config, parsed)
    image["config"] = {key: config[key] for key in IMAGE_KEYS if config.get(key)}
    rootfs = image.get("rootfs") or {}
    diff_ids = rootfs.get("diff_ids") or []
    image["rootfs"] = {"type": "layers", "diff_ids": [*diff_ids, diff_id] if diff_id else list(diff_ids)}
    if created_by is None:
        created_by = " ".join(container_config.get("Cmd") or [])
    image["history"] = [
        *(image.get("history") or []),
        history_entry(created, created_by, author, message, empty_layer=diff_id is None),
    ]
    return image


def complete_history(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parent's config with a history entry for each of its layers (OCI image-spec config.md).

    Missing entries are added with a comment, and surplus entries are marked as `empty_layer`. Without this,
    buildah and `docker history` cannot use an image that is made from the parent.
    """
    layers = len((config.get("rootfs") or {}).get("diff_ids") or [])
    entries = [dict(entry) for entry in config.get("history") or []]
    with_layer = [entry for entry in entries if not entry.get("empty_layer")]
    for entry in with_layer[layers:]:
        entry["empty_layer"] = True
    created = {"created": config["created"]} if config.get("created") else {}
    unknown = [
        {**created, "comment": "not recorded in the parent image's history"}
        for _ in range(layers - len(with_layer))
    ]
    return {**config, "history": [*unknown, *entries]}


def created_now() -> str:
    """Return the current time in RFC 3339, or that of SOURCE_DATE_EPOCH if set, for a reproducible digest.

    Raises InvalidArgument if the variable is not a number of seconds.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch and not number.is_whole(epoch, timestamps.MAX_SECOND):
        raise InvalidArgument(f"SOURCE_DATE_EPOCH={epoch}: it must be a number of seconds since 1970")
    return timestamps.format_seconds(int(epoch)) if epoch else timestamps.format(time.time_ns())


def history_entry(
    created: str, created_by: str, author: str, comment: str, *, empty_layer: bool
) -> dict[str, Any]:
    """Return an entry of `history`, without empty members."""
    entry: dict[str, Any] = {
        "created": created,
        "created_by": created_by,
        "author": author,
        "comment": comment,
    }
    return {key: value for key, value in entry.items() if value} | ({"empty_layer": True} if empty_layer else {})
