"""Fixtures for `pyctr-oci`: the command on a root directory of the test's own, and a bundle that it has made."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, SLOWNESS

Done = subprocess.CompletedProcess[str]


class Oci:
    """`pyctr-oci` as a program: `oci("state", "box")`; its output goes to files, which a container keeps."""

    def __init__(self, launcher: Path, directory: Path) -> None:
        self.launcher, self.directory, self.root = launcher, directory, directory / "containers"
        self.bundle = directory / "bundle"
        (self.bundle / "rootfs/bin").mkdir(parents=True)
        shutil.copy("/bin/busybox", self.bundle / "rootfs/bin/busybox")
        for name in ("sh", "cat", "sleep", "echo", "ls", "id", "kill", "stty", "touch", "true", "env"):
            (self.bundle / "rootfs/bin" / name).symlink_to("busybox")
        self("spec", check=True, cwd=self.bundle)
        self.config: dict[str, Any] = json.loads((self.bundle / "config.json").read_text())
        self.config["root"]["readonly"] = False
        self.config["process"] |= {"terminal": False, "rlimits": []}
        self.config["linux"]["cgroupsPath"] = f"/pyctr_oci-{directory.name}/box"

    def command(self, *arguments: str | Path) -> list[str]:
        return [str(self.launcher), "--root", str(self.root), *map(str, arguments)]

    def write(self, *args: str, **changes: Any) -> None:
        """Write the configuration, with other arguments of the program."""
        if args:
            self.config["process"]["args"] = list(args)
        self.config |= changes
        (self.bundle / "config.json").write_text(json.dumps(self.config))

    def __call__(self, *arguments: str | Path, check: bool = False, **options: Any) -> Done:
        """Run the command. Its standard streams are files: a container keeps them after the command has ended."""
        out, err = (self.directory / name for name in ("stdout", "stderr"))
        with out.open("w") as stdout, err.open("w") as stderr:
            options = {"stdin": subprocess.DEVNULL, "timeout": 30 * SLOWNESS, **options}
            done = subprocess.run(self.command(*arguments), stdout=stdout, stderr=stderr, **options)
        result: Done = subprocess.CompletedProcess(done.args, done.returncode, out.read_text(), err.read_text())
        if check and result.returncode:
            pytest.fail(f"pyctr-oci {arguments}: exit status {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def state(self, id: str = "box") -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self("state", id, check=True).stdout)
        return state

    def wait(self, status: str, id: str = "box") -> None:
        """Wait until a container has a status."""
        deadline = time.monotonic() + 10 * SLOWNESS
        while (now := self.state(id)["status"]) != status:
            assert time.monotonic() < deadline, f"{id} is {now}, not {status}"
            time.sleep(0.01)

    def output(self) -> str:
        """What the last command, or a container that it started, has written to stdout until now."""
        return (self.directory / "stdout").read_text()


@pytest.fixture(scope="session")
def oci_launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command as `make setup` makes it, for the Python that runs the tests."""
    path = tmp_path_factory.mktemp("bin") / "pyctr-oci"
    command = [
        sys.executable,
        "-ISXutf8",
        REPOSITORY / "make/launcher.py",
        sys.executable,
        REPOSITORY,
        "pyctr-oci",
    ]
    path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    path.chmod(0o755)
    return path


@pytest.fixture
def oci(oci_launcher: Path, tmp_path: Path) -> Iterator[Oci]:
    """The command, and a bundle. Its containers and their cgroups are removed after the test."""
    oci = Oci(oci_launcher, tmp_path)
    yield oci
    for id in oci("list", "--quiet").stdout.split():
        oci("delete", "--force", id, check=True)
    for mount in Path("/sys/fs/cgroup").iterdir():
        with contextlib.suppress(OSError):
            os.rmdir(mount / f"pyctr_oci-{tmp_path.name}")
    with contextlib.suppress(OSError):
        os.rmdir(f"/sys/fs/cgroup/pyctr_oci-{tmp_path.name}")
