"""The paths of an engine: its state directory, its run directory, its cgroups."""

from __future__ import annotations

import os

from pyctr_lite.digest import sha256

DEFAULT_ROOT = "/var/lib/pyctr_lite"
DEFAULT_RUN = "/run/pyctr_lite"


class Paths:
    """The state directory (outlives a reboot), the run directory (does not), and the cgroup of one engine."""

    __slots__ = ("cgroup", "root", "run")

    def __init__(self, root: str | None = None) -> None:
        chosen = os.path.abspath(root or os.environ.get("PYCTR_LITE_ROOT") or DEFAULT_ROOT)
        self.root = chosen
        if chosen == DEFAULT_ROOT:
            self.run, self.cgroup = DEFAULT_RUN, "/pyctr_lite"
        else:
            self.run = f"{chosen}/run"
            self.cgroup = f"/pyctr_lite-{sha256(os.fsencode(chosen)).hexdigest()[:8]}"

    @property
    def containers(self) -> str:
        """A directory a container: its record, its bundle, its layers, its log."""
        return f"{self.root}/containers"

    @property
    def names(self) -> str:
        """A symbolic link a name, to the id: taking a name is one atomic step."""
        return f"{self.root}/names"

    @property
    def init_layers(self) -> str:
        """The Init layers, by the chain id of the image below them."""
        return f"{self.root}/init"

    @property
    def filters(self) -> str:
        """Seccomp profiles compiled for the kernel that runs."""
        return f"{self.run}/seccomp"

    @property
    def helpers(self) -> str:
        """The cgroup of our own processes in the background."""
        return f"{self.cgroup}/helpers"

    def container(self, id: str) -> str:
        """One container's directory."""
        return f"{self.root}/containers/{id}"

    def runtime(self, id: str) -> str:
        """One container's runtime state."""
        return f"{self.run}/containers/{id}"

    def group(self, id: str) -> str:
        """One container's cgroup."""
        return f"{self.cgroup}/{id}"
