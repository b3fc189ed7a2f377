"""`commit` and `diff`: a container's changes, and a new image with them as its top layer."""

from __future__ import annotations

from pyctr_lite.commit import config as image_config
from pyctr_lite.commit import diff, layer
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.life import lifecycle
from pyctr_lite.engine.report import container as inspect
from pyctr_lite.engine.state import states
from pyctr_lite.errors import PyctrError
from pyctr_lite.images import writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.images.image import Image


def changes(container: Container) -> Iterator[diff.Change]:
    """Yield the container's changes to its image: path and kind (A added, C changed, D deleted)."""
    return diff.changes(f"{container.directory}/upper", container.record.layers)


def commit(
    container: Container,
    reference: str = "",
    *,
    message: str = "",
    author: str = "",
    changes: list[str] | None = None,
    pause: bool = True,
    watch: Callable[[Any], Any] = lambda file: file,
) -> Image:
    """Create an image from the container's image and its changes. With `pause`, freeze the container meanwhile.

    `watch` may wrap the file that the layer is written to, to show the progress. If no file changed, there is no
    new layer. The layer holds the upper directory: neither volumes, which are mounts, nor files of the Init layer.
    Raises InvalidArgument for a reference or a change that does not parse.
    """
    if reference:
        writer.parse_name(reference)
    for change in changes or []:
        image_config.parse_change(change)
    store = container.home.images
    paused = False
    if pause and container.refresh().Status == states.RUNNING:
        try:
            lifecycle.pause(container)
            paused = True
        except PyctrError:
            pass  # the container has just ended
    try:
        with container.lock:
            container.refresh()
            parent = store.get(container.record.image)
            with store.staging() as staging:
                with staging.open_blob() as blob:
                    packed = layer.write_layer(f"{container.directory}/upper", watch(blob))
                changed = packed.diff_id != layer.EMPTY_DIFF_ID
                settings = inspect.config(container)
                config = image_config.new_config(
                    image_config.complete_history(parent.config),
                    settings,
                    packed.diff_id if changed else None,
                    created=image_config.created_now(),
                    author=author,
                    message=message,
                    changes=changes or [],
                    created_by=" ".join(settings["Cmd"] or []),  # as in Docker, without the entry point
                )
                new_layers = [staging.plain_layer(blob)] if changed else []
                image = store.add_image(config, [*parent.layers, *new_layers], [reference] if reference else [])
    finally:
        if paused:
            try:
                lifecycle.unpause(container)
            except PyctrError:
                pass  # another command has removed or restarted the container
    events.emit(container.paths, "commit", container.record, imageID=image.id)
    return image
