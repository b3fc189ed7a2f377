"""The paths of an engine: state directory, run directory and cgroups."""

from __future__ import annotations

import os

from pyctr_lite.digest import sha256

DEFAULT_ROOT = "/var/lib/pyctr_lite"
DEFAULT_RUN = "/run/pyctr_lite"


class Paths:
    """The state directory (survives a reboot), the run directory (does not) and the cgroup of one engine."""

    __slots__ = ("cgroup", "root", "run")

    def __init__(self, root: str | None = None) -> None:
        self.root = os.path.abspath(root or os.getenv("PYCTR_LITE_ROOT") or DEFAULT_ROOT)
        if self.root == DEFAULT_ROOT:
            self.run, self.cgroup = DEFAULT_RUN, "/pyctr_lite"
        else:
            self.run = f"{self.root}/run"
            self.cgroup = f"/pyctr_lite-{sha256(os.fsencode(self.root)).hexdigest()[:8]}"

    @property
    def containers(self) -> str:
        """The directory with one directory per container: record, bundle, layers and log."""
        return f"{self.root}/containers"

    @property
    def names(self) -> str:
        """The directory with one symbolic link per name, to the id."""
        return f"{self.root}/names"

    @property
    def volumes(self) -> str:
        """A directory per volume (`volumes.store`)."""
        return f"{self.root}/volumes"

    @property
    def init_layers(self) -> str:
        """The directory of the Init layers, each named by the chain id of the image below it."""
        return f"{self.root}/init"

    @property
    def filters(self) -> str:
        """The directory of the seccomp profiles compiled for the running kernel."""
        return f"{self.run}/seccomp"

    @property
    def helpers(self) -> str:
        """The cgroup of the engine's own background processes."""
        return f"{self.cgroup}/helpers"

    def container(self, id: str) -> str:
        """Return the directory of a container."""
        return f"{self.root}/containers/{id}"

    def runtime(self, id: str) -> str:
        """Return the runtime state directory of a container."""
        return f"{self.run}/containers/{id}"

    def group(self, id: str) -> str:
        """Return the cgroup of a container."""
        return f"{self.cgroup}/{id}"
