"""The checks of lab 1. Namespaces are made by raw system calls here; the engine's own runs come last."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import shutil
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from labs.kit.checks.arena import Arena
from labs.kit.checks.expect import CheckFailed, equal, expect, in_child, told
from labs.kit.checks.yours import Yours
from pyctr_lite import linux
from pyctr_lite.namespaces import create, idmap, join, kinds, network

SLOWNESS = float(os.environ.get("PYCTR_SLOW", "1"))
PLAIN = 1000
"""A user id without any privilege."""


def namespaces(pid: int | str = "self") -> dict[str, int]:
    """As the kernel has it, read without the function under test."""
    found = {}
    for name in ("user", "cgroup", "ipc", "uts", "net", "pid", "time", "mnt"):
        with contextlib.suppress(FileNotFoundError):
            found[name] = os.stat(f"/proc/{pid}/ns/{name}").st_ino
    return found


def become_plain(*, capable: bool = False) -> None:
    """Be a plain user from here on; `capable`: one that still has all capabilities."""
    every = linux.capget()[1]
    if capable:
        linux.prctl(linux.PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(PLAIN, PLAIN, PLAIN)
    os.setresuid(PLAIN, PLAIN, PLAIN)
    if capable:
        linux.capset(every, every, 0)
    linux.prctl(linux.PR_SET_DUMPABLE, 1)


@contextlib.contextmanager
def holder(flags: int, *, plain: bool = False) -> Iterator[int]:
    """The pid of a process that waits in new namespaces; `plain`: a plain user owns them."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    told_reader, told_writer = os.pipe2(os.O_CLOEXEC)
    maker = os.fork()
    if maker == 0:
        try:
            os.close(writer)
            if plain:
                become_plain(capable=True)
            pid, _ = linux.clone3(flags | linux.CLONE_PARENT, exit_signal=0)
            if pid == 0:
                linux.prctl(linux.PR_SET_DUMPABLE, 1)
                os.write(told_writer, b".")
                os.read(reader, 1)
            else:
                os.write(told_writer, b"%d\n" % pid)
        finally:
            os._exit(0)
    os.waitpid(maker, 0)
    text = b""
    while not (b"." in text and b"\n" in text):
        text += os.read(told_reader, 100)
    pid = int(text.replace(b".", b""))
    os.close(told_reader)
    os.close(told_writer)
    os.close(reader)
    try:
        yield pid
    finally:
        os.close(writer)
        os.waitpid(pid, 0)


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# --- 1.1 -------------------------------------------------------------------------------------------------


def test_1_1_each_kind_is_one_bit(yours: Yours) -> None:
    bits = {
        "user": linux.CLONE_NEWUSER,
        "cgroup": linux.CLONE_NEWCGROUP,
    }
    for name, flag in bits.items():
        equal(yours([name]), flag, f"flags([{name!r}])")
    equal(yours([]), 0, "flags([]): no kind, no bit")


def test_1_1_an_unknown_kind_is_an_error(yours: Yours) -> None:
    yours.raises(KeyError, ["pid", "moon"], about="Who finds out that a wall they asked for is missing?")


def test_1_1_a_container_has_the_namespaces_that_were_asked_for(pyctr: Any, arena: Arena) -> None:
    pyctr("run", "-d", "--name", "web", "busybox", "sleep", "1000")
    pid = arena.outer(int(pyctr("inspect", "--format", "{{.State.Pid}}", "web").stdout.strip()))
    inside = namespaces(pid)
    here = namespaces()
    new = {name for name in here if here[name] != inside[name]}
    equal(sorted(new - {"cgroup"}), ["ipc", "mnt", "net", "pid", "uts"], "the new namespaces of a container")


# --- 1.2 -------------------------------------------------------------------------------------------------


def test_1_2_a_process_is_in_one_namespace_of_each_kind() -> None:
    found, wanted = kinds.identify(), namespaces()
    equal(sorted(found), sorted(wanted), "the kinds, by their names in /proc/<pid>/ns")
    links = {name: os.lstat(f"/proc/self/ns/{name}").st_ino for name in wanted}
    expect(
        found != links,
        "these are the inode numbers of the links in /proc/self/ns themselves, which every process has for "
        "itself: two processes in one namespace would seem apart. What does a link lead to?",
    )
    equal(found, wanted, "the inode number of each namespace")


def test_1_2_another_process_is_in_its_own() -> None:
    with holder(linux.CLONE_NEWUTS | linux.CLONE_NEWNET) as pid:
        found, here = kinds.identify(pid), namespaces()
        expect(
            found != here,
            f"process {pid} has a uts and a net namespace of its own, and yet identify({pid}) gives those of the "
            "caller. Whose directory in /proc do you look into?",
        )
        equal(found, namespaces(pid), f"the namespaces of process {pid}")
        equal(kinds.identify(str(pid)), namespaces(pid), f"the same, asked for by the text {str(pid)!r}")


def test_1_2_no_such_process_is_an_error() -> None:
    try:
        found = kinds.identify(4194305)  # larger than any pid: PID_MAX_LIMIT of proc(5)
    except FileNotFoundError:
        return
    raise CheckFailed(
        f"there is no process 4194305, and identify gives {found} instead of FileNotFoundError. exec would join "
        "nothing and run on the host: which one missing entry is no error?"
    )


def test_1_2_a_kernel_without_time_namespaces_has_one_entry_less(tmp_path: Path) -> None:
    # A directory as such a kernel has it, reached as /proc/<pid>: real namespaces behind real links.
    (tmp_path / "ns").mkdir()
    wanted = {name: inode for name, inode in namespaces().items() if name != "time"}
    for name, inode in wanted.items():
        (tmp_path / "ns" / f"{name}:[{inode}]").symlink_to(f"/proc/self/ns/{name}")
        (tmp_path / "ns" / name).symlink_to(f"{name}:[{inode}]")
    try:
        found = kinds.identify(f"..{tmp_path}")
    except FileNotFoundError as error:
        raise CheckFailed(
            "in a /proc/<pid>/ns without the entry `time` (a kernel built without time namespaces) it fails: the "
            f"other seven are there. What is left out?\n    {told(error)}"
        ) from None
    equal(found, wanted, "a kernel without time namespaces: the other seven")


def test_1_2_exec_finds_the_namespaces_to_join(pyctr: Any) -> None:
    pyctr("run", "-d", "--name", "web", "-h", "inside", "busybox", "sleep", "1000")
    equal(pyctr("exec", "web", "hostname").stdout, "inside\n", "`exec web hostname`: the name in the container")


# --- 1.3 -------------------------------------------------------------------------------------------------

CAME_BACK, THREW = 98, 97


def spawned(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    """`create.spawn`, and a watch for a child that gets out of it."""
    me = os.getpid()
    try:
        both = create.spawn(flags, child, cgroup_fd)
    except BaseException:
        if os.getpid() != me:
            os._exit(THREW)
        raise
    if os.getpid() != me:
        os._exit(CAME_BACK)
    return both


def status_of(pid: int) -> int:
    """How a spawned child has ended; not by getting out of spawn."""
    try:
        status = wait(pid)
    except ChildProcessError:
        raise CheckFailed(
            "when spawn comes back its child has ended, and been waited for. In the engine the child waits for "
            "its parent to give it limits and id maps: who would move first?"
        ) from None
    expect(
        status != CAME_BACK,
        "child() returned, and so the child came back from spawn: now two processes go on with the same program, "
        "and both believe to be the parent. What ends the child, whatever child() does?",
    )
    expect(
        status != THREW,
        "in the child an exception left spawn: it goes up through code that belongs to the parent, which runs it "
        "twice. sys.exit, too, is only an exception. What ends a process at once?",
    )
    return status


def exits(function: Callable[[], object]) -> Callable[[], NoReturn]:
    """A child that does this and ends with 0."""

    def child() -> NoReturn:
        function()
        os._exit(0)

    return child


def test_1_3_the_child_is_in_new_namespaces_and_the_caller_stays() -> None:
    def look() -> dict[str, Any]:
        reader, writer = os.pipe()
        before = namespaces()
        tell = exits(lambda: os.write(writer, json.dumps([os.getpid(), namespaces()]).encode()))
        pid, _ = spawned(linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWPID, tell)
        status = status_of(pid)
        os.close(writer)
        number, inside = json.loads(os.read(reader, 10000) or b"[0, {}]")
        moved = [name for name, inode in namespaces().items() if before[name] != inode]
        new = [name for name in before if before[name] != inside.get(name)]
        return {"status": status, "pid": number, "new": sorted(new), "moved": moved}

    found = in_child(look)
    equal(found["status"], 0, "the exit status of a child whose child() ends with os._exit(0)")
    expect(
        not found["moved"],
        f"the caller itself is now in a new namespace ({', '.join(found['moved'])}): the engine would have left "
        "the host. Which call makes the namespaces for the child alone?",
    )
    expect(
        found["pid"] == 1,
        f"in its new pid namespace the child should be 1, and it is {found['pid']}: unshare(CLONE_NEWPID) moves "
        "only children that come later. Which process is the first to be born there?",
    )
    equal(found["new"], ["ipc", "pid", "uts"], "the child's new namespaces, of uts, ipc and pid asked for")


def test_1_3_the_child_never_comes_back() -> None:
    def returns() -> None:
        pass

    def raises() -> None:
        raise ValueError("child() fails")

    for child in (returns, raises):
        status = in_child(lambda child=child: status_of(spawned(linux.CLONE_NEWUTS, child)[0]))
        expect(
            status > 0,
            f"child() {child.__name__}, so nothing was executed, and yet the child ends with status {status}: "
            "how would the parent know that it failed?",
        )


def test_1_3_the_parent_goes_on_at_once() -> None:
    def start() -> int:
        reader, writer = os.pipe()

        def child() -> None:
            heard, _, _ = select.select([reader], [], [], 2 * SLOWNESS)
            os._exit(0 if heard else 1)

        pid, _ = spawned(linux.CLONE_NEWUTS, child)
        os.write(writer, b".")
        return status_of(pid)

    expect(
        in_child(start) == 0,
        "a child that waits for a word of its parent has waited in vain: the parent was still in spawn. In the "
        "engine the child waits for its parent to give it limits and id maps: who would move first?",
    )


def test_1_3_the_pidfd_is_the_child_s() -> None:
    def start() -> tuple[int, int]:
        reader, writer = os.pipe()
        pid, pidfd = spawned(linux.CLONE_NEWPID, lambda: os._exit(len(os.read(reader, 1)) - 1))
        lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
        of = next((int(line.split()[1]) for line in lines if line.startswith("Pid:")), -1)
        os.write(writer, b".")
        status_of(pid)
        return pid, of

    pid, of = in_child(start)
    equal(of, pid, "the process that the second value, the pidfd, stands for (`Pid:` of its /proc/self/fdinfo)")


def test_1_3_the_child_is_born_in_the_cgroup(group: Any) -> None:
    if group.v2 is None:
        return  # a machine with version 1 alone: the engine has no such descriptor there

    def look() -> str:
        fd = os.open(group.v2, os.O_RDONLY | os.O_DIRECTORY)
        reader, writer = os.pipe()
        pid, _ = spawned(0, exits(lambda: os.write(writer, Path("/proc/self/cgroup").read_bytes())), fd)
        status_of(pid)
        os.close(writer)
        lines = os.read(reader, 10000).decode().splitlines()
        return next((line[3:] for line in lines if line.startswith("0::")), "")

    os.mkdir(group.v2)
    place = in_child(look)
    expect(
        place.endswith(group.path),
        f"with a cgroup_fd of {group.path} the child's line in /proc/self/cgroup is 0::{place}: it would run "
        "without its limits. Who is told about the third argument?",
    )


def test_1_3_a_container_s_first_process_is_1(pyctr: Any) -> None:
    equal(pyctr("run", "--rm", "busybox", "sh", "-c", "echo $$").stdout, "1\n", "`echo $$` in a container")


# --- 1.4 -------------------------------------------------------------------------------------------------

MANY = [(0, 100000, 1000), (1000, 1000, 1), (1001, 101001, 64535)]
"""Root and most others are ordinary users outside; 1000 is 1000."""


def maps(*entries: tuple[int, int, int]) -> list[idmap.IdMap]:
    return [idmap.IdMap(*entry) for entry in entries]


def shown(pid: int, file: str) -> list[tuple[int, ...]]:
    return [tuple(map(int, line.split())) for line in Path(f"/proc/{pid}/{file}").read_text().splitlines()]


def write(pid: int, *args: Any, about: str, **more: Any) -> None:
    """`idmap.write_maps`; what the kernel refuses is told with `about`."""
    try:
        idmap.write_maps(pid, *args, **more)
    except OSError as error:
        raise CheckFailed(f"{about}\n    {told(error)}") from None


def test_1_4_both_maps_are_written() -> None:
    with holder(linux.CLONE_NEWUSER) as pid:
        about = "as root, an empty new namespace, and maps of one line: the kernel refuses"
        write(pid, maps((0, 100000, 65536)), maps((0, 200000, 10)), about=about)
        equal(shown(pid, "uid_map"), [(0, 100000, 65536)], f"/proc/{pid}/uid_map")
        equal(shown(pid, "gid_map"), [(0, 200000, 10)], f"/proc/{pid}/gid_map")


def test_1_4_all_lines_go_in_one_write() -> None:
    with holder(linux.CLONE_NEWUSER) as pid:
        about = (
            "a map of three lines: the kernel refuses. A map can be written once, by one write(2). How many "
            "writes do you make?"
        )
        write(pid, maps(*MANY), maps(*MANY[::-1]), about=about)
        equal(sorted(shown(pid, "uid_map")), MANY, f"/proc/{pid}/uid_map, of three lines")
        equal(sorted(shown(pid, "gid_map")), MANY, f"/proc/{pid}/gid_map, of three lines")


def test_1_4_with_privilege_groups_can_still_be_changed() -> None:
    with holder(linux.CLONE_NEWUSER) as pid:
        write(pid, maps((0, 100000, 1)), maps((0, 100000, 1)), about="as root the kernel refuses")
        equal(
            Path(f"/proc/{pid}/setgroups").read_text().strip(),
            "allow",
            f"/proc/{pid}/setgroups after maps written with privilege: once denied it stays denied, and `run -u` "
            "inside could not set a user's groups. When is a denial needed?",
        )


def test_1_4_a_plain_user_denies_setgroups_first() -> None:
    def map_as_plain(pid: int) -> None:
        become_plain()
        about = (
            f"user {PLAIN} writes the maps of its own namespace, privileged=False: the kernel refuses. What does "
            "it want to be sure of before a plain user may write gid_map?"
        )
        one = maps((0, PLAIN, 1))
        write(pid, one, one, privileged=False, about=about)

    with holder(linux.CLONE_NEWUSER, plain=True) as pid:
        in_child(lambda: map_as_plain(pid))
        equal(shown(pid, "uid_map"), [(0, PLAIN, 1)], f"/proc/{pid}/uid_map")
        equal(shown(pid, "gid_map"), [(0, PLAIN, 1)], f"/proc/{pid}/gid_map")
        equal(Path(f"/proc/{pid}/setgroups").read_text().strip(), "deny", f"/proc/{pid}/setgroups")


def test_1_4_what_the_kernel_refuses_is_raised() -> None:
    with holder(linux.CLONE_NEWUSER) as pid:
        one = maps((0, 100000, 1))
        write(pid, one, one, about="as root the kernel refuses")
        try:
            idmap.write_maps(pid, one, one)
        except PermissionError:
            return
        raise CheckFailed(
            "the maps were written a second time, which the kernel refuses with EPERM, and no error came out. "
            "open(…, 'w').write(…) only fills a buffer: where does the kernel's answer go?"
        )


def test_1_4_a_bundle_with_a_user_namespace_runs(tmp_path: Path) -> None:
    equal(
        in_child(lambda: run_bundle(tmp_path)),
        ["uid 0, 0 100000 65536", "made by 100000:100000"],
        "a bundle with a user namespace: who its root is inside, and outside",
    )


def run_bundle(directory: Path) -> list[str]:
    """Run an OCI bundle whose root is user 100000 outside: what it says, and who owns what it makes."""
    from pyctr_lite.runtime import bundle, init, launch, state

    for parent in directory.parents:
        if parent != Path("/tmp") and parent.stat().st_mode & 0o777 == 0o700:
            parent.chmod(0o711)  # the container's root has to get through
    directory.chmod(0o755)
    root = directory / "rootfs"
    (root / "bin").mkdir(parents=True)
    (root / "proc").mkdir()
    shutil.copy("/bin/busybox", root / "bin/sh")
    script = "read a b c </proc/self/uid_map; echo $a $b $c >/map"
    script += "; while read key value rest; do [ $key = Uid: ] && echo $value >/uid; done </proc/self/status; :"
    map = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    kinds_of = [{"type": kind} for kind in ("mount", "pid", "ipc", "uts", "network", "user")]
    config = {
        "ociVersion": "1.0.2",
        "process": {"args": ["/bin/sh", "-c", script], "cwd": "/", "env": [], "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "namespaces": kinds_of,
            "uidMappings": map,
            "gidMappings": map,
            "cgroupsPath": f"/pyctr_lite-labs-{os.environ.get('PYCTR_LABS_TOKEN', 'by-hand')}-bundle",
        },
    }
    (directory / "config.json").write_text(json.dumps(config))
    for place in (root, *root.rglob("*")):
        os.chown(place, 100000, 100000)
    read, run = bundle.load(str(directory)), str(directory / "run")
    stdio = init.Stdio((0, 1, 2), terminal=False, rows=24, columns=80)
    launched, group = launch.create_container(read, run, stdio, str(directory / "filters"))
    try:
        launched.start()
        os.waitpid(launched.pid, 0)
    except BaseException:
        launched.destroy()
        raise
    finally:
        launched.close()
        group.remove()
        state.remove(run)
    status = (root / "map").stat()
    return [
        f"uid {(root / 'uid').read_text().strip()}, {(root / 'map').read_text().strip()}",
        f"made by {status.st_uid}:{status.st_gid}",
    ]


# --- 1.5 -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(pid: int, *names: str) -> Iterator[dict[str, int]]:
    """Descriptors of a process's namespaces, by the names that are asked for."""
    files = {"network": "net", "mount": "mnt"}
    targets = {name: os.open(f"/proc/{pid}/ns/{files.get(name, name)}", os.O_RDONLY) for name in names}
    try:
        yield targets
    finally:
        for fd in targets.values():
            os.close(fd)


def joined(targets: dict[str, int], about: str) -> dict[str, int]:
    """Where the caller is after `join.join`; what the kernel refuses is told with `about`."""
    try:
        join.join(targets)
    except OSError as error:
        raise CheckFailed(f"{about}\n    {told(error)}") from None
    return namespaces() | {"children": os.stat("/proc/self/ns/pid_for_children").st_ino}


def test_1_5_the_caller_is_where_the_other_process_is() -> None:
    flags = linux.CLONE_NEWUTS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWNS | linux.CLONE_NEWPID
    here = namespaces()
    with holder(flags) as pid, opened(pid, "uts", "network", "ipc", "mount", "pid") as targets:
        found, wanted = in_child(lambda: joined(targets, "root joins five kinds: refused")), namespaces(pid)
    for name in ("uts", "net", "ipc", "mnt"):
        expect(found[name] == wanted[name], f"after join the caller's {name} namespace is not the one asked for")
    equal(found["children"], wanted["pid"], "the pid namespace of the caller's later children")
    equal(found["pid"], here["pid"], "the caller's own pid namespace, which no call changes")


def test_1_5_a_network_that_the_host_owns_comes_before_the_user_namespace() -> None:
    about = (
        "the network namespace belongs to the host, the user namespace is another. Joining both is refused. "
        "What may a process still do to the host's things, once it is in another user namespace?"
    )
    with contextlib.ExitStack() as stack:
        net, user = (stack.enter_context(holder(flag)) for flag in (linux.CLONE_NEWNET, linux.CLONE_NEWUSER))
        network, users = stack.enter_context(opened(net, "net")), stack.enter_context(opened(user, "user"))
        for targets in (users | network, network | users):
            found = in_child(lambda targets=targets: joined(targets, about))
            expect(
                found["user"] == namespaces(user)["user"],
                "after join the caller is in the network namespace, and not in the user namespace: what it makes "
                "there belongs to the wrong owner. Where did `user` go?",
            )
            equal(found["net"], namespaces(net)["net"], "the caller's network namespace")


def test_1_5_what_a_user_namespace_owns_comes_after_it() -> None:
    about = (
        f"user {PLAIN} owns a user namespace, and a uts and a net namespace that belong to it. It may join all "
        "three, and it is refused. Whose privileges does it have before it is in there, and after?"
    )
    flags = linux.CLONE_NEWUSER | linux.CLONE_NEWUTS | linux.CLONE_NEWNET

    def as_plain(targets: dict[str, int]) -> dict[str, int]:
        become_plain()
        return joined(targets, about)

    with holder(flags, plain=True) as pid, opened(pid, "net", "user", "uts") as targets:
        found, wanted = in_child(lambda: as_plain(targets)), namespaces(pid)
    for name in targets:
        expect(found[name] == wanted[name], f"after join the caller's {name} namespace is not the one asked for")


def test_1_5_what_is_refused_is_raised() -> None:
    def try_as(plain: bool, targets: dict[str, int]) -> str:
        if plain:
            become_plain()
        try:
            join.join(targets)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return "no error"

    with holder(linux.CLONE_NEWNET) as pid, opened(pid, "net") as targets, opened(pid, "uts") as other:
        equal(
            in_child(lambda: try_as(True, targets)),
            "EPERM",
            f"user {PLAIN} joins a network namespace of root: exec would go on outside, and nobody would know. "
            "Which errors may be kept for later, and when?",
        )
        equal(
            in_child(lambda: try_as(False, {"net": other["uts"]})),
            "EINVAL",
            "`net` is asked for, and the descriptor is one of a uts namespace. "
            "What is the second argument of setns for?",
        )


def test_1_5_the_targets_stay_the_caller_s() -> None:
    def look(targets: dict[str, int]) -> list[object]:
        before = dict(targets)
        joined(targets, "root joins: refused")
        return [
            sorted(targets) == sorted(before),
            all(os.path.exists(f"/proc/self/fd/{fd}") for fd in before.values()),
        ]

    with holder(linux.CLONE_NEWUSER) as pid, opened(pid, "user") as targets, opened(os.getpid(), "uts") as more:
        same, still_open = in_child(lambda: look(targets | more))
    expect(
        same,
        "after join the dictionary has other entries than before: whose is it, and what is closed by it later?",
    )
    expect(still_open, "after join a descriptor of the targets is closed: the caller still counts on it")


def test_1_5_exec_is_inside(pyctr: Any) -> None:
    pyctr("run", "-d", "--name", "web", "busybox", "sleep", "1000")
    script = "for kind in ipc mnt net pid uts; do readlink /proc/self/ns/$kind; done"
    said = pyctr("exec", "web", "sh", "-c", script).stdout.split()
    inside = namespaces(pyctr("inspect", "--format", "{{.State.Pid}}", "web").stdout.strip())
    wanted = [f"{name}:[{inside[name]}]" for name in ("ipc", "mnt", "net", "pid", "uts")]
    equal(said, wanted, "the namespaces of what exec runs, and of the container")


# --- 1.6 -------------------------------------------------------------------------------------------------

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP, IFF_DEBUG = 0x8913, 0x8914, 0x1, 0x4


def interface_flags(new: int | None = None) -> int:
    """The flags of `lo`; `new` sets them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if new is not None:
            fcntl.ioctl(sock.fileno(), SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", new))
        answer = fcntl.ioctl(sock.fileno(), SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
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


def test_1_6_127_0_0_1_answers(yours: Yours) -> None:
    with yours.at(linux.CLONE_NEWNET) as function:
        look = partial(function.process.look, reached, linux.CLONE_NEWNET)
        equal(look(), "ENETUNREACH", "a connection to 127.0.0.1 before (this is the check's own part)")
        function()
        after = look()
    expect(
        after == "connected",
        f"after bring_up_loopback a connection to 127.0.0.1 still gives {after}: the flags of `lo` were asked "
        "for. Which call sets them?",
    )


def test_1_6_a_refusal_comes_out(yours: Yours) -> None:
    yours.each_refusal(
        lambda function, watch: function.answer(watch=watch), ("socket", "ioctl"), flags=linux.CLONE_NEWNET
    )


def test_1_6_the_other_flags_stay() -> None:
    def look() -> int:
        interface_flags(interface_flags() | IFF_DEBUG)
        network.bring_up_loopback()
        return interface_flags()

    found = in_child(look, linux.CLONE_NEWNET)
    expect(found & IFF_UP, f"the flags of `lo` are {found:#x} afterwards: IFF_UP (0x1) is not among them")
    expect(
        found & IFF_DEBUG,
        f"`lo` had the flag IFF_DEBUG (0x4), and now its flags are {found:#x}: setting replaces all of them. "
        "Which flags do you give back, and did the kernel's answer reach you?",
    )


def test_1_6_again_is_fine_and_nothing_stays_open() -> None:
    def look() -> int:
        network.bring_up_loopback()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            network.bring_up_loopback()
        return len(os.listdir("/proc/self/fd")) - before

    left = in_child(look, linux.CLONE_NEWNET)
    expect(left <= 0, f"after three more calls {left} more descriptors are open: who closes the socket?")


def test_1_6_a_container_has_lo_up(pyctr: Any) -> None:
    said = pyctr("run", "--rm", "busybox", "cat", "/sys/class/net/lo/flags").stdout.strip()
    equal(said, "0x9", "the flags of `lo` in a container: IFF_UP (0x1) and IFF_LOOPBACK (0x8)")
