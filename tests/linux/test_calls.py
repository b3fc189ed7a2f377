"""System calls: an error names the call and the path; kernel files are read and written whole."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_lite import linux
from pyctr_lite.linux import call, constants, kernelfile, scheduling
from tests.conftest import REPOSITORY
from tests.leases import leased


@pytest.mark.parametrize(
    ("fails", "number", "name", "path"),
    [
        (lambda: linux.mount("x", "/no/such", "tmpfs"), errno.ENOENT, "mount", "/no/such"),
        (lambda: linux.mount("x", "/tmp", "moonfs"), errno.ENODEV, "mount", "/tmp"),
        (lambda: linux.umount2("/etc"), errno.EINVAL, "umount2", "/etc"),
        (lambda: linux.pivot_root("/no/such", "."), errno.ENOENT, "pivot_root", "/no/such"),
        (lambda: linux.openat2(linux.AT_FDCWD, "/no", os.O_RDONLY), errno.ENOENT, "openat2", "/no"),
        (lambda: linux.open_tree("/no", linux.OPEN_TREE_CLONE), errno.ENOENT, "open_tree", "/no"),
        (lambda: linux.move_mount(-1, "", -1, "", 0, shown="/x"), errno.ENOENT, "move_mount", "/x"),
        (lambda: linux.mount_setattr(linux.AT_FDCWD, "/no", 0, set=1), errno.ENOENT, "mount_setattr", "/no"),
        (lambda: linux.setns(-1), errno.EBADF, "setns", None),
        (lambda: linux.key_permissions(0x7FFFFFF0), errno.ENOKEY, "keyctl", None),
        (lambda: linux.set_key_permissions(0x7FFFFFF0, 0), errno.ENOKEY, "keyctl", None),
        (lambda: linux.revoke_key(0x7FFFFFF0), errno.ENOKEY, "keyctl", None),
        (lambda: linux.pidfd_getfd(-1, 0), errno.EBADF, "pidfd_getfd", None),
        (lambda: linux.unshare(0x1), errno.EINVAL, "unshare", None),
        (lambda: linux.clone3(1), errno.EINVAL, "clone3", None),
        (lambda: linux.execveat(-1, ["x"], []), errno.EBADF, "execveat", None),
        (lambda: linux.prctl(linux.PR_CAPBSET_READ, 999), errno.EINVAL, "prctl", None),
        (lambda: linux.capset(1, 0, 0), errno.EPERM, "capset", None),
        (lambda: linux.timerfd_create(99), errno.EINVAL, "timerfd_create", None),
        (lambda: linux.timerfd_settime(-1, 1.0), errno.EBADF, "timerfd_settime", None),
        (lambda: linux.sethostname("x" * 65), errno.EINVAL, "sethostname", None),
        (lambda: linux.setdomainname("x" * 65), errno.EINVAL, "setdomainname", None),
        (
            lambda: scheduling.sched_setattr(0, scheduling.SchedAttr(sched_policy=99)),
            errno.EINVAL,
            "sched_setattr",
            None,
        ),
        (lambda: scheduling.ioprio_set(0, 7, 0), errno.EINVAL, "ioprio_set", None),
        (lambda: scheduling.set_mempolicy(99, set()), errno.EINVAL, "set_mempolicy", None),
    ],
)
def test_an_error_has_errno_call_and_path(
    fails: Callable[[], object], number: int, name: str, path: str | None
) -> None:
    with pytest.raises(OSError, match=f": {os.strerror(number)}") as caught:
        fails()
    assert (caught.value.errno, caught.value.filename) == (number, path)
    assert caught.value.strerror is not None
    assert caught.value.strerror.startswith(name)


def test_a_successful_call_returns_its_result(tmp_path: Path) -> None:
    fd = linux.openat2(linux.AT_FDCWD, str(tmp_path), os.O_RDONLY | os.O_DIRECTORY)
    assert not os.get_inheritable(fd)
    os.close(fd)
    effective, permitted, inheritable = linux.capget()
    linux.capset(effective, permitted, inheritable)
    assert linux.capget() == (effective, permitted, inheritable)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_timer_expires_once_at_its_time(absolute: bool) -> None:
    now = time.monotonic()
    with linux.closing(linux.timerfd_create(time.CLOCK_MONOTONIC)) as fd:
        assert select.select([fd], [], [], 0)[0] == []
        linux.timerfd_settime(fd, now + 0.05 if absolute else 0.05, 1 if absolute else 0)
        assert select.select([fd], [], [], 10)[0] == [fd]
        assert time.monotonic() >= now + 0.05
        assert os.read(fd, 8) == (1).to_bytes(8, sys.byteorder)
        with pytest.raises(BlockingIOError):
            os.read(fd, 8)


def test_an_older_errno_is_not_reported() -> None:
    ctypes.set_errno(errno.EIO)
    with pytest.raises(OSError, match="umount2") as caught:
        linux.umount2("/no/such")
    assert caught.value.errno == errno.ENOENT


def test_a_path_that_is_not_utf_8_reaches_the_kernel(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xfe"
    os.mkdir(name)
    os.close(linux.openat2(linux.AT_FDCWD, os.fsdecode(name), os.O_RDONLY))
    assert call.encoded(os.fsdecode(name)) == name
    assert call.encoded(None) is None


def test_resolve_in_root_keeps_links_inside(tmp_path: Path) -> None:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/link").symlink_to("/etc")
    (tmp_path / "root/up").symlink_to("../../../../etc")
    root = os.open(tmp_path / "root", os.O_PATH)
    try:
        for name in ("link", "up", "/etc", "../../etc"):
            fd = linux.openat2(root, name, linux.O_PATH, 0, linux.RESOLVE_IN_ROOT)
            assert os.readlink(f"/proc/self/fd/{fd}") == f"{tmp_path}/root/etc"
            os.close(fd)
        with pytest.raises(OSError, match="openat2") as caught:
            linux.openat2(root, "link", linux.O_PATH, 0, linux.RESOLVE_BENEATH)
        assert caught.value.errno == errno.EXDEV
    finally:
        os.close(root)


def test_a_path_is_not_tried_for_ever(tmp_path: Path) -> None:
    """EAGAIN means to try again, but a lease lasts as long as its holder wants, up to 45 s."""
    with leased(tmp_path / "file"), pytest.raises(BlockingIOError) as caught:
        linux.openat2(linux.AT_FDCWD, str(tmp_path / "file"), os.O_RDONLY | os.O_NONBLOCK)
    assert caught.value.filename == str(tmp_path / "file")


def test_flags_are_decoded_by_their_names() -> None:
    assert constants.decode_flags(("MS_",), linux.MS_BIND | linux.MS_REC) == "MS_BIND|MS_REC"
    assert constants.decode_flags(("MS_",), 0) == "0"
    assert constants.decode_flags(("MS_",), linux.MS_BIND | 1 << 31) == "MS_BIND|0x80000000"
    assert constants.decode_flags(("MNT_", "UMOUNT_"), 10) == "MNT_DETACH|UMOUNT_NOFOLLOW"
    assert constants.decode_value("PR_", 38) == "PR_SET_NO_NEW_PRIVS"
    assert constants.decode_value("PR_", 999) == "999"


def test_a_kernel_file_is_written_at_once_and_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    kernelfile.write(str(path), "a b\n")
    assert kernelfile.read(str(path)) == "a b"
    path.write_text("x" * 200_000)
    assert len(kernelfile.read(str(path))) == 200_000


@pytest.mark.parametrize(
    ("path", "text", "number"),
    [
        ("/proc/self/oom_score_adj", "5000", errno.EINVAL),
        ("/proc/self/oom_score_adj", "many", errno.EINVAL),
        ("/proc/self/no_such_file", "1", errno.ENOENT),
        ("/proc/self/uid_map", "0 0 1", errno.EPERM),
    ],
)
def test_an_error_of_a_kernel_file_has_errno_and_path(path: str, text: str, number: int) -> None:
    with pytest.raises(OSError, match=path) as caught:
        kernelfile.write(path, text)
    assert (caught.value.errno, caught.value.filename) == (number, path)


def test_a_value_written_to_a_kernel_file_takes_effect() -> None:
    before = kernelfile.read("/proc/self/oom_score_adj")
    if int(before) > 500:
        pytest.skip("this process's score is high already")
    pid = os.fork()
    if pid == 0:
        try:
            kernelfile.write("/proc/self/oom_score_adj", "777")
            os._exit(0 if kernelfile.read("/proc/self/oom_score_adj") == "777" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert kernelfile.read("/proc/self/oom_score_adj") == before


def test_the_names_are_loaded_at_their_first_use() -> None:
    program = (
        f"import sys; sys.path.append({str(REPOSITORY)!r}); from pyctr_lite import linux\n"
        "from pyctr_lite.linux import explain, kernelfile\n"
        "before = '_ctypes' in sys.modules; linux.mount, linux.MS_BIND, linux.closing\n"
        "print(before, '_ctypes' in sys.modules, hasattr(linux, 'no_such_call'))"
    )
    done = subprocess.run([sys.executable, "-IS", "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False True False\n", "")


def test_every_module_of_the_package_is_known_to_it() -> None:
    files = {path.stem for path in Path(str(linux.__file__)).parent.glob("*.py")}
    assert files - {"__init__"} == linux._MODULES
