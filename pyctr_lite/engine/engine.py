"""The engine: images, volumes and containers under one state directory.  [hot]"""

from __future__ import annotations

from pyctr_lite.engine.container import containers
from pyctr_lite.engine.home import Home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.state.options import ContainerOptions


class Engine(Home):
    """The engine of one state directory (`root`). Only for a process with one thread; others use `api.client`."""

    def __init__(self, root: str | None = None) -> None:
        super().__init__(root)
        self.containers = Containers(self)


class Containers:
    """The containers of an engine."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def create(self, options: ContainerOptions) -> Container:
        """Create a container without starting it."""
        from pyctr_lite.engine.creation import create

        self._home.load_labs(options.labs)
        return create.create(self._home, options)

    def get(self, reference: str) -> Container:
        """Find a container by its name, its id or a prefix of its id. Raises NotFound."""
        return containers.get(self._home, reference)

    def list(self, *, all: bool = True, sweep: bool = True) -> list[Container]:
        """Return all containers, the newest first; without `all` only those that are running.

        Unless `sweep` is false, remove leftovers of commands that were killed while they created or removed a
        container.
        """
        found, complete = containers.read_all(self._home, all=all)
        if sweep and not complete:
            from pyctr_lite.engine import leftovers

            leftovers.sweep_containers(self._home)
        return found
