"""What is done with the functions of lab 1 where a plain call is not enough. It runs in the learner's process.

A scene arranges, calls and returns what it saw. It knows nothing of what is right: the checks judge that.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from pyctr_lite import linux

PLAIN = 1000
"""A user id without any privilege."""


def namespaces(pid: int | str = "self") -> dict[str, int]:
    """The inode of each namespace, as the kernel has it."""
    top = f"/proc/{pid}/ns"
    return {
        name: os.stat(f"{top}/{name}").st_ino for name in os.listdir(top) if not name.endswith("_for_children")
    }


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


def as_plain_user(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call the function as a plain user."""
    become_plain()
    return function(*args, **kwargs)


def as_capable_user(function: Callable[..., Any], *args: Any) -> Any:
    """Call the function as a plain user who has all capabilities."""
    become_plain(capable=True)
    return function(*args)


def hold_as_plain_user(_: object, flags: int) -> int:
    """Leave a process behind that waits in new namespaces which a plain user owns: its number."""
    reader, writer = os.pipe()
    maker = os.fork()
    if maker == 0:
        try:
            become_plain(capable=True)
            pid, _ = linux.clone3(flags | linux.CLONE_PARENT, exit_signal=0)
            if pid == 0:
                linux.prctl(linux.PR_SET_DUMPABLE, 1)
                signal.pause()
            os.write(writer, str(pid).encode())
        finally:
            os._exit(0)
    os.waitpid(maker, 0)
    try:
        return int(os.read(reader, 100))
    finally:
        os.close(reader)
        os.close(writer)


def later_children_apart(_: object) -> None:
    """Give the process's later children a PID namespace of their own."""
    linux.unshare(linux.CLONE_NEWPID)


def moves(_: object) -> None:
    """Leave the uts namespace for a new one."""
    linux.unshare(linux.CLONE_NEWUTS)


def in_a_new_network(function: Callable[..., Any]) -> Any:
    """Call the function in a network namespace that is new."""
    linux.unshare(linux.CLONE_NEWNET)
    return function()


def of_a_zombie(function: Callable[..., Any]) -> Any:
    """Call the function with the number of a process that has ended, and is not waited for yet."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        return function(pid)
    finally:
        os.waitpid(pid, 0)


# Children that `spawn` is given, by name. -----------------------------------------------------------------


def _says(fd: int) -> None:
    groups = Path("/proc/self/cgroup").read_text()
    os.write(fd, json.dumps({"pid": os.getpid(), "namespaces": namespaces(), "groups": groups}).encode())
    os._exit(0)


def _returns(fd: int) -> int:
    return 5


def _raises(fd: int) -> None:
    raise ValueError("child() fails")


def _leaves(fd: int) -> None:
    raise SystemExit(0)


def _leaves_with_a_status(fd: int) -> None:
    raise SystemExit(3)


def _is_interrupted(fd: int) -> None:
    raise KeyboardInterrupt


def _waits(fd: int) -> NoReturn:
    heard, _, _ = select.select([fd], [], [], 2 * float(os.environ.get("PYCTR_SLOW", "1")))
    os._exit(0 if heard else 1)


CHILDREN = {
    "says": _says,
    "returns": _returns,
    "raises": _raises,
    "leaves": _leaves,
    "leaves with status 3": _leaves_with_a_status,
    "is interrupted": _is_interrupted,
    "waits": _waits,
}


def spawned(function: Callable[..., Any], flags: int, child: str, *more: Any) -> dict[str, Any]:
    """Call `spawn` with one of `CHILDREN`: what it returned, what the child wrote, and how it ended."""
    reader, writer = os.pipe()
    own, others = (reader, writer) if child == "waits" else (writer, reader)
    said, status = "", None
    try:
        both = _once(function, flags, lambda: CHILDREN[child](own), *more)
        pid, pidfd = both
        if child == "waits":
            os.write(others, b".")
        fdinfo = Path(f"/proc/self/fdinfo/{pidfd}").read_text()
        os.close(pidfd)
        with contextlib.suppress(ChildProcessError):
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if child == "says" and select.select([reader], [], [], 0)[0]:
            said = os.read(reader, 1 << 16).decode()
    finally:
        os.close(reader)
        os.close(writer)
    return {"type": type(both).__name__, "pid": pid, "fdinfo": fdinfo, "said": said, "status": status}


def _once(function: Callable[..., Any], *args: Any) -> Any:
    """Call the function. A second process that comes out of it ends here, with 98 if it returned."""
    me = os.getpid()
    both = function(*args)
    if os.getpid() != me:
        os._exit(98)
    return both


def run_bundle(_: object, directory: str, token: str) -> list[str]:
    """Run an OCI bundle whose root is user 100000 outside: what it says, and who owns what it makes."""
    from pyctr_lite.runtime import bundle, launch, state
    from pyctr_lite.runtime.settings import Stdio

    top = Path(directory)
    for parent in top.parents:
        if parent != Path("/tmp") and parent.stat().st_mode & 0o777 == 0o700:
            parent.chmod(0o711)  # the container's root has to get through
    top.chmod(0o755)
    root = top / "rootfs"
    (root / "bin").mkdir(parents=True)
    (root / "proc").mkdir()
    shutil.copy("/bin/busybox", root / "bin/sh")
    (top / "config.json").write_text(json.dumps(_config(token)))
    for path in (root, *root.rglob("*")):
        os.chown(path, 100000, 100000)
    read, run = bundle.load(directory), str(top / "run")
    stdio = Stdio((0, 1, 2), terminal=False, rows=24, columns=80)
    launched, group = launch.create_container(read, run, stdio, str(top / "filters"))
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


def _config(token: str) -> dict[str, Any]:
    script = "read a b c </proc/self/uid_map; echo $a $b $c >/map"
    script += "; while read key value rest; do [ $key = Uid: ] && echo $value >/uid; done </proc/self/status; :"
    map = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    kinds = [{"type": kind} for kind in ("mount", "pid", "ipc", "uts", "network", "user")]
    return {
        "ociVersion": "1.0.2",
        "process": {"args": ["/bin/sh", "-c", script], "cwd": "/", "env": [], "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "namespaces": kinds,
            "uidMappings": map,
            "gidMappings": map,
            "cgroupsPath": f"/pyctr_lite-labs-{token}-bundle",
        },
    }
