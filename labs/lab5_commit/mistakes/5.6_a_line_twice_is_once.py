"""A line of history that is the same as the one before it is not added."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from pyctr_lite.commit import config as image_config
from pyctr_lite.commit.config import ConfigChange

HINT = "two lines"


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
    steps = [image_config.parse_change(step) if isinstance(step, str) else step for step in changes]
    image = copy.deepcopy(dict(parent_config))
    image["created"] = created
    if author:
        image["author"] = author
    config = image_config.apply_changes(container_config, steps)
    image["config"] = {
        key: config[key]
        for key in image_config.IMAGE_KEYS
        if config.get(key) is not None
        and config.get(key) != ""
        and config.get(key) != []
        and config.get(key) != {}
    }
    layers = list((parent_config.get("rootfs") or {}).get("diff_ids") or [])
    if diff_id:
        layers.append(diff_id)
    image["rootfs"] = {"type": "layers", "diff_ids": layers}
    if created_by is None:
        created_by = " ".join(container_config.get("Cmd") or [])
    line = image_config.history_entry(
        created, created_by, author or image.get("author", ""), message, empty_layer=diff_id is None
    )
    history = image.get("history") or []
    if history and history[-1] == line:
        history = history[:-1]
    image["history"] = [*history, line]
    return image
