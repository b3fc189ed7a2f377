"""Kubernetes' container runtime interface (CRI), spoken as the kubelet speaks it: gRPC over containerd's socket.

The messages come from cri.proto and are compiled when this module's `Kubelet` is made; nothing generated is kept.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

SECONDS = 60
"""The longest time that a call may take. The kubelet's own limit is two minutes."""


class Kubelet:
    """The calls that a node's kubelet makes. `handler` is the one that a pod's runtime class names.

    `call` makes any call, with the request's fields as keywords; the methods make those that take more.
    `cgroup` is the parent of the pods' groups, `logs` the directory of their logs.
    """

    def __init__(self, socket: Path, handler: str, cgroup: str, logs: Path) -> None:
        import grpc

        self.messages, services = _compile()
        self.channel = grpc.insecure_channel(f"unix://{socket}")
        self.stub = services.RuntimeServiceStub(self.channel)
        self.images = services.ImageServiceStub(self.channel)
        self.handler, self.cgroup, self.logs = handler, cgroup, logs
        self.configs: dict[str, Any] = {}

    def call(self, name: str, **fields: Any) -> Any:
        """Make a call, such as `StopContainer`. Raises grpc.RpcError with the runtime's own message."""
        stub = self.images if hasattr(self.images, name) else self.stub
        make: Callable[..., Any] = getattr(stub, name)
        return make(getattr(self.messages, f"{name}Request")(**fields), timeout=SECONDS)

    def run_pod(self, name: str, **security: Any) -> str:
        """Create and start a pod's sandbox on the host's network, and return its id."""
        node = {"network": self.messages.NODE, "pid": self.messages.CONTAINER, **security.pop("namespaces", {})}
        config = self.messages.PodSandboxConfig(
            metadata={"name": name, "uid": uuid.uuid4().hex, "namespace": "default"},
            log_directory=str(self.logs / name),
            labels={"app": name},
            linux={
                "cgroup_parent": f"/{self.cgroup}/{name}",
                "security_context": {"namespace_options": node, **security},
            },
        )
        pod: str = self.call("RunPodSandbox", config=config, runtime_handler=self.handler).pod_sandbox_id
        self.configs[pod] = config
        return pod

    def create(
        self, pod: str, name: str, *command: str, linux: dict[str, Any] | None = None, **fields: Any
    ) -> str:
        """Create a container of busybox in a pod and return its id."""
        given = dict(linux or {})
        security = given.setdefault("security_context", {})
        security.setdefault("namespace_options", self.configs[pod].linux.security_context.namespace_options)
        config = self.messages.ContainerConfig(
            metadata={"name": name},
            image={"image": "docker.io/library/busybox:latest"},
            command=command,
            log_path=f"{name}.log",
            linux=given,
            **fields,
        )
        done = self.call("CreateContainer", pod_sandbox_id=pod, config=config, sandbox_config=self.configs[pod])
        return str(done.container_id)

    def start(self, pod: str, name: str, *command: str, **fields: Any) -> str:
        """Create a container and start it; return its id."""
        container = self.create(pod, name, *command, **fields)
        self.call("StartContainer", container_id=container)
        return container

    def exec(self, container: str, *command: str, timeout: int = 10) -> tuple[int, str, str]:
        """Run a command in a container; return its exit code, output and error output."""
        done = self.call("ExecSync", container_id=container, cmd=command, timeout=timeout)
        return done.exit_code, done.stdout.decode(), done.stderr.decode()

    def status(self, container: str) -> Any:
        """Return a container's status: state, exit_code, reason, started_at (nanoseconds) and more."""
        return self.call("ContainerStatus", container_id=container).status

    def state(self, container: str) -> str:
        """Return a container's state: created, running, exited or unknown."""
        name: str = self.messages.ContainerState.Name(self.status(container).state)
        return name.removeprefix("CONTAINER_").lower()

    def log(self, pod: str, name: str) -> list[tuple[str, str]]:
        """Return the lines of a container's log, each with its stream. Source: kubelet, "CRI log format"."""
        text = (Path(self.configs[pod].log_directory) / f"{name}.log").read_text()
        parts = [line.split(" ", 3) for line in text.splitlines()]
        return [(stream, line) for _, stream, _, line in parts]

    def remove_everything(self) -> None:
        """Stop and remove all pods with their containers."""
        for pod in self.call("ListPodSandbox").items:
            self.call("StopPodSandbox", pod_sandbox_id=pod.id)
            self.call("RemovePodSandbox", pod_sandbox_id=pod.id)

    def close(self) -> None:
        """Close the connection."""
        self.channel.close()


def _compile() -> tuple[ModuleType, ModuleType]:
    """Compile cri.proto to a module of messages and a module of stubs, in memory."""
    import grpc

    with _on_path(str(Path(__file__).parent)):
        messages, services = grpc.protos_and_services("cri.proto")
    return messages, services


@contextmanager
def _on_path(directory: str) -> Iterator[None]:
    """Let grpc find a file in a directory: it looks along sys.path."""
    sys.path.append(directory)
    try:
        yield
    finally:
        sys.path.remove(directory)
