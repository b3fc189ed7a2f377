"""The state directory of an engine: its paths, names, images, volumes and networks.  [hot]"""

from __future__ import annotations

from pyctr_lite.engine.state import names
from pyctr_lite.engine.state.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.stores.images import Images
    from pyctr_lite.engine.stores.networks import Networks
    from pyctr_lite.volumes.store import VolumeStore


class Home:
    """One state directory (`root`), without the verbs. Only for a process with one thread."""

    def __init__(self, root: str | None = None) -> None:
        self.paths = Paths(root)
        self._images: Images | None = None
        self._volumes: VolumeStore | None = None
        self._networks: Networks | None = None
        self.names = names.Names(self.paths.names, self.paths.containers)

    @property
    def images(self) -> Images:
        """The image store, imported on first use: a verb on an existing container does not need it."""
        if self._images is None:
            from pyctr_lite.engine.stores import images

            self._images = images.Images(self.paths)
        return self._images

    @property
    def volumes(self) -> VolumeStore:
        """The volume store, imported on first use: most containers have no volume."""
        if self._volumes is None:
            from pyctr_lite.engine.stores import volumes

            self._volumes = volumes.Volumes(self.paths)
        return self._volumes

    @property
    def networks(self) -> Networks:
        """The network store, imported on first use: it is not needed with `--network none`."""
        if self._networks is None:
            from pyctr_lite.engine.stores import networks

            self._networks = networks.Networks(self.paths)
        return self._networks

    def load_labs(self, labs: str) -> None:
        """Replace the engine's functions by those that a learner has written in a labs directory ("": none)."""
        if labs:
            from pyctr_lite.engine.labs import activate

            activate(labs)

    def resolve_mode(self, mode: str) -> str:
        """Return a namespace mode with a container's full id in place of its name. Raises NotFound."""
        kind, colon, reference = mode.partition(":")
        return f"container:{self.names.find(reference)}" if kind == "container" and colon else mode
