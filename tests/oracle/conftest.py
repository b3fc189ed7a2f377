"""The OCI runtime under the engines: ours, or those that ORACLE_RUNTIMES names, such as "runc crun pyctr"."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labs.kit.orchestrators import images
from tests.conftest import REPOSITORY, Pyctr
from tests.leaks import end_groups

RUNTIMES = os.environ.get("ORACLE_RUNTIMES", "pyctr").split()


@dataclass(frozen=True)
class Runtime:
    """An OCI runtime: its name for the engine's settings, and its program."""

    name: str
    path: Path


@pytest.fixture(scope="session", params=RUNTIMES)
def oci_runtime(
    request: pytest.FixtureRequest, needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Runtime:
    """Return the runtime under test."""
    name = request.param
    if name == "pyctr":
        return Runtime(name, REPOSITORY / ".venv/bin/pyctr-oci")
    if name != "crun":
        return Runtime(f"other-{name}", Path(needs(name)))  # Docker reserves the name runc
    # crun refuses a hybrid of cgroup versions unless the mount of version 2 is hidden.
    script = tmp_path_factory.mktemp("crun") / "crun"
    command = f'umount /sys/fs/cgroup/unified 2>/dev/null; exec {needs(name)} "$@"'
    script.write_text(f"#!/bin/sh\nexec unshare --mount --propagation slave sh -c '{command}' crun \"$@\"\n")
    script.chmod(0o755)
    return Runtime(f"other-{name}", script)


@pytest.fixture(scope="session")
def image_archives(launcher: Path, busybox_store: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return archives of busybox:latest and pause:1, which the engines load."""
    directory = tmp_path_factory.mktemp("image-archives")
    subprocess.run(["cp", "-a", busybox_store, directory / "state"], check=True)
    return list(images.save([str(launcher), "--root", str(directory / "state")], directory))


@pytest.fixture(scope="module")
def busybox_tar(launcher: Path, busybox_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root file system of our busybox:latest as a tar archive."""
    directory = tmp_path_factory.mktemp("busybox-tar")
    subprocess.run(["cp", "-a", busybox_store, directory / "state"], check=True)
    pyctr = Pyctr(launcher, directory / "state")
    pyctr("create", "--name", "box", "busybox", check=True)
    pyctr("export", "-o", str(directory / "busybox.tar"), "box", check=True)
    pyctr("rm", "box", check=True)
    end_groups(f"pyctr_lite-{directory.name}", only_empty=True)
    return directory / "busybox.tar"


@pytest.fixture(scope="module")
def short_directory() -> Iterator[Path]:
    """A directory with a short path: a socket's has a limit of 107 bytes, podman's run directory one of 50."""
    with tempfile.TemporaryDirectory(prefix="under-") as name:
        yield Path(name)
