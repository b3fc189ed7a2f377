"""A container's control group: one directory in each hierarchy, with the same path in all.

Creating a directory creates the group, writing a pid to its `cgroup.procs` moves the process into it, writing
other files limits it, and removing the directory removes it (cgroups(7)).
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
    """The group at a path such as "/pyctr_lite/<id>" from the root of each hierarchy."""

    __slots__ = ("directories", "hierarchy", "path", "v2")
    unit = ""
    """The systemd unit that owns the group (`systemd.Scope`), "" without one."""

    def __init__(self, path: str, hierarchy: Hierarchy | None = None) -> None:
        parts = [part for part in path.split("/") if part]
        if not path.startswith("/") or not parts or ".." in parts or "." in parts:
            raise InvalidArgument(f"not a cgroup path: {path!r}", "give an absolute path such as /pyctr_lite/box")
        self.path = "/" + "/".join(parts)
        self.hierarchy = hierarchies.current() if hierarchy is None else hierarchy
        self.directories = [mount.mountpoint + self.path for mount in self.hierarchy.mounts]
        """The group's directory in each hierarchy, in the order of `hierarchy.mounts`."""
        self.v2 = self.hierarchy.v2.mountpoint + self.path if self.hierarchy.v2 else None
        """The group's directory in the version 2 hierarchy, or None without one."""

    def directory(self, controller: str) -> str | None:
        """Return the group's directory in the hierarchy with this controller, or None if no hierarchy has it."""
        mount = self.hierarchy.of(controller)
        return None if mount is None else mount.mountpoint + self.path

    def exists(self) -> bool:
        """Return whether the group exists in any hierarchy."""
        return any(os.path.isdir(directory) for directory in self.directories)

    def create(self) -> None:
        """Create the group in every hierarchy, with missing parents. Idempotent.

        In every one: otherwise the container's /proc/self/cgroup would show the launcher's own group, and `pids`,
        statistics and device rules would miss the container.
        """
        for mount in self.hierarchy.mounts:
            controllers.make_directory(mount, self.path)
            if mount.version == 2:
                controllers.enable_standard(mount, self.path)
            elif "cpuset" in mount.controllers:
                controllers.fill_cpuset(mount, self.path)

    def apply(self, limits: Limits) -> None:
        """Write the limits, each to the version that has its controller.

        Raises InvalidArgument, naming controller and file, if the machine does not have the controller, the group
        does not have the file, or the kernel rejects the value. The limits before that one stay set.
        """
        pending = self.files(limits)
        while pending:
            refused = [(line, error) for line in pending if (error := self._error(*line))]
            if len(refused) == len(pending):
                raise refused[0][1]
            # Some limits bound each other, such as a CPU period, its quota and its burst: try in another order.
            pending = [line for line, _ in refused]
        if limits.devices and self.v2 and self.hierarchy.of("devices") is None:
            from pyctr_lite.cgroups import device_filter  # version 1 has files for devices, and needs no BPF

            device_filter.attach(self.v2, limits.devices)

    def let_go(self) -> None:
        """Hold the group no longer: its first process is in it. Only a scope of systemd has to be held."""

    def files(self, limits: Limits) -> list[tuple[str, str, str]]:
        """List the writes of `apply`, in order, as (controller, file, text), for each controller's version here.

        Raises InvalidArgument if the machine does not have a controller.
        """
        if (limits.cpu_quota is None) != (limits.cpu_period is None) or (limits.memory_swap and not limits.memory):
            from pyctr_lite.cgroups import rare

            limits = rare.completed(self, limits)
        of_v1 = {name for name, mount in self.hierarchy.controllers.items() if mount.version == 1}
        of_v2 = {name for name, mount in self.hierarchy.controllers.items() if mount.version == 2}
        for name in v1.CONTROLLERS:
            new_name = "io" if name == "blkio" else name
            if name == "devices" and self.v2 is not None:
                continue  # `apply` attaches a program if version 1 does not have the controller
            if name not in of_v1 and new_name not in of_v2 and v1.of(name, limits):
                raise InvalidArgument(
                    f"no cgroup controller {new_name}: it cannot limit {v1.of(name, limits)[0][1]}",
                    "/proc/cgroups lists those of this kernel; is it mounted below /sys/fs/cgroup?",
                )
        for name, file, _ in v2.unified(limits):
            if name not in of_v2 and (self.v2 is None or name != "cgroup"):
                raise InvalidArgument(
                    f"invalid configuration: {file} is a file of cgroup v2, which does not have {name} here"
                )
        old = v1.files(limits, of_v1)
        if limits.memory is not None and self._is_memory_raised(limits.memory):
            old = v1.raised(old)
        if limits.devices and "devices" in of_v1:
            from pyctr_lite.cgroups import devices

            old = devices.changed(f"{self.directory('devices')}/devices.list", old)
        new = v2.files(limits, of_v2)
        if self.v2 and limits.blkio_weight and not os.path.exists(f"{self.v2}/io.bfq.weight"):
            new = [line for line in new if line[1] != "io.bfq.weight"] + v2.io_weight(limits) * ("io" in of_v2)
        if limits.rare:
            from pyctr_lite.cgroups import rare

            new += rare.files(self, limits)
        return old + new + v2.unified(limits)  # files given by name are the last word

    def add(self, pid: int, beside: int | None = None) -> None:
        """Move a process with its threads into the group, in every hierarchy.

        The limits cover everything that it does only if it has not run its first instruction yet.

        `beside` is a process of the container. If the container has created groups below this one, which then
        must not have processes of its own (EBUSY), `pid` joins the version 2 group of `beside` instead.
        Takes 5 to 20 ms if the kernel has not moved a process for a while; `enter` and `fd_for_clone` do not.
        Fails with ESRCH if there is no such process.
        """
        for mount, directory in zip(self.hierarchy.mounts, self.directories, strict=True):
            try:
                kernelfile.write(f"{directory}/cgroup.procs", str(pid))
            except OSError as error:
                if error.errno != errno.EBUSY or mount.version == 1 or beside is None:
                    raise controllers.explained(error, directory) from None
                kernelfile.write(f"{controllers.group_of(beside, mount)}/cgroup.procs", str(pid))

    def enter(self, *, born_in_v2: bool = False) -> None:
        """Move the calling process into the group, in every hierarchy. It must have only one thread.

        Writing "0" to version 1's `tasks` moves the caller itself, for which the kernel does not first stop all
        other forks and exits (0.3 ms instead of the 5 to 20 ms of `add`). `born_in_v2` means that clone3(2) has
        already put the caller into the version 2 group (`fd_for_clone`): nothing is written there.
        Raises OSError if the kernel refuses a move or the group does not exist in a hierarchy. Source: cgroups(7).
        """
        for mount, directory in zip(self.hierarchy.mounts, self.directories, strict=True):
            if mount.version == 1:
                kernelfile.write(f"{directory}/tasks", "0")
            elif not born_in_v2:
                kernelfile.write(f"{directory}/cgroup.procs", "0")

    def fd_for_clone(self, beside: int | None = None) -> int | None:
        """Open the version 2 group for CLONE_INTO_CGROUP of clone3(2); the caller closes it. None without one.

        `beside` is a process of the container: if the container has divided its group into groups below it, and it
        takes no more processes, opens that process's group instead.
        """
        if self.v2 is None or self.hierarchy.v2 is None:
            return None
        directory = self.v2
        if beside is not None and controllers.is_divided(directory):
            directory = controllers.group_of(beside, hierarchies.current().v2 or self.hierarchy.v2)
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def pids(self) -> list[int]:
        """List the processes of the group and of those below it, as pids of the caller's pid namespace.

        Empty if the group does not exist.
        """
        return controllers.pids(self.v2 or self.directories[0]) if self.directories else []

    def freeze(self) -> None:
        """Freeze its processes, and wait for it. Fails with ETIMEDOUT, after thawing them again."""
        freezer.freeze(self)

    def thaw(self) -> None:
        """Let its processes run again."""
        freezer.thaw(self)

    def frozen(self) -> bool:
        """Return whether all its processes are frozen."""
        return freezer.frozen(self)

    def kill(self, signal: int = 9) -> None:
        """Send a signal to all its processes, including those forked meanwhile. Does not wait for their end."""
        freezer.kill(self, signal)

    def destroy(self, timeout: float = 5.0) -> None:
        """Thaw and kill its processes and those of the groups below it, and remove all these groups. Idempotent.

        Fails with EBUSY if some processes do not end within `timeout` seconds.
        """
        freezer.thaw_all(self)
        self.kill()
        for directory in self.directories:  # a process may have left one hierarchy's group
            for pid in controllers.pids(directory):
                freezer.signal_process(pid, 9)
        self.remove(timeout)

    def stats(self) -> Stats:
        """Read its present and total resource usage."""
        from pyctr_lite.cgroups import stats  # imported here: starting a container does not need it

        return stats.read(self)

    def oom_kills(self) -> int:
        """Count its processes that the OOM killer has killed."""
        from pyctr_lite.cgroups import stats

        return stats.oom_kills(self)

    def remove(self, timeout: float = 5.0) -> None:
        """Remove the group and those below it from every hierarchy, but not its parents. Idempotent.

        Waits up to `timeout` seconds for its processes to end. Fails with EBUSY if some are left then.
        """
        deadline = time.monotonic() + timeout
        for mount, directory in sorted(
            zip(self.hierarchy.mounts, self.directories, strict=True), key=lambda pair: -pair[0].version
        ):  # version 2 first: it notifies when the last process has ended
            removal.remove(directory, mount.version, deadline)

    def _error(self, controller: str, file: str, text: str) -> InvalidArgument | None:
        """Write a limit, and return the error if the kernel rejects the value (EINVAL). Raises other errors."""
        try:
            self._write(controller, file, text)
        except InvalidArgument as error:
            cause = error.__context__
            if not isinstance(cause, OSError) or cause.errno != errno.EINVAL or controller == "devices":
                raise
            return error
        return None

    def _write(self, controller: str, file: str, text: str) -> None:
        mount = self._mount_of(controller)
        path = f"{mount.mountpoint}{self.path}/{file}"
        try:
            kernelfile.write(path, text)
        except FileNotFoundError as error:
            if not os.path.isdir(os.path.dirname(path)):
                raise
            if mount.version == 2 and controllers.enable(mount, self.path, controller):
                self._write(controller, file, text)  # the controller was not enabled for this group
            elif text not in ("-1", "max") and ".rsvd." not in file:  # lifting an unknown limit is not an error
                raise controllers.refused(controller, path, text, error) from None
        except OSError as error:
            raise controllers.refused(controller, path, text, error) from None

    def _mount_of(self, controller: str) -> HierarchyMount:
        mount = self.hierarchy.of(controller) or self.hierarchy.v2
        assert mount is not None  # `files` checks that every controller exists
        return mount

    def _is_memory_raised(self, memory: int) -> bool:
        mount = self.hierarchy.of("memory")
        if mount is None or mount.version == 2:
            return False
        now = int(kernelfile.read(f"{mount.mountpoint}{self.path}/memory.limit_in_bytes"))
        return memory == -1 or memory > now
