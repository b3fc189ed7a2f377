"""The checks of lab 2, on both versions of cgroups: what the machine has not mounted is mounted for the check.

`cgroup.procs` shows the numbers of its reader's PID namespace. So the members of a group are processes of the
arena, which the learner's functions see, and the judge moves them in by its own numbers of them.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import random
import re
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labs.kit.checks.arena import SLOWNESS, Answer, Arena, Process
from labs.kit.checks.expect import CheckFailed, equal, errno_name, expect
from labs.kit.checks.syscalls import Call, Fault, Watch
from labs.kit.isolation import sandbox
from pyctr_lite import linux
from pyctr_lite.cgroups import freezer, hierarchy, v1, v2
from pyctr_lite.cgroups.group import Group
from pyctr_lite.cgroups.hierarchy import Hierarchy, HierarchyMount
from pyctr_lite.cgroups.limits import Limits
from pyctr_lite.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labs.kit.checks.yours import Function, Yours

MIB = 1 << 20
ODD = "box é\t:,+$(x) 'y'"
"""A group may be called so. A name that a shell or a split takes apart does not come through."""


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Hierarchy]:
    """This machine's hierarchies, and of version 2 and version 1's freezer the one that it has not mounted."""
    found = hierarchy.detect()
    mounts, extra = list(found.mounts), []
    if found.v2 is None:
        extra.append(HierarchyMount(str(tmp_path / "v2"), 2, ()))
    if "freezer" not in found.controllers:
        extra.append(HierarchyMount(str(tmp_path / "freezer"), 1, ("freezer",)))
    for mount in extra:
        os.mkdir(mount.mountpoint)
        kind = "cgroup2" if mount.version == 2 else "cgroup"
        linux.mount("cgroup", mount.mountpoint, kind, 0, ",".join(mount.controllers) or None)
        if mount.version == 2:
            text = Path(mount.mountpoint, "cgroup.controllers").read_text()
            mount.controllers = tuple(text.split())
    yield Hierarchy(mounts + extra)
    for mount in extra:
        linux.umount2(mount.mountpoint, linux.MNT_DETACH)


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def box(request: pytest.FixtureRequest, both: Hierarchy, new_group: Callable[..., Group]) -> Group:
    """A group in hierarchies of one version alone: of version 1 in the freezer, which comes last, and one more."""
    group = new_group(few(both) if request.param == 1 else both.only(2))
    make(group)
    return group


def few(both: Hierarchy) -> Hierarchy:
    """Two hierarchies of version 1 at most, for moving a process takes milliseconds in each."""
    mounts = [mount for mount in both.mounts if mount.version == 1 and "cpuset" not in mount.controllers]
    return Hierarchy(sorted(mounts, key=lambda mount: "freezer" in mount.controllers)[-2:])


def make(group: Group, below: str = "") -> None:
    """Its directories by hand, and what version 1's cpuset wants before it takes a process."""
    for mount, directory in zip(group.hierarchy.mounts, group.directories, strict=True):
        os.makedirs(directory + below, exist_ok=True)
        if mount.version == 1 and "cpuset" in mount.controllers:
            for name in ("cpuset.cpus", "cpuset.mems"):
                Path(directory, name).write_text(Path(mount.mountpoint, name).read_text())


def put(process: Process, group: Group, below: str = "") -> None:
    """Move a process of the arena into a group."""
    for directory in group.directories:
        Path(directory + below, "cgroup.procs").write_text(str(process.pid))


@contextlib.contextmanager
def members(arena: Arena, group: Group, *below: str) -> Iterator[list[Process]]:
    """Processes in a group, one in each group `below` it (""): it is thawed in the end, for them to die."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(arena.process(load="nothing")) for _ in below]
        stack.callback(sandbox.thaw, group.directories)
        for process, place in zip(found, below, strict=True):
            put(process, group, place)
        yield found


def ended(process: Process, seconds: float = 2) -> bool:
    """Whether it ends within so many seconds."""
    return bool(select.select([process.pidfd], [], [], seconds * SLOWNESS)[0])


# --- 2.1 and 2.2: lines ----------------------------------------------------------------------------------


class Lines:
    """What a function that turns limits into lines gives, compared with what the engine writes."""

    def __init__(self, yours: Yours, wanted: Callable[[Limits], Any], question: Callable[..., str]) -> None:
        self.yours, self.wanted, self.question = yours, wanted, question

    def check(self, about: str = "", **given: Any) -> None:
        """Fail the check if for these limits the lines are others."""
        call = self._call(given)
        found, wanted = self.yours(Limits(**given)), self.wanted(Limits(**given))
        self._shape(call, found)
        texts, needed = ({file: text for _, file, text in lines} for lines in (found, wanted))
        for file in {**needed, **texts}:
            self._file(call, file, texts.get(file), needed.get(file), about)
        for name, file, _ in found:
            expect(
                name == wanted[0][0],
                f"{call}: {file} has the controller {name!r}; it is a file of {wanted[0][0]!r}. What stands "
                "before the dot?",
            )
        expect(
            len(found) == len(wanted),
            f"{call} gives {len(found)} lines, {found}: each file should be written once. Which comes twice?",
        )

    def refuse(self, about: str, **given: Any) -> None:
        """Fail the check unless these limits are refused."""
        answer = self.yours.answer((Limits(**given),))
        self.yours.refused(answer, InvalidArgument, about, call=self._call(given))

    def _call(self, given: dict[str, Any]) -> str:
        return f"{self.yours.name}(Limits({', '.join(f'{name}={value}' for name, value in given.items())}))"

    def _shape(self, call: str, found: Any) -> None:
        expect(
            isinstance(found, list),
            f"{call} returns {found!r}; it should be a list of lines, an empty one if there is nothing to write. "
            "What does a caller do that goes through them with `for`?",
        )
        for line in found:
            expect(
                isinstance(line, tuple) and len(line) == 3,
                f"{call} has the line {line!r}; it should be a tuple of three: controller, file, text. What is "
                "yours?",
            )
            for part, value in zip(("controller", "file", "text"), line, strict=True):
                expect(
                    type(value) is str,
                    f"{call}: in {line} the {part} is {value!r}, of type {type(value).__name__}; it should be a "
                    "str, for a file takes text. Who makes a text of a number?",
                )

    def _file(self, call: str, file: str, found: str | None, wanted: str | None, about: str) -> None:
        question = about or self.question(file, found, wanted)
        if wanted is None:
            raise CheckFailed(
                f"{call} writes {found!r} to {file}; it should write nothing there. Which limits are given, and "
                "what do None, and False, mean?"
            )
        expect(found is not None, f"{call} has no line for {file}; it should write {wanted!r}. {question}")
        expect(found == wanted, f"{call} writes {found!r} to {file}; it should write {wanted!r}. {question}")


# --- 2.1 -------------------------------------------------------------------------------------------------


def cpu_question(file: str, found: str | None, wanted: str | None) -> str:
    if file == "cpu.weight":
        return (
            "Shares are on version 1's scale, 2 to 262144, and this is a weight on version 2's scale, 1 to 10000. "
            "Who converts them?"
        )
    quota, _, period = (found or "").partition(" ")
    if found and quota != (wanted or "").split()[0] and quota.startswith("-"):
        return "The kernel answers EINVAL to a negative quota: what is version 2's word for no limit?"
    if found and period != (wanted or "").split()[1]:
        return "The file has the quota, a blank and the period: which of them is which, and what is not given?"
    return "Quota and period share the file: when is it written, and what stands for the one that is not given?"


@pytest.fixture
def cpu_lines(yours: Yours) -> Lines:
    return Lines(yours, v2.cpu, cpu_question)


def test_2_1_without_limits_nothing_is_written(cpu_lines: Lines) -> None:
    cpu_lines.check()
    cpu_lines.check(memory=64 * MIB, pids=10, cpuset_cpus="0")


def test_2_1_shares_become_a_weight(cpu_lines: Lines) -> None:
    for shares in (1024, 2, 262144, 100):
        cpu_lines.check(cpu_shares=shares)


TOO_LARGE = "Who says that a number is too large, you or the kernel?"


def test_2_1_quota_and_period_are_one_line(cpu_lines: Lines) -> None:
    cpu_lines.check(cpu_quota=50_000, cpu_period=200_000)
    cpu_lines.check("With a quota alone the period is the kernel's own: what is it?", cpu_quota=50_000)
    cpu_lines.check(TOO_LARGE, cpu_quota=2**40, cpu_period=2**33)


def test_2_1_no_limit_is_max(cpu_lines: Lines) -> None:
    cpu_lines.check(cpu_quota=-1)
    cpu_lines.check(cpu_quota=-1, cpu_period=20_000)


def test_2_1_a_period_alone_is_written(cpu_lines: Lines) -> None:
    cpu_lines.check(
        "It is a period alone: it is written with no limit as its quota. What is the word?", cpu_period=50_000
    )
    cpu_lines.check(TOO_LARGE, cpu_period=1_000_001)


def test_2_1_a_quota_of_0_is_a_number(cpu_lines: Lines) -> None:
    cpu_lines.check(
        "0 is a number that was asked for, and the kernel will say what it thinks of it. Which value alone means "
        "that a limit is not set?",
        cpu_quota=0,
        cpu_period=50_000,
    )
    cpu_lines.check("0 is a number. Which value alone means that a limit is not set?", cpu_quota=0)


def test_2_1_each_limit_goes_to_its_file(cpu_lines: Lines) -> None:
    cpu_lines.check(
        "Shares, quota and period are given. Does one of them keep another from being written?",
        cpu_shares=512,
        cpu_quota=50_000,
        cpu_period=200_000,
    )
    cpu_lines.check(cpu_shares=512, cpu_period=50_000)
    drawn = random.Random(21)
    for _ in range(40):
        cpu_lines.check(
            cpu_shares=drawn.choice([None, 2, drawn.randint(2, 262144)]),
            cpu_quota=drawn.choice([None, -1, 0, drawn.randint(1000, 10**6), 2 * 10**7]),
            cpu_period=drawn.choice([None, 1000, 10**6, drawn.randint(1000, 10**6)]),
            memory=drawn.choice([None, MIB]),
        )


def test_2_1_shares_out_of_range_are_refused(cpu_lines: Lines) -> None:
    for shares in (1, 0, -1, 262145):
        about = f"{shares} shares are out of range, 2 to 262144. Who checks that, and is it asked?"
        cpu_lines.refuse(about, cpu_shares=shares)
        cpu_lines.refuse(about, cpu_shares=shares, cpu_quota=1000)


def test_2_1_the_kernel_takes_it(pyctr: Callable[..., Any]) -> None:
    mount = hierarchy.detect().of("cpu")
    script, wanted = "cat /sys/fs/cgroup/cpu.max", "50000 100000"
    if mount is None or mount.version == 1:
        script, wanted = "echo version 1", "version 1"  # the engine writes this machine's version
    done = pyctr("run", "--rm", "--cpus", "0.5", "-c", "512", "busybox", "sh", "-c", script)
    equal(done.stdout.strip(), wanted, "cpu.max as a container with --cpus 0.5 sees it")


# --- 2.2 -------------------------------------------------------------------------------------------------

MEMORY, MEMSW = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"


def memory_question(file: str, found: str | None, wanted: str | None) -> str:
    if found == "max":
        return "`max` is version 2's word for no limit: what is version 1's?"
    if found is None and wanted == "0":
        return "0 is a number that was asked for. Which value alone means that a limit is not set?"
    if file == MEMSW and found is None and wanted == "-1":
        return "memory may be anything, but memsw still has its old limit, if you leave it out. What lifts it?"
    if file == MEMSW and found is not None:
        return "What does memsw count, and what does memory_swap: does it count swap alone, or both together?"
    if file == "memory.oom_control":
        return "A file takes a number as its text: which of them disables the OOM killer?"
    return "Which limit goes to which file?"


@pytest.fixture
def memory_lines(yours: Yours) -> Lines:
    return Lines(yours, v1.memory, memory_question)


def test_2_2_each_limit_goes_to_its_file(memory_lines: Lines) -> None:
    memory_lines.check()
    memory_lines.check(cpu_shares=512, pids=10)
    memory_lines.check(memory=64 * MIB)
    memory_lines.check(memory=64 * MIB, memory_swap=96 * MIB)
    memory_lines.check(memory=64 * MIB, memory_swap=64 * MIB)
    memory_lines.check(memory_reservation=32 * MIB)
    memory_lines.check(oom_kill_disable=True)


def test_2_2_no_limit_is_minus_one_for_both(memory_lines: Lines) -> None:
    memory_lines.check(memory=-1)
    memory_lines.check(memory=-1, memory_swap=-1)
    memory_lines.check(memory=64 * MIB, memory_swap=-1)
    memory_lines.check(memory_swap=-1)
    memory_lines.check(memory_reservation=-1)


def test_2_2_0_is_a_number(memory_lines: Lines) -> None:
    memory_lines.check(memory=0)
    memory_lines.check(memory=0, memory_swap=0, memory_reservation=0)


def test_2_2_memsw_is_at_no_moment_below_memory(yours: Yours) -> None:
    for given in (
        {"memory": 64 * MIB, "memory_swap": 96 * MIB},
        {"memory": 64 * MIB, "memory_swap": 64 * MIB, "memory_reservation": MIB},
        {"memory": -1},
    ):
        files = [file for _, file, _ in yours(Limits(**given))]
        expect(
            files.index(MEMORY) < files.index(MEMSW),
            f"memory(Limits({', '.join(f'{name}={value}' for name, value in given.items())})) writes {MEMSW} "
            f"before {MEMORY}; it should be the other way round. A new group has no limit of either, and the "
            "kernel refuses a memsw below memory. Which of the two must the group get first?",
        )


def test_2_2_any_limits_in_any_combination(memory_lines: Lines) -> None:
    drawn = random.Random(22)
    for _ in range(60):
        memory = drawn.choice([None, -1, 0, 64 * MIB, drawn.randint(0, 2**40)])
        swap = drawn.choice([None, -1, memory, 96 * MIB, drawn.randint(0, 2**41)])
        given = {
            "memory": memory,
            "memory_swap": swap,
            "memory_reservation": drawn.choice([None, -1, 0, 32 * MIB]),
            "oom_kill_disable": drawn.choice([False, True]),
        }
        try:
            v1.memory(Limits(**given))
        except InvalidArgument as error:
            memory_lines.refuse(f"({error}.) Who looks at limits that contradict each other?", **given)
        else:
            memory_lines.check(**given)


def test_2_2_contradictions_are_refused(memory_lines: Lines) -> None:
    about = "Nothing is to be written of it. Who looks at limits that contradict each other?"
    memory_lines.refuse(about, memory=64 * MIB, memory_swap=32 * MIB)
    memory_lines.refuse(about, memory_swap=32 * MIB)
    memory_lines.refuse(about, memory=-1, memory_swap=32 * MIB)
    memory_lines.refuse(about, memory=-2)
    memory_lines.refuse(about, memory_reservation=-2)


def test_2_2_the_kernel_takes_them_in_this_order(group: Group, yours: Yours, pyctr: Callable[..., Any]) -> None:
    swap = ["--memory-swap", "96m"] if hierarchy.counts_swap() else []
    done = pyctr("run", "--rm", "-m", "64m", *swap, "busybox", "echo", "ran")
    equal(done.stdout, "ran\n", "what a container with -m 64m prints")
    mount = hierarchy.detect().of("memory")
    if mount is None or mount.version == 2:
        return  # a container of this machine has version 2's files: there is nothing more to see
    os.mkdir(mount.mountpoint + group.path)
    for _, file, text in yours(Limits(memory=64 * MIB, memory_swap=96 * MIB if swap else None)):
        path = Path(mount.mountpoint + group.path, file)
        try:
            path.write_text(text)
        except OSError as error:
            raise CheckFailed(
                f"the kernel refuses {text} for {file}: {error.strerror}. What had the group then?"
            ) from None
    equal(path.read_text().strip(), str(96 * MIB if swap else 64 * MIB), f"{path.name} afterwards")


# --- 2.3 -------------------------------------------------------------------------------------------------


def label(mount: HierarchyMount) -> str:
    """A hierarchy's name for the learner."""
    return f"version {mount.version} {mount.name or ','.join(mount.controllers)}".strip()


def places(pid: int, mounts: list[HierarchyMount]) -> list[str]:
    """Where a process is in each of these hierarchies (/proc/<pid>/cgroup)."""
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    found = []
    for mount in mounts:
        names = set(mount.controllers) if mount.version == 1 else set()
        names |= {f"name={mount.name}"} if mount.name else set()
        found.append(next(line[2] for line in lines if set(filter(None, line[1].split(","))) == names))
    return found


def entered(yours: Yours, group: Group, **options: Any) -> dict[str, str]:
    """Call `enter` in a process of its own: where it is afterwards in each hierarchy in which it is outside."""
    mounts = group.hierarchy.mounts
    with yours.at() as function:
        before = places(function.process.pid, mounts)
        raised = function.answer((group,), options).raised
        expect(
            raised is None,
            f"the group is there in each hierarchy, and enter raises\n    {raised}\nIt should move the process. "
            "Which file takes one, in version 1 and in version 2?",
        )
        after = places(function.process.pid, mounts)
        caller_s_parent = places(yours.arena.pid, mounts)
    expect(
        not any(place.endswith(group.path) for place in caller_s_parent),
        "after enter the caller's parent is in the group, and the caller is what should be: the container would "
        "run without limits, and the engine with them. Whose number have you written?",
    )
    for mount, was, now in zip(mounts, before, after, strict=True):
        expect(
            not options or mount.version == 1 or now == was,
            f"with born_in_v2=True the process was moved in version 2 from {was} to {now}; nothing should be "
            "written there, for clone3 has put it where it belongs. Which hierarchy is left out?",
        )
    return {
        label(mount): place
        for mount, place in zip(mounts, after, strict=True)
        if not place.endswith(group.path) and not (options and mount.version == 2)
    }


def test_2_3_the_process_is_in_every_hierarchy(
    yours: Yours, both: Hierarchy, new_group: Callable[..., Group]
) -> None:
    for mounts in (both.mounts, both.mounts[::-1]):
        group = new_group(Hierarchy(mounts))
        make(group)
        missing = entered(yours, group)
        expect(
            len(missing) < len(mounts),
            f"enter() has returned, and the process is still outside in all {len(missing)} hierarchies; it should "
            "be in the group before the program starts. Whose number have you written, and is it written yet?",
        )
        expect(
            not missing,
            f"enter() has returned, and the process is still outside in: {'; '.join(missing)}. The limits there "
            "would have no effect. Which hierarchies have you been through?",
        )


def test_2_3_born_in_version_2_is_not_born_in_version_1(
    yours: Yours, both: Hierarchy, new_group: Callable[..., Group]
) -> None:
    mounts = sorted(few(both).mounts + both.only(2).mounts, key=lambda mount: -mount.version)
    for order in (mounts, mounts[::-1], [mounts[1], mounts[0], *mounts[2:]]):
        group = new_group(Hierarchy(order))
        make(group)
        missing = entered(yours, group, born_in_v2=True)
        expect(
            not missing,
            f"with born_in_v2=True the process is still outside the group in: {'; '.join(missing)}. clone3 knows "
            "version 2 alone: who puts the process into the others, also into those that come after version 2 in "
            "the list?",
        )


def test_2_3_any_name_will_do(yours: Yours, both: Hierarchy, new_group: Callable[..., Group]) -> None:
    parent = new_group(Hierarchy(few(both).mounts + both.only(2).mounts))
    group = Group(f"{parent.path}/{ODD}", parent.hierarchy)
    make(group)
    missing = entered(yours, group)
    expect(
        not missing,
        f"the group is called {ODD!r}, and the process is still outside in: {'; '.join(missing)}. Who takes the "
        "name apart?",
    )


def test_2_3_again_changes_nothing(yours: Yours, both: Hierarchy, new_group: Callable[..., Group]) -> None:
    first, second = (new_group(Hierarchy(few(both).mounts + both.only(2).mounts)) for _ in range(2))
    make(first)
    make(second)
    with yours.at() as function:
        for group in (first, first, second, first):
            function(group)
            for place in places(function.process.pid, group.hierarchy.mounts):
                expect(
                    place.endswith(group.path),
                    f"enter is called for {first.path} twice, for {second.path}, and again for {first.path}; for "
                    f"{group.path} the process is in {place} afterwards. What is kept from one call to the next?",
                )


def test_2_3_a_group_that_is_not_there_is_an_error(yours: Yours, tmp_path: Path) -> None:
    for missing in (1, 2):
        mounts = [HierarchyMount(str(tmp_path / f"{missing}-{version}"), version, ()) for version in (1, 2)]
        group = Group("/box", Hierarchy(mounts))
        for mount, directory in zip(mounts, group.directories, strict=True):
            if mount.version != missing:
                files(directory)
        yours.raises(
            FileNotFoundError,
            group,
            about=f"The group's directory in version {missing} is not there: the process would stay outside, and "
            "its program would run without limits. Who is to hear of it?",
        )
        made = [directory for directory in group.directories if not os.path.exists(f"{directory}/tasks")]
        expect(
            not any(map(os.path.exists, made)),
            f"the group's directory in version {missing} was not there, and enter() made it, without limits; "
            "nobody removes it. Whose work is it to make a group?",
        )


def files(directory: str) -> None:
    """A directory with empty plain files, which show what is written to them."""
    os.makedirs(directory)
    for name in ("tasks", "cgroup.procs"):
        Path(directory, name).write_text("")


def plain_group(top: Path, versions: tuple[int, ...] = (1, 2)) -> Group:
    """A group of plain files in a hierarchy of each version."""
    mounts = [HierarchyMount(f"{top}/{nth}", version, ()) for nth, version in enumerate(versions)]
    group = Group("/box", Hierarchy(mounts))
    for directory in group.directories:
        files(directory)
    return group


def test_2_3_what_is_written(yours: Yours, tmp_path: Path) -> None:
    group = plain_group(tmp_path)
    yours(group)
    old, new = (
        {name: Path(directory, name).read_text().strip() for name in ("tasks", "cgroup.procs")}
        for directory in group.directories
    )
    expect(
        not old["cgroup.procs"],
        "in version 1 your enter writes to cgroup.procs; it should write to `tasks`, which moves the caller "
        "alone. For cgroup.procs the kernel stops all forks and exits of the machine: what does the docstring "
        "say of it?",
    )
    equal(old["tasks"], "0", "what is written to `tasks` of version 1: which number is always the writer itself?")
    expect(not new["tasks"], "version 2 has no file `tasks`: which is its own?")
    expect(
        new["cgroup.procs"] in ("0", str(yours.process.inner)),
        f'{new["cgroup.procs"]!r} is written to cgroup.procs of version 2; it should be "0". Who is that?',
    )


def test_2_3_what_the_kernel_refuses_is_raised(yours: Yours, tmp_path: Path) -> None:
    tops = (tmp_path / str(number) for number in itertools.count())

    def run(function: Function, watch: Watch) -> Any:
        return function.answer((plain_group(next(tops), (1, 2, 1)),), watch=watch)

    yours.each_refusal(
        run,
        ("open", "openat", "write"),
        errors=(errno.EACCES, errno.ENOSPC, errno.ESRCH, errno.ENOENT, errno.EBUSY, errno.EINVAL),
        about="The container would run without limits. If you use open(…).write(…): when does Python really "
        "write, and who hears of the error?",
    )


def test_2_3_a_group_that_takes_no_process_is_an_error(
    yours: Yours, both: Hierarchy, new_group: Callable[..., Group]
) -> None:
    """Beside a threaded group there can be no ordinary one: the kernel calls it "domain invalid"."""
    parent = new_group(both.only(2))
    make(parent, "/threaded")
    group = Group(f"{parent.path}/box", parent.hierarchy)
    make(group)
    Path(parent.directories[0], "threaded/cgroup.type").write_text("threaded")
    yours.raises(
        OSError,
        group,
        number=errno.EOPNOTSUPP,
        about="Beside a threaded group (one whose threads may be in different groups) this one can take no "
        "process. Who is to hear of it?",
    )


def test_2_3_a_container_is_in_its_group_before_it_runs(pyctr: Callable[..., Any], arena: Arena) -> None:
    done = pyctr("run", "-d", "--name", "placed", "--pids-limit", "50", "busybox", "sleep", "100")
    id = done.stdout.strip()
    pid = arena.outer(int(pyctr("inspect", "--format", "{{.State.Pid}}", "placed").stdout))
    mounted = len(hierarchy.detect().mounts)
    inside = [line for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if line.endswith(id)]
    expect(
        len(inside) >= mounted,
        f"a container's process is in its group in {len(inside)} of {mounted} hierarchies: /proc/<pid>/cgroup "
        "shows which. Which hierarchies have you been through?",
    )


# --- 2.4 -------------------------------------------------------------------------------------------------

TAKEN_FIRST = ("memory", "io", "hugetlb", "misc")
"""Controllers that are refused (EBUSY) where a group has processes; those of threads are not."""
CONTROL = "cgroup.subtree_control"


@pytest.fixture
def tree(both: Hierarchy, new_group: Callable[..., Group]) -> tuple[HierarchyMount, str, str]:
    """Version 2's mount, the path of a group three levels down, and a controller it could have ("": none)."""
    group = new_group(both.only(2))
    make(group, f"/{ODD}/b")
    [mount] = group.hierarchy.mounts
    found = [name for name in TAKEN_FIRST if name in mount.controllers]
    return mount, f"{group.path}/{ODD}/b", found[0] if found else ""


class Plain:
    """Plain files that stand for a hierarchy of version 2: /box/a/b, and what each ancestor hands down."""

    def __init__(self, top: Path, handed_down: dict[str, str], controllers: tuple[str, ...]) -> None:
        self.top, self.before = top, handed_down
        self.mount = HierarchyMount(str(top), 2, controllers)
        for path, text in handed_down.items():
            (top / path[1:]).mkdir(parents=True, exist_ok=True)
            (top / path[1:] / CONTROL).write_text(text)

    def written(self) -> dict[str, str]:
        """What was written to which file; the rest of a longer text stays behind it."""
        found = {}
        for path, before in self.before.items():
            text = (self.top / path[1:] / CONTROL).read_text()
            if text != before:
                end = len(text)
                while end and end <= len(before) and text[end - 1] == before[end - 1]:
                    end -= 1
                found[path] = text[:end].strip()
        return found


def test_2_4_a_controller_of_elsewhere_changes_nothing(yours: Yours, tmp_path: Path) -> None:
    about = "Whose file would it be written to, and what does the mount say?"
    tree = Plain(tmp_path / "a", {"/": "", "/box": ""}, ("memory", "cpuset"))
    for name in ("freezer", "cpu"):
        answer = yours.answer((tree.mount, "/box/a", name))
        expect(
            answer.raised is None,
            f"version 2 does not have the controller {name} here ({tree.mount.controllers}), and enable raises\n"
            f"    {answer.raised}\nIt should return False. {about}",
        )
        equal(answer.value, False, f"what enable returns for {name}, which is not one of the mount's controllers")
        equal(tree.written(), {}, f"what is written for {name}, which is not one of the mount's controllers")


def test_2_4_from_the_top_down(yours: Yours, tmp_path: Path) -> None:
    tree = Plain(tmp_path / "a", dict.fromkeys(("/", "/box", "/box/a", "/box/a/b"), ""), ("memory",))
    watch, was = Watch(("open", "openat", "write")), list[str]()
    watch.before = lambda call: was.extend(path for path in tree.written() if path not in was)
    with yours.at() as function:
        answer = function.answer((tree.mount, "/box/a/b", "memory"), watch=watch)
    expect(answer.raised is None, f"{answer.raised}")
    was.extend(path for path in tree.written() if path not in was)
    wanted = ["/", "/box", "/box/a"]
    equal(
        [path for path in was if path in wanted],
        [path for path in wanted if path in was],
        "the ancestors in the order in which they were written to. A group can hand down only what it was given. "
        "With which ancestor do you begin?",
    )


def test_2_4_each_ancestor_that_lacks_it_is_told(yours: Yours, tmp_path: Path) -> None:
    for nth, box in enumerate(("", "memory pids")):
        before = {"/": "", "/box": box, "/box/a": "", "/box/a/b": ""}
        tree = Plain(tmp_path / str(nth), before, ("memory", "pids"))
        changed = yours(tree.mount, "/box/a/b", "memory")
        found = tree.written()
        lacking = [path for path in ("/", "/box", "/box/a") if not before[path]]
        missing = [path for path in lacking if path not in found]
        expect(
            "/box/a/b" not in found,
            "for /box/a/b the group itself hands memory down, too: no process can be put into it now (EBUSY). "
            "Where do the ancestors end, and who decides which controllers a group has: its own file, or its "
            "parent's?",
        )
        expect(
            missing != ["/"],
            "the top of the hierarchy hands nothing down, and you have not asked it to. On this machine somebody "
            "may have (systemd does); where nobody has, /box cannot be given memory. Is the top an ancestor of "
            "/box?",
        )
        expect(
            not missing,
            f"for /box/a/b memory is switched on in {list(found) or 'no group'}, and not in {missing}. A group "
            "can hand down only what it was given. Which ancestors have you looked at?",
        )
        expect(
            "/box" not in found or not box,
            "/box hands memory down already, and is written to again: who looks at that before?",
        )
        about = f"what is written to which {CONTROL} for /box/a/b. What switches a controller on there?"
        equal(found, dict.fromkeys(lacking, "+memory"), about)
        equal(changed, True, "what enable returns when it has changed something")


def test_2_4_what_it_returns(yours: Yours, tmp_path: Path) -> None:
    """Of three ancestors any may have it already; a controller's name may begin as another's does."""
    ancestors = ("/", "/box", "/box/a")
    for nth, have in enumerate(itertools.product((False, True), repeat=3)):
        texts = {path: "cpu" if has else "cpuset" for path, has in zip(ancestors, have, strict=True)}
        tree = Plain(tmp_path / str(nth), texts | {"/box/a/b": ""}, ("cpuset", "cpu"))
        lacking = [path for path, has in zip(ancestors, have, strict=True) if not has]
        shown = f"for /box/a/b, where the ancestors hand down {texts}"
        changed = yours(tree.mount, "/box/a/b", "cpu")
        found = sorted(tree.written())
        missing = [path for path in lacking if path not in found]
        expect(
            not missing,
            f"{shown}, cpu is not switched on in {missing}: cpuset begins with the same three letters. How do you "
            "look for a name in a list of names?",
        )
        equal(found, lacking, f"the ancestors that are written to, {shown}")
        expect(
            lacking or changed is not True,
            f"enable returns True {shown}: nothing had to be done, and it should return False. What would a "
            "caller do again that hears of a change?",
        )
        equal(
            changed,
            bool(lacking),
            f"what enable returns {shown}. Does it say whether it has changed any of them, or the last?",
        )
        equal(yours(tree.mount, "/box/a/b", "memory"), False, "what it returns for memory, which is not there")


def test_2_4_groups_of_any_depth_and_name(yours: Yours, tmp_path: Path) -> None:
    for nth, names in enumerate((["box"], ["box", ODD], ["-n", "..a", "b\nc", "+memory", "d" * 200])):
        paths = ["/", *("/" + "/".join(names[: depth + 1]) for depth in range(len(names)))]
        tree = Plain(tmp_path / f"{nth} {ODD}", dict.fromkeys(paths, ""), ("memory",))
        shown = f"for the group {paths[-1]!r} of the hierarchy {tree.top.name!r}. Who takes a name apart?"
        answer = yours.answer((tree.mount, paths[-1], "memory"))
        expect(answer.raised is None, f"enable raises\n    {answer.raised}\n{shown}")
        wanted = dict.fromkeys(paths[:-1], "+memory")
        equal(tree.written(), wanted, f"what is written to which {CONTROL} {shown}")
        equal(answer.value, True, f"what enable returns {shown}")


def test_2_4_what_another_has_undone_is_done_again(yours: Yours, tmp_path: Path) -> None:
    tree = Plain(tmp_path / "a", {"/": "", "/box": ""}, ("memory",))
    for when in ("the first time", "after somebody has taken it away from both ancestors"):
        for path in ("/", "/box"):
            (tree.top / path[1:] / CONTROL).write_text("")
        equal(yours(tree.mount, "/box/a", "memory"), True, f"what enable returns {when}")
        wanted = {"/": "+memory", "/box": "+memory"}
        about = f"what is written to which {CONTROL} {when}: what is kept from one call to the next?"
        equal(tree.written(), wanted, about)


def refused_by(number: int) -> dict[str, Any]:
    """For `Function.answer`: a scene that keeps both texts of InvalidArgument."""
    return {"scene": "message_and_hint", "watch": Watch(("open", "openat", "write"), (Fault("write", number, 1),))}


def test_2_4_what_the_kernel_refuses_is_explained(yours: Yours, tmp_path: Path) -> None:
    hints = {}
    for number in (errno.EBUSY, errno.EOPNOTSUPP, errno.ENOENT, errno.EIO, errno.EINVAL):
        tree = Plain(tmp_path / str(number), {"/": "memory", "/box": "", "/box/a": ""}, ("memory",))
        with yours.at() as function:
            answer = function.answer((tree.mount, "/box/a", "memory"), **refused_by(number))
        name, reason = errno_name(number), os.strerror(number)
        refusal = f"the kernel refused +memory in /box/{CONTROL} with {name} ({reason})"
        expect(
            answer.raised is None,
            f"{refusal}, and enable raises\n    {answer.raised}\nIt should raise InvalidArgument, which the "
            "engine shows its user in one line. Who makes that of the kernel's error?",
        )
        expect(
            "message" in answer.value,
            f"{refusal}, and nobody was told: enable returned {answer.value.get('value')}. How do you write, and "
            "who hears of the error?",
        )
        message = answer.value["message"]
        for what, text in (("controller", "memory"), ("file", f"{tree.top}/box/{CONTROL}"), ("reason", reason)):
            expect(
                re.search(rf"(?<!\w){re.escape(text)}(?![\w/])", message),
                f"{refusal}, and the message is {message!r}: it should name the {what}, {text!r}. What does the "
                "engine's user need to know?",
            )
        hints[name] = answer.value["hint"]
    expect(
        hints["EBUSY"],
        "for EBUSY the InvalidArgument should have a hint, its second argument, and has none: the ancestor has "
        "processes of its own. What can the user do about it?",
    )
    others = {name: hint for name, hint in hints.items() if name != "EBUSY" and hint == hints["EBUSY"]}
    expect(
        not others,
        f"for {', '.join(others)} the hint is {hints['EBUSY']!r}, which is right for EBUSY alone. Which errno is "
        "it about?",
    )


def test_2_4_what_cannot_be_read_or_opened_is_an_error(yours: Yours, tmp_path: Path) -> None:
    """Whether as the kernel's error or as InvalidArgument."""
    tops = (tmp_path / str(number) for number in itertools.count())

    def run(function: Function, fault: tuple[Fault, ...]) -> Answer:
        tree = Plain(next(tops), {"/": "", "/box": "memory", "/box/a": ""}, ("memory",))
        watch = Watch(("open", "openat", "read", "write"), fault)
        return function.answer((tree.mount, "/box/a", "memory"), watch=watch)

    with yours.at() as function:
        seen = (run(function, ()).watch or Watch(())).seen
    for name in ("openat", "read", "write"):
        calls = range(1, 1 + sum(call.name == name for call in seen))
        for nth, number in itertools.product(calls, (errno.EIO, errno.ENOENT)):
            with yours.at() as function:
                answer = run(function, (Fault(name, number, nth),))
            step = f"call {nth} of {name} with {errno_name(number)}"
            expect(
                answer.raised is not None,
                f"the kernel refused {step}, and enable returned {answer.value!r} as if nothing had happened. Who "
                "is to hear of it?",
            )
            assert answer.raised is not None
            if not answer.raised.is_a(OSError):
                yours.refused(answer, InvalidArgument, f"The kernel refused {step}.")


def test_2_4_the_kernel_gives_it_to_the_group(yours: Yours, tree: tuple[HierarchyMount, str, str]) -> None:
    mount, path, name = tree
    if not name:
        return  # version 1 has all controllers of this machine: nothing can be enabled here
    answer = yours.answer((mount, path, name))
    expect(
        answer.raised is None,
        f"the kernel has {name} to give, and enable raises\n    {answer.raised}\nA group can hand down only "
        "what it was given. With which ancestor do you begin, and whose file decides about a group?",
    )
    own = Path(mount.mountpoint + path, CONTROL).read_text().split()
    expect(
        name in Path(mount.mountpoint + path, "cgroup.controllers").read_text().split(),
        f"cgroup.controllers of the group {path[-2:]} has no {name} afterwards, so a limit written there is "
        f"ENOENT; its subtree_control has {own}. Who decides which controllers a group has: its own file, or its "
        "parent's?",
    )
    equal(own, [], "what the group itself hands down")
    equal(answer.value, True, "what enable returns when it has changed something")
    again = yours(mount, path, name)
    equal(again, False, "what enable returns when called again: the second time there was nothing left to do")


def test_2_4_a_group_with_processes_cannot_hand_down(
    yours: Yours, arena: Arena, tree: tuple[HierarchyMount, str, str]
) -> None:
    mount, path, name = tree
    if not name:
        return
    parent = Group(os.path.dirname(path), Hierarchy([mount]))
    with members(arena, parent, ""):
        raised = yours.raises(
            InvalidArgument,
            *(mount, path, name),
            about="The parent has a process of its own, and the kernel says EBUSY (no internal processes). Who is "
            "to hear of it?",
        )
    expect(name in raised.text, f"the message is {raised.text!r}: it should name the controller, {name}")


def test_2_4_the_engine_limits_with_it(yours: Yours, group: Group, pyctr: Callable[..., Any]) -> None:
    done = pyctr("run", "--rm", "--pids-limit", "50", "-m", "64m", "busybox", "echo", "ran")
    equal(done.stdout, "ran\n", "what a container with -m 64m and --pids-limit 50 prints")
    mount = hierarchy.detect().v2
    files = {"memory": "memory.high", "hugetlb": "hugetlb.2MB.max"}
    for name, file in files.items():
        if mount is not None and name in mount.controllers:
            with yours.at(load="swapped") as function:
                function.scene("limited", group, file, str(64 * MIB))
            equal(Path(str(group.v2), file).read_text().strip(), str(64 * MIB), f"{file} of a new group")
            return


# --- 2.5 -------------------------------------------------------------------------------------------------

SIGNALS = ("kill", "tgkill", "pidfd_send_signal")
"""The calls that send one."""


def name_of(box: Group) -> str:
    return f"cgroup version {box.hierarchy.mounts[-1].version}"


def freeze_is_asked_for(box: Group) -> bool:
    """Not whether all stand: in version 2 SIGTERM may end a frozen process, and one that is ending does not."""
    if box.v2:
        return Path(box.v2, "cgroup.freeze").read_text().strip() == "1"
    return Path(str(box.directory("freezer")), "freezer.state").read_text().strip() != "THAWED"


def listed(group: Group) -> list[int]:
    """All processes of a group and of those below it, as the judge sees them."""
    return [
        int(line)
        for top, _, _ in os.walk(group.v2 or group.directories[0])
        for line in Path(top, "cgroup.procs").read_text().split()
    ]


def test_2_5_every_process_gets_the_signal(yours: Yours, arena: Arena, box: Group) -> None:
    make(box, "/a/b")
    for number, args in ((15, (signal.SIGTERM,)), (9, ())):
        with arena.process(load="nothing") as bystander, members(arena, box, "", "", "/a", "/a/b") as processes:
            yours(box, *args)
            alive = sum(not ended(process) for process in processes)
            expect(
                not alive,
                f"{name_of(box)}: of 4 processes, two of them in groups below, {alive} are still alive 2 s after "
                f"kill(group{''.join(f', {each:d}' for each in args)}): which did your signal not reach?",
            )
            question = "Which signal is the default?" if number == 9 else "Which signal does cgroup.kill send?"
            equal(
                [arena.status(process) for process in processes],
                [-number] * 4,
                f"{name_of(box)}: minus the signal that ended each of four processes. {question}",
            )
            expect(
                not ended(bystander, 0),
                f"{name_of(box)}: a process that is not in the group has ended, too: whom does your signal reach?",
            )
    expect(not freeze_is_asked_for(box), f"{name_of(box)}: the group was not frozen before, and it is afterwards")


def test_2_5_an_empty_group_has_nobody_to_signal(yours: Yours, box: Group) -> None:
    for number in (15, 9):
        yours(box, number)
        expect(
            not freeze_is_asked_for(box),
            f"{name_of(box)}: an empty group is left frozen after kill(group, {number}): its next process would "
            "stand still at once. Who lets a group go on that was running before?",
        )


def test_2_5_again_is_another_signal(yours: Yours, arena: Arena, box: Group) -> None:
    with members(arena, box, "") as [process]:
        process.call((), {}, "counts_usr1")
        for count in (1, 2):
            yours(box, signal.SIGUSR1)
            until = time.monotonic() + 2 * SLOWNESS
            while (found := process.call((), {}, "counted").value) < count and time.monotonic() < until:
                time.sleep(0.001)
            equal(
                found,
                count,
                f"{name_of(box)}: how many times a process got SIGUSR1, after call {count} of "
                "kill(group, SIGUSR1): what is kept from one call to the next?",
            )


def test_2_5_who_survives_runs_on(yours: Yours, arena: Arena, box: Group) -> None:
    with members(arena, box, "") as [process]:
        for number, name in ((signal.SIGURG, "SIGURG"), (0, "signal 0")):  # neither does anything (signal(7))
            yours(box, number)
            expect(
                not freeze_is_asked_for(box),
                f"{name_of(box)}: kill() has returned, and the group, which was running before, is left frozen: "
                "who lets it go on?",
            )
            expect(
                not ended(process, 0.02),
                f"{name_of(box)}: {name} ends no process, and one has ended. What was sent?",
            )


def test_2_5_nobody_escapes_by_forking(yours: Yours, arena: Arena, box: Group) -> None:
    """A process forks as soon as the list was read, unless it stands still."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with members(arena, box, "") as [process], yours.at() as function:
            watch, forked = Watch(("open", "openat", "close", *SIGNALS)), list[bool]()

            def fork(
                call: Call, process: Process = process, forked: list[bool] = forked, watch: Watch = watch
            ) -> None:
                if not forked and is_the_moment(watch.seen) and not stands(box):
                    forked.append(True)
                    process.begin((), {}, "forks")
                    select.select([process.channel], [], [], 2 * SLOWNESS)

            watch.before = fork
            answer = function.answer((box, number), watch=watch)
            expect(answer.raised is None, f"{name_of(box)}: kill(group, {number:d}) raises\n    {answer.raised}")
            ended(process)
            left = [pid for pid in listed(box) if Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"]
        expect(
            not left,
            f"{name_of(box)}: {len(left)} process escaped kill(group, {number:d}): it was forked after you had "
            "looked at the list, and before your signal came. What keeps a whole group from forking meanwhile?",
        )


def is_the_moment(seen: list[Call]) -> bool:
    """Whether the call that begins is the first after the list was opened, or the first signal."""
    *before, call = seen
    if call.name in SIGNALS:
        return not any(each.name in SIGNALS for each in before)
    return bool(before and before[-1].paths and before[-1].paths[0].endswith("cgroup.procs"))


def stands(box: Group) -> bool:
    """Whether all processes of a group are frozen, as the judge sees it."""
    if box.v2:
        return "frozen 1" in Path(box.v2, "cgroup.events").read_text().splitlines()
    return Path(str(box.directory("freezer")), "freezer.state").read_text().strip() == "FROZEN"


def test_2_5_sigkill_in_version_2_is_one_write(
    yours: Yours, arena: Arena, both: Hierarchy, new_group: Callable[..., Group]
) -> None:
    box = new_group(both.only(2))
    make(box)
    watch = Watch(("open", "openat", "write", *SIGNALS))
    with members(arena, box, "", "", "") as processes, yours.at() as function:
        function.answer((box,), watch=watch)
        equal([ended(process) for process in processes], [True] * 3, "whether the three processes have ended")
    signals = sum(call.name in SIGNALS for call in watch.seen)
    files = [os.path.basename(call.paths[0]) for call in watch.seen if call.paths and call.args[2] & os.O_ACCMODE]
    expect(
        not signals and files == ["cgroup.kill"],
        f"SIGKILL in version 2: your kill writes to {', '.join(files) or 'no file'} and sends {signals} signals; "
        "one write to cgroup.kill should do it, which no fork can escape. For which signal is that file?",
    )


def test_2_5_a_frozen_group_stays_frozen(yours: Yours, arena: Arena, box: Group) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL) if box.v2 else (signal.SIGTERM,):
        with members(arena, box, "") as [process]:
            freezer.freeze(box)
            yours(box, number)
            expect(
                freeze_is_asked_for(box),
                f"{name_of(box)}: The group was frozen before your call of kill(group, {number:d}) "
                "(`pyctr_lite pause`), and runs after it: who asked for that? The signal waits until it is "
                "thawed.",
            )
            freezer.thaw(box)
            expect(
                ended(process),
                f"{name_of(box)}: a process is still alive 2 s after signal {number:d} was to be sent to its "
                "frozen group, and the group was thawed",
            )
            equal(arena.status(process), -number, f"{name_of(box)}: what ended a process of a frozen group")


def test_2_5_sigkill_ends_a_frozen_group(yours: Yours, arena: Arena, box: Group) -> None:
    with members(arena, box, "") as [process]:
        freezer.freeze(box)
        yours(box)
        expect(
            ended(process),
            f"a frozen process ({name_of(box)}) is still alive 2 s after SIGKILL. In version 1 it does not "
            "even die while it is frozen: who lets it go on, so that it can die?",
        )


def test_2_5_no_group_no_process(yours: Yours, both: Hierarchy, new_group: Callable[..., Group]) -> None:
    hierarchies = [few(both), both.only(2), Hierarchy(few(both).mounts + both.only(2).mounts)]
    for mounts, number in itertools.product(hierarchies, (9, 15)):
        group = new_group(mounts)
        for made in range(len(mounts.mounts)):
            answer = yours.answer((group, number))
            shown = "; ".join(map(label, mounts.mounts[made:]))
            expect(
                answer.raised is None,
                f"A group that is not there has no process to signal. It has no directory in: {shown}, and "
                f"kill(group, {number}) raises\n    {answer.raised}\nIt should do nothing. Which error means "
                "that?",
            )
            os.mkdir(group.directories[made])


def test_2_5_one_that_never_stands_is_signalled_too(yours: Yours, arena: Arena, box: Group) -> None:
    """A process that waits for a dead network disk does not stand; freeze gives up then, and thaws the group."""
    with members(arena, box, "", "") as processes:
        answer = yours.answer((box, signal.SIGTERM), scene="where_freeze_gives_up")
        expect(
            answer.raised is None,
            f"{name_of(box)}: one process does not stand still (it waits for a dead network disk), so freeze "
            f"raises TimeoutError: kill() ends with it, and nobody has got the signal. Can such a process fork?\n"
            f"    {answer.raised}",
        )
        alive = sum(not ended(process) for process in processes)
        expect(
            not alive,
            f"{name_of(box)}: one process does not stand still (it waits for a dead network disk), so freeze "
            f"raises TimeoutError, and {alive} of 2 processes are still alive 2 s after SIGTERM. Can such a "
            "process fork?",
        )
        equal([arena.status(process) for process in processes], [-15, -15], "what ended the processes")


def test_2_5_one_that_has_ended_meanwhile_is_passed_over(yours: Yours, arena: Arena, box: Group) -> None:
    for nth in (1, 3):
        faults = tuple(Fault(name, errno.ESRCH, nth) for name in SIGNALS)
        with members(arena, box, "", "", "") as processes, yours.at() as function:
            answer = function.answer((box, signal.SIGTERM), watch=Watch(SIGNALS, faults))
            expect(
                answer.raised is None,
                f"{name_of(box)}: one of three processes has ended after you had looked at the list (ESRCH), and "
                f"kill() raises\n    {answer.raised}\nWhich error is that, and what is left to do for it?",
            )
            count, until = 0, time.monotonic() + 2 * SLOWNESS
            while (count := sum(ended(process, 0) for process in processes)) < 2 and time.monotonic() < until:
                time.sleep(0.001)
        expect(
            count == 2,
            f"{name_of(box)}: one of three processes has ended after you had looked at the list (ESRCH for signal "
            f"{nth}), and of the other two {count} have got their signal. Where does your loop go on?",
        )
        expect(
            not freeze_is_asked_for(box), f"{name_of(box)}: one had ended (ESRCH), and the group is left frozen"
        )


def test_2_5_threads_may_be_in_groups_of_their_own(
    yours: Yours, arena: Arena, both: Hierarchy, new_group: Callable[..., Group]
) -> None:
    """A threaded group lists no processes (EOPNOTSUPP): they are those of the group above it."""
    box = new_group(both.only(2))
    make(box, "/threaded")
    (threaded := Path(str(box.v2), "threaded"), threaded.joinpath("cgroup.type").write_text("threaded"))
    for number in (signal.SIGTERM, signal.SIGKILL):
        with members(arena, box, "") as [process]:
            process.call((), {}, "begins_a_thread")
            [thread] = set(os.listdir(f"/proc/{process.pid}/task")) - {str(process.pid)}
            threaded.joinpath("cgroup.threads").write_text(thread)
            answer = yours.answer((box, number))
            expect(
                answer.raised is None,
                "a group below is threaded: one thread of a process is in it, and its cgroup.procs cannot be read "
                f"(EOPNOTSUPP). kill(group, {number:d}) raises\n    {answer.raised}\nIt should signal the "
                "process, which the group above lists. What does group.pids() do?",
            )
            expect(ended(process), f"a process with a thread in a threaded group is alive 2 s after {number:d}")


def test_2_5_what_the_kernel_refuses_is_raised(yours: Yours, arena: Arena, box: Group) -> None:
    procs = f"{box.v2 or box.directories[0]}/cgroup.procs"
    with members(arena, box, "", "") as processes:

        def run(function: Function, watch: Watch) -> Answer:
            answer = function.answer((box, signal.SIGURG), watch=watch)
            left = freeze_is_asked_for(box)
            sandbox.thaw(box.directories)
            for fault in watch.faults:
                call = [call for call in watch.seen if call.name == fault.name][fault.nth - 1 :]
                if left and call and (fault.name in SIGNALS or call[0].paths[:1] == (procs,)):
                    raise CheckFailed(
                        f"{name_of(box)}: the kernel refused {fault.name} with {errno_name(fault.errno)}, "
                        "and the group, which was running, is left frozen: nothing in it goes on ever after. Who "
                        "thaws it, whatever happens in between?"
                    )
            return answer

        yours.each_refusal(
            run,
            ("open", "openat", "write", *SIGNALS),
            errors=(errno.EPERM, errno.EINVAL),
            about="Whoever stops a container takes its processes for signalled. Which errors may be passed over?",
        )
        equal([ended(process, 0) for process in processes], [False, False], "whether SIGURG has ended a process")
    with members(arena, box, ""), yours.at() as function:
        watch = Watch(("open", "openat", "write"), (Fault("write", errno.EPERM, 1),))
        yours.refused(function.answer((box,), watch=watch), OSError, "The first write was refused.", errno.EPERM)


def test_2_5_the_engine_ends_containers_with_it(pyctr: Callable[..., Any], arena: Arena) -> None:
    pyctr("run", "-d", "--name", "ended", "--pid", "host", "busybox", "sh", "-c", "sleep 100 & exec sleep 100")
    pid = arena.outer(int(pyctr("inspect", "--format", "{{.State.Pid}}", "ended").stdout))
    pyctr("rm", "-f", "ended")
    expect(
        not os.path.exists(f"/proc/{pid}/exe"), "`rm -f` has returned, and the container's process is still there"
    )


# --- 2.6 -------------------------------------------------------------------------------------------------


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def lone(request: pytest.FixtureRequest, both: Hierarchy, new_group: Callable[..., Group]) -> Group:
    """A group in one hierarchy."""
    group = new_group(Hierarchy(few(both).mounts[-1:]) if request.param == 1 else both.only(2))
    make(group)
    return group


class Removal:
    """A call of `remove`: what came of it, and how long it took."""

    def __init__(self, function: Function, group: Group, seconds: float, watch: Watch | None = None) -> None:
        began = time.monotonic()
        args = (group.directories[0], group.hierarchy.mounts[0].version, began + seconds * SLOWNESS)
        self.answer = function.answer(args, watch=watch, seconds=3)
        self.took = (time.monotonic() - began) / SLOWNESS
        self.raised = self.answer.raised
        self.error = (
            f"with {errno.errorcode.get(self.raised.errno or 0, self.raised.name)}\n    {self.raised}\n"
            if self.raised
            else ""
        )


def gone(group: Group, error: Removal, which: str, question: str) -> None:
    """Fail the check unless the group is removed without an error."""
    expect(error.raised is None, f"{name_of(group)}: removing {which} fails {error.error}{question}")
    left = [place for place, _, _ in os.walk(group.directories[0])]
    expect(
        not left, f"{name_of(group)}: after removing {which} {len(left)} directories are still there. {question}"
    )


def test_2_6_an_empty_group_goes(yours: Yours, lone: Group) -> None:
    question = "Its files are the kernel's, which are not yours to delete. Which call takes the directory alone?"
    gone(lone, Removal(yours, lone, 1), "an empty group", question)


def test_2_6_again_is_fine(yours: Yours, lone: Group) -> None:
    question = "What is left to do for a group that is not there?"
    for _ in range(2):
        gone(
            lone, Removal(yours, lone, 1), "a group that is there the first time, and then not any more", question
        )
    make(lone)
    question = "It is there again: what is kept from one call to the next?"
    gone(lone, Removal(yours, lone, 1), "a group that was made anew under the same name", question)


def test_2_6_groups_below_go_first_and_the_one_above_stays(yours: Yours, lone: Group) -> None:
    group = Group(f"{lone.path}/{ODD}", lone.hierarchy)
    for below in ("/a/b/c", "/c", f"/{ODD}/{ODD}", "/..d/z", "/a/a-longer-name"):
        make(group, below)
    question = "Which of them can go first?"
    gone(group, Removal(yours, group, 1), f"a group {ODD!r} with groups below it, up to a/b/c", question)
    expect(
        os.path.isdir(lone.directories[0]),
        f"{name_of(lone)}: the group above the one that was to be removed is gone, too: whose is it?",
    )


def test_2_6_one_that_is_removed_by_another_meanwhile_is_fine(yours: Yours, lone: Group) -> None:
    for which in ("a group of several", "the whole group"):
        make(lone, "/a/b")
        make(lone, "/c")
        watch = Watch(("rmdir", "unlinkat"))

        def remove(call: Call, top: str = f"{lone.directories[0]}{'/a/b' if which[0] == 'a' else ''}") -> None:
            if top.startswith(call.paths[0]) or not top.endswith("/a/b"):
                for place, _, _ in os.walk(top, topdown=False):
                    os.rmdir(place)

        watch.before = remove
        with yours.at() as function:
            found = Removal(function, lone, 1, watch)
        gone(
            lone,
            found,
            f"a group with a/b and c below it, while another process removes {which},",
            "Another process was faster (ENOENT). For which group is the work done then?",
        )


def test_2_6_it_waits_for_a_process_that_is_ending(yours: Yours, arena: Arena, lone: Group) -> None:
    make(lone, "/a")
    with members(arena, lone, "/a") as [process], yours.at() as function:
        process.begin((0.15 * SLOWNESS,), {}, "ends_after")
        before = busy(function.process)
        found = Removal(function, lone, 2.5)
        ran, waited = (after - was for after, was in zip(busy(function.process), before, strict=True))
    gone(
        lone,
        found,
        f"a group whose process was about to end, with 2.5 s to wait, after {found.took:.2f} s,",
        "It would have been gone a moment later. How do you wait for it, and what is `deadline` a time of?",
    )
    rest = found.took * SLOWNESS - ran - waited
    expect(
        ran < rest,
        f"{name_of(lone)}: waiting {found.took:.2f} s for a process's end took {ran:.2f} s of CPU time, as "
        "if it tried again without a rest. What lets it rest between two tries?",
    )
    expect(
        found.took < 1.5, f"{name_of(lone)}: the process ended after 0.15 s, and remove took {found.took:.2f} s"
    )


def busy(process: Process) -> tuple[float, float]:
    """Seconds that a process ran, and that it waited for a CPU (proc(5), schedstat)."""
    ran, waited = Path(f"/proc/{process.pid}/schedstat").read_text().split()[:2]
    return int(ran) / 1e9, int(waited) / 1e9


def test_2_6_when_the_time_is_up_it_says_so(yours: Yours, arena: Arena, lone: Group) -> None:
    make(lone, "/a/b")
    late = []
    for seconds, below in itertools.product((0.15, 0, -1), ("", "/a/b")):
        stays = f"{name_of(lone)}: the group has a process that stays, and the deadline is {seconds} s away"
        with members(arena, lone, below) as [process]:
            try:
                found = Removal(yours, lone, seconds)
            except CheckFailed as failure:
                raise CheckFailed(f"{stays}: {failure}") from None
            expect(
                not ended(process, 0), f"{stays}. remove() has ended it; it should only wait. Whose task is that?"
            )
            make(lone, "/a/b")
        expect(
            found.raised is not None,
            f"{stays}. remove() should raise OSError with EBUSY; it came back without, and nobody was told that "
            "the group is still there. What does the last try say?",
        )
        assert found.raised is not None
        expect(
            found.raised.errno != errno.ETIMEDOUT,
            f"{stays}. remove() raises TimeoutError (ETIMEDOUT): that is what wait_for_event says of its own "
            "waiting; whoever removes a group is to hear why it is still there: EBUSY. Who catches the one and "
            "raises the other?",
        )
        error = yours.refused(found.answer, OSError, f"{stays}. Why is the group still there?", errno.EBUSY)
        expect(
            lone.directories[0] in error.text and not error.text.startswith("[Errno 16] :"),
            f"{stays}. remove() raises\n    {error}\nIt should name the reason and the group's path. What does "
            "the engine's user need to know?",
        )
        expect(
            max(0, seconds) <= found.took < max(0, seconds) + 1,
            f"{stays}, and remove() gives up after {found.took:.2f} s. What is `deadline` a time of?",
        )
        if seconds > 0:
            late.append(found.took - seconds)
    expect(
        min(late) < 0.5,
        f"{stays.partition(':')[0]}: with a process that stays, and a deadline 0.15 s away, remove() gives up "
        f"{min(late):.2f} s after it. How long may a rest between two tries be?",
    )


def test_2_6_all_groups_have_one_deadline(yours: Yours, arena: Arena, lone: Group) -> None:
    make(lone, "/a")
    with members(arena, lone, "/a", "") as [process, _], yours.at() as function:
        process.begin((0.6 * SLOWNESS,), {}, "ends_after")
        found = Removal(function, lone, 0.8)
    yours.refused(found.answer, OSError, "The group has a process that stays.", errno.EBUSY)
    expect(
        found.took < 1.2,
        f"{name_of(lone)}: the deadline was 0.8 s away, the process of a group below ended after 0.6 s, and that "
        f"of the group itself stays: remove() gives up after {found.took:.2f} s. Whose time is it?",
    )


def test_2_6_in_version_2_the_kernel_says_when(
    yours: Yours, arena: Arena, both: Hierarchy, new_group: Callable[..., Group]
) -> None:
    group = new_group(both.only(2))
    make(group)
    watch = Watch(("rmdir", "unlinkat"))
    with members(arena, group, "") as [process], yours.at() as function:
        process.begin((0.15 * SLOWNESS,), {}, "ends_after")
        found = Removal(function, group, 2.5, watch)
    gone(group, found, "a group whose process ends after 0.15 s", "How do you wait for it?")
    expect(
        len(watch.seen) < 10,
        f"the group had a process for 0.15 s, and meanwhile rmdir was tried {len(watch.seen)} times. Version 2 "
        "reports when the last process has gone: who waits for that?",
    )


def test_2_6_after_the_deadline_an_empty_group_goes(yours: Yours, lone: Group) -> None:
    make(lone, "/a")
    question = "How often is it tried at least?"
    gone(
        lone,
        Removal(yours, lone, -1),
        "an empty group with a group below it, whose deadline has passed,",
        question,
    )


def test_2_6_what_the_kernel_refuses_is_raised_at_once(yours: Yours, lone: Group) -> None:
    def run(function: Function, watch: Watch) -> Answer:
        make(lone, "/a")
        found = Removal(function, lone, 1.2, watch)
        expect(
            found.took < 1,
            f"{name_of(lone)}: {watch.faults} is not an error that passes when one waits, and remove() waited "
            f"{found.took:.1f} s. Which errors mean that there is something to wait for?",
        )
        return found.answer

    yours.each_refusal(
        run,
        ("rmdir", "unlinkat"),
        errors=(errno.EPERM, errno.EIO, errno.EACCES, errno.EAGAIN),
        about="Waiting does not help. Which errors mean that there is something to wait for?",
    )


def test_2_6_busy_for_a_moment(yours: Yours, lone: Group) -> None:
    """The last process goes between rmdir and the wait for it; or the whole group does, for who is waiting."""
    about = {
        0: "EBUSY means that there are processes, perhaps just ending. What comes after waiting?",
        errno.ENOENT: "Waiting for its event said FileNotFoundError, as of a group that has gone. Is it an error?",
        errno.EMFILE: "Waiting for its event failed with EMFILE (no descriptor is free): who is to hear of it?",
    }
    for number in about if lone.v2 else (0,):
        make(lone, "/a")
        faults = [Fault(name, errno.EBUSY, nth) for name in ("rmdir", "unlinkat") for nth in (1, 2)]
        faults += [Fault("openat", number, 0, "cgroup.events")] if number else []
        with yours.at() as function:
            found = Removal(function, lone, 1, Watch(("rmdir", "unlinkat", "openat"), tuple(faults)))
        if number == errno.EMFILE:
            yours.refused(found.answer, OSError, about[number], number)
        else:
            gone(lone, found, "a group that was busy for the first two tries", about[number])


def test_2_6_the_engine_leaves_nothing(pyctr: Callable[..., Any]) -> None:
    id = pyctr("run", "-d", "--name", "gone", "busybox", "sleep", "100").stdout.strip()
    pyctr("rm", "-f", "gone")
    left = [place for mount in hierarchy.detect().mounts for place in Path(mount.mountpoint).glob(f"*/{id}")]
    expect(not left, f"after `rm -f` {len(left)} directories of the container's group are still there")
