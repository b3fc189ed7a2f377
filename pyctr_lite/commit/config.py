"""The new image's config: the container's, changed by `-c`, with history kept (OCI image-spec config.md)."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pyctr_lite.commit import instructions
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number, timestamps

# What of a container's configuration an image may carry; the rest (Hostname, Tty, …) is the container's own.
IMAGE_KEYS = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir",
    "Labels", "StopSignal", "ArgsEscaped", "Healthcheck", "OnBuild", "Shell",
)  # fmt: skip


@dataclass(frozen=True)
class ConfigChange:
    """One instruction of `-c`: `ConfigChange("CMD", '["sh"]')`."""

    instruction: str
    arguments: str


def parse_change(text: str) -> ConfigChange:
    """Parse one Dockerfile instruction as `commit -c` and `import -c` take it.

    Fails with InvalidArgument where the instruction is none of those that change a config, or its
    arguments are wrong.
    """
    joined = text.replace("\\\n", "").strip()
    keyword, arguments = [*joined.split(None, 1), "", ""][:2]
    change = ConfigChange(keyword.upper(), arguments)
    if change.instruction not in instructions.INSTRUCTIONS:
        allowed = ", ".join(instructions.INSTRUCTIONS)
        raise InvalidArgument(f"{keyword or repr(text)} is not a valid change command", f"Use one of {allowed}.")
    if "\n" in arguments:
        raise InvalidArgument(f"{change.instruction}: one instruction for each --change", "Give -c several times.")
    if "$" not in arguments:  # else its values are not known yet
        instructions.INSTRUCTIONS[change.instruction]({}, arguments)
    return change


def apply_changes(config: Mapping[str, Any], changes: Iterable[ConfigChange]) -> dict[str, Any]:
    """A copy of a `config` object with the changes made in order.

    An ENTRYPOINT drops the CMD that was there before, which were arguments of another program, but not
    one that the same changes have set (as in a Dockerfile). Without any program left, the CMD that was there
    before stays (moby, daemon/commit.go, merge): `ENTRYPOINT []` alone takes only the entry point away.
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
    """The OCI image config of a parent image plus one layer.

    `parent_config` is the whole config of the image that the container came from ({} for an import, whose
    caller adds `architecture` and `os`); `container_config` holds Docker's keys (Env, Cmd, …), the image's
    own already merged in; `diff_id` is the new layer's, or None where nothing changed, which leaves only a
    line of history; `created` is an RFC 3339 time; `created_by` is the container's command if not given.
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
    """Return a parent's config with an entry of history for each of its layers (OCI image-spec config.md).

    If it says nothing of a layer, an entry says that; entries too many are marked as without a layer. Otherwise
    buildah and `docker history` cannot go on from an image that is made of it.
    """
    layers = len((config.get("rootfs") or {}).get("diff_ids") or [])
    entries = [dict(entry) for entry in config.get("history") or []]
    made = [entry for entry in entries if not entry.get("empty_layer")]
    for entry in made[layers:]:
        entry["empty_layer"] = True
    created = {"created": config["created"]} if config.get("created") else {}
    unknown = [
        {**created, "comment": "not recorded in the parent image's history"} for _ in range(layers - len(made))
    ]
    return {**config, "history": [*unknown, *entries]}


def created_now() -> str:
    """Return the time as image configs have it; that of SOURCE_DATE_EPOCH if set, for the same digest each time.

    Raises InvalidArgument if the variable is not a number of seconds.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch and not number.is_whole(epoch, timestamps.MAX_SECOND):
        raise InvalidArgument(f"SOURCE_DATE_EPOCH={epoch}: it is a number of seconds since 1970")
    return timestamps.format_seconds(int(epoch)) if epoch else timestamps.format(time.time_ns())


def history_entry(
    created: str, created_by: str, author: str, comment: str, *, empty_layer: bool
) -> dict[str, Any]:
    """One line of `history`, without the members that would be empty."""
    entry: dict[str, Any] = {
        "created": created,
        "created_by": created_by,
        "author": author,
        "comment": comment,
    }
    return {key: value for key, value in entry.items() if value} | ({"empty_layer": True} if empty_layer else {})
