"""A container's control group: one directory in each hierarchy, with the same path in all.

Making a directory makes the group; writing a pid to its `cgroup.procs` moves the process there; writing a
file limits it; removing the directory ends it (cgroups(7)).
"""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer, removal, v1, v2
from pyctr_lite.cgroups import hierarchy as hierarchies
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cgroups.hierarchy import Hierarchy, HierarchyMount
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.stats import Stats


class Group:
    """The group of a path such as "/pyctr_lite/<id>", counted from the top of each hierarchy."""

    __slots__ = ("directories", "hierarchy", "path", "v2")

    def __init__(self, path: str, hierarchy: Hierarchy | None = None) -> None:
        parts = [part for part in path.split("/") if part]
        if not path.startswith("/") or not parts or ".." in parts or "." in parts:
            raise InvalidArgument(f"not a cgroup path: {path!r}", "an absolute one, as in /pyctr_lite/box")
        self.path = "/" + "/".join(parts)
        self.hierarchy = hierarchies.current() if hierarchy is None else hierarchy
        self.directories = [mount.mountpoint + self.path for mount in self.hierarchy.mounts]
        """The group's directory in each hierarchy, in the order of `hierarchy.mounts`."""
        self.v2 = self.hierarchy.v2.mountpoint + self.path if self.hierarchy.v2 else None
        """Its directory in the version 2 hierarchy."""

    def directory(self, controller: str) -> str | None:
        """Its directory in the hierarchy that has this controller."""
        mount = self.hierarchy.of(controller)
        return None if mount is None else mount.mountpoint + self.path

    def exists(self) -> bool:
        """Whether it is there, in any hierarchy."""
        return any(os.path.isdir(directory) for directory in self.directories)

    def create(self) -> None:
        """Make it in every hierarchy, and its parents where they are missing. Again is fine.

        Every hierarchy: one that is left out would show the launcher's own group in the container's
        /proc/self/cgroup, and `pids`, statistics and device rules would miss the container.
        """
        for mount in self.hierarchy.mounts:
            controllers.make_directory(mount, self.path)
            if mount.version == 2:
                controllers.enable_standard(mount, self.path)
            elif "cpuset" in mount.controllers:
                controllers.fill_cpuset(mount, self.path)

    def apply(self, limits: Limits) -> None:
        """Write the limits, each to the version that has its controller.

        Fails with InvalidArgument that names controller and file where the machine has no such controller, the
        group no such file, or the kernel refuses the value; then limits before it are set.
        """
        for controller, file, text in self.files(limits):
            self._write(controller, file, text)
        if limits.devices and self.v2 and self.hierarchy.of("devices") is None:
            from pyctr_lite.cgroups import device_filter  # version 1 has files for it, and no use for BPF

            device_filter.attach(self.v2, limits.devices)

    def files(self, limits: Limits) -> list[tuple[str, str, str]]:
        """What `apply` writes, in order: (controller, file, text), by each controller's version here."""
        of_v1 = {name for name, mount in self.hierarchy.controllers.items() if mount.version == 1}
        of_v2 = {name for name, mount in self.hierarchy.controllers.items() if mount.version == 2}
        for name in v1.CONTROLLERS:
            new_name = "io" if name == "blkio" else name
            if name == "devices" and self.v2 is not None:
                continue  # `apply` attaches a program where version 1 has not the controller
            if name not in of_v1 and new_name not in of_v2 and v1.of(name, limits):
                raise InvalidArgument(
                    f"no cgroup controller {new_name}: it cannot limit {v1.of(name, limits)[0][1]}",
                    "/proc/cgroups tells which this kernel has; is it mounted below /sys/fs/cgroup?",
                )
        for name, file, _ in v2.unified(limits):
            if name not in of_v2 and (self.v2 is None or name != "cgroup"):
                raise InvalidArgument(f"{file} is a file of cgroup v2, which does not have {name} on this machine")
            of_v2.add("unified")
        lines = v1.files(limits, of_v1)
        if limits.memory is not None and self._raises_memory(limits.memory):
            lines = v1.raised(lines)
        new = v2.files(limits, of_v2)
        if self.v2 and limits.blkio_weight and not os.path.exists(f"{self.v2}/io.bfq.weight"):
            new = [line for line in new if line[1] != "io.bfq.weight"] + v2.io_weight(limits) * ("io" in of_v2)
        return lines + new

    def add(self, pid: int, beside: int | None = None) -> None:
        """Move a process with its threads here, in every hierarchy. It must not have passed its first instruction
        if the limits are to hold for all that it does.

        `beside` is a process of the container, whose own version 2 group is joined where this one has been split
        into smaller ones from inside (no internal processes: EBUSY). Costs 5 to 20 ms when the kernel has moved
        nothing for a while; `enter` and `fd_for_clone` do not. Fails with ESRCH when there is no such process.
        """
        for mount, directory in zip(self.hierarchy.mounts, self.directories, strict=True):
            try:
                kernelfile.write(f"{directory}/cgroup.procs", str(pid))
            except OSError as error:
                if error.errno != errno.EBUSY or mount.version == 1 or beside is None:
                    raise controllers.explained(error, directory) from None
                kernelfile.write(f"{controllers.group_of(beside, mount)}/cgroup.procs", str(pid))

    def enter(self, *, born_in_v2: bool = False) -> None:
        """Move the calling process here, in every hierarchy: for a process with one thread.

        "0" in version 1's `tasks` is the caller itself, which the kernel moves without stopping all other forks
        and exits first (0.3 ms against 5 to 20 ms of `add`). `born_in_v2` says that clone3(2) has already put it
        into the version 2 group (`fd_for_clone`).
        """
        for mount, directory in zip(self.hierarchy.mounts, self.directories, strict=True):
            if mount.version == 1:
                kernelfile.write(f"{directory}/tasks", "0")
            elif not born_in_v2:
                kernelfile.write(f"{directory}/cgroup.procs", "0")

    def fd_for_clone(self) -> int | None:
        """A descriptor of the version 2 group for clone3(2) with CLONE_INTO_CGROUP, for the caller to close."""
        return None if self.v2 is None else os.open(self.v2, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def pids(self) -> list[int]:
        """The processes here and in groups below, in the caller's pid namespace; empty where it does not exist."""
        return controllers.pids(self.v2 or self.directories[0]) if self.directories else []

    def freeze(self) -> None:
        """Stop all its processes, and wait until they stand. Fails with ETIMEDOUT, thawed, if one does not."""
        freezer.freeze(self)

    def thaw(self) -> None:
        """Let its processes go on."""
        freezer.thaw(self)

    def frozen(self) -> bool:
        """Whether all its processes stand."""
        return freezer.frozen(self)

    def kill(self, signal: int = 9) -> None:
        """Send a signal to all its processes, and those that they fork meanwhile. Does not wait for their end."""
        freezer.kill(self, signal)

    def stats(self) -> Stats:
        """What it uses now, and has used."""
        from pyctr_lite.cgroups import stats  # only here: starting a container has no use for it

        return stats.read(self)

    def oom_kills(self) -> int:
        """How many of its processes the kernel has killed for want of memory."""
        from pyctr_lite.cgroups import stats

        return stats.oom_kills(self)

    def remove(self, timeout: float = 5.0) -> None:
        """Remove it, and the groups below, from every hierarchy. Again is fine. Its parents stay.

        Waits `timeout` seconds for processes that are ending; fails with EBUSY when some are left.
        """
        deadline = time.monotonic() + timeout
        for mount, directory in sorted(
            zip(self.hierarchy.mounts, self.directories, strict=True), key=lambda pair: -pair[0].version
        ):  # version 2 first: it tells when the last process has gone
            removal.remove(directory, mount.version, deadline)

    def _write(self, controller: str, file: str, text: str) -> None:
        mount = self._mount_of(controller)
        path = f"{mount.mountpoint}{self.path}/{file}"
        try:
            kernelfile.write(path, text)
        except FileNotFoundError as error:
            if not os.path.isdir(os.path.dirname(path)):
                raise
            if mount.version == 2 and controllers.enable(mount, self.path, controller):
                self._write(controller, file, text)  # it was not enabled for this group
            elif text not in ("-1", "max"):  # a limit that the kernel has not is lifted already
                raise controllers.refused(controller, path, text, error) from None
        except OSError as error:
            raise controllers.refused(controller, path, text, error) from None

    def _mount_of(self, controller: str) -> HierarchyMount:
        mount = self.hierarchy.of(controller) or self.hierarchy.v2
        assert mount is not None  # `files` gives none that are not here
        return mount

    def _raises_memory(self, memory: int) -> bool:
        mount = self.hierarchy.of("memory")
        if mount is None or mount.version == 2:
            return False
        now = int(kernelfile.read(f"{mount.mountpoint}{self.path}/memory.limit_in_bytes"))
        return memory == -1 or memory > now
