"""What the kernel and our privileges allow: tried, not guessed from version numbers."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import partial

from pyctr_lite import linux
from pyctr_lite.engine.doctor.finding import Finding
from pyctr_lite.errors import PyctrError
from pyctr_lite.linux.constants import AT_EMPTY_PATH
from pyctr_lite.namespaces import create, idmap, kinds
from pyctr_lite.rootfs import idmapped
from pyctr_lite.rootfs import overlay as overlays
from pyctr_lite.runtime import capabilities
from pyctr_lite.runtime import channel as channels

OLDEST_KERNEL = (6, 1)
_NEEDED = {
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_ADMIN", "SETFCAP", "SETGID", "SETPCAP"),
    *("SETUID", "SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE"),
}
"""Capabilities without which no container is made; without another one its feature is missing."""
_FEATURES = {
    "SYS_RESOURCE": "rlimits cannot be raised, and oom_score_adj not be lowered",
    "NET_RAW": "no ping in a container",
    "SYS_TIME": "no container sets the clock",
    "SYS_MODULE": "no kernel module is loaded",
}


_SOMEBODY = 2**31
"""A user of the host who owns nothing."""


def findings() -> Iterator[Finding]:
    """Root, kernel, system calls, capabilities."""
    root = os.geteuid() == 0
    yield Finding("machine", "root", root, "we are root" if root else f"we are user {os.geteuid()}", "use sudo")
    release = os.uname().release
    known = kernel_version(release) >= OLDEST_KERNEL
    wanted = ".".join(map(str, OLDEST_KERNEL))
    yield Finding(
        "machine", "kernel", known, f"Linux {release}", f"{wanted} or newer is needed (Debian 12 has it)"
    )
    for name, call in _CALLS.items():
        problem = _attempt(call)
        text = problem or "it works"
        yield Finding(
            "machine", name, not problem, text, "a newer kernel, or a seccomp profile that lets it through"
        )
    held = set(capabilities.bounding_set())
    missing = [name for name in capabilities.NAMES if f"CAP_{name}" not in held]
    fatal = [name for name in missing if name in _NEEDED]
    if missing:
        text = "; ".join(
            f"CAP_{name} is missing" + (f": {_FEATURES[name]}" if name in _FEATURES else "") for name in missing
        )
        yield Finding(
            "machine",
            "capabilities",
            False,
            text,
            "whoever started this machine's first process took it away: containers get what is left",
            needed=bool(fatal),
        )
    else:
        yield Finding("machine", "capabilities", True, f"all {len(held)} are in the bounding set")


def kernel_version(release: str) -> tuple[int, int]:
    """The first two numbers of a release such as "6.1.0-18-amd64"; (0, 0) for what has none."""
    parts = release.replace("-", ".").split(".")[:2]
    return (int(parts[0]), int(parts[1])) if len(parts) == 2 and all(map(str.isdecimal, parts)) else (0, 0)


def namespaces() -> Iterator[Finding]:
    """Each of the eight kinds, really made in a child."""
    for kind in kinds.KINDS:
        problem = problem_in_child(partial(linux.unshare, kind.flag))
        fix = "echo 15000 > /proc/sys/user/max_user_namespaces" if kind.proc == "user" else "a kernel with it"
        yield Finding("namespaces", kind.proc, not problem, problem or f"isolates {kind.isolates}", fix)


def overlay(root: str) -> Iterator[Finding]:
    """An overlay is mounted once, in a child's own mount namespace, where the containers' would lie; and one whose
    ids are those of a user namespace.
    """
    base = root
    while not os.path.isdir(base):
        base = os.path.dirname(base)
    fix = f"modprobe overlay; {base} must be on ext4, xfs, btrfs or tmpfs, and not itself on an overlay"
    problem = _try_in(base, _mount_overlay)
    yield Finding(
        "rootfs", "overlayfs", not problem, problem or f"mounted, written to and unmounted on {base}", fix
    )
    if not problem:
        problem = _try_in(base, _mount_idmapped)
        text = problem or "an overlay can have the ids of a user namespace: --userns auto"
        fix = f"without it there is no --userns auto: {base} must be on ext4, xfs, btrfs, or tmpfs (Linux 6.3)"
        yield Finding("rootfs", "idmapped mounts", not problem, text, fix, needed=False)


def _try_in(base: str, act: Callable[[str], object]) -> str:
    """Call a function in a child with an empty directory, which is removed: what went wrong, "" for nothing."""
    try:
        place = tempfile.mkdtemp(prefix=".pyctr_lite-doctor-", dir=base)
    except OSError as error:
        return f"{base}: {error.strerror}"
    try:
        for name in ("lower", "upper", "work", "merged"):
            os.mkdir(f"{place}/{name}")
        return problem_in_child(partial(act, place))
    finally:
        shutil.rmtree(place)


def _mount_overlay(place: str) -> None:
    with open(f"{place}/lower/gone", "w"):
        pass
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    merged = f"{place}/merged"
    overlays.mount_overlay([f"{place}/lower"], f"{place}/upper", f"{place}/work", merged)
    try:
        os.unlink(f"{merged}/gone")
        os.mkdir(f"{merged}/new")
    finally:
        linux.umount2(merged, linux.MNT_DETACH)
    if not os.path.isdir(f"{place}/upper/new") or os.stat(f"{place}/upper/gone").st_rdev != 0:
        raise OSError(errno.EIO, "what was changed is not in the upper directory")


def _mount_idmapped(place: str) -> None:
    pid, pidfd = create.spawn(linux.CLONE_NEWUSER, lambda: signal.pause())
    try:
        maps = [idmap.IdMap(0, _SOMEBODY, 1)]
        idmap.write_maps(pid, maps, maps)
        userns_fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        linux.unshare(linux.CLONE_NEWNS)
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
        layers, root = [f"{place}/lower"], (_SOMEBODY, _SOMEBODY)
        merged = idmapped.mount_overlay(
            layers, f"{place}/upper", f"{place}/work", f"{place}/merged", userns_fd, root
        )
        os.mkdir("new", dir_fd=merged)
        seen, on_disk = os.stat("new", dir_fd=merged).st_uid, os.stat(f"{place}/upper/new").st_uid
        if (seen, on_disk) != (_SOMEBODY, 0):
            raise OSError(errno.EIO, f"a directory of user {_SOMEBODY} is one of user {on_disk} on disk, not of 0")
    finally:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)


def problem_in_child(act: Callable[[], object]) -> str:
    """Call a function in a forked child, and return its problem, "" if there is none."""

    def call() -> tuple[int, ...]:
        act()
        return ()

    return _attempt(lambda: channels.in_child(call, "the process that tries it"))


def _attempt(act: Callable[[], object]) -> str:
    try:
        act()
    except OSError as error:
        return error.strerror or str(error)
    except channels.ChildError as error:
        return error.message.removesuffix(f": {error.path}")
    except PyctrError as error:
        return error.message
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _pidfd() -> None:
    os.close(os.pidfd_open(os.getpid()))


def _openat2() -> None:
    os.close(linux.openat2(linux.AT_FDCWD, "/", linux.O_PATH, resolve=linux.RESOLVE_IN_ROOT))


def _clone3() -> None:
    pid, pidfd = linux.clone3(0)
    if pid == 0:
        os._exit(0)
    os.close(pidfd)
    os.waitpid(pid, 0)


def _mount_setattr() -> None:
    """No mount is changed: a kernel that knows the call looks at the descriptor first."""
    try:
        linux.mount_setattr(-1, "", AT_EMPTY_PATH, set=1)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise


_CALLS = {"pidfd_open": _pidfd, "openat2": _openat2, "clone3": _clone3, "mount_setattr": _mount_setattr}
