"""The options of a build."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Secret:
    """A secret of --secret: from a file, or from a variable of the environment."""

    file: str = ""
    env: str = ""


@dataclass
class BuildOptions:
    """The options of `build`. Empty: Docker's default.

    `context` is a directory, or "-" for a tar stream on `stdin`; `dockerfile` is a path or "-". `build_args` and
    `labels` are name → value; `platform` is like linux/amd64. `container` holds the attributes of
    `ContainerOptions` for the containers of RUN, such as `memory`. `entitlements` are what --allow permits:
    "network.host", "security.insecure". `no_cache_filter` names stages that are built without the cache.
    `cache_from` names images whose cache is used, too; `cache_inline` is whether the image gets a cache.
    """

    context: str
    dockerfile: str = ""
    tags: list[str] = field(default_factory=list)
    target: str = ""
    build_args: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    no_cache: bool = False
    no_cache_filter: list[str] = field(default_factory=list)
    cache_from: list[str] = field(default_factory=list)
    cache_inline: bool = False
    pull: bool = False
    network: str = ""
    platform: str = ""
    secrets: dict[str, Secret] = field(default_factory=dict)
    ssh: dict[str, str] = field(default_factory=dict)
    entitlements: list[str] = field(default_factory=list)
    container: dict[str, Any] = field(default_factory=dict)
