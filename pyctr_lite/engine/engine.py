"""The engine: images, volumes and containers under one state directory."""

from __future__ import annotations

from pyctr_lite.engine import stores as image_events
from pyctr_lite.engine.container import container as containers
from pyctr_lite.engine.creation import create
from pyctr_lite.engine.state import names, record
from pyctr_lite.engine.state.paths import Paths
from pyctr_lite.errors import Conflict, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.state.options import ContainerOptions
    from pyctr_lite.volumes.store import VolumeStore


class Engine:
    """All of one state directory (`root`). Only for a process with one thread; others use `client`."""

    def __init__(self, root: str | None = None) -> None:
        self.paths = Paths(root)
        self.images = image_events.Images(self.paths)
        self._volumes: VolumeStore | None = None
        self.names = names.Names(self.paths.names, self.paths.containers)
        self.containers = Containers(self)

    @property
    def volumes(self) -> VolumeStore:
        """The volumes; most containers have none."""
        if self._volumes is None:
            from pyctr_lite.engine import volume_events

            self._volumes = volume_events.Volumes(self.paths)
        return self._volumes

    def learn(self, labs: str) -> None:
        """Put in the functions that a learner has written in a labs directory ("": none), as `--labs` asks for."""
        if labs:
            from pyctr_lite.engine import labs as learners

            learners.activate(labs)

    def resolve_mode(self, mode: str) -> str:
        """A namespace mode with a container's whole id in place of its name. Fails with NotFound."""
        kind, colon, reference = mode.partition(":")
        return f"container:{self.names.find(reference)}" if kind == "container" and colon else mode

    def running_pid(self, reference: str) -> int:
        """The first process of a running container. Fails with Conflict where it does not run."""
        container = self.containers.get(reference)
        if not container.state.Pid:
            raise Conflict(f"cannot join namespace of a non running container: {container.name}", "start it first")
        return container.state.Pid

    def can_join(self, mode: str) -> bool:
        """Whether the container of a mode "container:ID" runs."""
        try:
            self.running_pid(mode.partition(":")[2])
        except (Conflict, NotFound):
            return False
        return True


class Containers:
    """The containers of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, options: ContainerOptions) -> Container:
        """Make a container, not started."""
        self._engine.learn(options.labs)
        return create.create(self._engine, options)

    def get(self, reference: str) -> Container:
        """A container by name, id or the start of its id. Fails with NotFound."""
        container = containers.Container.load(self._engine, self._engine.names.find(reference))
        self._engine.learn(container.record.options.labs)
        return container

    def list(self, *, all: bool = True, sweep: bool = True) -> list[Container]:
        """All containers, the newest first; without `all` those that run.

        What a killed command left of one on its way in or out is removed, unless `sweep` is false.
        """
        found = []
        whole = True
        for id in self._engine.names.directories():
            if len(id) != names.ID_LENGTH:
                whole = False  # it is being removed
                continue
            try:
                if all or record.State.read(self._engine.paths.container(id)).running:
                    container = containers.Container.load(self._engine, id)
                    if all or container.state.running:
                        found.append(container)
            except (NotFound, FileNotFoundError):
                whole = False  # removed meanwhile, or being made
        if sweep and not whole:
            from pyctr_lite.engine import leftovers

            leftovers.sweep_containers(self._engine)
        return sorted(found, key=lambda container: container.record.created, reverse=True)
