"""The filters of `ps` and `container prune`."""

from __future__ import annotations

import re

from pyctr_lite.engine.container import containers
from pyctr_lite.engine.report import network_settings
from pyctr_lite.engine.report.filters import grammar
from pyctr_lite.engine.state import record
from pyctr_lite.errors import BrokenArchive, Conflict, InvalidArgument, NotFound
from pyctr_lite.formats import number, ports, timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import Any

    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.home import Home

    Test = Callable[[Container], bool]

LISTING = (
    *("ancestor", "before", "exited", "expose", "health", "id", "label", "name"),
    *("network", "publish", "since", "status", "volume"),
)
PRUNING = ("label", "label!", "until")
_STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_HEALTH = ("starting", "healthy", "unhealthy", "none")


class ContainerFilter:
    """The containers that match all filters."""

    def __init__(self, home: Home, texts: Iterable[str], keys: Collection[str] = LISTING) -> None:
        """Parse the filters. Raises BadFilter, InvalidArgument; NotFound for the container in `since`."""
        self._values = grammar.parse(texts, keys)
        self._limit = grammar.created_before(self._values)
        self._tests = [_TESTS[key](home, given) for key, given in self._values.items() if key in _TESTS]
        self.names_status = "status" in self._values
        """Whether the filters select by status, so that `ps` shows stopped containers without -a."""

    def matches(self, container: Container) -> bool:
        """Return whether a container matches."""
        return (
            (self._limit is None or timestamps.parse(container.record.created) < self._limit)
            and grammar.has_labels(container.record.labels, self._values)
            and all(test(container) for test in self._tests)
        )


def _ancestor(home: Home, values: list[str]) -> Test:
    """Match containers of an image, or of an image made from it: its layers and history begin with the other's."""
    ancestors = []
    for value in values:
        try:
            ancestors.append(_origin(home, value))
        except (NotFound, BrokenArchive):
            pass  # unknown image: no container can descend from it
    known: dict[str, bool] = {}

    def descends(image: str) -> bool:
        try:
            chain, history = _origin(home, image)
        except (NotFound, BrokenArchive):
            return False
        return any(chain[: len(first)] == first and history[: len(then)] == then for first, then in ancestors)

    def test(container: Container) -> bool:
        image = container.record.image
        if image not in known:
            known[image] = descends(image)
        return known[image]

    return test


def _origin(home: Home, image: str) -> tuple[list[str], list[Any]]:
    found = home.images.get(image)
    return list(found.chain_ids), found.config.get("history") or []


def _status(home: Home, values: list[str]) -> Test:
    _check_words("status", values, _STATUSES)
    return lambda container: container.state.Status in values


def _health(home: Home, values: list[str]) -> Test:
    _check_words("health", values, _HEALTH)
    from pyctr_lite.engine.life import health

    def test(container: Container) -> bool:
        shown = health.state(container).get("Health") if container.record.options.healthcheck else None
        return (shown or {}).get("Status", "none") in values

    return test


def _check_words(key: str, values: list[str], known: Collection[str]) -> None:
    for value in values:
        if value not in known:
            raise InvalidArgument(f"invalid filter '{key}={value}'", f"it is one of {', '.join(known)}")


def _exited(home: Home, values: list[str]) -> Test:
    for value in values:
        if not number.is_whole(value.removeprefix("-")):
            raise InvalidArgument(f"invalid filter 'exited={value}'", "it is an exit code")
    codes = [int(value) for value in values]

    def test(container: Container) -> bool:
        state = container.state
        return not state.running and state.FinishedAt != record.NEVER and state.ExitCode in codes

    return test


def _before(home: Home, values: list[str]) -> Test:
    limit = min(containers.get(home, value).record.created for value in values)
    return lambda container: container.record.created < limit


def _since(home: Home, values: list[str]) -> Test:
    limit = max(containers.get(home, value).record.created for value in values)
    return lambda container: container.record.created > limit


def _name(home: Home, values: list[str]) -> Test:
    """Match a name, with or without Docker's slash before it, by a regular expression."""
    return lambda container: any(
        _finds(value, "/" + container.name) or _finds(value, container.name) for value in values
    )


def _finds(pattern: str, text: str) -> bool:
    """Return whether a regular expression is found in a text; an invalid one is a plain text."""
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return pattern in text


def _volume(home: Home, values: list[str]) -> Test:
    """Match a volume's name, a bind's source, or a mountpoint inside."""
    return lambda container: any(
        value in (mount.get("Name") or mount.get("Source"), mount["Destination"])
        for mount in container.record.mounts
        for value in values
    )


def _expose(home: Home, values: list[str]) -> Test:
    """Match an exposed port: 80, 80/udp or 8000-8010/tcp."""
    wanted = [_port_range("expose", value) for value in values]

    def test(container: Container) -> bool:
        return any(
            first == second and max(one.start, other.start) < min(one.stop, other.stop)
            for one, first in _exposed_ports(container)
            for other, second in wanted
        )

    return test


def _exposed_ports(container: Container) -> Iterator[tuple[range, str]]:
    from pyctr_lite.engine.report import container as inspect

    for text in inspect.config(container)["ExposedPorts"] or {}:
        try:
            yield ports.parse(text)
        except ValueError:
            pass  # the config of an image may hold any text


def _publish(home: Home, values: list[str]) -> Test:
    """Match a port of this machine that leads to a container: 8080, 8080/udp or 8000-8010/tcp."""
    wanted = [_port_range("publish", value) for value in values]
    return lambda container: any(
        port in numbers and protocol == given
        for given, _, port, _ in network_settings.published(container)
        for numbers, protocol in wanted
    )


def _network(home: Home, values: list[str]) -> Test:
    """Match a network of a container by its name or id, whether it runs or not."""
    names = set()
    for value in values:
        try:
            names.add(home.networks.identify(value))
        except (NotFound, Conflict):
            pass  # no container is on a network that does not exist
    return lambda container: not names.isdisjoint(network_settings.network_names(container))


def _port_range(key: str, value: str) -> tuple[range, str]:
    try:
        return ports.parse(value)
    except ValueError:
        raise InvalidArgument(
            f"invalid filter '{key}={value}'", "give a port, for example 80, 80/udp or 8000-8010/tcp"
        ) from None


_TESTS: dict[str, Callable[[Home, list[str]], Test]] = {
    "ancestor": _ancestor,
    "before": _before,
    "exited": _exited,
    "expose": _expose,
    "health": _health,
    "id": lambda home, values: lambda container: any(container.id.startswith(value) for value in values),
    "name": _name,
    "network": _network,
    "publish": _publish,
    "since": _since,
    "status": _status,
    "volume": _volume,
}
