"""doctor's findings about this machine, and the leftovers of killed processes that it finds and removes."""

from __future__ import annotations

import compileall
import errno
import fcntl
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite import linux
from pyctr_lite.cgroups import group as groups
from pyctr_lite.engine import background, leftovers
from pyctr_lite.engine.doctor import examine as doctor
from pyctr_lite.engine.doctor import filters as doctor_filters
from pyctr_lite.engine.doctor import info
from pyctr_lite.engine.doctor import kernel as doctor_kernel
from pyctr_lite.engine.doctor import tools as doctor_tools
from pyctr_lite.engine.engine import Engine
from pyctr_lite.errors import PyctrError
from pyctr_lite.linux import bpf, mountinfo
from pyctr_lite.namespaces import kinds
from pyctr_lite.runtime import capabilities, seccomp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_lite.engine.doctor.finding import Finding
    from tests.conftest import Pyctr

ID = "f" * 64


@pytest.fixture
def engine(root: Path) -> Engine:
    return Engine(str(root))


def findings(engine: Engine) -> dict[str, Finding]:
    return {finding.name: finding for finding in doctor.examine(engine)}


def leftover_paths(engine: Engine) -> dict[str, str]:
    """Return kind → path of all leftovers, of which there must be one per kind."""
    found = leftovers.find(engine)
    assert len({each.kind for each in found}) == len(found), found
    return {each.kind: each.path for each in found}


def repair(engine: Engine) -> None:
    for each in leftovers.find(engine):
        each.remove()
    assert leftovers.find(engine) == []


def age(path: Path) -> None:
    """Make a path too old to be a container or name that is just being created."""
    then = time.time() - leftovers.SETTLED - 1
    os.utime(path, (then, then), follow_symlinks=False)


def test_this_machine_is_ready_and_examining_it_leaves_nothing(engine: Engine) -> None:
    mounts = [mount.mountpoint for mount in mountinfo.mounts()]
    before = sorted(Path(engine.paths.root).rglob("*"))
    found = findings(engine)
    assert [finding for finding in found.values() if finding.needed and not finding.ok] == []
    assert all(finding.fix for finding in found.values() if not finding.ok)
    assert {kind.proc for kind in kinds.KINDS} <= set(found)
    assert {
        "root",
        "kernel",
        "clone3",
        "openat2",
        "overlayfs",
        "idmapped mounts",
        "seccomp",
        "device rules",
        "memory",
        "swap",
        "pressure",
        "busybox",
    } <= set(found)
    assert [mount.mountpoint for mount in mountinfo.mounts()] == mounts
    assert sorted(Path(engine.paths.root).rglob("*")) == before
    assert not groups.Group(f"{engine.paths.cgroup}-doctor-{os.getpid()}").exists()


def test_a_missing_image_is_reported_with_its_fix(engine: Engine, pyctr: Pyctr) -> None:
    assert findings(engine)["busybox"].ok
    pyctr("rmi", "busybox", check=True)
    finding = findings(engine)["busybox"]
    assert (finding.ok, finding.needed, finding.fix) == (False, False, "pyctr_lite image bootstrap busybox")


def test_a_missing_capability_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [f"CAP_{name}" for name in capabilities.NAMES]
    for dropped, needed in (("CAP_SYS_RESOURCE", False), ("CAP_SYS_ADMIN", True)):
        held = [name for name in every if name != dropped]
        monkeypatch.setattr(capabilities, "bounding_set", lambda held=held: held)
        finding = next(each for each in doctor_kernel.findings() if each.name == "capabilities")
        assert (finding.ok, finding.needed) == (False, needed)
        assert dropped in finding.text
    monkeypatch.setattr(capabilities, "bounding_set", lambda: every)
    assert next(each for each in doctor_kernel.findings() if each.name == "capabilities").ok


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.1.0-18-amd64", (6, 1)), ("5.10.0", (5, 10)), ("6.18-rc1", (6, 18)), ("custom", (0, 0)), ("", (0, 0))],
)
def test_a_release_is_parsed_to_a_version(release: str, version: tuple[int, int]) -> None:
    assert doctor_kernel.kernel_version(release) == version


def test_an_error_in_a_child_is_returned_as_text() -> None:
    def fail() -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    assert doctor_kernel.problem_in_child(lambda: None) == ""
    assert doctor_kernel.problem_in_child(fail) == "Operation not permitted"
    assert doctor_kernel.problem_in_child(lambda: 1 / 0) == "ZeroDivisionError: division by zero"
    assert "was killed" in doctor_kernel.problem_in_child(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_overlayfs_is_tried_in_the_containers_directory(tmp_path: Path) -> None:
    finding, idmapped = doctor_kernel.overlay(str(tmp_path / "not/made/yet"))
    assert (finding.ok, idmapped.ok) == (True, True)
    assert str(tmp_path) in finding.text
    assert list(tmp_path.iterdir()) == []
    (finding,) = doctor_kernel.overlay("/proc/no/such")  # no upper directory can be made there
    assert not finding.ok
    assert "/proc" in finding.text


def test_bytecode_of_a_changed_source_is_stale(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("x = 1\n")
    assert doctor_tools.uncompiled(tmp_path) == [module]
    compileall.compile_dir(tmp_path, quiet=1)
    assert doctor_tools.uncompiled(tmp_path) == []
    module.write_text("x = 22\n")
    assert doctor_tools.uncompiled(tmp_path) == [module]


def test_os_release_is_read_without_quotes(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text('# a comment\nPRETTY_NAME="Debian 12"\nID=debian\n')
    assert info.os_release(str(tmp_path / "os-release")) == {"PRETTY_NAME": "Debian 12", "ID": "debian"}
    assert info.os_release(str(tmp_path / "none")) == {}


def test_existing_containers_are_not_leftovers(pyctr: Pyctr, engine: Engine) -> None:
    running = pyctr("run", "-d", "busybox", "sleep", "60", check=True).stdout.strip()
    pyctr("create", "busybox", check=True)
    pyctr("run", "busybox", "true", check=True)
    paused = pyctr("run", "-d", "busybox", "sleep", "60", check=True).stdout.strip()
    pyctr("pause", paused, check=True)
    assert leftovers.find(engine) == []
    assert engine.containers.get(running).state.running
    pyctr("rm", "-f", paused, check=True)


def test_a_container_killed_with_its_monitor_is_repaired(pyctr: Pyctr, engine: Engine) -> None:
    id = pyctr("run", "-d", "busybox", "sleep", "60", check=True).stdout.strip()
    state = engine.containers.get(id).state
    for pid in (state.MonitorPid, state.Pid):
        pidfd = os.pidfd_open(pid)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        wait_for_end(pidfd)
    assert leftovers.find(engine) == []
    assert engine.containers.get(id).state.Status == "exited"
    assert not groups.Group(engine.paths.group(id)).exists()
    assert not os.path.exists(engine.paths.runtime(id))


def wait_for_end(pidfd: int) -> None:
    """Wait until a process has ended."""
    import select

    select.select([pidfd], [], [], 60)
    os.close(pidfd)


def test_the_processes_and_the_group_of_a_removed_container_are_removed(engine: Engine) -> None:
    group = groups.Group(engine.paths.group(ID))
    group.create()
    pid = os.fork()
    if pid == 0:
        signal.pause()
    group.add(pid)
    assert leftover_paths(engine) == {"cgroup": engine.paths.group(ID)}
    repair(engine)
    assert not group.exists()
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL


def test_the_bridge_of_a_lost_network_is_removed(engine: Engine, tmp_path: Path) -> None:
    made, other = engine.networks.make("red"), Engine(str(tmp_path / "other")).networks
    theirs = other.make("red")
    assert leftovers.find(engine) == []
    for networks, network in ((engine.networks, made), (other, theirs)):
        networks.remove(network)
    assert leftover_paths(engine) == {"bridge": made.bridge}
    repair(engine)
    assert not os.path.exists(f"/sys/class/net/{made.bridge}")
    assert os.path.exists(f"/sys/class/net/{theirs.bridge}"), "the other engine's own"
    other.remove_orphan(theirs.bridge)
    assert not os.path.exists(f"/sys/class/net/{theirs.bridge}")


def test_a_stale_run_directory_is_removed(engine: Engine, pyctr: Pyctr) -> None:
    exited = pyctr("run", "-d", "busybox", "true", check=True).stdout.strip()
    pyctr("wait", exited, check=True)
    for id in (ID, exited):
        stale = Path(engine.paths.runtime(id))
        stale.mkdir(parents=True)
        (stale / "state.json").write_text("{}")
        assert leftover_paths(engine) == {"run directory": str(stale)}
        repair(engine)
        assert not stale.exists()
    assert engine.containers.get(exited).state.Status == "exited"


def test_the_view_of_a_dead_process_is_removed_and_that_of_a_living_one_is_kept(engine: Engine) -> None:
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    run = Path(engine.paths.run)
    for pid in (dead, os.getpid()):
        (run / f"view-{pid}").mkdir(parents=True)
    assert leftover_paths(engine) == {"run directory": str(run / f"view-{dead}")}
    repair(engine)
    assert [path.name for path in run.iterdir()] == [f"view-{os.getpid()}"]


@pytest.fixture
def half_removed(engine: Engine) -> Iterator[Path]:
    """Create the directory that a killed `rm` leaves."""
    path = Path(engine.paths.containers) / f"{ID}.removing"
    (path / "upper/deep").mkdir(parents=True)
    (path / "upper/deep/file").write_text("x")
    (path / "lock").write_text("")
    return path


def test_an_interrupted_removal_is_finished(engine: Engine, half_removed: Path) -> None:
    assert leftover_paths(engine) == {"container": str(half_removed)}
    repair(engine)
    assert not half_removed.exists()


def test_a_removal_in_progress_is_left_alone(engine: Engine, half_removed: Path) -> None:
    group, run = groups.Group(engine.paths.group(ID)), Path(engine.paths.runtime(ID))
    with (half_removed / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        group.create()
        run.mkdir(parents=True)
        assert leftovers.find(engine) == []
        group.remove()
        background.remove_groups(engine.paths)
        run.rmdir()
        (half_removed / "lock").unlink()
        assert leftovers.find(engine) == []  # too young to be a leftover
    age(half_removed)
    assert leftover_paths(engine) == {"container": str(half_removed)}


def test_a_mount_is_removed_before_its_directory(engine: Engine, half_removed: Path) -> None:
    (half_removed / "rootfs").mkdir()
    linux.mount("tmpfs", str(half_removed / "rootfs"), "tmpfs")
    assert leftover_paths(engine) == {"mount": str(half_removed / "rootfs"), "container": str(half_removed)}
    repair(engine)
    assert not half_removed.exists()


def test_a_mount_of_an_existing_container_is_left_alone(engine: Engine, pyctr: Pyctr) -> None:
    id = pyctr("create", "busybox", check=True).stdout.strip()
    rootfs = f"{engine.paths.container(id)}/rootfs"
    linux.mount("tmpfs", rootfs, "tmpfs")
    assert leftovers.find(engine) == []
    linux.umount2(rootfs)


def test_a_half_made_container_is_removed_once_it_is_old(engine: Engine) -> None:
    half = Path(engine.paths.container(ID))
    half.mkdir(parents=True)
    assert leftovers.find(engine) == []
    age(half)
    assert leftover_paths(engine) == {"container": str(half)}
    repair(engine)
    assert not half.exists()


def test_a_name_without_a_container_is_freed_once_it_is_old(engine: Engine, pyctr: Pyctr) -> None:
    pyctr("create", "--name", "owned", "busybox", check=True)
    names = Path(engine.paths.names)
    (names / "lost").symlink_to(ID)
    age(names / "owned")
    assert leftovers.find(engine) == []
    age(names / "lost")
    assert leftover_paths(engine) == {"name": str(names / "lost")}
    repair(engine)
    assert [path.name for path in names.iterdir()] == ["owned"]


def test_staged_files_are_removed_if_their_writer_is_dead(engine: Engine) -> None:
    staged = Path(engine.paths.root, "staging/killed")
    with engine.images.staging() as living:  # it removes what is there from dead writers
        staged.mkdir()
        (staged / "blob").write_text("x")
        assert leftover_paths(engine) == {"staging": str(staged)}
        repair(engine)
        assert os.path.isdir(living.path)
    assert not staged.exists()


def test_a_half_made_volume_is_removed(engine: Engine, pyctr: Pyctr) -> None:
    pyctr("volume", "create", "whole", check=True)
    half = Path(engine.volumes.directory, ".half.creating")
    (half / "_data").mkdir(parents=True)
    fd = os.open(engine.volumes.directory, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)  # another command is creating a volume
    assert leftovers.find(engine) == []
    os.close(fd)
    assert leftover_paths(engine) == {"volume": str(half)}
    repair(engine)
    assert [path.name for path in Path(engine.volumes.directory).iterdir()] == ["whole"]


def test_a_half_made_init_layer_is_removed(engine: Engine) -> None:
    init = Path(engine.paths.init_layers)
    dead, living = init / f"{ID}.4194305.tmp", init / f"{ID}.{os.getpid()}.tmp"
    for path in (dead, living):
        (path / "layer").mkdir(parents=True)
    assert leftover_paths(engine) == {"init layer": str(dead)}
    repair(engine)
    assert living.is_dir()


def test_a_monitors_internal_error_is_reported(engine: Engine) -> None:
    assert findings(engine)["monitor faults"].ok
    log = Path(engine.paths.run, "faults.log")
    log.parent.mkdir(exist_ok=True)
    log.write_text(f"2026-01-01T00:00:00Z monitor of {ID}\nTraceback\n\n")
    finding = findings(engine)["monitor faults"]
    assert not finding.ok
    assert str(log) in finding.fix


@pytest.mark.parametrize(("mode", "ok"), [(0o755, True), (0o700, True), (0o777, False), (0o775, False)])
def test_a_state_directory_writable_by_others_is_reported(engine: Engine, mode: int, ok: bool) -> None:
    os.chmod(engine.paths.root, mode)
    assert findings(engine)["root directory"].ok == ok


def test_unsupported_filters_are_reported_with_their_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(*_: object) -> None:
        raise PyctrError("libseccomp.so.2 is not there")

    def no_bpf(*_: object) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(seccomp, "load", no_library)
    monkeypatch.setattr(bpf, "load_device_program", no_bpf)
    calls, rules = doctor_filters.findings()
    assert (calls.ok, calls.needed, "libseccomp.so.2 is not there" in calls.text) == (False, True, True)
    assert (rules.ok, "refuses a BPF program" in rules.text) == (False, True)
    assert all("CONFIG_" in finding.fix for finding in (calls, rules))
