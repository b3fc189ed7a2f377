"""The contestants, and the command of each for the same action."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests import leaks
from tests.bench import timing
from tests.bench.workplace import CGROUP
from tests.dockerd import DockerDaemon

if TYPE_CHECKING:
    from tests.bench.workplace import Workplace

IMAGE = "bench-busybox:latest"


def output(argv: list[str]) -> str:
    """Return the output of a program. Raises RuntimeError with its last line if it fails."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise RuntimeError(f"{' '.join(argv[:1] + argv[-3:])}: {last}")
    return done.stdout.strip()


def find(program: str) -> str:
    """Return the path of a program. Raises RuntimeError if it is not installed."""
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise RuntimeError(f"{program} is not installed: make bench installs it")
    return path


class Contestant:
    """One program. It has to be started in `mount_namespace`, a descriptor, or None for the current one."""

    name = ""
    mount_namespace: int | None = None

    def __init__(self, work: Workplace) -> None:
        self.work = work
        self.numbers = itertools.count()

    def version(self) -> str:
        raise NotImplementedError

    def prepare(self) -> None:
        """Prepare, without being measured. Raises RuntimeError if this machine does not allow it."""

    def run_true(self) -> list[str]:
        """Return the command that creates a container, runs `true` in it and removes it."""
        raise NotImplementedError

    def close(self) -> None:
        """Remove what outlives the commands."""


class Floor(Contestant):
    """The floor: the kernel and two small C programs, without image, cgroup or record."""

    name = "unshare+chroot"

    def version(self) -> str:
        return output(["unshare", "--version"])

    def run_true(self) -> list[str]:
        return [find("unshare"), "-mpuin", "--fork", find("chroot"), str(self.work.rootfs), "/bin/true"]


class Python(Contestant):
    """The Python interpreter alone, with the flags of our command."""

    name = "python -IS"

    def version(self) -> str:
        return sys.version.split()[0]

    def run_true(self) -> list[str]:
        return [sys.executable, "-IS", "-c", "pass"]


def launcher(work: Workplace, name: str) -> str:
    """Make a command of ours, `pyctr_lite` or `pyctr-oci`, as `make setup` does. Returns its path."""
    path = work.path / name
    command = [sys.executable, "-ISXutf8", "make/launcher.py", sys.executable, os.getcwd(), name]
    path.write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    path.chmod(0o755)
    return str(path)


class Runtime(Contestant):
    """An OCI runtime on an existing bundle: no image, no layers, no names, no logs."""

    def __init__(self, work: Workplace, name: str, program: str) -> None:
        super().__init__(work)
        self.name, self.program = name, program
        self.state = str(work.path / f"state-{name}")
        if name == "crun":
            self.mount_namespace = work.namespace_without_unified()

    def command(self, *arguments: str) -> list[str]:
        return [self.program, "--root", self.state, *arguments]

    def version(self) -> str:
        note = " (version 2 cgroups hidden from it)" if self.mount_namespace is not None else ""
        return output([self.program, "--version"]).splitlines()[0].split()[-1] + note

    def run_true(self) -> list[str]:
        number = next(self.numbers)
        bundle = self.work.make_bundle(f"{self.name}-{number % 64}", ["true"])
        return self.command("run", "--bundle", str(bundle), f"{self.name}-{number}")

    def create(self) -> list[str]:
        """Return the command that creates a container named idle."""
        bundle = self.work.make_bundle(f"{self.name}-idle", ["sleep", "100000"])
        return self.command("create", "--bundle", str(bundle), "idle")

    def start_idle(self) -> str:
        with timing.mount_namespace(self.mount_namespace):
            timing.one(self.create())
            timing.one(self.command("start", "idle"))
        return "idle"

    def exec_true(self, container: str) -> list[str]:
        return self.command("exec", container, "true")

    def remove(self, container: str) -> list[str]:
        return self.command("delete", "--force", container)


class Engine(Contestant):
    """An engine with Docker's verbs: images, names, logs, a monitor for each container."""

    options: tuple[str, ...] = ()
    """The flags of `run` and `create` for a container without a network."""
    import_flags: tuple[str, ...] = ()

    def command(self, *arguments: str) -> list[str]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Import the image that all contestants run."""
        output(self.import_tree(self.work.root_tar, IMAGE))

    def run_true(self) -> list[str]:
        return self.command("run", "--rm", *self.options, IMAGE, "true")

    def start_idle(self) -> str:
        return output(self.command("run", "--detach", *self.options, IMAGE, "sleep", "100000"))

    def exec_true(self, container: str) -> list[str]:
        return self.command("exec", container, "true")

    def monitors(self, container: str) -> list[int]:
        pid = int(output(self.command("inspect", "--format", "{{.State.Pid}}", container)))
        return timing.ancestors(pid)

    def daemons(self) -> list[int]:
        """Return the pids of processes that all containers share."""
        return []

    def remove(self, container: str) -> list[str]:
        return self.command("rm", "--force", container)

    def create(self, *program: str) -> list[str]:
        return self.command("create", *self.options, IMAGE, *(program or ("true",)))

    def list_all(self) -> list[str]:
        return self.command("ps", "--all", "--no-trunc")

    def import_tree(self, tar: Path, image: str) -> list[str]:
        return self.command("import", *self.import_flags, str(tar), image)

    def fill_container(self) -> str:
        """Create a stopped container with the tree in its upper directory. Returns its name."""
        name = f"filled-{next(self.numbers)}"
        volume = f"{self.work.tree}:/src:ro"
        output(self.command("run", "--name", name, *self.options, "-v", volume, IMAGE, "cp", "-a", "/src", "/dst"))
        return name

    def commit(self, container: str, image: str) -> list[str]:
        return self.command("commit", container, image)

    def build(self, context: str, image: str, *flags: str) -> list[str]:
        """Return the command that builds the Dockerfile of a context, without a network."""
        return self.command("build", "--quiet", "--network", "none", "--tag", image, *flags, context)

    def remove_image(self, image: str) -> list[str]:
        return self.command("rmi", image)

    def pull(self, image: str) -> list[str]:
        """Return the command that pulls an image from a registry without TLS on this machine."""
        return self.command("pull", "--quiet", image)

    def push(self, image: str) -> list[str]:
        """Return the command that pushes an image to a registry without TLS on this machine."""
        return self.command("push", "--quiet", image)


class Ours(Engine):
    name = "pyctr_lite"
    options = ("--network", "none")

    def __init__(self, work: Workplace) -> None:
        super().__init__(work)
        self.root = str(work.path / "root")
        self.launcher = launcher(work, "pyctr_lite")

    def command(self, *arguments: str) -> list[str]:
        return [self.launcher, "--root", self.root, *arguments]

    def version(self) -> str:
        return output(self.command("version", "--format", "{{.Client.Version}}"))

    def close(self) -> None:
        leaks.end_groups(leaks.cgroup_name(Path(self.root)), only_empty=False)


class Podman(Engine):
    name = "podman"
    options = ("--network", "none", "--cgroup-parent", f"/{CGROUP}")
    import_flags = ("--quiet",)

    def __init__(self, work: Workplace, runtime: str = "") -> None:
        """podman over a runtime: a path, by default that of runc."""
        super().__init__(work)
        self.program, self.runtime = find("podman"), runtime or find("runc")
        if runtime:
            self.name = f"podman over {os.path.basename(runtime)}"
        directory = work.path / ("podman2" if runtime else "podman")
        directory.mkdir()
        # Debian's default asks for more open files than a machine without CAP_SYS_RESOURCE can give.
        (directory / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
        )
        os.environ["CONTAINERS_CONF"] = str(directory / "containers.conf")
        directories = {"root": directory / "root", "runroot": directory / "r", "tmpdir": directory / "tmp"}
        self.flags = [
            *(f"--{name}={path}" for name, path in directories.items()),
            "--storage-driver=overlay",
            f"--runtime={self.runtime}",
            "--cgroup-manager=cgroupfs",
            "--events-backend=file",
        ]

    def command(self, *arguments: str) -> list[str]:
        return [self.program, *self.flags, *arguments]

    def version(self) -> str:
        return (
            output([self.program, "--version"]).split()[-1] + f" with {os.path.basename(self.runtime)} and overlay"
        )

    def remove(self, container: str) -> list[str]:
        return self.command("rm", "--force", "--time", "0", container)

    def pull(self, image: str) -> list[str]:
        return self.command("pull", "--quiet", "--tls-verify=false", image)

    def push(self, image: str) -> list[str]:
        return self.command("push", "--quiet", "--tls-verify=false", image)


_DAEMONS = itertools.count()


class Docker(Engine):
    name = "docker"
    options = ("--network", "none")

    def __init__(self, work: Workplace, *, networks: bool = False) -> None:
        super().__init__(work)
        find("docker")
        find("dockerd")
        self.daemon = DockerDaemon(work.path / f"docker-{next(_DAEMONS)}", CGROUP, networks=networks)
        try:
            self.daemon.wait()
        except RuntimeError:
            self.daemon.stop()
            raise

    def command(self, *arguments: str) -> list[str]:
        return self.daemon.command(*arguments)

    def version(self) -> str:
        return output(self.command("version", "--format", "{{.Server.Version}}")) + " (its daemon runs already)"

    def daemons(self) -> list[int]:
        return self.daemon.processes()

    def close(self) -> None:
        self.daemon.stop()
