"""The files that contestants share: a directory with a root file system and a big tree, removed at the end."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pyctr_lite import linux
from pyctr_lite.linux import mountinfo
from pyctr_lite.linux.constants import PR_SET_CHILD_SUBREAPER
from tests import leaks

if TYPE_CHECKING:
    from types import TracebackType

CGROUP = "pyctr_bench"
"""The parent cgroup of the containers of all other contestants, in every hierarchy."""
TREE_FILES, TREE_BYTES = 20_000, 300_000_000


class Workplace:
    """A directory under /var/tmp (a disk, not memory) with the input of all contestants."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="pyctr-bench-", dir="/var/tmp"))
        self.rootfs, self.root_tar = self.path / "rootfs", self.path / "root.tar"
        self.tree, self.tree_tar = self.path / "tree", self.path / "tree.tar"

    def __enter__(self) -> Workplace:
        linux.prctl(PR_SET_CHILD_SUBREAPER, 1)  # monitors and shims become our children, and can be found
        self._make_rootfs()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leaks.end(leaks.children())
        leaks.end_groups(CGROUP, only_empty=False)
        snapshot = leaks.Snapshot.take(self.path)
        snapshot.remove_new_since(leaks.Snapshot({}, frozenset(), snapshot.files))
        leaks.end(leaks.children())
        shutil.rmtree(self.path)

    def _make_rootfs(self) -> None:
        for name in ("bin", "proc", "dev", "sys", "etc", "tmp"):
            (self.rootfs / name).mkdir(parents=True)
        shutil.copy2("/bin/busybox", self.rootfs / "bin/busybox")
        for applet in subprocess.run(
            ["/bin/busybox", "--list"], check=True, capture_output=True, text=True
        ).stdout.split():
            if applet != "busybox":
                (self.rootfs / "bin" / applet).symlink_to("busybox")
        subprocess.run(["tar", "-C", self.rootfs, "--owner=0", "--group=0", "-cf", self.root_tar, "."], check=True)

    def make_tree(self) -> None:
        """Create 20,000 files, 300 MB in all, the same in every run. Half of each file compresses. Idempotent."""
        if self.tree.exists():
            return
        dice = random.Random(2)
        pool = dice.randbytes(1 << 20) + bytes(1 << 20)
        mean = TREE_BYTES // TREE_FILES
        for number in range(TREE_FILES):
            directory = self.tree / f"{number // 1000:02}" / f"{number // 100:03}"
            if number % 100 == 0:
                directory.mkdir(parents=True)
            size = dice.randrange(2 * mean)
            start = dice.randrange(len(pool) - size)
            (directory / f"file-{number}").write_bytes(pool[start : start + size])
        subprocess.run(["tar", "-C", self.tree, "--owner=0", "--group=0", "-cf", self.tree_tar, "."], check=True)

    def make_bundle(self, name: str, args: list[str]) -> Path:
        """Create an OCI bundle on the root file system, by `runc spec`, for runc and crun. Idempotent."""
        bundle = self.path / f"bundle-{name}"
        if not bundle.exists():
            bundle.mkdir()
            subprocess.run(["runc", "spec", "--bundle", bundle], check=True)
            config = json.loads((bundle / "config.json").read_text())
            config["process"] |= {"terminal": False, "args": args, "rlimits": []}
            config["root"] = {"path": str(self.rootfs), "readonly": True}
            config["linux"]["cgroupsPath"] = f"/{CGROUP}/{name}"
            (bundle / "config.json").write_text(json.dumps(config))
        return bundle

    def namespace_without_unified(self) -> int | None:
        """Create a mount namespace in which a hybrid machine shows only version 1 cgroups (crun refuses hybrid).

        Returns its descriptor, or None if cgroups are not hybrid: no other namespace is needed.
        """
        kinds = {mount.mountpoint: mount.fstype for mount in mountinfo.mounts()}
        if "cgroup" not in kinds.values() or "cgroup2" not in kinds.values():
            return None
        unified = next(mountpoint for mountpoint, kind in kinds.items() if kind == "cgroup2")
        ready, done = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                linux.unshare(linux.CLONE_NEWNS)
                linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
                linux.umount2(unified, linux.MNT_DETACH)
                os.write(done, b"1")
                signal.pause()
            finally:
                os._exit(status)
        os.close(done)
        try:
            if os.read(ready, 1) != b"1":
                raise RuntimeError("the version 2 mount could not be hidden")
            return os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(ready)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
