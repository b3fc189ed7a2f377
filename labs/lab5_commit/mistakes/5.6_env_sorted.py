"""The variables are sorted: the image has them in another order than the container."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from pyctr_lite.commit import config as image_config
from pyctr_lite.commit.config import ConfigChange

HINT = "in the order of the container"


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
    config["Env"] = sorted(config.get("Env") or [])
    image["config"] = {key: config[key] for key in image_config.IMAGE_KEYS if config.get(key)}
    layers = list((parent_config.get("rootfs") or {}).get("diff_ids") or [])
    if diff_id:
        layers.append(diff_id)
    image["rootfs"] = {"type": "layers", "diff_ids": layers}
    if created_by is None:
        created_by = " ".join(container_config.get("Cmd") or [])
    line = image_config.history_entry(
        created, created_by, author or image.get("author", ""), message, empty_layer=diff_id is None
    )
    image["history"] = [*(image.get("history") or []), line]
    return image
