"""A container's group as a scope of systemd (`--systemd-cgroup`), which makes it, limits it and stops it.

Where systemd runs, it owns the tree of groups: one that it does not know may lose its controllers or be removed.
Source: systemd.scope(5), org.freedesktop.systemd1(5), systemd.resource-control(5); the choices as in runc.
"""

from __future__ import annotations

import _signal
import os
import time

from pyctr_lite import linux
from pyctr_lite.cgroups import controllers, units
from pyctr_lite.cgroups import group as groups
from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.linux import dbus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.cgroups.limits import Limits

_NAME = "org.freedesktop.systemd1"
_MANAGER = (_NAME, "/org/freedesktop/systemd1", f"{_NAME}.Manager")


def scope(cgroups_path: str, container_id: str, annotations: dict[str, str]) -> Scope:
    """Return the group for a path of the form slice:prefix:name, or for none: in system.slice.

    Raises InvalidArgument for another path, or an annotation that is not a property.
    """
    slice, prefix, name = "system.slice", "pyctr", container_id
    if cgroups_path:
        parts = cgroups_path.split(":")
        if len(parts) != 3 or not parts[2] or "/" in parts[1] + parts[2]:
            raise InvalidArgument(
                'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, '
                f'got "{cgroups_path}" instead'
            )
        slice, prefix, name = parts[0] or slice, parts[1], parts[2]
    unit = f"{prefix}-{name}.scope" if prefix else f"{name}.scope"
    path = f"{units.expand_slice(slice)}/{unit}"
    properties = [("Description", ("s", f"pyctr_lite container {name}")), ("Slice", ("s", slice))]
    return Scope(path, unit, properties + units.from_annotations(annotations))


class Scope(groups.Group):
    """The group of a transient scope unit.

    systemd makes a scope only around a process, and the group must exist before the container's first process is
    born in it. So a placeholder is in the scope until `let_go`, which comes after that birth.
    """

    __slots__ = ("_placeholder", "_properties", "unit")

    def __init__(self, path: str, unit: str, properties: list[tuple[str, tuple[str, Any]]] | None = None) -> None:
        super().__init__(path)
        self.unit = unit
        self._properties = properties or []
        self._placeholder = 0

    def create(self) -> None:
        """Start the scope, and create the group in the hierarchies that systemd does not use.

        Raises NotFound if systemd cannot be reached, and PyctrError if it does not start the unit.
        """
        version = "IO" if self.hierarchy.kind == "v2" else "BlockIO"
        self._placeholder = _start_placeholder()
        try:
            _start(
                self.unit,
                [
                    *self._properties,
                    ("Delegate", ("b", True)),
                    ("PIDs", ("au", [self._placeholder])),
                    *((f"{name}Accounting", ("b", True)) for name in ("Memory", "CPU", version, "Tasks")),
                    ("DefaultDependencies", ("b", False)),
                ],
            )
            super().create()
        except BaseException:
            self._end_placeholder()
            raise

    def apply(self, limits: Limits) -> None:
        """Tell systemd the limits that it knows as properties, so that it keeps them, and write all of them."""
        properties = units.from_files(self.files(limits)) + units.from_devices(limits.devices)
        with _bus() as bus:
            bus.call(*_MANAGER, "SetUnitProperties", "sba(sv)", self.unit, True, properties)
        super().apply(limits)

    def let_go(self) -> None:
        """End the placeholder: the container's first process is in the scope."""
        self._end_placeholder()

    def remove(self, timeout: float = 5.0) -> None:
        """Stop the scope and remove its group. Idempotent."""
        self._end_placeholder()
        try:
            _stop(self.unit, timeout)
        except (PyctrError, OSError):
            pass  # the group is what must go; systemd forgets a scope whose group is empty
        super().remove(timeout)

    def _end_placeholder(self) -> None:
        pid, self._placeholder = self._placeholder, 0
        if not pid:
            return
        if self.v2 is None:  # the container enters version 1 by itself, perhaps now; systemd ends an empty scope
            deadline = time.monotonic() + 1
            while self._only_has(pid) and time.monotonic() < deadline:
                time.sleep(0.001)  # version 1 has no event for this
        try:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # the kernel has reaped it: a caller may ignore SIGCHLD, which is inherited

    def _only_has(self, pid: int) -> bool:
        mount = next((mount for mount in self.hierarchy.mounts if mount.name == "systemd"), None)
        return mount is not None and controllers.pids(mount.mountpoint + self.path) == [pid]


def _bus() -> dbus.Bus:
    return dbus.Bus(
        "systemd", "this machine does not run systemd? Then use cgroups without it (omit --systemd-cgroup)"
    )


def _start_placeholder() -> int:
    """Fork a process that waits until it is killed, at the latest when this process ends."""
    pid = os.fork()
    if pid == 0:
        linux.prctl(linux.PR_SET_PDEATHSIG, 9)
        os.closerange(0, 1 << 20)  # whoever waits for the end of a pipe does not wait for this process
        while True:
            _signal.pause()
    return pid


def _start(unit: str, properties: list[tuple[str, tuple[str, Any]]]) -> None:
    """Start a transient unit, and wait for it. A failed unit of the same name is forgotten first."""
    with _bus() as bus:
        bus.call(*_MANAGER, "Subscribe")
        bus.subscribe(_MANAGER[2], "JobRemoved")

        def start() -> str:
            signature = "ssa(sv)a(sa(sv))"
            (job,) = bus.call(*_MANAGER, "StartTransientUnit", signature, unit, "replace", properties, [])
            return str(job)

        try:
            job = start()
        except dbus.BusError as error:
            if error.name != f"{_NAME}.UnitExists":
                raise PyctrError(f"systemd cannot start {unit}: {error.message}") from None
            bus.call(*_MANAGER, "ResetFailedUnit", "s", unit)
            job = start()
        result = _wait(bus, job)
        if result != "done":
            raise PyctrError(f"systemd cannot start {unit}: the job ended with {result}", f"journalctl -u {unit}")


def _stop(unit: str, timeout: float) -> None:
    """Stop a unit, wait for it at most `timeout` seconds, and let systemd forget it if it failed."""
    with _bus() as bus:
        bus.call(*_MANAGER, "Subscribe")
        bus.subscribe(_MANAGER[2], "JobRemoved")
        bus.set_timeout(timeout)
        try:
            (job,) = bus.call(*_MANAGER, "StopUnit", "ss", unit, "replace")
            _wait(bus, job)
        finally:
            bus.call(*_MANAGER, "ResetFailedUnit", "s", unit)


def _wait(bus: dbus.Bus, job: str) -> str:
    """Return the result of a job, such as "done" or "failed"."""
    while True:
        _, path, _, result = bus.next_signal("JobRemoved")
        if path == job:
            return str(result)
