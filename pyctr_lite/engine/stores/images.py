"""ImageStore that also emits events, and removes no image while a container is being created."""

from __future__ import annotations

from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.state import lock
from pyctr_lite.images import reference as references
from pyctr_lite.images import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.engine.state.paths import Paths
    from pyctr_lite.images.image import Image
    from pyctr_lite.images.store import Removed, Users
    from pyctr_lite.registries.download import Report
    from pyctr_lite.registries.pull import Pulled
    from pyctr_lite.registries.push import Pushed


class Images(store.ImageStore):
    """The images of an engine."""

    __slots__ = ("paths",)

    def __init__(self, paths: Paths) -> None:
        super().__init__(paths.root)
        self.paths = paths

    def pull(
        self,
        reference: str,
        platform: str | None = None,
        report: Report = lambda name, what, done, total: None,
        *,
        insecure: bool = False,
    ) -> Pulled:
        """Pull an image from its registry: by a tag (default: latest) or a digest, for a platform (this host's).

        `report` is called from several threads, which have ended when this returns. With `insecure` the registry
        may speak plain HTTP. Raises NotFound if the registry does not have the image.
        """
        from pyctr_lite.registries import pull

        parsed = references.parse(reference)
        if parsed.digest:  # as in Docker, a tag beside a digest is ignored
            parsed = references.Reference(parsed.domain, parsed.path, "", parsed.digest, False)
        pulled = pull.pull(self, parsed, platform, report, insecure=insecure)
        events.emit_image(self.paths, "pull", pulled.image.id, parsed.familiar())
        return pulled

    def push(
        self,
        reference: str,
        report: Report = lambda name, what, done, total: None,
        *,
        insecure: bool = False,
    ) -> Pushed:
        """Push an image into the registry of its name. `report` and `insecure` are those of `pull`.

        Raises NotFound if no image has that name.
        """
        from pyctr_lite.registries import push

        parsed = references.parse(reference)
        pushed = push.push(self, parsed, report, insecure=insecure)
        events.emit_image(self.paths, "push", parsed.familiar(), parsed.familiar())
        return pushed

    def tag(self, source: str, target: str) -> None:
        """Give an image one more tag."""
        super().tag(source, target)
        events.emit_image(self.paths, "tag", self.get(target).id, target)

    def remove(
        self, name: str, force: bool = False, in_use: Users | None = None, running: Users | None = None
    ) -> Removed:
        """Remove a tag of an image, and with the last tag the image."""
        with lock.References(self.paths.containers):
            removed = super().remove(name, force, in_use, running)
        return self._emit(removed)

    def prune(
        self, in_use: Users | None = None, all: bool = False, chosen: Callable[[Image], bool] | None = None
    ) -> tuple[Removed, int]:
        """Remove images without a tag; with `all`, remove all images that no container uses."""
        with lock.References(self.paths.containers):
            removed, freed = super().prune(in_use, all, chosen)
        return self._emit(removed), freed

    def _emit(self, removed: Removed) -> Removed:
        for what, name in removed:
            events.emit_image(self.paths, "untag" if what == "Untagged" else "delete", name, name)
        return removed
