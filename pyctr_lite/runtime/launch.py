"""The parent's side: a bundle in, a created container out, which `start` lets go.

Only for a process with one thread (DESIGN 8): it forks, and the child goes on in Python.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.cgroups import group as groups
from pyctr_lite.cgroups import limits
from pyctr_lite.errors import PyctrError
from pyctr_lite.linux import kernelfile
from pyctr_lite.namespaces import create, idmap, join, kinds
from pyctr_lite.runtime import bundle as bundles
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime import init, process, seccomp, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Launched:
    """A process of ours that has not executed its program yet."""

    def __init__(
        self, pid: int, pidfd: int, channel: channels.Channel, group: groups.Group, directory: str = ""
    ) -> None:
        self.pid, self.pidfd, self.channel, self.group, self.directory = pid, pidfd, channel, group, directory
        self.console = -1
        """The master of its terminal, if it has one."""
        self._limit: tuple[str, str] | None = None
        """The file and the text to write back when there is one process less."""

    def let_go(self) -> None:
        """Let it work: what its parent had to do for it is done."""
        try:
            self.channel.send({"type": "go"})
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has ended already; what it sent before says why

    def wait_created(self) -> None:
        """Wait until it stands before its program. Raises what went wrong in it."""
        while True:
            received = self.channel.receive()
            if received is None:
                raise PyctrError(
                    "the container's first process was killed before its program ran", "out of memory?"
                )
            message, fds = received
            if message["type"] == "created":
                return
            self._take(message, fds)

    def wait_executed(self) -> None:
        """Wait until its program runs: the exec closes its end of the channel. Raises what went wrong in it."""
        while (received := self.channel.receive()) is not None:
            self._take(*received)
        self.channel.close()

    def start(self) -> None:
        """Open the gate, and wait until the program runs."""
        state.open_gate(self.directory)
        self.wait_executed()

    def destroy(self) -> None:
        """Kill and reap it; again is fine."""
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
        """Close what is held of it; the process goes on."""
        self.channel.close()
        for name in ("pidfd", "console"):
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)

    def _take(self, message: dict[str, Any], fds: list[int]) -> None:
        if message["type"] == "console":
            self.console = fds[0]
        elif message["type"] == "born":
            self._follow(message["pid"])
        elif message["type"] == "full":
            self._make_room(message["message"])
        elif message["type"] == "error":
            channels.raise_error(message)

    def _follow(self, pid: int) -> None:
        """Go on with the child that was born in the pid namespace; the process that has forked it ends."""
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.pid, self.pidfd = pid, os.pidfd_open(pid)
        if self._limit is not None:
            kernelfile.write(*self._limit)
            self._limit = None
            self.let_go()

    def _make_room(self, message: str) -> None:
        """Let the process fork which itself takes the last place that pids.max leaves, until it has ended."""
        directory = self.group.directory("pids")
        most = kernelfile.read(f"{directory}/pids.max") if directory else "max"
        if most == "max" or int(kernelfile.read(f"{directory}/pids.current")) > int(most):
            hint = "" if most == "max" else f"its limit is {most} (--pids-limit)"
            raise PyctrError(f"the container can have no more processes: {message}", hint)
        self._limit = (f"{directory}/pids.max", most)
        kernelfile.write(f"{directory}/pids.max", str(int(most) + 1))
        self.let_go()


def create_container(
    bundle: bundles.Bundle, directory: str, stdio: init.Stdio, filters: str
) -> tuple[Launched, groups.Group]:
    """Create a bundle's container: its process waits at the gate in `directory`, placed in its cgroup.

    `filters` is the directory of compiled seccomp profiles (`seccomp.load`).
    Fails with what went wrong in the parent or in the child; then nothing is left behind.
    """
    config = bundle.config
    linux_config = config.get("linux") or {}
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
        linux.prctl(linux.PR_SET_DUMPABLE, 0)  # what enters the container must not be read or traced from inside
        group.create()
        pid, pidfd = _spawn(create_kinds, join_paths, child, group, linux_config.get("timeOffsets") or {})
        launched = Launched(pid, pidfd, ours, group, directory)
        theirs.close()
        if "user" in create_kinds:
            idmap.write_maps(
                pid,
                [idmap.IdMap.from_oci(item) for item in linux_config.get("uidMappings") or []],
                [idmap.IdMap.from_oci(item) for item in linux_config.get("gidMappings") or []],
            )
        if init.in_user_namespace(create_kinds, join_paths):
            from pyctr_lite.runtime import trees

            trees.send(bundle, directory, pid, ours)
            _give_pipes(pid, config["process"], stdio)
            process.raise_hard_limits(pid, config["process"])
        # Meanwhile the child builds its root; its program runs only when the limits are there.
        group.apply(limits.Limits.from_oci(linux_config.get("resources") or {}))
        process.set_oom_score(pid, config["process"])
        launched.let_go()
        launched.wait_created()
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
    """Run one more process in the container of process `pid`: joined, placed, confined, executed.

    `started` tells the process from a later one with its pid (`state.start_time`), `spec` is a `process` object of
    the OCI runtime spec, `filter` the container's own. Raises what went wrong in either process.
    """
    targets = join.open_all(pid)
    root_fd = -1
    ours, theirs = channels.pair()
    inside = "user" in targets

    def child() -> None:
        ours.close()
        init.guarded(
            theirs,
            lambda: init.join_container(spec, theirs, stdio, root_fd, filter, in_user_namespace=inside),
        )

    def before() -> None:
        group.enter()
        process.set_oom_score("self", spec)
        if inside:
            process.raise_hard_limits(0, spec)
        channels.seal_imports()  # the stage joins the mount namespace: from then on `/` is the container's

    launched: Launched | None = None
    try:
        root_fd = os.open(f"/proc/{pid}/root", linux.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        if not state.alive(pid, started):
            raise ProcessLookupError(errno.ESRCH, "the container has just ended")
        linux.prctl(linux.PR_SET_DUMPABLE, 0)
        if inside:
            _give_pipes(pid, spec, stdio)
        launched = Launched(*create.spawn_joined(0, child, targets, before=before, stay=True), ours, group)
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
        if root_fd >= 0:
            os.close(root_fd)
    return launched


def _give_pipes(pid: int, spec: dict[str, Any], stdio: init.Stdio) -> None:
    """Give the user of a program its pipes, which a process in the user namespace of `pid` has no right to do."""
    user = spec.get("user") or {}
    process.give_pipes(stdio.fds, *idmap.outside(pid, user.get("uid", 0), user.get("gid", 0)))


def _spawn(
    create_kinds: list[str],
    join_paths: dict[str, str],
    child: Callable[..., None],
    group: groups.Group,
    offsets: dict[str, Any],
) -> tuple[int, int]:
    """The container's first process, in its namespaces and, before it does anything, in its cgroup.

    `child` gets what it must call first to enter the group, if it is to enter by itself, and the procfs of the pid
    namespace if that is joined for its children only.
    """
    # The cgroup namespace is made by the child itself, once it is in its group.
    later = init.LATER if init.in_user_namespace(create_kinds, join_paths) else init.LATER[:1]
    flags = kinds.flags([kind for kind in create_kinds if kind not in later])
    if not join_paths and not flags & linux.CLONE_NEWTIME:
        born_in = group.fd_for_clone()

        def enter() -> None:
            group.enter(born_in_v2=born_in is not None)

        try:
            return create.spawn(flags, lambda: child(enter), born_in)
        finally:
            if born_in is not None:
                os.close(born_in)
    targets: dict[str, int] = {}
    try:
        for kind, path in join_paths.items():
            targets[kind] = join.open_namespace(kind, path=path)
        clocks = {clock: (item.get("secs", 0), item.get("nanosecs", 0)) for clock, item in offsets.items()}
        if "pid" not in targets:
            return create.spawn_joined(flags, child, targets, clocks, group.enter)
        from pyctr_lite.runtime import shared_proc

        proc = shared_proc.copy(targets["pid"])
        try:
            return create.spawn_joined(
                flags, lambda: child(None, proc), targets, clocks, group.enter, stay=proc >= 0
            )
        finally:
            if proc >= 0:
                os.close(proc)
    finally:
        join.close_all(targets)
