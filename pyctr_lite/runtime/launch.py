"""The parent's side: create a container from a bundle, and hold it at the gate until `start`.

Only for a process with one thread: it forks, the child goes on in Python, and a lock that another thread holds at
the fork stays locked in the child for ever.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.cgroups import group as groups
from pyctr_lite.errors import PyctrError
from pyctr_lite.linux import kernelfile
from pyctr_lite.namespaces import create, join, kinds
from pyctr_lite.runtime import attributes, init, process, seccomp, state
from pyctr_lite.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.runtime import bundle as bundles


class Launched:
    """A forked process that has not executed its program yet."""

    def __init__(
        self, pid: int, pidfd: int, channel: channels.Channel, group: groups.Group, directory: str = ""
    ) -> None:
        self.pid, self.pidfd, self.channel, self.group, self.directory = pid, pidfd, channel, group, directory
        self.console = -1
        """The master of its terminal, -1 without one."""
        self._limit: tuple[str, str] | None = None
        """The file of a raised limit and its old value, to be restored when the process in between has exited."""

    def let_go(self) -> None:
        """Let the process go on: the launcher has done its part (`init.wait_for_launcher`)."""
        try:
            self.channel.send({"type": "go"})
        except (BrokenPipeError, ConnectionResetError):
            pass  # the process has exited; the error that it sent before is reported

    def wait_created(self) -> None:
        """Wait until the process is ready to execute its program. Raises its error."""
        while True:
            received = self.channel.receive()
            if received is None:
                raise PyctrError(
                    "the container's first process was killed before its program ran", "out of memory?"
                )
            message, fds = received
            if message["type"] == "created":
                return
            self._handle(message, fds)

    def wait_executed(self) -> None:
        """Wait until the program runs: the exec closes the child's end of the channel. Raises its error."""
        while (received := self.channel.receive()) is not None:
            self._handle(*received)
        self.channel.close()

    def start(self) -> None:
        """Open the gate, and wait until the program runs."""
        state.open_gate(self.directory)
        self.wait_executed()

    def destroy(self) -> None:
        """Kill and reap the process. Idempotent."""
        try:
            os.kill(self.pid, 9)
        except ProcessLookupError:
            pass
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass
        if self._limit is not None:
            kernelfile.write(*self._limit)
        self.close()

    def close(self) -> None:
        """Close the channel and the descriptors. The process goes on."""
        self.channel.close()
        for name in ("pidfd", "console"):
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)

    def _handle(self, message: dict[str, Any], fds: list[int]) -> None:
        if message["type"] == "console":
            self.console = fds[0]
        elif message["type"] == "born":
            self._follow(message["pid"])
        elif message["type"] == "full":
            self._raise_limit(message["message"])
        elif message["type"] == "error":
            channels.raise_error(message)

    def _follow(self, pid: int) -> None:
        """Replace the process by its child, which was born in the pid namespace. The process itself exits."""
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.pid, self.pidfd = pid, os.pidfd_open(pid)
        if self._limit is not None:
            kernelfile.write(*self._limit)
            self._limit = None
            self.let_go()

    def _raise_limit(self, message: str) -> None:
        """Raise pids.max by one until the process exits: it counts itself, and could not fork at the limit."""
        directory = self.group.directory("pids")
        limit = kernelfile.read(f"{directory}/pids.max") if directory else "max"
        if limit == "max" or int(kernelfile.read(f"{directory}/pids.current")) > int(limit):
            hint = "" if limit == "max" else f"its limit is {limit} (--pids-limit)"
            raise PyctrError(f"the container cannot have more processes: {message}", hint)
        self._limit = (f"{directory}/pids.max", limit)
        kernelfile.write(f"{directory}/pids.max", str(int(limit) + 1))
        self.let_go()


def create_container(
    bundle: bundles.Bundle, directory: str, stdio: init.Stdio, filters: str
) -> tuple[Launched, groups.Group]:
    """Create a bundle's container: its first process, which waits at the gate in `directory`, and its cgroup.

    `filters` is the directory of compiled seccomp profiles (`seccomp.load`).
    Raises the error of the parent's or the child's step that failed; then nothing is left behind.
    """
    # An exec needs none of these. The last three are for the child, which may not be permitted to read files.
    from pyctr_lite.cgroups import limits
    from pyctr_lite.namespaces import network  # noqa: F401
    from pyctr_lite.runtime import filesystem, sysctls  # noqa: F401

    config, linux_config = bundle.config, bundle.config.get("linux") or {}
    create_kinds, join_paths = bundle.namespaces()
    exclusive = bundle.mounts_overlay() and "pid" not in join_paths
    filter = seccomp.load(linux_config.get("seccomp"), filters)
    group = groups.Group(linux_config.get("cgroupsPath") or f"/pyctr_lite-{os.path.basename(directory)}")
    state.make(directory)
    gate = state.wait_at_gate(directory)
    ours, theirs = channels.pair()

    def child(enter: Callable[[], None] | None = None, proc: int = -1) -> None:
        ours.close()

        def body() -> None:
            if enter is not None:
                enter()
            init.start_container(
                bundle, directory, theirs, stdio, create_kinds, filter, gate, proc, exclusive=exclusive
            )

        init.guarded(theirs, body)

    launched: Launched | None = None
    try:
        process.prepare(config["process"])
        linux.prctl(linux.PR_SET_DUMPABLE, 0)  # no process inside may read or trace one that enters the container
        group.create()
        pid, pidfd = _spawn(create_kinds, join_paths, child, group, linux_config.get("timeOffsets") or {})
        launched = Launched(pid, pidfd, ours, group, directory)
        theirs.close()
        if "user" in create_kinds:
            from pyctr_lite.namespaces import idmap

            idmap.write_maps(
                pid,
                [idmap.IdMap.from_oci(item) for item in linux_config.get("uidMappings") or []],
                [idmap.IdMap.from_oci(item) for item in linux_config.get("gidMappings") or []],
            )
        if init.in_user_namespace(create_kinds, join_paths):
            from pyctr_lite.runtime import trees

            trees.send(bundle, directory, pid, ours)
            process.give_pipes_inside(pid, config["process"], stdio.fds)
            process.raise_hard_limits(pid, config["process"])
        # The child builds its root meanwhile; its program does not run before the limits are set.
        group.apply(limits.Limits.from_oci(linux_config.get("resources") or {}))
        launched.let_go()
        launched.wait_created()
        attributes.set_attributes(launched.pid, config["process"])  # it has entered its group by now
    except BaseException:
        if launched is not None:
            launched.destroy()
        ours.close()
        theirs.close()
        group.remove()
        state.remove(directory)
        raise
    finally:
        os.close(gate)
    return launched, group


def execute_in(
    pid: int,
    started: int,
    group: groups.Group,
    spec: dict[str, Any],
    stdio: init.Stdio,
    filter: seccomp.Filter | None,
) -> Launched:
    """Run one more process in the container whose first process is `pid`.

    `started` is that process's start time, which distinguishes it from a later one with the same pid
    (`state.start_time`); `spec` is a `process` object of the OCI runtime spec, `filter` the container's filter.
    Raises the error of the parent's or the child's step that failed.
    """
    targets = join.open_all(pid)
    root_fd = born_in = -1
    ours, theirs = channels.pair()
    inside = "user" in targets

    def child() -> None:
        ours.close()
        init.guarded(
            theirs,
            lambda: init.join_container(spec, theirs, stdio, root_fd, filter, in_user_namespace=inside),
        )

    def before() -> None:
        attributes.prepare_exec(spec, lambda: group.enter(born_in_v2=born_in >= 0))
        if inside:
            process.raise_hard_limits(0, spec)
        channels.seal_imports()  # once the stage has joined the mount namespace, `/` is the container's root

    launched: Launched | None = None
    try:
        process.prepare(spec)
        root_fd = os.open(f"/proc/{pid}/root", linux.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        if not state.alive(pid, started):
            raise ProcessLookupError(errno.ESRCH, "the container has just ended")
        linux.prctl(linux.PR_SET_DUMPABLE, 0)
        if inside:
            process.give_pipes_inside(pid, spec, stdio.fds)
        place = group.fd_for_clone()
        born_in = -1 if place is None else place
        stage = create.spawn_joined(0, child, targets, before=before, cgroup_fd=place, stay=True)
        launched = Launched(*stage, ours, group)
        theirs.close()
        launched.wait_executed()
    except BaseException:
        if launched is not None:
            launched.destroy()
        ours.close()
        theirs.close()
        raise
    finally:
        join.close_all(targets)
        for fd in {root_fd, born_in} - {-1}:
            os.close(fd)
    return launched


def _spawn(
    create_kinds: list[str],
    join_paths: dict[str, str],
    child: Callable[..., None],
    group: groups.Group,
    offsets: dict[str, Any],
) -> tuple[int, int]:
    """Fork the container's first process into its namespaces and its cgroup.

    `child` is called with a function that enters the cgroup, to be called first, if the child must enter by
    itself; and with the procfs of the pid namespace if that namespace is joined for its children only.
    """
    # The child makes the cgroup namespace itself, once it is in its group.
    later = init.LATER if init.in_user_namespace(create_kinds, join_paths) else init.LATER[:1]
    flags = kinds.flags([kind for kind in create_kinds if kind not in later])
    born_in = group.fd_for_clone()

    def enter() -> None:
        group.enter(born_in_v2=born_in is not None)

    targets: dict[str, int] = {}
    proc = -1
    try:
        if not join_paths and not flags & linux.CLONE_NEWTIME:
            return create.spawn(flags, lambda: child(enter), born_in)
        for kind, path in join_paths.items():
            targets[kind] = join.open_namespace(kind, path=path)
        clocks = {clock: (item.get("secs", 0), item.get("nanosecs", 0)) for clock, item in offsets.items()}
        if "pid" in targets:
            from pyctr_lite.runtime import shared_proc

            proc = shared_proc.copy(targets["pid"])
        return create.spawn_joined(
            flags, lambda: child(None, proc), targets, clocks, enter, cgroup_fd=born_in, stay=proc >= 0
        )
    finally:
        join.close_all(targets)
        for fd in {proc, -1 if born_in is None else born_in} - {-1}:
            os.close(fd)
