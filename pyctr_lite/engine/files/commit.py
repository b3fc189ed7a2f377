"""`commit` and `diff`: a container's changes, packed as the next layer of its image."""

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
    """What the container changed of its image: A added, C changed, D deleted, by path."""
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
    """Make an image of the container's image and its changes; with `pause` nothing changes meanwhile.

    `watch` gives the file that the layer is written to instead, for one to see how far it is.
    Where no file changed there is no new layer. Volumes and the files of the Init layer are not in it: they are
    mounts, the changes are the upper directory. Fails with InvalidArgument for a reference or a change that
    does not parse.
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
            pass  # it has just ended
    try:
        with container.lock:
            container.refresh()
            parent = store.get(container.record.image)
            with store.staging() as staging:
                with staging.open_blob() as blob:
                    packed = layer.write_layer(f"{container.directory}/upper", watch(blob))
                changed = packed.diff_id != layer.EMPTY_DIFF_ID
                config = image_config.new_config(
                    image_config.complete_history(parent.config),
                    inspect.config(container),
                    packed.diff_id if changed else None,
                    created=image_config.created_now(),
                    author=author,
                    message=message,
                    changes=changes or [],
                    created_by=" ".join(container.record.args),
                )
                new_layers = [staging.plain_layer(blob)] if changed else []
                image = store.add_image(config, [*parent.layers, *new_layers], [reference] if reference else [])
    finally:
        if paused:
            try:
                lifecycle.unpause(container)
            except PyctrError:
                pass  # it was removed or restarted by another command
    events.emit(container.paths, "commit", container.record, imageID=image.id)
    return image
