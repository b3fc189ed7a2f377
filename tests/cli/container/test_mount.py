"""mount and umount: a stopped container's root on the host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Pyctr


def test_mount_shows_the_root_with_the_containers_changes(pyctr: Pyctr) -> None:
    pyctr("run", "--name", "web", "busybox", "sh", "-c", "echo new > /new; rm /bin/ls", check=True)
    rootfs = Path(pyctr("mount", "web", check=True).stdout.strip())
    assert (rootfs / "new").read_text() == "new\n"
    assert (rootfs / "bin/cat").exists()
    assert not (rootfs / "bin/ls").exists()
    (rootfs / "from-outside").touch()
    assert pyctr("umount", "web").stdout == "web\n"
    assert list(rootfs.iterdir()) == []
    assert "A /from-outside\n" in pyctr("diff", "web").stdout


def test_mount_lists_mounted_containers_and_is_idempotent(pyctr: Pyctr) -> None:
    id = pyctr("create", "--name", "web", "busybox", check=True).stdout.strip()
    pyctr("create", "--name", "other", "busybox", check=True)
    assert pyctr("mount").stdout == ""
    path = pyctr("mount", "web", check=True).stdout.strip()
    assert pyctr("mount", "web").stdout.strip() == path
    assert pyctr("mount").stdout.split() == [id[:12], path]
    pyctr("umount", "web", check=True)
    assert pyctr("mount").stdout == ""


def test_unmounting_a_container_that_is_not_mounted_is_an_error_unless_forced(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "web", "busybox", check=True)
    done = pyctr("umount", "web")
    assert (done.returncode, done.stderr) == (1, "pyctr_lite: the root of container web is not mounted\n")
    assert pyctr("umount", "-f", "web").returncode == 0
    assert pyctr("umount", "-f", "nosuch").returncode == 1


def test_a_running_container_cannot_be_mounted_nor_a_mounted_one_started(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "web", "busybox", "sleep", "1000", check=True)
    done = pyctr("mount", "web", "nosuch")
    assert done.returncode == 1
    assert "container web is running" in done.stderr
    assert "No such container: nosuch" in done.stderr
    pyctr("kill", "web", check=True)
    pyctr("mount", "web", check=True)
    refused = pyctr("start", "web")
    assert refused.returncode == 1
    assert refused.stderr == ("pyctr_lite: the root of container web is mounted on the host\n  umount web first\n")
    pyctr("umount", "web", check=True)
    assert pyctr("start", "web").returncode == 0


def test_rm_unmounts(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "web", "busybox", check=True)
    path = pyctr("mount", "web", check=True).stdout.strip()
    assert pyctr("rm", "web").returncode == 0
    assert path not in Path("/proc/self/mountinfo").read_text()
