"""containerd with its own directories and Kubernetes' interface (CRI), on a given OCI runtime."""

from __future__ import annotations

import shutil
from pathlib import Path

from labs.kit.isolation import scratch
from labs.kit.orchestrators.client import Client
from labs.kit.orchestrators.daemon import Daemon

NEEDS = ("containerd", "ctr", "containerd-shim-runc-v2")
CONFIG = """\
version = 2
root = "{directory}/data"
state = "{directory}/run"

[grpc]
address = "{directory}/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "{directory}/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/library/pause:1"
stream_server_address = "127.0.0.1"
stream_server_port = "0"
# The machine may have fewer privileges than a node: a pod's score for the OOM killer is not lowered below our own.
restrict_oom_score_adj = true
disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{directory}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "{name}"

# A pod with `runtimeClassName: {name}` names this handler. The shim is containerd's own; it calls the runtime.
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}.options]
BinaryName = "{runtime}"
Root = "{directory}/runtime"
SystemdCgroup = false
"""


class Containerd(Client):
    """A running containerd. `group`: the parent cgroup that callers give to their containers."""

    def __init__(self, directory: Path, name: str, runtime: Path, group: str) -> None:
        self.directory, self.socket, self.group, self.runtime = (
            directory,
            directory / "containerd.sock",
            group,
            runtime,
        )
        directory.mkdir(mode=0o711, exist_ok=True)
        text = CONFIG.format(directory=directory, name=name, runtime=runtime)
        scratch.write(directory / "config.toml", text.encode())
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "CONTAINERD_ADDRESS": str(self.socket),
            "CONTAINERD_NAMESPACE": "k8s.io",  # CRI's images and containers are in this one
        }
        self.prefix = [shutil.which("ctr") or "ctr"]
        self.run_options = (f"--runc-binary={runtime}", f"--runc-root={directory / 'runtime'}")
        self.daemon = Daemon(["containerd", "--config", str(directory / "config.toml")], directory, (group,))

    def wait(self) -> None:
        """Wait until containerd answers. Raises RuntimeError if it does not."""
        self.daemon.wait(self.answers)

    def stop(self) -> None:
        """End the containers and the daemon, and remove its files."""
        self.daemon.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
