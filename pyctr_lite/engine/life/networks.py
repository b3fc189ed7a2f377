"""`network connect` and `network disconnect`: change the networks of a container, whether it runs or not.

The record changes, so that the container's next start has the change too. If the container runs, this command
carries the change out in its network namespace; then its monitor reads network.json, and its DNS server follows.
"""

from __future__ import annotations

import errno
import os
import select

from pyctr_lite import jsonfile, linux
from pyctr_lite.engine.bundle import etc_files
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.life import attach
from pyctr_lite.engine.network import changes, endpoints, rates, wanted
from pyctr_lite.engine.network.settings import NetworkSettings
from pyctr_lite.engine.state import record
from pyctr_lite.errors import Conflict, PyctrError
from pyctr_lite.networks import DEFAULT, bridge
from pyctr_lite.runtime import channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.engine.container.container import Container

_IS_HOST = "container cannot be disconnected from host network or connected to host network"
_IS_NONE = (
    "container cannot be connected to multiple networks with one of the networks in private (none) mode",
    "pyctr_lite network disconnect none CONTAINER",
)
_IS_SHARED = (
    "container sharing network namespace with another container or host cannot be connected to any other network"
)


def connect(container: Container, reference: str, row: dict[str, Any] | None = None) -> bool:
    """Connect a container to a network. `row` may have ip, ip6, mac and aliases, as in ContainerOptions.networks.

    Returns whether its monitor has followed (`tell_monitor`).
    Raises NotFound without the network; Conflict for a container whose networks cannot change, one that is
    connected already, and an address that is taken; InvalidArgument for an address outside the network.
    """
    name, row = container.home.networks.identify(reference), row or {}
    with container.lock:
        state = container.refresh()
        container.record = record.Record.read(container.directory)
        options = container.record.options
        if name == "host":
            raise Conflict(_IS_HOST)
        if options.network == "host" or options.network.startswith("container:"):
            raise Conflict(_IS_SHARED)
        if "none" in (name, options.network):
            raise Conflict(*_IS_NONE)
        wanted.check(name, row, container.home.networks.get(name))
        if state.Pid and name in NetworkSettings.read(container.runtime).networks:
            raise Conflict(f"endpoint with name {container.name} already exists in network {name}")
        _mend(container)
        before = dict(options.networks)
        options.networks = {**before, name: row}
        container.record.write(container.directory)  # first, so that what follows is found by it after a kill
        try:
            return not state.Pid or _carry_out(container, lambda: _plug(container, name, row))
        except BaseException:
            options.networks = before
            container.record.write(container.directory)
            raise


def disconnect(container: Container, reference: str) -> bool:
    """Disconnect a container from a network. Raises NotFound, and Conflict if it is not connected.

    Returns whether its monitor has followed (`tell_monitor`).
    """
    followed = True
    networks = container.home.networks
    name = networks.identify(reference)
    with container.lock:
        state = container.refresh()
        container.record = record.Record.read(container.directory)
        options = container.record.options
        if name == options.network == "host":
            raise Conflict(_IS_HOST)
        if name == options.network == "none":
            options.network = DEFAULT  # without a network; others can be connected from now on
        elif name in options.networks:
            _mend(container)
            if state.Pid:
                followed = _carry_out(container, lambda: _unplug(container, name))
            else:  # Docker has no event for the connection of a stopped container, but this one
                events.emit_network(networks.paths, "disconnect", networks.get(name), container=container.id)
            del options.networks[name]
        else:
            raise Conflict(f"container {container.id} is not connected to network {name}")
        container.record.write(container.directory)
    return followed


def rename(container: Container) -> None:
    """Give a running container its new name in its networks."""
    networks = container.home.networks
    settings = NetworkSettings.read(container.runtime)
    changes.withdraw_names(networks, container.id, settings)
    for name, endpoint in settings.networks.items():
        endpoints.register(networks, container.id, container.name, name, endpoint)


def _carry_out(container: Container, change: Callable[[], bool]) -> bool:
    """Change the networks of a running container. If it ends meanwhile, the change is one of its next start."""
    try:
        return change()
    except (OSError, PyctrError) as error:
        # The end of a process takes a moment: its network namespace goes first, with its links.
        gone = getattr(error, "errno", 0) in (errno.ESRCH, errno.ENOENT, errno.ENODEV)
        seconds = 5 if gone else 0
        try:
            pidfd = os.pidfd_open(container.state.Pid)
        except ProcessLookupError:
            return True
        with linux.closing(pidfd):
            if not select.select([pidfd], [], [], seconds)[0]:
                raise
    return True


def _mend(container: Container) -> None:
    state, options = container.state, container.record.options
    if state.Pid:
        settings = NetworkSettings.read(container.runtime)
        changes.mend(container.home.networks, container.id, state.Pid, settings, options.networks)


def _plug(container: Container, name: str, row: dict[str, Any]) -> bool:
    networks, options, pid = container.home.networks, container.record.options, container.state.Pid
    settings = NetworkSettings.read(container.runtime)
    inside = _free_interface(settings)
    with bridge.Sockets() as sockets:
        endpoint = endpoints.connect(networks, sockets, container.id, pid, name, row, inside)
        settings.networks[name] = endpoint
        try:
            rates.limit(
                sockets, NetworkSettings({name: endpoint}), pid, options.network_rate_in, options.network_rate_out
            )
            settings.write(container.runtime)
            endpoints.register(networks, container.id, container.name, name, endpoint)
            followed = tell_monitor(container)
        except BaseException:
            del settings.networks[name]
            settings.write(container.runtime)
            endpoints.disconnect(networks, sockets, container.id, networks.get(name), endpoint)
            tell_monitor(container)
            raise
    etc_files.change(container, {}, {name: endpoint})
    return followed


def _unplug(container: Container, name: str) -> bool:
    networks, pid = container.home.networks, container.state.Pid
    settings = NetworkSettings.read(container.runtime)
    main = settings.main()
    if name not in settings.networks:
        return True  # `_mend` has undone what there was
    endpoint = settings.networks[name]
    with bridge.Sockets() as sockets:
        if main == endpoint:
            endpoints.withdraw_ports(sockets, settings)
        del settings.networks[name]
        if not settings.main():
            settings.ports = {}  # the monitor closes their sockets, and reserves them again with the next network
        elif main == endpoint:
            endpoints.publish(networks, sockets, settings, container.name)
        endpoints.disconnect(networks, sockets, container.id, networks.get(name), endpoint)
        changes.add_routes(pid, settings)
    settings.write(container.runtime)
    etc_files.change(container, {name: endpoint}, {})
    return tell_monitor(container)


def _free_interface(settings: NetworkSettings) -> str:
    taken = {endpoint["Interface"] for endpoint in settings.networks.values()}
    return next(name for number in range(len(taken) + 1) if (name := f"eth{number}") not in taken)


def tell_monitor(container: Container) -> bool:
    """Let the monitor read network.json, and wait until it has followed. Raises Conflict if a port is taken.

    Returns False if it does not say so: one of an older version may not follow, until the container is restarted.
    A container whose monitor was killed has no DNS server and no ports to follow.
    """
    try:
        pidfd = os.pidfd_open(container.state.Pid)
    except ProcessLookupError:
        return True
    with linux.closing(pidfd):
        try:
            connection = attach.connect(container.runtime, output=False)
        except OSError:
            return True
        try:
            error = connection.networks_changed(pidfd)
        finally:
            connection.close()
    if error:
        channel.raise_error(jsonfile.loads(error))
    return error is not None
