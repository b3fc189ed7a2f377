"""The orchestrators of chapter 10 and `make orchestrators`: each is started on our OCI runtime when needed."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from labs.kit.isolation import scratch
from labs.kit.orchestrators import calls, images
from labs.kit.orchestrators.client import Client

SECONDS = 120 * float(os.environ.get("PYCTR_SLOW", "1"))
NAME = "pyctr"
"""The runtime's name in the settings of every orchestrator."""
PACKAGES = {
    "podman": {"podman": "podman", "conmon": "conmon"},
    "docker": {"dockerd": "docker.io", "containerd": "containerd", "docker": "docker.io"},
    "containerd": {"containerd": "containerd", "ctr": "containerd", "containerd-shim-runc-v2": "containerd"},
}
"""The programs of each orchestrator, with the Debian packages that have them."""


class Orchestrator:
    """A command line that is shown with its output: `podman("run --rm busybox true")`.

    On a machine that lacks it, `missing` says so and how to install it, and each call only shows that.
    """

    def __init__(self, name: str, missing: str, echo: Callable[[str], None], recorder: calls.Recorder) -> None:
        self.name, self.missing, self.echo, self.recorder = name, missing, echo, recorder
        self.client = Client()
        self.options: dict[str, tuple[str, ...]] = {}
        self.code = 0

    def __bool__(self) -> bool:
        return not self.missing

    def __call__(self, line: str, input: str | None = None) -> str:
        """Show a command line, run it, and show and return its output. `code` is then its exit code."""
        if self.missing:
            self.echo(self.missing)
            return ""
        self.echo(f"$ {self.name} {line}")
        output = self.quietly(line, input)
        if output.strip():
            self.echo(output.rstrip("\n"))
        if self.code:
            self.echo(f"exit status {self.code}")
        return output

    def quietly(self, line: str, input: str | None = None) -> str:
        """Run a command line and return its output, both streams together; "" if the program is missing."""
        if self.missing:
            return ""
        words = shlex.split(line)
        args = [*self.client.prefix, *words[:1], *self.options.get(words[0], ()), *words[1:]]
        done = subprocess.run(
            args,
            env=self.client.environment,
            stdin=subprocess.DEVNULL if input is None else None,
            input=input,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )
        self.code = done.returncode
        return done.stdout

    def calls(self) -> list[calls.Call]:
        """Return the calls of our runtime since the last time."""
        return self.recorder.new()


class Workshop:
    """A directory with a state directory, a socket and a cgroup for each orchestrator that is started.

    `echo` shows a text; `labs` is a directory with a learner's functions, which the runtime then uses. Everything
    is ended by `close`, or when Python ends.
    """

    def __init__(self, echo: Callable[[str], None] = print, labs: Path | None = None) -> None:
        self.labs = labs
        self.echo, self.stack = echo, contextlib.ExitStack()
        atexit.register(self.close)
        self.directory = self.stack.enter_context(scratch.directory("work"))
        self.runtime = Path(sys.executable).parent / "pyctr-oci"
        self.group = f"pyctr-{os.getpid()}"
        self.engine = [sys.executable, "-m", "pyctr_lite"]
        """The command line of our engine, whose image busybox:latest all of them load."""
        self.archives: tuple[Path, ...] = ()

    def podman(self) -> Orchestrator:
        """Return podman with our runtime as its own."""
        found = self._new("podman")
        if found:
            from labs.kit.orchestrators.podman import Podman

            podman = Podman(self.directory / "podman", NAME, found.recorder.program, f"{self.group}-podman")
            self.stack.callback(podman.stop)
            for archive in self._images():
                podman("load", "-q", "-i", archive)
            found.client = podman
            found.options = dict.fromkeys(("run", "create"), podman.options)
            found.calls()
        return found

    def docker(self) -> Orchestrator:
        """Return Docker's client of a daemon whose default runtime is ours. Raises RuntimeError."""
        found = self._new("docker")
        if found:
            from labs.kit.orchestrators.dockerd import Dockerd

            runtime = (NAME, found.recorder.program)
            daemon = Dockerd(self.directory / "docker", f"{self.group}-docker", runtime=runtime)
            self.stack.callback(daemon.stop)
            daemon.wait()
            daemon("load", "-i", self._images()[0])
            found.client = daemon
            found.calls()
        return found

    def containerd(self) -> Orchestrator:
        """Return containerd's client `ctr`; a pod's runtime class `pyctr` is our runtime. Raises RuntimeError."""
        found = self._new("containerd")
        if found:
            from labs.kit.orchestrators.containerd import Containerd

            program, group = found.recorder.program, f"{self.group}-containerd"
            daemon = Containerd(self.directory / "containerd", NAME, program, group)
            self.stack.callback(daemon.stop)
            daemon.wait()
            for archive in self._images():
                daemon("images", "import", archive)
            found.client, found.name = daemon, "ctr"
            found.options = {"run": (*daemon.run_options, "--cgroup", f"/{group}/ctr")}
            found.calls()
        if found and importlib.util.find_spec("grpc_tools") is None:
            found.missing = "skipped: Python's grpcio-tools is not installed (make ready-course)"
        return found

    def close(self) -> None:
        """End all daemons and containers, and remove their files and cgroups. Idempotent."""
        self.stack.close()

    def _new(self, name: str) -> Orchestrator:
        recorder = calls.Recorder(self.directory / f"calls-{name}", self.runtime, self.labs)
        path = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        lacking = [program for program in PACKAGES[name] if not shutil.which(program, path=path)]
        packages = sorted({PACKAGES[name][program] for program in lacking})
        missing = f"skipped: {name} is not installed (apt install {' '.join(packages)})" if lacking else ""
        return Orchestrator(name, missing, self.echo, recorder)

    def _images(self) -> tuple[Path, ...]:
        """Return the archives of busybox and of the pause image, made by our engine."""
        if not self.archives:
            self.archives = images.save(self.engine, self.directory)
        return self.archives
