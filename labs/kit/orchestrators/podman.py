"""Podman with its own storage, on a given OCI runtime."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from labs.kit.isolation import sandbox, scratch
from labs.kit.orchestrators.client import Client

CONTAINERS_CONF = """\
[containers]
# A container has its own loopback interface and no other. (The usual bridge needs a packet filter.)
netns = "none"
# Debian's default asks for more open files than a machine without CAP_SYS_RESOURCE can give.
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
init_path = "/usr/bin/tini-static"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
infra_image = "docker.io/library/pause:1"
runtime = "{name}"
runtime_supports_json = ["{name}"]
# These two follow from the graph root; podman's own cleanup process gives them like this.
static_dir = "{directory}/root/libpod"
tmp_dir = "{directory}/tmp"
volume_path = "{directory}/root/volumes"

[engine.runtimes]
{name} = [{path}]
"""
STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{directory}/root"
runroot = "{directory}/run"
"""
NEEDS = ("podman", "conmon")


class Podman(Client):
    """Podman's command and the environment that gives it its own directories.

    `directory`: at most 40 bytes long, because the path of its run directory may have 50.
    `group`: the parent cgroup that `run`, `create` and `pod create` need as an option; see `options`.
    """

    def __init__(self, directory: Path, name: str, runtime: Path, group: str) -> None:
        self.directory, self.group, self.options = directory, group, ("--cgroup-parent", f"/{group}")
        directory.mkdir(mode=0o711, exist_ok=True)
        texts = {"directory": directory, "name": name, "path": json.dumps(str(runtime))}
        for file, text in (("containers.conf", CONTAINERS_CONF), ("storage.conf", STORAGE_CONF)):
            scratch.write(directory / file, text.format(**texts).encode())
        self.environment = {
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "CONTAINERS_CONF": str(directory / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
            "HOME": str(directory),
        }
        self.prefix = [shutil.which("podman") or "podman"]

    def remove_everything(self) -> None:
        """Remove all pods, containers and volumes. Images stay."""
        for args in (["pod", "rm", "-f", "-a", "-t", "0"], ["rm", "-f", "-a", "-v", "-t", "0"]):
            self(*args)
        self("volume", "prune", "-f")

    def stop(self) -> None:
        """Remove the containers, the storage and its mounts."""
        try:
            self.remove_everything()
        finally:
            sandbox.remove_groups(self.group)
            overlay = self.directory / "root/overlay"
            if os.path.ismount(overlay):
                subprocess.run(["umount", "--lazy", overlay], check=False)
            shutil.rmtree(self.directory, ignore_errors=True)
