"""The new image's config: the container's, changed by `-c`, with history kept (exercise 5.6)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from labs.kit import Todo
from pyctr_lite.commit import config as image_config
from pyctr_lite.commit.config import ConfigChange


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

    `parent_config` is the whole config of the container's image ({} for an import, whose caller adds
    `architecture` and `os`). `container_config` has Docker's keys (Env, Cmd, …), with the image's values already
    merged in. `diff_id` is the new layer's, or None if nothing changed: then only a history entry is added.
    `created` is an RFC 3339 time; `created_by` defaults to the container's command.
    Source: OCI image-spec config.md.
    """
    # The parts are there:
    #   image_config.parse_change(text)               a ConfigChange of a text such as 'CMD ["sh"]'
    #   image_config.apply_changes(config, changes)   a copy of `config`, changed by a list of ConfigChange
    #   image_config.history_entry(created, created_by, author, comment, empty_layer=…)   a line of history
    #   image_config.IMAGE_KEYS                       the keys that an image may carry
    # 1. Parse those changes that are text. Begin with a deep copy of `parent_config`: it belongs to another
    #    image. Of an import it is {}: whatever you look for in it may be missing.
    # 2. Set "created"; set "author" to the one given, or else leave the parent's.
    # 3. "config" is `container_config` with the changes applied, but only what an image may carry
    #    (`IMAGE_KEYS`), and nothing empty.
    # 4. "rootfs" is {"type": "layers", "diff_ids": […]}, with a diff_id for each layer, the lowest first: the
    #    parent's, then the new one if there is one.
    # 5. "history" has a line for each step: the parent's, then this one. It says which program made the layer
    #    (`created_by`, or the container's command "Cmd", a list of words that may be missing or None), and
    #    `empty_layer` where there is no new layer.
    raise Todo("5.6")
