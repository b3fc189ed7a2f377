"""`inspect`, `container inspect` and `image inspect`.  [hot]"""

from __future__ import annotations

from pyctr_lite import suggest
from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import objects
from pyctr_lite.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.engine import Engine

_FORMAT = Option("format", "string", "Format output: 'json' or a Go template", short="f")
_SIZE = "Display total file sizes"


def inspect(context: Context) -> int:
    """Show containers, images, networks and volumes; of several with a name, the first kind in that order."""
    flags, engine = context.flags, context.engine
    if flags.type is not None and flags.type not in _FINDERS:
        raise InvalidArgument(f'unknown type: "{flags.type}"', f"known types: {', '.join(_FINDERS)}")
    if flags.size and flags.type not in (None, "container"):
        raise InvalidArgument(f'"size" is not supported for type "{flags.type}"')

    def find(reference: str) -> Any:
        if flags.type:
            return _FINDERS[flags.type](engine, reference, flags.size)
        for finder in _FINDERS.values():
            try:
                return finder(engine, reference, flags.size)
            except (NotFound, InvalidArgument):
                continue  # a container's name need not be a valid image name
        raise NotFound(f"No such object: {reference}", _suggestion(engine, reference))

    return objects.show(context, find)


def inspect_container(context: Context) -> int:
    """Show containers, and no other object of the same name."""
    return objects.show(context, lambda reference: _container(context.engine, reference, context.flags.size))


def inspect_image(context: Context) -> int:
    """Show images."""
    return objects.show(context, lambda reference: _image(context.engine, reference, False))


def _container(engine: Engine, reference: str, size: bool) -> Any:
    from pyctr_lite.engine.report import container

    return container.container(engine.containers.get(reference), size=size)


def _image(engine: Engine, reference: str, size: bool) -> Any:
    from pyctr_lite.engine.report import image

    return image.image(engine, engine.images.get(reference))


def _volume(engine: Engine, reference: str, size: bool) -> Any:
    return engine.volumes.get(reference).inspect()


def _network(engine: Engine, reference: str, size: bool) -> Any:
    from pyctr_lite.engine.report import network

    return network.network(engine, reference)


def _suggestion(engine: Engine, reference: str) -> str:
    known = [container.name for container in engine.containers.list()]
    known += [name for image in engine.images.list() for name in image.references]
    known += [network.name for network in engine.networks.list()]
    known += [volume.name for volume in engine.volumes.list()]
    return suggest.did_you_mean(reference, known) or "ps -a, images, network ls and volume ls list all objects"


_FINDERS: dict[str, Callable[[Engine, str, bool], Any]] = {
    "container": _container,
    "image": _image,
    "network": _network,
    "volume": _volume,
}

COMMANDS = {
    "inspect": Command(
        "inspect",
        "NAME|ID [NAME|ID...]",
        "Return low-level information on containers, images, networks and volumes",
        (
            _FORMAT,
            Option("size", "bool", f"{_SIZE} if the type is container", short="s"),
            Option("type", "string", "Only inspect objects of the given type (container, image, network, volume)"),
        ),
        action=inspect,
        example="pyctr_lite inspect --format '{{ .State.Pid }}' web",
    ),
    "container inspect": Command(
        "container inspect",
        "CONTAINER [CONTAINER...]",
        "Display detailed information on one or more containers",
        (_FORMAT, Option("size", "bool", _SIZE, short="s")),
        action=inspect_container,
        example="pyctr_lite container inspect --format '{{ .State.Pid }}' web",
    ),
    "image inspect": Command(
        "image inspect",
        "IMAGE [IMAGE...]",
        "Display detailed information on one or more images",
        (_FORMAT,),
        action=inspect_image,
        example="pyctr_lite image inspect --format '{{json .Config}}' busybox",
    ),
}
