"""The options of a build."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_OF_RUN = (
    *("add_hosts", "cpu_period", "cpu_quota", "cpu_shares", "cpuset_cpus", "cpuset_mems"),
    *("memory", "memory_swap", "shm_size", "ulimits"),
)


@dataclass
class BuildOptions:
    """The options of `build`, one attribute per flag. Empty: Docker's default.

    `context` is a directory, the URL of a git repository, or "-" for a tar stream or a Dockerfile on stdin;
    `dockerfile` is a path or "-". `build_args` and `labels` are name → value; `platform` is like linux/amd64.
    `secrets`, `ssh`, `cache_from`, `cache_to` and `allow` are strings in Docker's grammar of --secret, --ssh,
    --cache-from, --cache-to and --allow. `no_cache_filter` names stages that are built without the cache. The
    options after `allow` are those of `ContainerOptions`, for the containers of RUN.
    """

    DEFAULTS = dict[str, Any]()

    context: str = ""
    dockerfile: str = ""
    tags: list[str] = field(default_factory=list)
    target: str = ""
    build_args: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    no_cache: bool = False
    no_cache_filter: list[str] = field(default_factory=list)
    cache_from: list[str] = field(default_factory=list)
    cache_to: list[str] = field(default_factory=list)
    pull: bool = False
    network: str = ""
    platform: str = ""
    secrets: list[str] = field(default_factory=list)
    ssh: list[str] = field(default_factory=list)
    allow: list[str] = field(default_factory=list)
    add_hosts: list[str] = field(default_factory=list)
    cpu_period: int | None = None
    cpu_quota: int | None = None
    cpu_shares: int | None = None
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    memory: int | None = None
    memory_swap: int | None = None
    shm_size: int | None = None
    ulimits: list[tuple[str, int, int]] = field(default_factory=list)

    def of_run(self) -> dict[str, Any]:
        """Return the options of the containers of RUN."""
        return {name: getattr(self, name) for name in _OF_RUN}


BuildOptions.DEFAULTS = vars(BuildOptions())
