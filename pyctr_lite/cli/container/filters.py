"""`--filter` of `ps` and `container prune`: which containers are shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pyctr_lite.engine.state import record
from pyctr_lite.errors import BadFilter, BrokenArchive, InvalidArgument, NotFound
from pyctr_lite.formats import number, times, timestamps

if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.engine import Engine

Test = Callable[["Container"], bool]
Values = dict[str, list[str]]

STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
PS_KEYS = (
    *("ancestor", "before", "exited", "expose", "health", "id", "label", "name"),
    *("network", "publish", "since", "status", "volume"),
)
PRUNE_KEYS = ("label", "label!", "until")


def parse(texts: Iterable[str], keys: Iterable[str]) -> Values:
    """The values of each key of `key=value` texts. Fails with BadFilter, InvalidArgument in Docker's words."""
    values: Values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise BadFilter(text)
        key = key.strip().lower()
        if key not in keys:
            raise InvalidArgument(f"invalid filter '{key}'", f"filters are {', '.join(keys)}")
        values.setdefault(key, []).append(value.strip())
    return values


def of_ps(engine: Engine, values: Values) -> Test:
    """Of one key any value will do, but of labels all must be there. Fails with InvalidArgument, NotFound."""
    tests = [_TESTS[key](engine, given) for key, given in values.items()]
    return lambda container: all(test(container) for test in tests)


def of_prune(texts: Iterable[str]) -> Test:
    """The containers that `container prune --filter` takes."""
    values = parse(texts, PRUNE_KEYS)
    until = [moment(value, "until") for value in values.get("until", [])]

    def lets_through(container: Container) -> bool:
        labels = container.record.labels
        return (
            all(timestamps.parse(container.record.created) < limit for limit in until)
            and all(has_label(labels, label) for label in values.get("label", []))
            and not any(has_label(labels, label) for label in values.get("label!", []))
        )

    return lets_through


def moment(text: str, flag: str) -> int:
    """Nanoseconds since 1970 of a time or duration that a flag or filter was given. Fails with InvalidArgument."""
    try:
        return times.since(text)
    except ValueError:
        raise InvalidArgument(
            f"invalid value for '{flag}': {text}",
            "it is a time (2024-05-01T10:00:00) or how long ago (10m, 1h30m)",
        ) from None


def has_label(labels: dict[str, str], label: str) -> bool:
    """Whether a label `key`, or `key=value`, is there."""
    key, equals, value = label.partition("=")
    return key in labels and (not equals or labels[key] == value)


def matches(pattern: str, text: str) -> bool:
    """Whether a regular expression is found in a text; what is no expression is looked for as it is."""
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return pattern in text


def _ancestor(engine: Engine, values: list[str]) -> Test:
    """Containers of an image or of one that was made of it: its layers and its history begin with that one's."""
    ancestors = []
    for value in values:
        try:
            ancestors.append(_origin(engine, value))
        except (NotFound, BrokenArchive):
            pass  # nothing comes from it
    known: dict[str, bool] = {}

    def comes_from(image: str) -> bool:
        try:
            chain, history = _origin(engine, image)
        except (NotFound, BrokenArchive):
            return False
        return any(chain[: len(first)] == first and history[: len(then)] == then for first, then in ancestors)

    def test(container: Container) -> bool:
        image = container.record.image
        if image not in known:
            known[image] = comes_from(image)
        return known[image]

    return test


def _origin(engine: Engine, image: str) -> tuple[list[str], list[Any]]:
    found = engine.images.get(image)
    return list(found.chain_ids), found.config.get("history") or []


def _status(engine: Engine, values: list[str]) -> Test:
    for value in values:
        if value not in STATUSES:
            raise InvalidArgument(f"invalid filter 'status={value}'", f"it is one of {', '.join(STATUSES)}")
    return lambda container: container.state.Status in values


def _health(engine: Engine, values: list[str]) -> Test:
    for value in values:
        if value not in ("starting", "healthy", "unhealthy", "none"):
            raise InvalidArgument(f"invalid filter 'health={value}'", "it is starting, healthy, unhealthy or none")
    from pyctr_lite.engine.life import health

    def test(container: Container) -> bool:
        shown = health.state(container).get("Health") if container.record.options.healthcheck else None
        return (shown or {}).get("Status", "none") in values

    return test


def _exited(engine: Engine, values: list[str]) -> Test:
    for value in values:
        if not number.is_whole(value.removeprefix("-")):
            raise InvalidArgument(f"invalid filter 'exited={value}'", "it is an exit code")
    codes = [int(value) for value in values]

    def test(container: Container) -> bool:
        state = container.state
        return not state.running and state.FinishedAt != record.NEVER and state.ExitCode in codes

    return test


def _before(engine: Engine, values: list[str]) -> Test:
    times_of = [engine.containers.get(value).record.created for value in values]
    return lambda container: all(container.record.created < created for created in times_of)


def _since(engine: Engine, values: list[str]) -> Test:
    times_of = [engine.containers.get(value).record.created for value in values]
    return lambda container: all(container.record.created > created for created in times_of)


def _volume(engine: Engine, values: list[str]) -> Test:
    """By a volume's name, a bind's source, or a place inside."""
    return lambda container: any(
        value in (mount.get("Name") or mount.get("Source"), mount["Destination"])
        for mount in container.record.mounts
        for value in values
    )


def _expose(engine: Engine, values: list[str]) -> Test:
    """By a port that is exposed, as in 80, 80/udp or 8000-8010/tcp."""
    wanted = [_port_range("expose", value) for value in values]

    def test(container: Container) -> bool:
        from pyctr_lite.engine.report import container as inspect

        shown = [text.partition("/") for text in inspect.config(container)["ExposedPorts"] or {}]
        ports = [(int(port), protocol or "tcp") for port, _, protocol in shown if number.is_whole(port, 65535)]
        return any(port in known and protocol == name for port, protocol in ports for known, name in wanted)

    return test


def _publish(engine: Engine, values: list[str]) -> Test:
    """By a port that is published: none is yet."""
    for value in values:
        _port_range("publish", value)
    return lambda container: False


def _port_range(key: str, value: str) -> tuple[range, str]:
    ports, _, protocol = value.partition("/")
    first, dash, last = ports.partition("-")
    last = last if dash else first
    known = number.is_whole(first, 65535) and number.is_whole(last, 65535) and int(first) <= int(last)
    if not known or protocol not in ("", "tcp", "udp", "sctp"):
        raise InvalidArgument(f"invalid filter '{key}={value}'", "it is a port, as in 80, 80/udp or 8000-8010/tcp")
    return range(int(first), int(last) + 1), protocol or "tcp"


_TESTS: dict[str, Callable[[Engine, list[str]], Test]] = {
    "ancestor": _ancestor,
    "before": _before,
    "exited": _exited,
    "expose": _expose,
    "health": _health,
    "id": lambda engine, values: lambda container: any(container.id.startswith(value) for value in values),
    "label": lambda engine, values: (
        lambda container: all(has_label(container.record.labels, value) for value in values)
    ),
    "name": lambda engine, values: (
        lambda container: any(
            matches(value, "/" + container.name) or matches(value, container.name) for value in values
        )
    ),
    "network": lambda engine, values: lambda container: (container.record.options.network or "private") in values,
    "publish": _publish,
    "since": _since,
    "status": _status,
    "volume": _volume,
}
