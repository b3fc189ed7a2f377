"""The checks of lab 1. Namespaces are made by raw system calls here; the engine's own runs come last."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import json
import os
import random
import socket
import struct
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labs.kit.checks.arena import Arena, Fd, Process
from labs.kit.checks.expect import CheckFailed, equal, expect
from labs.kit.checks.plugin import TOKEN
from labs.kit.checks.syscalls import FILES, WRITES, Fault, Watch
from labs.lab1_namespaces.scenes import PLAIN, namespaces
from pyctr_lite import linux
from pyctr_lite.namespaces import idmap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labs.kit.checks.yours import Function, Yours


def own(process: Process) -> dict[str, int]:
    """A process's namespaces, but for those of its later children."""
    return {name: inode for name, inode in process.namespaces().items() if not name.endswith("_for_children")}


@contextlib.contextmanager
def holder(arena: Arena, flags: int) -> Iterator[Process]:
    """A process that waits in new namespaces of root's."""
    with arena.process(flags, load="nothing") as process:
        yield process


@contextlib.contextmanager
def plain_holder(arena: Arena, flags: int) -> Iterator[tuple[int, int]]:
    """A process that waits in new namespaces of a plain user's: the arena's number of it, and the judge's."""
    with arena.process(load="nothing") as process:
        inner = process.call((flags,), {}, "hold_as_plain_user").value
        yield inner, arena.outer(inner)


# --- 1.1 -------------------------------------------------------------------------------------------------

BITS = {
    "user": linux.CLONE_NEWUSER,
    "cgroup": linux.CLONE_NEWCGROUP,
    "ipc": linux.CLONE_NEWIPC,
    "uts": linux.CLONE_NEWUTS,
    "net": linux.CLONE_NEWNET,
    "network": linux.CLONE_NEWNET,
    "pid": linux.CLONE_NEWPID,
    "time": linux.CLONE_NEWTIME,
    "mnt": linux.CLONE_NEWNS,
    "mount": linux.CLONE_NEWNS,
}


def test_1_1_each_kind_is_one_bit(yours: Yours) -> None:
    for name, flag in BITS.items():
        equal(yours([name]), flag, f"flags([{name!r}])")
    equal(yours([]), 0, "flags([]): no kind, no bit")


def test_1_1_several_kinds_are_one_word(yours: Yours) -> None:
    names = ["pid", "network", "mount"]
    equal(
        linux.decode_flags(("CLONE_NEW",), as_number(yours(names))),
        linux.decode_flags(("CLONE_NEW",), linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWNS),
        f"flags({names}): every kind that is asked for has its bit in the word",
    )
    for names in (["net", "network"], ["uts", "uts"], ["mnt", "pid", "mount", "pid"]):
        equal(
            hex(as_number(yours(names))),
            hex(union(names)),
            f"flags({names}): two names of one kind. Which operator sets a bit that may be set already?",
        )


def test_1_1_any_names_in_any_order(yours: Yours) -> None:
    drawn = random.Random(11)
    lists = [list(pair) for pair in itertools.permutations(BITS, 2)]
    lists += [drawn.choices(list(BITS), k=drawn.randint(3, 12)) for _ in range(40)]
    for names in lists:
        equal(hex(as_number(yours(names))), hex(union(names)), f"flags({names}), as a hexadecimal word")


def union(names: list[str]) -> int:
    word = 0
    for name in names:
        word |= BITS[name]
    return word


def as_number(found: Any) -> int:
    expect(type(found) is int, f"flags returns {found!r}: the kernel takes an int. What is yours?")
    return int(found)


NEARLY = (
    " pid",
    "net ",
    "uts\n",
    "pids",
    "netns",
    "networks",
    "ne",
    "pid,net",
    "CLONE_NEWPID",
    "pid_for_children",
)
"""Names that are almost those of a kind."""


def test_1_1_an_unknown_kind_is_an_error(yours: Yours) -> None:
    about = "Who finds out that a wall they asked for is missing?"
    for names in (["pid", "moon"], ["moon"], ["moon", "pid"], ["PID"], [""], *([name] for name in NEARLY)):
        yours.raises(KeyError, names, about=about)


def test_1_1_a_container_has_the_namespaces_that_were_asked_for(pyctr: Any, arena: Arena) -> None:
    pyctr("run", "-d", "--name", "web", "busybox", "sleep", "1000")
    inside, here = namespaces(arena.outer(pid_of_container(pyctr))), namespaces()
    new = {name for name in here if here[name] != inside[name]}
    equal(sorted(new - {"cgroup"}), ["ipc", "mnt", "net", "pid", "uts"], "the new namespaces of a container")


def pid_of_container(pyctr: Any) -> int:
    return int(pyctr("inspect", "--format", "{{.State.Pid}}", "web").stdout)


# --- 1.2 -------------------------------------------------------------------------------------------------


def test_1_2_a_process_is_in_one_namespace_of_each_kind(yours: Yours) -> None:
    found, wanted = yours(), own(yours.process)
    expect(isinstance(found, dict), f"identify returns {found!r}: the caller looks up kinds in a dict")
    equal(sorted(found), sorted(wanted), "the kinds, by their names in /proc/<pid>/ns")
    expect(
        set(found.values()) & set(wanted.values()),
        "these are the inode numbers of the links in /proc/self/ns themselves, which every process has for "
        "itself: two processes in one namespace would seem apart. What does a link lead to?",
    )
    equal(found, wanted, "the inode number of each namespace")


def test_1_2_another_process_is_in_its_own(yours: Yours, arena: Arena) -> None:
    with holder(arena, linux.CLONE_NEWUTS | linux.CLONE_NEWNET | linux.CLONE_NEWPID) as other:
        found = yours(other.inner)
        expect(
            found != own(yours.process),
            f"process {other.inner} has uts, net and pid namespaces of its own, and yet identify({other.inner}) "
            "gives those of the caller. Whose directory in /proc do you look into?",
        )
        equal(found, own(other), f"the namespaces of process {other.inner}")
        equal(yours(str(other.inner)), own(other), f"the same, asked for by the text {str(other.inner)!r}")


def test_1_2_the_namespaces_of_later_children_are_not_those_of_the_process(yours: Yours, arena: Arena) -> None:
    with arena.process(linux.CLONE_NEWUTS, load="nothing") as other:
        equal(sorted(yours(other.inner)), sorted(own(other)), "pid_for_children is not a namespace that it is in")
        other.call((), {}, "later_children_apart")
        equal(yours(other.inner), own(other), "the namespaces of a process whose later children get others")


def test_1_2_a_process_may_move(yours: Yours, arena: Arena) -> None:
    with arena.process(load="nothing") as other:
        equal(yours(other.inner), own(other), "the namespaces of a process")
        other.call((), {}, "moves")
        equal(
            yours(other.inner),
            own(other),
            "the namespaces of the same process, which has left its uts namespace for a new one since your last "
            "call: what is kept from one call to the next?",
        )


def test_1_2_no_such_process_is_an_error(yours: Yours) -> None:
    about = "exec would join nothing and run on the host: which one missing entry is no error?"
    for pid in (4194305, "4194305", 0, "0", -1):  # the first is larger than any pid: PID_MAX_LIMIT of proc(5)
        yours.raises(FileNotFoundError, pid, about=f"There is no process {pid}: {about}")


def test_1_2_a_process_that_has_ended_is_in_none(yours: Yours) -> None:
    answer = yours.answer(scene="of_a_zombie")
    about = "The process has ended, and was not waited for: /proc/<pid> is there, its namespaces are not."
    yours.refused(answer, FileNotFoundError, about)


def test_1_2_only_the_entry_of_time_may_be_missing(yours: Yours, arena: Arena, tmp_path: Path) -> None:
    with arena.process(load="nothing") as other, yours.at(linux.CLONE_NEWNS) as function:
        function.process.look(partial(hide, other.inner, "uts", str(tmp_path / "ns")), linux.CLONE_NEWNS)
        about = (
            f"/proc/{other.inner}/ns has no entry `uts`, as if the process were gone: which entry may be missing?"
        )
        function.raises(FileNotFoundError, other.inner, about=about)


def test_1_2_a_kernel_without_time_namespaces_has_one_entry_less(yours: Yours, tmp_path: Path) -> None:
    with yours.at(linux.CLONE_NEWNS) as function:
        wanted = {name: inode for name, inode in own(function.process).items() if name != "time"}
        function.process.look(
            partial(hide, function.process.inner, "time", str(tmp_path / "ns")), linux.CLONE_NEWNS
        )
        for pid in ("self", function.process.inner):
            answer = function.answer((pid,))
            expect(
                answer.raised is None,
                f"in /proc/{pid}/ns there is no entry `time` (a kernel built without time namespaces), and it "
                f"fails: the other seven are there. What is left out?\n    {answer.raised}",
            )
            equal(answer.value, wanted, "a kernel without time namespaces: the other seven")


def hide(pid: int, missing: str, directory: str) -> None:
    """Mount a directory over /proc/<pid>/ns that has links to all its namespaces but one."""
    os.mkdir(directory)
    for name, inode in namespaces(pid).items():
        if name != missing:
            os.symlink(f"/proc/{pid}/task/{pid}/ns/{name}", f"{directory}/{name}:[{inode}]")
            os.symlink(f"{name}:[{inode}]", f"{directory}/{name}")
    linux.mount(directory, f"/proc/{pid}/ns", None, linux.MS_BIND)


def test_1_2_what_the_kernel_refuses_is_raised(yours: Yours) -> None:
    yours.each_refusal(
        lambda function, watch: function.answer(watch=watch),
        ("stat", "newfstatat", "statx", "readlink", "readlinkat"),
        errors=(errno.EACCES,),
        spared=("/time", "/ns"),
        about="An answer without a namespace is a wall that exec does not know of.",
    )


def test_1_2_exec_finds_the_namespaces_to_join(pyctr: Any) -> None:
    pyctr("run", "-d", "--name", "web", "-h", "inside", "busybox", "sleep", "1000")
    equal(pyctr("exec", "web", "hostname").stdout, "inside\n", "`exec web hostname`: the name in the container")


# --- 1.3 -------------------------------------------------------------------------------------------------


def spawned(function: Function, flags: int, child: str, *more: Any) -> dict[str, Any]:
    """`spawn` in a process of its own: what came of it. No second process may come out of it."""
    function.allow(children=True)
    found: dict[str, Any] = function.scene("spawned", flags, child, *more)
    expect(
        found["status"] is not None,
        "when spawn returns, its child has ended and been waited for. In the engine the child waits for its "
        "parent to give it limits and id maps: who would move first?",
    )
    expect(
        found["status"] != 98,
        "child() returned, and so the child came back from spawn: now two processes go on with the same program, "
        "and both believe to be the parent. What ends the child, whatever child() does?",
    )
    expect(
        found["status"] != 97,
        "in the child an exception left spawn: it goes up through code that belongs to the parent, which runs it "
        "twice. sys.exit, too, is only an exception. What ends a process at once?",
    )
    return found


def test_1_3_the_child_is_in_new_namespaces_and_the_caller_stays(yours: Yours) -> None:
    with yours.at() as function:
        function.allow(moves=("namespaces",))
        before = function.process.namespaces()
        found = spawned(function, linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWPID, "says")
        moved = [name for name, inode in function.process.namespaces().items() if before[name] != inode]
    expect(
        not moved,
        f"the caller itself is now in a new namespace ({', '.join(moved)}): the engine would have left the host. "
        "Which call makes the namespaces for the child alone?",
    )
    equal(found["status"], 0, "the exit status of a child whose child() ends with os._exit(0)")
    said = json.loads(found["said"] or "{}")
    expect(said, "the child never came to run child()")
    expect(
        said["pid"] == 1,
        f"in its new pid namespace the child should be 1, and it is {said['pid']}: unshare(CLONE_NEWPID) moves "
        "only children that come later. Which process is the first to be born there?",
    )
    new = sorted(name for name, inode in said["namespaces"].items() if before[name] != inode)
    equal(new, ["ipc", "pid", "uts"], "the child's new namespaces, of uts, ipc and pid asked for")


def test_1_3_only_what_is_asked_for_is_new(yours: Yours) -> None:
    with yours.at() as function:
        before = own(function.process)
        said = json.loads(spawned(function, 0, "says")["said"] or "{}")
    new = sorted(name for name, inode in said.get("namespaces", {}).items() if before[name] != inode)
    equal(new, [], "the child's new namespaces, where `flags` is 0. Who asked for them?")


def test_1_3_the_child_never_comes_back(yours: Yours) -> None:
    for child in ("returns", "raises", "leaves", "leaves with status 3", "is interrupted"):
        with yours.at() as function:
            status = spawned(function, linux.CLONE_NEWUTS, child)["status"]
        expect(
            status != 0,
            f"child() {child}, so nothing was executed, and yet the child ends with status 0: how would the "
            "parent know that it failed?",
        )
        equal(status, 70, f"the exit status of a child whose child() {child}: the docstring names it")


def test_1_3_the_parent_goes_on_at_once(yours: Yours) -> None:
    with yours.at() as function:
        status = spawned(function, linux.CLONE_NEWUTS, "waits")["status"]
    expect(
        status == 0,
        "a child that waits for a word of its parent has waited in vain: the parent was still in spawn. In the "
        "engine the child waits for its parent to give it limits and id maps: who would move first?",
    )


def test_1_3_the_pidfd_is_the_child_s(yours: Yours) -> None:
    with yours.at() as function:
        found = spawned(function, linux.CLONE_NEWPID, "says")
    equal(found["type"], "tuple", "the type of what spawn returns: the caller counts on (pid, pidfd)")
    lines = dict(line.split(":\t", 1) for line in found["fdinfo"].splitlines() if ":\t" in line)
    expect("Pid" in lines, "the second value is a descriptor, but not a pidfd: its fdinfo has no line `Pid:`")
    equal(
        int(lines["Pid"]),
        found["pid"],
        "the process that the second value, the pidfd, stands for (`Pid:` of its /proc/self/fdinfo)",
    )


def test_1_3_the_child_is_born_in_the_cgroup(yours: Yours, group: Any) -> None:
    if group.v2 is None:
        return  # a machine with version 1 alone: the engine has no such descriptor there
    os.mkdir(group.v2)
    fd = os.open(group.v2, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for options in ({}, {"close_stdin": True}):
            with yours.at(**options) as function:
                said = json.loads(spawned(function, 0, "says", Fd(fd))["said"] or "{}")
            lines = said.get("groups", "").splitlines()
            path = next((line[3:] for line in lines if line.startswith("0::")), "")
            which = (
                "cgroup_fd is descriptor 0, which a caller with a closed stdin gets"
                if options
                else "with a cgroup_fd"
            )
            expect(
                path.endswith(group.path),
                f"{which}, that of {group.path}, the child's line in /proc/self/cgroup is 0::{path}: it would run "
                "without its limits. Which value of the third argument means that there is none?",
            )
    finally:
        os.close(fd)


def test_1_3_what_the_kernel_refuses_is_raised(yours: Yours) -> None:
    flags = linux.CLONE_NEWUTS | linux.CLONE_NEWTIME

    def run(function: Function, watch: Watch) -> Any:
        function.allow(children=True)
        return function.answer((flags, "says"), {}, scene="spawned", watch=watch)

    names, errors = ("clone", "clone3", "fork", "unshare"), (errno.EPERM, errno.ENOSPC, errno.EINVAL)
    about = "There is no child then, and one with fewer walls was not asked for."
    yours.each_refusal(run, names, errors=errors, about=about)


def test_1_3_a_group_that_refuses_the_child_is_an_error(yours: Yours, group: Any) -> None:
    if group.v2 is None:
        return
    os.mkdir(group.v2)
    fd = os.open(group.v2, os.O_RDONLY | os.O_DIRECTORY)
    os.rmdir(group.v2)
    try:
        with yours.at() as function:
            function.allow(children=True)
            answer = function.answer((0, "says", Fd(fd)), {}, scene="spawned")
    finally:
        os.close(fd)
    about = "The group of cgroup_fd is gone: a child that is born elsewhere would run without its limits."
    yours.refused(answer, OSError, about)


def test_1_3_a_container_s_first_process_is_1(pyctr: Any) -> None:
    equal(pyctr("run", "--rm", "busybox", "sh", "-c", "echo $$").stdout, "1\n", "`echo $$` in a container")


# --- 1.4 -------------------------------------------------------------------------------------------------

MANY = [(0, 100000, 1000), (1000, 1000, 1), (1001, 101001, 64535)]
"""Root and most others are ordinary users outside; 1000 is 1000."""
ONE = [(0, 100000, 1)]


def maps(entries: list[tuple[int, int, int]]) -> list[idmap.IdMap]:
    return [idmap.IdMap(*entry) for entry in entries]


def shown(pid: int, file: str) -> list[tuple[int, ...]]:
    return [tuple(map(int, line.split())) for line in Path(f"/proc/{pid}/{file}").read_text().splitlines()]


def setgroups(pid: int) -> str:
    return Path(f"/proc/{pid}/setgroups").read_text().strip()


def written(function: Function, *args: Any, about: str, scene: str = "", **kwargs: Any) -> None:
    """`write_maps`; what the kernel refuses is reported with `about`."""
    answer = function.answer(args, kwargs, scene=scene)
    expect(answer.raised is None, f"{about}\n    {answer.raised}")


def test_1_4_both_maps_are_written(yours: Yours, arena: Arena) -> None:
    with holder(arena, linux.CLONE_NEWUSER) as other:
        about = "as root, an empty new namespace, and maps of one line: the kernel refuses"
        written(yours, other.inner, maps([(0, 100000, 65536)]), maps([(0, 200000, 10)]), about=about)
        equal(shown(other.pid, "uid_map"), [(0, 100000, 65536)], f"/proc/{other.inner}/uid_map")
        equal(shown(other.pid, "gid_map"), [(0, 200000, 10)], f"/proc/{other.inner}/gid_map")


def test_1_4_all_lines_go_in_one_write(yours: Yours, arena: Arena) -> None:
    with holder(arena, linux.CLONE_NEWUSER) as other:
        about = (
            "a map of three lines: the kernel refuses. A map can be written once, by one write(2). How many "
            "writes do you make?"
        )
        written(yours, other.inner, maps(MANY), maps(MANY[::-1]), about=about)
        equal(sorted(shown(other.pid, "uid_map")), MANY, f"/proc/{other.inner}/uid_map, of three lines")
        equal(sorted(shown(other.pid, "gid_map")), MANY, f"/proc/{other.inner}/gid_map, of three lines")


def test_1_4_a_map_may_have_many_lines(yours: Yours, arena: Arena) -> None:
    many = [(2 * number, 100000 + number, 1) for number in range(150)]
    with holder(arena, linux.CLONE_NEWUSER) as other:
        about = "maps of 150 lines, and the kernel takes 340: it refuses"
        written(yours, other.inner, maps(many), maps(many), about=about)
        for file in ("uid_map", "gid_map"):
            found = shown(other.pid, file)
            expect(
                found == many,
                f"/proc/{other.inner}/{file} has {len(found)} lines, and 150 were given. Which of them are left "
                "out?",
            )


def test_1_4_with_privilege_groups_can_still_be_changed(yours: Yours, arena: Arena) -> None:
    with holder(arena, linux.CLONE_NEWUSER) as other:
        watch = Watch(("open", "openat", "openat2"))
        answer = yours.answer((other.inner, maps(ONE), maps(ONE)), watch=watch)
        expect(answer.raised is None, f"as root the kernel refuses\n    {answer.raised}")
        equal(
            setgroups(other.pid),
            "allow",
            f"/proc/{other.inner}/setgroups after maps written with privilege: once denied it stays denied, and "
            "`run -u` inside could not set a user's groups. When is a denial needed?",
        )
    flags = [call.args[2] for call in watch.seen if any("setgroups" in path for path in call.paths)]
    expect(
        not any(flag & os.O_ACCMODE for flag in flags),
        "with privilege you write to setgroups all the same. If an outer user namespace has denied setgroups, the "
        'kernel answers EPERM to "allow": what is there to write?',
    )


def test_1_4_ids_are_numbers_of_32_bits(yours: Yours, arena: Arena) -> None:
    many = [(0, 3_000_000_000, 1), (1, 100_000, 2_000_000), (3_000_000_000, 0, 1)]
    with holder(arena, linux.CLONE_NEWUSER) as other:
        written(yours, other.inner, maps(many), maps(many), about="ids of 32 bits: the kernel refuses")
        for file in ("uid_map", "gid_map"):
            equal(
                shown(other.pid, file), many, f"/proc/{other.inner}/{file}: which numbers are too large for you?"
            )


def test_1_4_a_plain_user_denies_setgroups_first(yours: Yours, arena: Arena) -> None:
    about = (
        f"user {PLAIN} writes the maps of its own namespace, privileged=False: the kernel refuses. What does it "
        "want to be sure of before a plain user may write gid_map?"
    )
    one = [(0, PLAIN, 1)]
    with plain_holder(arena, linux.CLONE_NEWUSER) as (inner, pid), yours.at() as function:
        function.allow(moves=("ids",))
        written(function, inner, maps(one), maps(one), privileged=False, about=about, scene="as_plain_user")
        equal(shown(pid, "uid_map"), one, f"/proc/{inner}/uid_map")
        equal(shown(pid, "gid_map"), one, f"/proc/{inner}/gid_map")
        equal(setgroups(pid), "deny", f"/proc/{inner}/setgroups")


def test_1_4_what_the_kernel_refuses_is_raised(yours: Yours, arena: Arena) -> None:
    with holder(arena, linux.CLONE_NEWUSER) as other:
        args = other.inner, maps(ONE), maps(ONE)
        written(yours, *args, about="as root the kernel refuses")
        answer = yours.answer(args)
        expect(
            answer.raised is not None,
            "the maps were written a second time, which the kernel refuses with EPERM, and no error came out. "
            "open(…, 'w').write(…) only fills a buffer: where does the kernel's answer go?",
        )
        yours.refused(answer, PermissionError, "The maps were written a second time.")
    yours.raises(FileNotFoundError, 4194305, maps(ONE), maps(ONE), about="There is no process 4194305.")

    def run(function: Function, watch: Watch) -> Any:
        with holder(arena, linux.CLONE_NEWUSER) as other:
            return function.answer((other.inner, maps(ONE), maps(ONE)), {"privileged": False}, watch=watch)

    yours.each_refusal(run, (*FILES, *WRITES), errors=(errno.EPERM, errno.ENOENT))


def test_1_4_the_caller_says_what_is_privileged(yours: Yours, arena: Arena) -> None:
    with holder(arena, linux.CLONE_NEWUSER) as other:
        about = "as root, privileged=False: the kernel refuses"
        written(yours, other.inner, maps(ONE), maps(ONE), privileged=False, about=about)
        equal(
            setgroups(other.pid),
            "deny",
            f"/proc/{other.inner}/setgroups. The caller is root, and says privileged=False, as one without "
            "CAP_SETGID is: who knows that, you by its user id, or the caller?",
        )
    with plain_holder(arena, linux.CLONE_NEWUSER) as (inner, pid), yours.at() as function:
        function.allow(moves=("ids",))
        args = inner, maps([(0, PLAIN, 1)]), maps([(0, PLAIN, 1)])
        answer = function.answer(args, scene="as_plain_user")
        about = (
            "A plain user's caller said privileged=True, and the kernel refuses gid_map: that is for the caller."
        )
        function.refused(answer, PermissionError, about)
        equal(setgroups(pid), "allow", f"/proc/{inner}/setgroups, of a caller that did not ask for a denial")


def test_1_4_a_bundle_with_a_user_namespace_runs(yours: Yours, tmp_path: Path) -> None:
    with yours.at(linux.CLONE_NEWNS, load="swapped") as function:
        function.allow(moves=("signals",), children=True)
        found = function.scene("run_bundle", str(tmp_path), TOKEN)
    equal(
        found,
        ["uid 0, 0 100000 65536", "made by 100000:100000"],
        "a bundle with a user namespace: who its root is inside, and outside",
    )


# --- 1.5 -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(pid: int, *names: str) -> Iterator[dict[str, Fd]]:
    """Descriptors of a process's namespaces, by the names that are asked for."""
    files = {"network": "net", "mount": "mnt"}
    targets = {name: os.open(f"/proc/{pid}/ns/{files.get(name, name)}", os.O_RDONLY) for name in names}
    try:
        yield {name: Fd(fd) for name, fd in targets.items()}
    finally:
        for fd in targets.values():
            os.close(fd)


def joined(yours: Yours, targets: dict[str, Fd], about: str, scene: str = "", **options: Any) -> dict[str, int]:
    """Where the caller is after `join`; what the kernel refuses is reported with `about`."""
    with yours.at(**options) as function:
        function.allow(moves=("namespaces", "ids", "root", "cwd"))
        answer = function.answer((targets,), scene=scene)
        expect(answer.raised is None, f"{about}\n    {answer.raised}")
        return function.process.namespaces()


def test_1_5_the_caller_is_where_the_other_process_is(yours: Yours, arena: Arena) -> None:
    flags = linux.CLONE_NEWUTS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWNS | linux.CLONE_NEWPID
    here = own(yours.process)
    with holder(arena, flags) as other, opened(other.pid, "uts", "network", "ipc", "mount", "pid") as targets:
        for names in (list(targets), list(targets)[::-1]):
            found = joined(yours, {name: targets[name] for name in names}, "root joins five kinds: refused")
            wanted = own(other)
            for name in ("uts", "net", "ipc", "mnt"):
                expect(
                    found[name] == wanted[name],
                    f"after join the caller's {name} namespace is not the one asked for",
                )
            equal(found["pid_for_children"], wanted["pid"], "the pid namespace of the caller's later children")
            equal(found["pid"], here["pid"], "the caller's own pid namespace, which no call changes")
    equal(joined(yours, {}, "nothing to join: refused")["uts"], here["uts"], "no targets: the caller stays")


def test_1_5_every_kind_can_be_joined(yours: Yours, arena: Arena) -> None:
    names = sorted(set(BITS) - {"user", "network", "mount"})
    with holder(arena, union(names)) as other:
        wanted = own(other)
        for name in names:
            with opened(other.pid, name) as targets:
                found = joined(yours, targets, f"root joins the {name} namespace of another process: refused")
            member = f"{name}_for_children" if name in ("pid", "time") else name
            expect(
                found[member] == wanted[name],
                f"{{{name!r}: descriptor}} was given, and after join the caller, or its later children, are not "
                "in that namespace. Which kinds do you go through?",
            )


def test_1_5_a_network_that_the_host_owns_comes_before_the_user_namespace(yours: Yours, arena: Arena) -> None:
    about = (
        "the network namespace belongs to the host, the user namespace is another. Joining both is refused. "
        "What may a process still do to the host's things, once it is in another user namespace?"
    )
    with contextlib.ExitStack() as stack:
        net, user = (
            stack.enter_context(holder(arena, flag)) for flag in (linux.CLONE_NEWNET, linux.CLONE_NEWUSER)
        )
        network, users = stack.enter_context(opened(net.pid, "net")), stack.enter_context(opened(user.pid, "user"))
        for targets in (users | network, network | users):
            found = joined(yours, targets, about)
            expect(
                found["user"] == own(user)["user"],
                "after join the caller is in the network namespace, and not in the user namespace: what it makes "
                "there belongs to the wrong owner. Where did `user` go?",
            )
            equal(found["net"], own(net)["net"], "the caller's network namespace")
        found = joined(yours, users | network, about, close_stdin=True)
        equal(
            found["user"],
            own(user)["user"],
            "the caller's user namespace. The targets' first descriptor is number 0, as stdin was closed: is 0 a "
            "descriptor?",
        )


def test_1_5_privilege_is_not_a_user_id(yours: Yours, arena: Arena) -> None:
    about = (
        f"user {PLAIN} has all capabilities, and joins a network namespace of the host and a user namespace. "
        "It is refused. Who knows which privileges a caller has: its user id, or the kernel?"
    )
    with (
        holder(arena, linux.CLONE_NEWNET) as net,
        holder(arena, linux.CLONE_NEWUSER) as user,
        opened(net.pid, "net") as network,
        opened(user.pid, "user") as users,
    ):
        for targets in (users | network, network | users):
            found = joined(yours, targets, about, "as_capable_user")
            equal([found["net"], found["user"]], [own(net)["net"], own(user)["user"]], "where the caller is then")


def test_1_5_what_a_user_namespace_owns_comes_after_it(yours: Yours, arena: Arena) -> None:
    about = (
        f"user {PLAIN} owns a user namespace, and a uts and a net namespace that belong to it. It may join all "
        "three, and it is refused. Whose privileges does it have before it is in there, and after?"
    )
    flags = linux.CLONE_NEWUSER | linux.CLONE_NEWUTS | linux.CLONE_NEWNET
    with plain_holder(arena, flags) as (_, pid), opened(pid, "user", "net", "uts") as targets:
        found, wanted = joined(yours, targets, about, "as_plain_user"), namespaces(pid)
        about = (
            f"user {PLAIN} joins a user namespace and what belongs to it, and is refused. Stdin was closed, so "
            "the descriptor of the user namespace is number 0: is 0 a descriptor?"
        )
        joined(yours, targets, about, "as_plain_user", close_stdin=True)
    for name in targets:
        expect(found[name] == wanted[name], f"after join the caller's {name} namespace is not the one asked for")


def test_1_5_what_is_refused_is_raised(yours: Yours, arena: Arena) -> None:
    with (
        holder(arena, linux.CLONE_NEWNET) as other,
        opened(other.pid, "net") as targets,
        opened(other.pid, "uts") as uts,
    ):
        with yours.at() as function:
            function.allow(moves=("ids", "namespaces"))
            answer = function.answer((targets,), scene="as_plain_user")
            about = (
                f"User {PLAIN} joins a network namespace of root: exec would go on outside, unnoticed. "
                "Which errors may be kept for later, and when?"
            )
            function.refused(answer, PermissionError, about, errno.EPERM)
        with yours.at() as function:
            function.allow(moves=("namespaces",))
            about = (
                "`net` is asked for, and the descriptor is one of a uts namespace. What is the second argument of "
                "setns for?"
            )
            function.refused(function.answer(({"net": uts["uts"]},)), OSError, about, errno.EINVAL)
            about = about.replace("`net`", "`user`")
            function.refused(function.answer(({"user": uts["uts"]},)), OSError, about, errno.EINVAL)


def test_1_5_an_unknown_kind_is_an_error(yours: Yours, arena: Arena) -> None:
    with holder(arena, linux.CLONE_NEWUTS) as other, opened(other.pid, "uts") as targets:
        about = "Who finds out that a wall they asked for is missing?"
        for name in ("moon", "UTS"):
            yours.raises(KeyError, {name: targets["uts"]}, about=about)
    with holder(arena, linux.CLONE_NEWUSER) as other, opened(other.pid, "user") as users:
        for targets in (users | {"moon": users["user"]}, {"moon": users["user"]} | users):
            with yours.at() as function:
                function.allow(moves=("namespaces",))
                function.raises(KeyError, targets, about=about)


def test_1_5_each_step_may_be_refused(yours: Yours, arena: Arena) -> None:
    """By the kernel, at each setns: only an EPERM before the user namespace may mean "not yet"."""
    with (
        holder(arena, linux.CLONE_NEWNET | linux.CLONE_NEWUSER) as other,
        opened(other.pid, "net", "user") as targets,
    ):
        cases = {
            (errno.EPERM, 1): "",
            (errno.EINVAL, 1): "the first setns, of `net`",
            (errno.EPERM, 2): "the setns of `user`",
            (errno.ENOMEM, 2): "the setns of `user`",
        }
        for (number, nth), which in cases.items():
            answer, wanted = refused_at(yours, targets, [(number, nth)]), own(other)
            if which:
                about = f"The kernel refused {which} with {errno.errorcode[number]}. Which errors mean `not yet`?"
                yours.refused(answer[0], OSError, about, number)
            else:
                expect(
                    answer[0].raised is None,
                    f"an EPERM before the user namespace is final\n    {answer[0].raised}",
                )
                equal(
                    answer[1]["net"],
                    wanted["net"],
                    "the net namespace, refused with EPERM before `user` was joined",
                )
        answer = refused_at(yours, targets, [(errno.EPERM, 1), (errno.EPERM, 3)])
        about = (
            "`net` was refused before the user namespace was joined, and again after it: exec would go on outside."
        )
        yours.refused(answer[0], OSError, about, errno.EPERM)


def refused_at(
    yours: Yours, targets: dict[str, Fd], refusals: list[tuple[int, int]]
) -> tuple[Any, dict[str, int]]:
    watch = Watch(("setns",), tuple(Fault("setns", number, nth) for number, nth in refusals))
    with yours.at() as function:
        function.allow(moves=("namespaces",))
        answer = function.answer((targets,), watch=watch)
        return answer, function.process.namespaces()


def test_1_5_exec_is_inside(pyctr: Any, arena: Arena) -> None:
    pyctr("run", "-d", "--name", "web", "busybox", "sleep", "1000")
    script = "for kind in ipc mnt net pid uts; do readlink /proc/self/ns/$kind; done"
    said = pyctr("exec", "web", "sh", "-c", script).stdout.split()
    inside = namespaces(arena.outer(pid_of_container(pyctr)))
    wanted = [f"{name}:[{inside[name]}]" for name in ("ipc", "mnt", "net", "pid", "uts")]
    equal(said, wanted, "the namespaces of what exec runs, and of the container")


# --- 1.6 -------------------------------------------------------------------------------------------------

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP, IFF_DEBUG = 0x8913, 0x8914, 0x1, 0x4
SIOCBRADDBR = 0x89A0


def interface_flags(new: int | None = None, name: bytes = b"lo") -> int:
    """The flags of an interface; `new` sets them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if new is not None:
            fcntl.ioctl(sock.fileno(), SIOCSIFFLAGS, struct.pack("16sh22x", name, new))
        answer = fcntl.ioctl(sock.fileno(), SIOCGIFFLAGS, struct.pack("16sh22x", name, 0))
    return int(struct.unpack("16sh22x", answer)[1])


def reached() -> str:
    """What comes of a connection to 127.0.0.1."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        try:
            socket.create_connection(("127.0.0.1", listener.getsockname()[1]), 5).close()
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error))
    return "connected"


@contextlib.contextmanager
def network(yours: Yours) -> Iterator[tuple[Function, Any]]:
    """The function in a new network namespace, and a look into it."""
    with yours.at(linux.CLONE_NEWNET) as function:
        yield function, partial(function.process.look, flags=linux.CLONE_NEWNET)


def test_1_6_127_0_0_1_answers(yours: Yours) -> None:
    with network(yours) as (function, look):
        equal(look(reached), "ENETUNREACH", "a connection to 127.0.0.1 before (this is the check's own part)")
        equal(function(), None, "what bring_up_loopback returns")
        after = look(reached)
    expect(
        after == "connected",
        f"after bring_up_loopback a connection to 127.0.0.1 still gives {after}: the flags of `lo` were asked "
        "for. Which call sets them?",
    )


def test_1_6_the_other_flags_stay(yours: Yours) -> None:
    some = {"IFF_DEBUG (0x4)": IFF_DEBUG, "IFF_PROMISC (0x100)": 0x100}
    some["IFF_DYNAMIC (0x8000, which makes a signed 16-bit number negative)"] = -0x8000
    for name, others in some.items():
        with network(yours) as (function, look):
            before = look(
                lambda others=others: (interface_flags(interface_flags() | others), interface_flags())[1]
            )
            function()
            found = look(interface_flags)
        expect(found & IFF_UP, f"the flags of `lo` are {found:#x} afterwards: IFF_UP (0x1) is not among them")
        expect(
            found & before == before,
            f"`lo` had the flag {name}, all in all {before & 0xFFFF:#x}, and now its flags are "
            f"{found & 0xFFFF:#x}: setting replaces all of them. Which flags do you give back, and did the "
            "kernel's answer reach you?",
        )


def make_bridge() -> bool:
    """Make an interface br0, which is down. Returns whether this kernel can."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            fcntl.ioctl(sock.fileno(), SIOCBRADDBR, b"br0\0")
        except OSError:
            return False
    return True


def test_1_6_only_lo_is_brought_up(yours: Yours) -> None:
    with network(yours) as (function, look):
        if not look(make_bridge):
            return  # a kernel without bridges: there is no second interface to make
        function()
        found = look(lambda: interface_flags(name=b"br0"))
    expect(
        not found & IFF_UP,
        "the network namespace also has an interface br0, which was down, and it is up now, without an address. "
        "Which one interface is meant?",
    )


def test_1_6_again_changes_nothing(yours: Yours) -> None:
    with network(yours) as (function, look):
        function()
        first = look(interface_flags)
        for _ in range(2):
            function()
            found = look(interface_flags)
            expect(
                found == first,
                f"`lo` was up, with the flags {first:#x}; called again they are {found:#x}. Which operator sets a "
                "bit that may be set already?",
            )


def test_1_6_each_network_namespace_has_a_lo(yours: Yours) -> None:
    with network(yours) as (function, look):
        function()
        function.allow(moves=("namespaces",))
        function.scene("in_a_new_network")
        found = look(reached)
    expect(
        found == "connected",
        "bring_up_loopback was called in one network namespace, and by the same process in a new one, where a "
        f"connection to 127.0.0.1 gives {found}: what is kept from one call to the next?",
    )


def test_1_6_what_the_kernel_refuses_is_raised(yours: Yours) -> None:
    yours.each_refusal(
        lambda function, watch: function.answer(watch=watch),
        ("socket", "ioctl"),
        errors=(errno.EPERM, errno.EMFILE, errno.ENODEV),
        flags=linux.CLONE_NEWNET,
        about="A container without `lo` would start, and nobody would know why nothing answers.",
    )


def test_1_6_a_container_has_lo_up(pyctr: Any) -> None:
    said = pyctr("run", "--rm", "busybox", "cat", "/sys/class/net/lo/flags").stdout.strip()
    equal(said, "0x9", "the flags of `lo` in a container: IFF_UP (0x1) and IFF_LOOPBACK (0x8)")
