"""The checks of lab 2, on both versions of cgroups: what the machine has not mounted is mounted for the check."""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labs.kit.checks.expect import CheckFailed, equal, expect, in_child, told
from pyctr_lite import linux
from pyctr_lite.cgroups import controllers, freezer, hierarchy, removal, v1, v2
from pyctr_lite.cgroups.group import Group
from pyctr_lite.cgroups.limits import Limits
from pyctr_lite.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyctr_lite.cgroups.hierarchy import Hierarchy, HierarchyMount

MIB = 1 << 20
SLOWNESS = float(os.environ.get("PYCTR_SLOW", "1"))


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Hierarchy]:
    """This machine's hierarchies, and of version 2 and version 1's freezer the one that it has not mounted."""
    found = hierarchy.detect()
    mounts, extra = list(found.mounts), []
    if found.v2 is None:
        extra.append(hierarchy.HierarchyMount(str(tmp_path / "v2"), 2, ()))
    if "freezer" not in found.controllers:
        extra.append(hierarchy.HierarchyMount(str(tmp_path / "freezer"), 1, ("freezer",)))
    for mount in extra:
        os.mkdir(mount.mountpoint)
        kind = "cgroup2" if mount.version == 2 else "cgroup"
        linux.mount("cgroup", mount.mountpoint, kind, 0, ",".join(mount.controllers) or None)
        if mount.version == 2:
            text = Path(mount.mountpoint, "cgroup.controllers").read_text()
            mount.controllers = tuple(text.split())
    yield hierarchy.Hierarchy(mounts + extra)
    for mount in extra:
        linux.umount2(mount.mountpoint, linux.MNT_DETACH)


@pytest.fixture(params=[1, 2])
def box(request: pytest.FixtureRequest, both: Hierarchy, new_group: Callable[..., Group]) -> Group:
    """A group in the hierarchies of one version alone."""
    group = new_group(both.only(request.param))
    make(group)
    return group


def make(group: Group, below: str = "") -> None:
    """Its directories by hand, and what version 1's cpuset wants before it takes a process."""
    for mount, directory in zip(group.hierarchy.mounts, group.directories, strict=True):
        os.makedirs(directory + below, exist_ok=True)
        if mount.version == 1 and "cpuset" in mount.controllers:
            for name in ("cpuset.cpus", "cpuset.mems"):
                Path(directory, name).write_text(Path(mount.mountpoint, name).read_text())


def names_of(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error))


class Process:
    """A process in a group: it was put there, by pid, before it began to work."""

    def __init__(self, group: Group, work: Callable[[], Any], below: str = "") -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(writer)
                os.read(reader, 1)
                work()
            finally:
                os._exit(0)
        os.close(reader)
        for directory in group.directories:
            Path(directory + below, "cgroup.procs").write_text(str(self.pid))
        os.close(writer)
        self.pidfd = os.pidfd_open(self.pid)

    def ended(self, seconds: float = 2) -> bool:
        """Whether it ends within so many seconds."""
        return bool(select.select([self.pidfd], [], [], seconds * SLOWNESS)[0])

    def status(self) -> int:
        """Its exit status, or minus the signal that ended it."""
        os.close(self.pidfd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


# --- 2.1 -------------------------------------------------------------------------------------------------


def test_2_1_without_limits_nothing_is_written() -> None:
    equal(v2.files(Limits()), [], "no limits: None means that the kernel's value is left as it is")


def test_2_1_shares_become_a_weight() -> None:
    for shares, weight in ((1024, "39"), (2, "1"), (262144, "10000")):
        equal(
            v2.files(Limits(cpu_shares=shares)),
            [("cpu", "cpu.weight", weight)],
            f"{shares} shares as a weight on version 2's scale, 1 to 10000. Who converts them?",
        )


def test_2_1_quota_and_period_are_one_line() -> None:
    equal(v2.files(Limits(cpu_quota=50_000, cpu_period=200_000)), [("cpu", "cpu.max", "50000 200000")], "both")
    equal(
        v2.files(Limits(cpu_quota=50_000)),
        [("cpu", "cpu.max", "50000 100000")],
        "a quota alone: the period is the kernel's own, v2.DEFAULT_PERIOD",
    )


def test_2_1_no_limit_is_max() -> None:
    equal(
        v2.files(Limits(cpu_quota=-1)),
        [("cpu", "cpu.max", "max 100000")],
        "quota -1. The kernel answers EINVAL to a negative quota in cpu.max: what is its word for no limit?",
    )
    equal(
        v2.files(Limits(cpu_period=50_000)),
        [("cpu", "cpu.max", "max 50000")],
        "a period alone: it is written too, with no quota. The kernel answers EINVAL to a negative quota",
    )


def test_2_1_the_kernel_takes_it(pyctr: Callable[..., Any]) -> None:
    mount = hierarchy.detect().of("cpu")
    script, wanted = "cat /sys/fs/cgroup/cpu.max", "50000 100000"
    if mount is None or mount.version == 1:
        script, wanted = "echo version 1", "version 1"  # the engine writes this machine's version
    done = pyctr("run", "--rm", "--cpus", "0.5", "-c", "512", "busybox", "sh", "-c", script)
    equal(done.stdout.strip(), wanted, "cpu.max as a container with --cpus 0.5 sees it")


# --- 2.2 -------------------------------------------------------------------------------------------------


def test_2_2_memory_then_memory_with_swap() -> None:
    about = (
        "memory 64 MiB, with swap 96 MiB. memsw may never be lower than memory, and both begin without a limit. "
        "Which of the two must the group get first? And memsw: does it count swap alone, or both together?"
    )
    wanted = [
        ("memory", "memory.limit_in_bytes", str(64 * MIB)),
        ("memory", "memory.memsw.limit_in_bytes", str(96 * MIB)),
    ]
    equal(v1.files(Limits(memory=64 * MIB, memory_swap=96 * MIB)), wanted, about)
    equal(v1.files(Limits(memory=64 * MIB)), wanted[:1], "memory alone: nothing was said about swap")
    equal(v1.files(Limits()), [], "no limits")


def test_2_2_no_limit_is_minus_one_for_both() -> None:
    equal(
        v1.files(Limits(memory=-1)),
        [("memory", "memory.limit_in_bytes", "-1"), ("memory", "memory.memsw.limit_in_bytes", "-1")],
        "memory without a limit: memory may be anything, but memsw still has its old limit, if you leave it out",
    )


def test_2_2_reservation_and_oom_killer() -> None:
    equal(
        v1.files(Limits(memory_reservation=32 * MIB, oom_kill_disable=True)),
        [("memory", "memory.soft_limit_in_bytes", str(32 * MIB)), ("memory", "memory.oom_control", "1")],
        "a reservation of 32 MiB, and no OOM killer",
    )


def test_2_2_contradictions_are_refused() -> None:
    try:
        lines = v1.files(Limits(memory=64 * MIB, memory_swap=32 * MIB))
    except InvalidArgument:
        return
    expect(
        False,
        f"memory 64 MiB, with swap 32 MiB: you give {lines}. Who looks at limits that contradict each other?",
    )


def test_2_2_the_kernel_takes_them_in_this_order(group: Group, pyctr: Callable[..., Any]) -> None:
    swap = ["--memory-swap", "96m"] if hierarchy.counts_swap() else []
    done = pyctr("run", "--rm", "-m", "64m", *swap, "busybox", "echo", "ran")
    equal(done.stdout, "ran\n", "a container with -m 64m")
    mount = hierarchy.detect().of("memory")
    if mount is None or mount.version == 2:
        return  # a container of this machine has version 2's files: there is nothing more to see
    group.create()
    limits = Limits(memory=64 * MIB, memory_swap=96 * MIB if swap else None)
    for _, file, text in v1.files(limits):
        path = Path(mount.mountpoint + group.path, file)
        try:
            path.write_text(text)
        except OSError as error:
            expect(False, f"the kernel refuses {text} for {file}: {error.strerror}. What had the group then?")
    equal(Path(path).read_text().strip(), str(96 * MIB if swap else 64 * MIB), f"{path.name} afterwards")


# --- 2.3 -------------------------------------------------------------------------------------------------


def places(mounts: list[HierarchyMount]) -> list[str]:
    """Where the calling process is in each of these hierarchies (/proc/self/cgroup)."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    found = []
    for mount in mounts:
        names = set(mount.controllers) if mount.version == 1 else set()
        names |= {f"name={mount.name}"} if mount.name else set()
        found.append(next(line[2] for line in lines if set(filter(None, line[1].split(","))) == names))
    return found


def entered(group: Group, *, born_in_v2: bool = False) -> list[str]:
    """The hierarchies in which a process is not in the group when `enter` has returned."""

    def work() -> list[str]:
        group.enter(born_in_v2=born_in_v2)
        mounts = [mount for mount in group.hierarchy.mounts if not (born_in_v2 and mount.version == 2)]
        where = places(mounts)
        return [
            f"version {mount.version} {mount.name or ','.join(mount.controllers)}".strip()
            for mount, place in zip(mounts, where, strict=True)
            if not place.endswith(group.path)
        ]

    return list(in_child(work))


def test_2_3_the_process_is_in_every_hierarchy(both: Hierarchy, new_group: Callable[..., Group]) -> None:
    group = new_group(both)
    make(group)
    missing = entered(group)
    expect(
        len(missing) < len(both.mounts),
        f"enter() has returned, and the process is still outside in all {len(missing)} hierarchies, so the "
        "program that starts now runs without any limit. Whose number have you written? Or is it written later: "
        "then it has returned too early.",
    )
    expect(
        not missing,
        f"enter() has returned, and the process is still outside in: {'; '.join(missing)}. The limits there would "
        "have no effect. Which hierarchies have you been through?",
    )


def test_2_3_born_in_version_2_is_not_born_in_version_1(both: Hierarchy, new_group: Callable[..., Group]) -> None:
    group = new_group(both)
    make(group)
    missing = entered(group, born_in_v2=True)
    expect(
        not missing,
        f"with born_in_v2=True the process is outside in: {'; '.join(missing)}. clone3 knows version 2 alone: "
        "who puts the process into the others?",
    )


def test_2_3_what_the_kernel_refuses_is_raised(both: Hierarchy, new_group: Callable[..., Group]) -> None:
    """Beside a threaded group there can be no ordinary one: the kernel calls it "domain invalid"."""
    parent = new_group(both.only(2))
    make(parent, "/threaded")
    group = Group(f"{parent.path}/box", parent.hierarchy)
    make(group)
    threaded = Path(parent.directories[0], "threaded")
    (threaded / "cgroup.type").write_text("threaded")

    def refused() -> str:
        try:
            group.enter()
        except OSError as error:
            return names_of(error)
        return ""

    try:
        found = in_child(refused)
    finally:
        threaded.rmdir()
    expect(
        found,
        "the kernel refused to take the process into this group (EOPNOTSUPP), and enter() returned as if nothing "
        "had happened: the container would run without limits. If you use open(…).write(…): when does Python "
        "really write, and who hears of the error?",
    )
    equal(found, errno.errorcode[errno.EOPNOTSUPP], "what enter() raises where it is refused")


def test_2_3_so_it_is_in_version_1(tmp_path: Path) -> None:
    """/dev/full stands for `tasks` of a group that cannot take the process: each write is ENOSPC."""
    mount = hierarchy.HierarchyMount(str(tmp_path), 1, ("freezer",))
    group = Group("/box", hierarchy.Hierarchy([mount]))
    os.mkdir(group.directories[0])
    os.symlink("/dev/full", f"{group.directories[0]}/tasks")
    try:
        group.enter()
    except OSError as error:
        equal(names_of(error), "ENOSPC", "what enter() raises where version 1 says ENOSPC")
        return
    raise CheckFailed(
        "version 1 refused to take the process (ENOSPC to the write to `tasks`), and enter() returned as if "
        "nothing had happened. If you use open(…).write(…): when does Python really write, and who hears of the "
        "error?"
    )


def test_2_3_a_container_is_in_its_group_before_it_runs(pyctr: Callable[..., Any]) -> None:
    done = pyctr("run", "-d", "--name", "placed", "--pids-limit", "50", "busybox", "sleep", "100")
    id = done.stdout.strip()
    pid = pyctr("inspect", "--format", "{{.State.Pid}}", "placed").stdout.strip()
    mounted = len(hierarchy.detect().mounts)
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    inside = [line for line in lines if line.endswith(id)]
    expect(
        len(inside) >= mounted,
        f"a container's process is in its group in {len(inside)} of {mounted} hierarchies: /proc/<pid>/cgroup "
        "shows which. Which hierarchies have you been through?",
    )


# --- 2.4 -------------------------------------------------------------------------------------------------

TAKEN_FIRST = ("memory", "io", "hugetlb", "misc")
"""Controllers that are refused (EBUSY) where a group has processes; those of threads are not."""


@pytest.fixture
def tree(both: Hierarchy, new_group: Callable[..., Group]) -> tuple[HierarchyMount, str, str]:
    """Version 2's mount, the path of a group three levels down, and a controller it could have ("": none)."""
    group = new_group(both.only(2))
    make(group, "/a/b")
    [mount] = group.hierarchy.mounts
    found = [name for name in TAKEN_FIRST if name in mount.controllers]
    return mount, f"{group.path}/a/b", found[0] if found else ""


def names(directory: str, file: str) -> list[str]:
    return Path(directory, file).read_text().split()


def test_2_4_a_controller_of_elsewhere_changes_nothing(tree: tuple[HierarchyMount, str, str]) -> None:
    mount, path, _ = tree
    equal(controllers.enable(mount, path, "freezer"), False, "a controller that version 2 does not have")


def test_2_4_the_group_gets_it_from_its_ancestors(tree: tuple[HierarchyMount, str, str]) -> None:
    mount, path, name = tree
    if not name:
        return  # version 1 has all controllers of this machine: nothing can be enabled here
    directory = mount.mountpoint + path
    try:
        changed = controllers.enable(mount, path, name)
    except (OSError, InvalidArgument) as error:
        reason = error.__cause__ if isinstance(error, InvalidArgument) else error
        expect(
            getattr(reason, "errno", 0) != errno.ENOENT,
            f"the kernel says ENOENT to +{name}: {error}. A group can hand down only what it was given. With "
            "which ancestor do you begin? And which file decides about a group: its own file, or its parent's?",
        )
        raise
    own = names(directory, "cgroup.subtree_control")
    expect(
        name in names(directory, "cgroup.controllers"),
        f"cgroup.controllers of the group {path[-4:]} has no {name} afterwards, so a limit written there is "
        f"ENOENT; its subtree_control has {own}. Who decides which controllers a group has: its own file, or its "
        "parent's?",
    )
    expect(
        not own,
        f"the group itself hands {own} down, too: no process can be put into it now (EBUSY). Where do the "
        "ancestors end?",
    )
    equal(changed, True, "what enable() returns when it has changed something")
    again = controllers.enable(mount, path, name)
    equal(again, False, "what enable() returns when called again: the second time there was nothing left to do")


def test_2_4_each_ancestor_that_lacks_it_is_told(tmp_path: Path) -> None:
    """Plain files stand for a hierarchy of version 2 whose top hands nothing down yet, as after a bare boot."""
    ancestors = {"/": "", "/box": "memory pids", "/box/a": "", "/box/a/b": ""}
    for path, text in ancestors.items():
        (tmp_path / path[1:]).mkdir(exist_ok=True)
        (tmp_path / path[1:] / "cgroup.subtree_control").write_text(text)
    mount = hierarchy.HierarchyMount(str(tmp_path), 2, ("memory", "pids"))
    controllers.enable(mount, "/box/a/b", "memory")
    after = {path: (tmp_path / path[1:] / "cgroup.subtree_control").read_text() for path in ancestors}
    expect(
        after["/"],
        "the top of the hierarchy hands nothing down, and you have not asked it to. On this machine somebody has "
        "(systemd does); where nobody has, /box cannot be given memory. Is the top an ancestor of /box?",
    )
    equal(
        after,
        {"/": "+memory", "/box": "memory pids", "/box/a": "+memory", "/box/a/b": ""},
        "what is written to each cgroup.subtree_control for the group /box/a/b. That of /box has memory already",
    )


def test_2_4_a_group_with_processes_cannot_hand_down(tree: tuple[HierarchyMount, str, str]) -> None:
    mount, path, name = tree
    if not name:
        return
    parent = Group(os.path.dirname(path), hierarchy.Hierarchy([mount]))
    process = Process(parent, lambda: time.sleep(100))
    try:
        controllers.enable(mount, path, name)
        raised = None
    except (OSError, InvalidArgument) as error:
        raised = error
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.status()
    expect(
        raised is not None,
        f"a parent with a process of its own was to hand {name} down. The kernel refused (EBUSY: no internal "
        "processes), and nobody was told: how do you write, and who hears of the error?",
    )
    expect(
        isinstance(raised, InvalidArgument) and name in str(raised),
        f"for EBUSY enable() raises {type(raised).__name__}: {raised}. The engine tells its user in one line, so "
        "it wants an InvalidArgument that names controller, file and reason.",
    )


def test_2_4_the_engine_limits_with_it(group: Group, pyctr: Callable[..., Any]) -> None:
    done = pyctr("run", "--rm", "--pids-limit", "50", "-m", "64m", "busybox", "echo", "ran")
    equal(done.stdout, "ran\n", "a container with -m 64m and --pids-limit 50")
    mount = hierarchy.detect().v2
    files = {"memory": "memory.high", "hugetlb": "hugetlb.2MB.max"}
    for name, file in files.items():
        if mount is not None and name in mount.controllers:
            group.create()
            group.apply(Limits(unified={file: str(64 * MIB)}))
            equal(Path(str(group.v2), file).read_text().strip(), str(64 * MIB), f"{file} of a new group")
            return


# --- 2.5 -------------------------------------------------------------------------------------------------


def test_2_5_every_process_is_killed(box: Group) -> None:
    processes = [Process(box, lambda: time.sleep(100)) for _ in range(5)]
    freezer.kill(box)
    alive = [process for process in processes if not process.ended()]
    expect(
        not alive,
        f"of 5 processes {len(alive)} are still alive 2 s after kill(): which did your signal not reach?",
    )
    equal([process.status() for process in processes], [-9] * 5, "what ended the five processes")


class Watched(Group):
    """A group in which something happens just after its list of processes was read."""

    __slots__ = ("then",)

    def pids(self) -> list[int]:
        found = super().pids()
        self.then()
        return found


def test_2_5_nobody_escapes_by_forking(box: Group) -> None:
    """It forks as soon as the list was read, unless it stands still."""
    asked, ask = os.pipe()
    answer, answered = os.pipe()

    def fork_when_asked() -> None:
        os.read(asked, 1)
        if os.fork():
            os.write(answered, b"!")
        time.sleep(100)

    process = Process(box, fork_when_asked)
    group = Watched(box.path, box.hierarchy)
    group.then = lambda: (os.write(ask, b"?"), select.select([answer], [], [], 0.3 * SLOWNESS))  # type: ignore[attr-defined]
    freezer.kill(group, signal.SIGTERM)
    expect(
        process.ended(), "a process is still alive 2 s after SIGTERM was to be sent: does anyone keep it from it?"
    )
    process.status()
    left = controllers.pids(box.directories[0])
    for fd in (asked, ask, answer, answered):
        os.close(fd)
    expect(
        not left,
        f"{len(left)} process escaped: it was forked after you had looked at the list, and before your signal "
        "came. What keeps a whole group from forking meanwhile?",
    )


def test_2_5_the_signal_is_the_one_that_was_asked_for(box: Group) -> None:
    process = Process(box, lambda: time.sleep(100))
    freezer.kill(box, signal.SIGTERM)
    expect(process.ended(), "a process is still alive 2 s after SIGTERM was to be sent to it")
    equal(process.status(), -15, "what ended a process after kill(group, 15). Which signal does cgroup.kill send?")


def freeze_is_asked_for(box: Group) -> bool:
    """Not whether all stand: in version 2 SIGTERM may end a frozen process, and one that is ending does not."""
    if box.v2:
        return Path(box.v2, "cgroup.freeze").read_text().strip() == "1"
    return Path(str(box.directory("freezer")), "freezer.state").read_text().strip() != "THAWED"


def test_2_5_a_frozen_group_stays_frozen(box: Group) -> None:
    process = Process(box, lambda: time.sleep(100))
    freezer.freeze(box)
    freezer.kill(box, signal.SIGTERM)
    stands = freeze_is_asked_for(box)
    freezer.thaw(box)
    expect(
        stands,
        "The group was frozen before your call (`pyctr_lite pause`), and runs after it: who asked for that? The "
        "signal waits until it is thawed.",
    )
    expect(process.ended(), "a process is still alive 2 s after SIGTERM was sent and its group thawed")
    process.status()


def test_2_5_sigkill_ends_a_frozen_group(box: Group) -> None:
    process = Process(box, lambda: time.sleep(100))
    freezer.freeze(box)
    freezer.kill(box)
    ended = process.ended()
    version = box.hierarchy.mounts[0].version
    expect(
        ended,
        f"a frozen process (cgroup version {version}) is still alive 2 s after SIGKILL. In version 1 it does not "
        "even die while it is frozen: who lets it go on, so that it can die?",
    )
    process.status()


def test_2_5_no_group_no_process(both: Hierarchy) -> None:
    for version in (1, 2):
        for number in (9, 15):
            try:
                freezer.kill(Group("/pyctr_lite-labs-never-made", both.only(version)), number)
            except FileNotFoundError as error:
                expect(False, f"A group that is not there has no process to signal, and kill() raises: {error}")


def test_2_5_one_that_never_stands_is_signalled_too(box: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that waits for a dead network disk does not stand; freeze gives up then, and thaws the group."""

    def freeze(group: Group) -> None:
        raise TimeoutError(errno.ETIMEDOUT, "not frozen after 5 s", group.path)

    process = Process(box, lambda: time.sleep(100))
    monkeypatch.setattr(freezer, "freeze", freeze)
    raised = ""
    try:
        freezer.kill(box, signal.SIGTERM)
    except TimeoutError as error:
        raised = told(error)
    expect(
        not raised,
        "one process does not stand still (it waits for a dead network disk), so freeze raises TimeoutError: "
        f"kill() ends with it, and nobody has got the signal. Can such a process fork?\n    {raised}",
    )
    expect(process.ended(), "a process is still alive 2 s after SIGTERM, where freeze has raised TimeoutError")
    equal(
        process.status(), -15, "what ended a process after kill(group, 15), where freeze has raised TimeoutError"
    )


def test_2_5_the_engine_ends_containers_with_it(pyctr: Callable[..., Any]) -> None:
    pyctr("run", "-d", "--name", "ended", "--pid", "host", "busybox", "sh", "-c", "sleep 100 & exec sleep 100")
    pid = pyctr("inspect", "--format", "{{.State.Pid}}", "ended").stdout.strip()
    pyctr("rm", "-f", "ended")
    expect(
        not os.path.exists(f"/proc/{pid}/exe"), "`rm -f` has returned, and the container's process is still there"
    )


# --- 2.6 -------------------------------------------------------------------------------------------------


def remove(box: Group, seconds: float) -> OSError | None:
    """Remove a group from every hierarchy; what it raises."""
    for mount, directory in zip(box.hierarchy.mounts, box.directories, strict=True):
        try:
            removal.remove(directory, mount.version, time.monotonic() + seconds * SLOWNESS)
        except OSError as error:
            return error
    return None


def test_2_6_an_empty_group_goes(box: Group) -> None:
    error = remove(box, 2)
    if error is not None:
        what = f"removing an empty group fails with {names_of(error)}"
        expect(
            error.errno != errno.EPERM,
            f"{what}: {error}. Its files are the kernel's, which are not yours to delete. Which call takes the "
            "directory alone?",
        )
        expect(False, f"{what}: {error}")
    left = [directory for directory in box.directories if os.path.exists(directory)]
    expect(not left, f"{len(left)} of the group's directories are still there")


def test_2_6_again_is_fine(box: Group) -> None:
    for directory in box.directories:
        os.rmdir(directory)
    error = remove(box, 1)
    expect(error is None, f"removing a group that is not there fails with {error!r}: is that an error?")


def test_2_6_groups_below_go_first(box: Group) -> None:
    for below in ("/a/b", "/c"):
        for directory in box.directories:
            os.makedirs(directory + below)
    error = remove(box, 1)
    expect(
        error is None,
        f"a group with the groups a, a/b and c below it: {names_of(error) if error else ''}. Which of them can go "
        "first?",
    )
    left = [directory for directory in box.directories if os.path.exists(directory)]
    expect(not left, f"{len(left)} of its directories are still there. Which of them can go first?")


def test_2_6_it_waits_for_a_process_that_is_ending(box: Group) -> None:
    process = Process(box, lambda: time.sleep(0.2))
    began = time.monotonic()
    error = remove(box, 5)
    took = time.monotonic() - began
    process.status()
    expect(
        error is None,
        f"{names_of(error) if error else ''} after {took:.2f} s, with 5 s to wait: the group had a process that "
        "was about to end, and it would have been gone a moment later. How do you wait for it?",
    )


def test_2_6_when_the_time_is_up_it_says_so(box: Group) -> None:
    process = Process(box, lambda: time.sleep(100))
    reader, writer = os.pipe()

    def work() -> None:
        error = remove(box, 0.2)
        os.write(writer, (names_of(error) if error else "nothing").encode())

    watch = Process(Group("/none", hierarchy.Hierarchy([])), work)
    ended = watch.ended(5)
    if not ended:
        os.kill(watch.pid, signal.SIGKILL)
    watch.status()
    os.close(writer)
    said = os.read(reader, 1000).decode()
    os.close(reader)
    os.kill(process.pid, signal.SIGKILL)
    process.status()
    expect(
        ended,
        "the group has a process that stays, the deadline was 0.2 s away, and remove() has not come back after 5 "
        "s. What ends it when the deadline has passed?",
    )
    expect(
        said != "nothing",
        "the group has a process that stays. When the deadline has passed remove() should raise OSError with "
        "EBUSY; it came back without, and nobody was told that the group is still there",
    )
    expect(
        said != "ETIMEDOUT",
        "the group has a process that stays, and remove() raises TimeoutError (ETIMEDOUT) when the deadline has "
        "passed. That is what wait_for_event says of its own waiting; whoever removes a group is to hear why it "
        "is still there: EBUSY. Who catches the one and raises the other?",
    )
    equal(said, "EBUSY", "the group has a process that stays: what remove() raises when the deadline has passed")


def test_2_6_waiting_leaves_the_cpu_to_others(box: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    tries, rmdir = [], os.rmdir

    def counted(*args: Any, **more: Any) -> None:
        tries.append(args)
        rmdir(*args, **more)

    process = Process(box, lambda: time.sleep(0.2))
    monkeypatch.setattr(os, "rmdir", counted)
    error = remove(box, 5)
    monkeypatch.undo()
    process.status()
    expect(error is None, f"removing a group whose process ends after 0.2 s fails with {error!r}")
    often = f"the group had a process for 0.2 s, and meanwhile rmdir was tried {len(tries)} times"
    expect(len(tries) < 1000, f"{often}: a whole CPU was busy with it. What lets it rest between two tries?")
    if box.v2:
        expect(len(tries) < 20, f"{often}. Version 2 tells when the last process has gone: who waits for that?")


def test_2_6_the_engine_leaves_nothing(pyctr: Callable[..., Any]) -> None:
    id = pyctr("run", "-d", "--name", "gone", "busybox", "sleep", "100").stdout.strip()
    pyctr("rm", "-f", "gone")
    left = [place for mount in hierarchy.detect().mounts for place in Path(mount.mountpoint).glob(f"*/{id}")]
    expect(not left, f"after `rm -f` {len(left)} directories of the container's group are still there")
