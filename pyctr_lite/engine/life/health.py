"""Health checks: the check (Docker's `Config.Healthcheck`) and its results (`State.Health`).

The results are kept in health.json in the container's directory, which only the monitor writes.
"""

from __future__ import annotations

from pyctr_lite import jsonfile
from pyctr_lite.errors import BrokenArchive, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.container.container import Container

DEFAULTS = {
    "Interval": 30 * 10**9,
    "Timeout": 30 * 10**9,
    "StartPeriod": 0,
    "StartInterval": 5 * 10**9,
    "Retries": 3,
}
"""Values that apply if none is given; times in nanoseconds, as in Docker's JSON."""
_FLAGS = {
    "Interval": "interval",
    "Timeout": "timeout",
    "StartPeriod": "start-period",
    "StartInterval": "start-interval",
    "Retries": "retries",
}
MIN_INTERVAL = 10**6
"""Docker's minimum for each time, in nanoseconds."""
LOG_LENGTH = 5
"""Number of results that are kept."""


def check(given: dict[str, Any]) -> dict[str, Any]:
    """Return a health check without its empty fields. Raises InvalidArgument if it could crash the monitor.

    The texts are those of Docker's client and daemon (moby, daemon/container.go, validateHealthCheck).
    """
    from pyctr_lite.images import documents, shape

    for name, value in given.items():
        if name in DEFAULTS and isinstance(value, int):
            if value < 0:
                raise InvalidArgument(f"--health-{_FLAGS[name]} cannot be negative")
            if name != "Retries" and 0 < value < MIN_INTERVAL:
                raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    kept = {key: value for key, value in given.items() if value}
    test = kept.get("Test")
    if isinstance(test, list) and test[0] == "NONE" and (len(test) > 1 or len(kept) > 1):
        raise InvalidArgument("--no-healthcheck conflicts with --health-* options")
    try:
        checked: dict[str, Any] = shape.check(documents.HEALTHCHECK, kept, "health check")
    except BrokenArchive as error:
        raise InvalidArgument(error.message) from None
    return {key: value for key, value in checked.items() if value}


def resolve(given: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """Return the check of a container: the fields given to `run`, the others from the image; {} for no check.

    A test of an unknown kind means no check, as in Docker.
    """
    check = image | {key: value for key, value in given.items() if value}
    kind, *rest = check.get("Test") or [""]
    return check if kind in ("CMD", "CMD-SHELL") and rest else {}


def command(check: dict[str, Any], shell: list[str] | None) -> list[str]:
    """Return the command of a check: CMD is run as it is, CMD-SHELL by the image's shell."""
    kind, *rest = check["Test"]
    return [*(shell or ["/bin/sh", "-c"]), *rest] if kind == "CMD-SHELL" else rest


def number(check: dict[str, Any], name: str) -> int:
    """Return a number of a check; the default if it is missing or out of range (in an old record)."""
    value = check.get(name)
    low = 1 if name == "Retries" else MIN_INTERVAL
    return value if isinstance(value, int) and low <= value < 2**63 else DEFAULTS[name]


def new() -> dict[str, Any]:
    """Return `State.Health` of a container that has just been started."""
    return {"Status": "starting", "FailingStreak": 0, "Log": []}


def add_result(health: dict[str, Any], result: dict[str, Any], check: dict[str, Any], *, starting: bool) -> None:
    """Add a result. While `starting` (in the start period) failures do not count until a check has succeeded."""
    health["Log"] = [*health["Log"], result][-LOG_LENGTH:]
    if result["ExitCode"] == 0:
        health["Status"], health["FailingStreak"] = "healthy", 0
    elif health["Status"] != "starting" or not starting:
        health["FailingStreak"] += 1
        if health["FailingStreak"] >= number(check, "Retries"):
            health["Status"] = "unhealthy"


def write(container: Container, health: dict[str, Any]) -> None:
    """Replace the results."""
    jsonfile.write(f"{container.directory}/health.json", health)


def state(container: Container) -> dict[str, Any]:
    """Return a container's State for `inspect` and `ps`, with Health if it has a check and has been started."""
    shown: dict[str, Any] = container.state.inspect()
    if container.record.options.healthcheck:
        try:
            shown["Health"] = jsonfile.read(f"{container.directory}/health.json")
        except FileNotFoundError:
            pass
    return shown
