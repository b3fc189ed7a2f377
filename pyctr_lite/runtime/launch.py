"""The parent's side: create a container from a bundle, and hold it at the gate until `start`.

Only for a process with one thread: it forks, the child goes on in Python, and a lock that another thread holds at
the fork stays locked in the child for ever.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.cgroups import group as groups
from pyctr_lite.namespaces import create, join, kinds
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime import init, process, seccomp, state
from pyctr_lite.runtime.launched import Launched
from pyctr_lite.runtime.settings import ENGINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.runtime import bundle as bundles
    from pyctr_lite.runtime.settings import Settings, Stdio


def create_container(
    bundle: bundles.Bundle,
    directory: str,
    stdio: Stdio,
    filters: str,
    settings: Settings = ENGINE,
    group: groups.Group | None = None,
    born: Callable[[int], None] = lambda pid: None,
) -> tuple[Launched, groups.Group]:
    """Create a bundle's container: its first process, which waits at the gate in `directory`, and its cgroup.

    `filters` is the directory of compiled seccomp profiles (`seccomp.load`), `group` the cgroup if the bundle does
    not decide that. `born` is called with the process's pid while it builds its root: it may set up its network
    namespace. With `Settings.detached` the process ends with its launcher until `Launched.detach`.
    Raises the error of the parent's or the child's step that failed; then nothing is left behind.
    """
    # An exec needs none of these. The last three are for the child, which may not be permitted to read files.
    from pyctr_lite.cgroups import limits
    from pyctr_lite.namespaces import network  # noqa: F401
    from pyctr_lite.runtime import binds, filesystem, sysctls  # noqa: F401

    binds.load_modules(bundle, pivot=settings.pivot)
    config, linux_config = bundle.config, bundle.config.get("linux") or {}
    create_kinds, join_paths = bundle.namespaces()
    exclusive = bundle.has_own_overlay() and "pid" not in join_paths
    filter = seccomp.load(linux_config.get("seccomp"), filters)
    group = group or groups.Group(linux_config.get("cgroupsPath") or f"/pyctr_lite-{os.path.basename(directory)}")
    state.make(directory)
    gate = state.wait_at_gate(directory)
    ours, theirs = channels.pair()

    def child(enter: Callable[[], None] | None = None, proc: int = -1) -> None:
        ours.close()

        def body() -> None:
            if enter is not None:
                enter()
            init.start_container(
                bundle, directory, theirs, stdio, create_kinds, filter, gate, proc, settings, exclusive=exclusive
            )

        init.guarded(theirs, body, gate)

    def run_hooks(pid: int) -> None:
        from pyctr_lite.runtime import hooks

        for kind in ("prestart", "createRuntime"):
            hooks.run(kind, config["hooks"].get(kind) or [], settings.state_of(pid))

    launched: Launched | None = None
    try:
        process.prepare(config["process"])
        linux.prctl(linux.PR_SET_DUMPABLE, 0)  # no process inside may read or trace one that enters the container
        group.create()
        wanted = limits.Limits.from_oci(linux_config.get("resources") or {})
        if wanted.devices:
            # Before the child enters: while the kernel turns "all devices" into a list, none is allowed, and the
            # child opens /dev/pts/ptmx.
            group.apply(limits.Limits(devices=wanted.devices))
            wanted.devices = []
        pid, pidfd = _spawn(create_kinds, join_paths, child, group, linux_config.get("timeOffsets") or {})
        launched = Launched(pid, pidfd, ours, group, directory, run_hooks)
        launched.deliver_listener(filter, settings.state or bundle.first_state(os.path.basename(directory)))
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
        if linux_config.get("netDevices"):
            from pyctr_lite.networks import device

            device.move_all(linux_config["netDevices"], join_paths.get("network") or f"/proc/{pid}/ns/net")
        # The child builds its root meanwhile; its program does not run before the limits are set.
        try:
            born(pid)
        except Exception as error:
            # An OSError may come of its end: its namespaces vanish a moment before that is seen.
            if isinstance(error, OSError) or launched.has_ended():
                launched.let_go()
                launched.wait_created()  # raises the error of the process, which is the reason
            raise
        group.apply(wanted)
        group.let_go()
        if linux_config.get("intelRdt"):
            from pyctr_lite.runtime import resctrl

            resctrl.enter(linux_config["intelRdt"], os.path.basename(directory), pid, directory)
        launched.let_go()
        launched.wait_created()
        process.set_attributes(launched.pid, config["process"], all_cpus=settings.all_cpus)  # it is in its group
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
    stdio: Stdio,
    filter: seccomp.Filter | None,
    settings: Settings = ENGINE,
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
            lambda: init.join_container(spec, theirs, stdio, root_fd, filter, settings, in_user_namespace=inside),
        )

    def before() -> None:
        process.prepare_exec(spec, lambda: group.enter(born_in_v2=born_in >= 0), all_cpus=settings.all_cpus)
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
        place = group.fd_for_clone(beside=pid)
        born_in = -1 if place is None else place
        stage = create.spawn_joined(0, child, targets, before=before, cgroup_fd=place, stay=True)
        launched = Launched(*stage, ours, group)
        launched.deliver_listener(filter, settings.state)
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
        if "mount" in join_paths:
            channels.seal_imports()  # once the stage has joined it, `/` is another root

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
