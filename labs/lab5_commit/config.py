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

    `parent_config` is the whole config of the container's image, with a complete history ({} for an import, whose
    caller adds `architecture` and `os`); what is not named here is kept from it. `container_config` has Docker's
    keys (Env, Cmd, …), with the image's values already merged in. The result shares nothing with the two.
    `diff_id` is the new layer's, or None if nothing changed: then only a history entry is added. `created` is
    an RFC 3339 time; `author` defaults to the parent's, `created_by` to the container's command (the words
    of its Cmd, before `changes`, joined by blanks). Source: OCI image-spec config.md.
    """
    # The parts are there:
    #   image_config.parse_change(text)               a ConfigChange of a text such as 'CMD ["sh"]'
    #   image_config.apply_changes(config, changes)   a copy of `config`, changed by a list of ConfigChange
    #   image_config.history_entry(created, created_by, author, comment, empty_layer=…)   a line of history
    #   image_config.IMAGE_KEYS                       the keys that an image may carry
    # What must be true:
    # - Both configs belong to others: neither changes, now or when your caller changes what you return.
    # - The parent of an import is {}. Whatever you look for in a config may be missing, or be None.
    # - "config" is the container's after `changes`: only what an image may carry, and nothing empty.
    # - "rootfs" is {"type": "layers", "diff_ids": […]}, the lowest layer first. "history" has a line for each
    #   step, the parent's first. Which of the two grows when there is no new layer, and how does history say so
    #   (`empty_layer`)?
    # - History names the command that made the layer. Has a CMD of `changes` run? And is "" the same as None?
    raise Todo("5.6")
