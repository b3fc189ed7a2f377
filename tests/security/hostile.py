"""Images made by an attacker: busybox, some files, and an arbitrary config."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Any

from tests.conftest import Pyctr
from tests.images.archives import config, digest, directory, docker_archive, entry, symlink, tar

UP = "../" * 12
"""Enough levels to leave any root file system, if a link is followed on the host."""


def layer(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return a layer with busybox as /bin/busybox and /bin/sh, and more entries."""
    program = entry("bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755)
    names = ("sh", "id", "cat", "ls", "grep", "env", "sleep", "true", "mount", "mkdir", "echo")
    return tar(directory("bin"), program, *(symlink(f"bin/{name}", "busybox") for name in names), *entries)


def load(pyctr: Pyctr, tmp_path: Path, name: str, *entries: tuple[tarfile.TarInfo, bytes], **settings: Any) -> str:
    """Load an image of one layer, and return its name. `settings` are members of its config, such as Env=[…]."""
    content = layer(*entries)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    described = config(digest(content), config=settings, architecture=machine)
    archive = tmp_path / f"{name}.tar"
    archive.write_bytes(docker_archive([content], [f"{name}:latest"], config_content=described))
    pyctr("load", "-i", archive, check=True)
    archive.unlink()
    return name
