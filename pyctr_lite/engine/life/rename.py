"""`rename`: give a container another name, whether it runs or not."""

from __future__ import annotations

from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.state import names, record
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container


def rename(container: Container, name: str) -> None:
    """Give a container another name. Raises Conflict if the name is taken, InvalidArgument if it is not valid.

    The new name is taken before the record changes, and the old name is released after that. If the command is
    killed in between, the container has both names, and the name that is not in its record is a leftover.
    """
    name = name.removeprefix("/")
    if not name:
        raise InvalidArgument("Neither old nor new names may be empty")
    names.check(name)
    with container.lock:
        container.refresh()
        container.record = record.Record.read(container.directory)
        old = container.name
        if name == old:
            raise InvalidArgument("Renaming a container with the same name as its current name")
        container.home.names.take(name, container.id, old)
        try:
            container.record.name = name
            container.record.write(container.directory)
        except BaseException:
            container.home.names.release(name, container.id)
            raise
        container.home.names.release(old, container.id)
        if container.state.Pid and container.record.options.networks:
            from pyctr_lite.engine.life import networks

            networks.rename(container)
    events.emit(container.paths, "rename", container.record, oldName=f"/{old}")
