"""Findings about the kernel and our privileges: each feature is tested, not inferred from a version number."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import tempfile
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLDEST_KERNEL = (6, 1)
_NEEDED = {
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_ADMIN", "SETFCAP", "SETGID", "SETPCAP"),
    *("SETUID", "SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE"),
}
"""Capabilities that every container needs. Without another one, only its feature is missing."""
_FEATURES = {
    "SYS_RESOURCE": "rlimits cannot be raised, and oom_score_adj cannot be lowered",
    "NET_RAW": "no ping in a container",
    "SYS_TIME": "no container can set the clock",
    "SYS_MODULE": "no container can load a kernel module",
}


_UNUSED_ID = 2**31
"""A host id that owns no files."""


def findings() -> Iterator[Finding]:
    """Examine root privileges, the kernel version, system calls and capabilities."""
    root = os.geteuid() == 0
    text = "running as root" if root else f"running as user {os.geteuid()}"
    yield Finding("machine", "root", root, text, "use sudo")
    release = os.uname().release
    new_enough = kernel_version(release) >= OLDEST_KERNEL
    oldest = ".".join(map(str, OLDEST_KERNEL))
    yield Finding(
        "machine", "kernel", new_enough, f"Linux {release}", f"{oldest} or newer is needed (Debian 12 has it)"
    )
    for name, call in _CALLS.items():
        problem = _problem(call)
        text = problem or "works"
        fix = "use a newer kernel, or a seccomp profile that allows the call"
        yield Finding("machine", name, not problem, text, fix)
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
            "this machine was started without it: containers get those that remain",
            needed=bool(fatal),
        )
    else:
        yield Finding("machine", "capabilities", True, f"all {len(held)} are in the bounding set")


def kernel_version(release: str) -> tuple[int, int]:
    """Return the first two numbers of a release such as "6.1.0-18-amd64", or (0, 0) if it has none."""
    parts = release.replace("-", ".").split(".")[:2]
    return (int(parts[0]), int(parts[1])) if len(parts) == 2 and all(map(str.isdecimal, parts)) else (0, 0)


def namespaces() -> Iterator[Finding]:
    """Create a namespace of each of the eight kinds, in a child."""
    for kind in kinds.KINDS:
        problem = problem_in_child(partial(linux.unshare, kind.flag))
        fix = (
            "echo 15000 > /proc/sys/user/max_user_namespaces"
            if kind.proc == "user"
            else "a kernel that supports it"
        )
        yield Finding("namespaces", kind.proc, not problem, problem or f"isolates {kind.isolates}", fix)


def overlay(root: str) -> Iterator[Finding]:
    """Mount an overlay, then an idmapped one, on the file system of the state directory `root`, in a child."""
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
        text = problem or "an overlay can be mounted with the ids of a user namespace: --userns auto"
        fix = f"without it there is no --userns auto: {base} must be on ext4, xfs, btrfs, or tmpfs (Linux 6.3)"
        yield Finding("rootfs", "idmapped mounts", not problem, text, fix, needed=False)


def _try_in(base: str, act: Callable[[str], object]) -> str:
    """Call a function in a child with a temporary directory in `base`; return its problem, "" if there is none."""
    try:
        directory = tempfile.mkdtemp(prefix=".pyctr_lite-doctor-", dir=base)
    except OSError as error:
        return f"{base}: {error.strerror}"
    try:
        for name in ("lower", "upper", "work", "merged"):
            os.mkdir(f"{directory}/{name}")
        return problem_in_child(partial(act, directory))
    finally:
        shutil.rmtree(directory)


def _mount_overlay(directory: str) -> None:
    with open(f"{directory}/lower/gone", "w"):
        pass
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    merged = f"{directory}/merged"
    overlays.mount_overlay([f"{directory}/lower"], f"{directory}/upper", f"{directory}/work", merged)
    try:
        os.unlink(f"{merged}/gone")
        os.mkdir(f"{merged}/new")
    finally:
        linux.umount2(merged, linux.MNT_DETACH)
    if not os.path.isdir(f"{directory}/upper/new") or os.stat(f"{directory}/upper/gone").st_rdev != 0:
        raise OSError(errno.EIO, "the changes are not in the upper directory")


def _mount_idmapped(directory: str) -> None:
    pid, pidfd = create.spawn(linux.CLONE_NEWUSER, lambda: signal.pause())
    try:
        maps = [idmap.IdMap(0, _UNUSED_ID, 1)]
        idmap.write_maps(pid, maps, maps)
        userns_fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        linux.unshare(linux.CLONE_NEWNS)
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
        upper, root = f"{directory}/upper", (_UNUSED_ID, _UNUSED_ID)
        merged = idmapped.mount_overlay(
            [f"{directory}/lower"], upper, f"{directory}/work", f"{directory}/merged", userns_fd, root
        )
        os.mkdir("new", dir_fd=merged)
        in_mount, on_disk = os.stat("new", dir_fd=merged).st_uid, os.stat(f"{upper}/new").st_uid
        if (in_mount, on_disk) != (_UNUSED_ID, 0):
            raise OSError(errno.EIO, f"user {_UNUSED_ID} in the mount is user {on_disk} on disk, not user 0")
    finally:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)


def problem_in_child(act: Callable[[], object]) -> str:
    """Call a function in a forked child, and return its problem, "" if there is none."""

    def call() -> tuple[int, ...]:
        act()
        return ()

    return _problem(lambda: channels.in_child(call, "the process that tests it"))


def _problem(act: Callable[[], object]) -> str:
    """Call a function, and return its problem, "" if there is none."""
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
    """Call mount_setattr(2) with an invalid descriptor, so that no mount changes: EBADF proves that it exists."""
    try:
        linux.mount_setattr(-1, "", AT_EMPTY_PATH, set=1)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise


_CALLS = {"pidfd_open": _pidfd, "openat2": _openat2, "clone3": _clone3, "mount_setattr": _mount_setattr}
