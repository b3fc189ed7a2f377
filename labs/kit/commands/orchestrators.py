"""`make orchestrators`: podman, Docker, Swarm, containerd and Kubernetes' CRI, live on our OCI runtime."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from labs.kit import screen
from labs.kit.orchestrators import calls
from labs.kit.orchestrators.workshop import Orchestrator, Workshop

IMAGE = "docker.io/library/busybox:latest"


class Tour:
    """The scenes of the tour. Each returns why it was skipped, or ""; it raises if something does not work."""

    def __init__(self, console: Console) -> None:
        self.console, self.workshop = console, Workshop(self._show)
        self.docker: Orchestrator | None = None

    def podman(self) -> str:
        """Podman starts a container: it asks the runtime three times."""
        podman = self.workshop.podman()
        self._expect(podman, "run --rm busybox echo hello from podman", "hello from podman")
        self._tell("What did podman ask of our runtime for that?")
        self._calls(podman, {"create", "start"})
        self._expect(podman, "run -d --name box -m 64m busybox sleep 100", "")
        self._expect(podman, "exec box cat /proc/1/comm", "sleep")
        podman("stop -t 1 box")
        self._expect(podman, "inspect -f '{{.State.Status}} {{.State.ExitCode}}' box", "exited 137")
        self._tell("That was SIGTERM, a second of patience, and SIGKILL: each of them is a call of `kill`.")
        self._calls(podman, {"exec", "kill"})
        return podman.missing

    def dockerd(self) -> str:
        """Docker's daemon runs its containers with it: daemon.json names it as the default runtime."""
        docker = self.docker = self.workshop.docker()
        self._expect(docker, "info --format '{{.DefaultRuntime}}'", "pyctr")
        self._expect(docker, "run --rm -m 64m busybox echo hello from Docker", "hello from Docker")
        self._calls(docker, {"create", "start", "delete"})
        return docker.missing

    def swarm(self) -> str:
        """A Swarm keeps three replicas running: one is killed, and a new version replaces the old one."""
        docker = self.docker or self.workshop.docker()
        if docker.missing:
            return docker.missing
        init = "swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:0"
        self._show(f"$ docker {init}")
        _require("manager" in docker.quietly(init), init)
        docker.quietly("tag busybox:latest web:1")
        docker.quietly("tag busybox:latest web:2")
        flags = "-d --name web --replicas 3 --network host --no-resolve-image --restart-delay 0s"
        flags += " --update-monitor 0s --update-order start-first"
        docker(f"service create {flags} web:1 sh -c 'trap exit TERM; sleep 1000 & wait'")
        self._wait(docker, "three replicas run", lambda: len(_running(docker)) == 3)
        victim = _running(docker)[0]
        pid = docker.quietly(f"inspect -f '{{{{.State.Pid}}}}' {victim}")
        self._tell(f"We kill one of them, process {pid.strip()}.")
        os.kill(int(pid), signal.SIGKILL)
        self._wait(docker, "another has taken its place", lambda: len({*_running(docker)} - {victim}) == 3)
        docker("service ps --format '{{.Name}} {{.Image}} {{.CurrentState}} {{.Error}}' web")
        docker("service update -d --no-resolve-image --image web:2 web")
        self._wait(docker, "a rolling update: all three run web:2", lambda: len(_running(docker, "web:2")) == 3)
        docker("service rm web")
        docker.quietly("swarm leave --force")
        return ""

    def containerd(self) -> str:
        """Containerd's own client, by the shim that Docker and Kubernetes use, too."""
        ctr = self.workshop.containerd()
        self._expect(ctr, f"run --rm {IMAGE} one echo hello from containerd", "hello from containerd")
        self._calls(ctr, {"create", "start", "delete"})
        return ctr.missing or self._kubernetes(ctr)

    def _kubernetes(self, ctr: Orchestrator) -> str:
        """Run a pod by the calls that a kubelet would make."""
        from labs.kit.orchestrators.containerd import Containerd
        from labs.kit.orchestrators.cri import Kubelet

        daemon = ctr.client
        assert isinstance(daemon, Containerd)
        self._heading("Kubernetes: the calls of a kubelet (CRI), for a pod of the runtime class pyctr")
        kubelet = Kubelet(daemon.socket, "pyctr", daemon.group, self.workshop.directory / "pods")
        pod = kubelet.run_pod("web")
        self._show(f"RunPodSandbox(web, runtime_handler=pyctr) = {pod[:12]}")
        container = kubelet.start(pod, "server", "sh", "-c", "echo ready; trap exit TERM; sleep 1000 & wait")
        self._show(f"CreateContainer(server) = {container[:12]}\nStartContainer({container[:12]})")
        code, output, _ = kubelet.exec(container, "cat", "/proc/1/comm")
        self._show(f"ExecSync(cat /proc/1/comm) = {code}, {output.strip()}")
        _require(code == 0 and output == "sh\n", "ExecSync")
        used = kubelet.call("ContainerStats", container_id=container).stats.memory.working_set_bytes.value
        self._show(f"ContainerStats() = {used >> 10} KiB of memory")
        kubelet.call("StopContainer", container_id=container, timeout=5)
        self._show(f"StopContainer(timeout=5); its log: {kubelet.log(pod, 'server')}")
        _require(("stdout", "ready") in kubelet.log(pod, "server"), "the container's log")
        kubelet.remove_everything()
        kubelet.close()
        self._show("StopPodSandbox, RemovePodSandbox")
        self._calls(ctr, {"create", "start", "exec", "kill", "delete"})
        return ""

    def run(self, scene: Callable[[], str]) -> str:
        """Run one scene and return what came of it: ok, skipped or failed."""
        self._heading((scene.__doc__ or "").rstrip("."))
        try:
            return scene() or "ok"
        except (AssertionError, RuntimeError, OSError, subprocess.SubprocessError) as error:
            self.console.print(Text(f"failed: {error}", "bold red"))
            return f"failed: {error}"

    def _expect(self, orchestrator: Orchestrator, line: str, text: str) -> None:
        output = orchestrator(line)
        _require(not orchestrator or (orchestrator.code == 0 and text in output), line)

    def _calls(self, orchestrator: Orchestrator, verbs: set[str]) -> None:
        if orchestrator:
            made = orchestrator.calls()
            self.console.print(Text(calls.table(made), "cyan"))
            _require(verbs <= {call.verb for call in made}, f"calls of our runtime: {', '.join(sorted(verbs))}")

    def _wait(self, docker: Orchestrator, fact: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60 * float(os.environ.get("PYCTR_SLOW", "1"))
        while not holds():
            _require(time.monotonic() < deadline, f"{fact}\n{docker.quietly('service ps --no-trunc web')}")
            time.sleep(0.1)
        self._tell(f"{fact[0].upper()}{fact[1:]}.")

    def _heading(self, text: str) -> None:
        self.console.print()
        self.console.print(Text(text, "bold"))

    def _tell(self, text: str) -> None:
        self.console.print(Text(text, "italic"))

    def _show(self, text: str) -> None:
        self.console.print(
            Text(text, "bold" if text.startswith("$ ") else "yellow" if text.startswith("skipped") else "")
        )


def show() -> int:
    """Run the scenes, and return 1 if one of them has failed."""
    console = screen.console()
    tour = Tour(console)
    scenes = {
        "podman": tour.podman,
        "Docker": tour.dockerd,
        "Swarm": tour.swarm,
        "containerd and Kubernetes' CRI": tour.containerd,
    }
    try:
        came = {name: tour.run(scene) for name, scene in scenes.items()}
    finally:
        tour.workshop.close()
    console.print()
    for name, result in came.items():
        style = "green" if result == "ok" else "yellow" if result.startswith("skipped") else "bold red"
        console.print(Text(f"{name:<32} {result.splitlines()[0]}", style))
    console.print("A kubelet, CRI-O and Nomad are not shown: docs/ORCHESTRATORS.md has their settings.")
    return int(any(result.startswith("failed") for result in came.values()))


def _running(docker: Orchestrator, image: str = "") -> list[str]:
    """Return the ids of the running containers, of an image or of any."""
    lines = docker.quietly("ps --no-trunc --format '{{.ID}} {{.Image}}'").splitlines()
    return [line.split()[0] for line in lines if line.endswith(image)]


def _require(holds: bool, fact: str) -> None:
    if not holds:
        raise AssertionError(fact)
