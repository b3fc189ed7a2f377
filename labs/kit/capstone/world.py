"""A machine of its own for each check, in which the learner's program runs, and which is seen from the outside.

A world is a set of namespaces inside the sandbox: its root is a tmpfs with the host's programs, which cannot be
written to, the package as `view` has built it, and a cgroup file system whose root is a group of the sandbox's.
Its mounts are shared, as systemd makes a host's. The checks stay outside: no process in a world can see them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from labs.kit.capstone import program, root
from labs.kit.capstone.running import Done, Running, read_of_process
from labs.kit.isolation import sandbox
from pyctr_lite import linux
from pyctr_lite.cgroups import controllers, hierarchy
from pyctr_lite.cgroups import group as groups
from pyctr_lite.linux import kernelfile, mountinfo
from pyctr_lite.namespaces import create
from pyctr_lite.rootfs import pivot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PYTHON = os.path.realpath(sys.executable)
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PYTHONPATH": "/capstone",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TMPDIR": "/tmp",
    "SECRET": "of the caller",
}


class World:
    """A new world. `close` ends all that runs in it. Only for PID 1 of the sandbox, with one thread."""

    def __init__(self, view: Path, fill: Callable[[Path], None]) -> None:
        """`view` is the package that the program finds, `fill` makes the files below /srv."""
        token = os.environ["PYCTR_LABS_TOKEN"]
        self.group = groups.Group(f"/pyctr_lite-labs-{token}/world-{os.urandom(4).hex()}")
        self.session = groups.Group(f"{self.group.path}/session")
        _create(self.group)
        if self.group.hierarchy.v2 is not None:
            controllers.enable_standard(self.group.hierarchy.v2, self.group.path)
        _create(self.session)
        reader, writer = os.pipe2(os.O_CLOEXEC)
        flags = linux.CLONE_NEWPID | linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWNET
        self.keeper, self.pidfd = create.spawn(flags, lambda: self._keep(view, fill, writer))
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            if file.read() != b"ready":
                raise RuntimeError("the world of a check could not be made")
        linux.setns(self.pidfd, linux.CLONE_NEWPID)  # for the programs that are started from now on
        self.running: list[Running] = []
        self.before = self._things()

    def path(self, name: str) -> Path:
        """Return where the checks find a file of the world."""
        return Path(f"/proc/{self.keeper}/root/{name.lstrip('/')}")

    def start(self, *words: str, descriptors: Sequence[int] = (), input: bytes | None = None) -> Running:
        """Start the learner's program, in /srv. It inherits `descriptors`; without `input` it waits for it."""
        output, errors, given = (os.memfd_create(name) for name in ("output", "errors", "input"))
        os.pwrite(given, input or b"", 0)
        process = subprocess.Popen(
            [PYTHON, "-B", f"/capstone/labs/{program.FILE}", *words],
            stdin=subprocess.PIPE if input is None else given,
            stdout=output,
            stderr=errors,
            preexec_fn=self._enter,
            env=_ENVIRONMENT,
            pass_fds=descriptors,
        )
        os.close(given)
        self.running.append(Running(self, process, output, errors))
        return self.running[-1]

    def run(self, *words: str, input: bytes = b"") -> Done:
        """Run the learner's program to its end."""
        return self.start(*words, input=input).finish()

    def processes(self) -> set[int]:
        """List the processes of the world, as the checks see them."""
        return {int(name) for name in os.listdir("/proc") if name.isdigit()} - {1, self.keeper}

    def mounts(self) -> set[str]:
        """List the mounts of the world itself."""
        return {f"{mount.mountpoint} ({mount.fstype})" for mount in mountinfo.mounts(self.keeper)}

    def mounts_around(self, pid: int) -> list[mountinfo.Mount]:
        """List all mounts in the mount namespace of a process, also those that its own root hides."""
        fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        joined, go = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        child = os.fork()
        if child == 0:
            try:
                linux.setns(fd, linux.CLONE_NEWNS)
                os.write(joined[1], b".")
                os.close(go[1])
                os.read(go[0], 1)
            finally:
                os._exit(0)
        try:
            os.close(joined[1])
            os.read(joined[0], 1)
            return mountinfo.mounts(child)
        finally:
            for each in (fd, joined[0], *go):
                os.close(each)
            os.waitpid(child, 0)

    def limit(self, pid: int, controller: str, *files: str) -> str:
        """Read the limit of a process's own group: `files` are its names in versions 2 and 1."""
        path = self.group_of(pid, controller)
        mount = hierarchy.current().of(controller)
        assert mount is not None
        return kernelfile.read(f"{mount.mountpoint}{path}/{files[0 if mount.version == 2 else 1]}")

    def group_of(self, pid: int, controller: str) -> str:
        """Return the path of a process's group in the hierarchy with this controller."""
        mount = hierarchy.current().of(controller)
        assert mount is not None
        return group_path(kernelfile.read(f"/proc/{pid}/cgroup"), controller if mount.version == 1 else "")

    def left(self) -> list[str]:
        """Describe what is there now and was not at the beginning."""
        return [thing for thing in self._things() if thing not in self.before]

    def close(self) -> None:
        """Kill all processes, and remove the groups."""
        os.kill(self.keeper, signal.SIGKILL)  # all others of its pid namespace are killed with it
        sandbox.thaw(self.group.directories)
        for running in self.running:
            if running.process.stdin is not None:
                running.process.stdin.close()
            running.process.wait()
            os.close(running.output)
            os.close(running.errors)
        os.waitpid(self.keeper, 0)
        os.close(self.pidfd)
        with open("/proc/self/ns/pid", "rb") as own:
            linux.setns(own.fileno(), linux.CLONE_NEWPID)  # the next world cannot be made in one that has ended
        for directory in self.group.directories:
            for path, _, _ in os.walk(directory, topdown=False):
                sandbox.remove_group(Path(path))

    def _things(self) -> list[str]:
        found = [f"the mount {mount}" for mount in sorted(self.mounts())]
        for directory in self.group.directories:
            for path, _, _ in os.walk(directory):
                found.append(f"the control group {path.removeprefix(directory) or '/'}")
        for top in ("", "tmp", "var", "var/tmp", "run", "root", "srv"):
            found += [f"/{top}/{name}".replace("//", "/") for name in sorted(os.listdir(self.path(top)))]
        for pid in sorted(self.processes()):
            words = read_of_process(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
            name = read_of_process(f"/proc/{pid}/comm").decode(errors="replace").strip()
            found.append(f"the process `{words}`" if words else f"a zombie ({name})")
        return list(dict.fromkeys(found))

    def _enter(self) -> None:
        """Move a new process into the world; it is in the pid namespace already."""
        self.session.enter()
        linux.setns(
            self.pidfd, linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWNET | linux.CLONE_NEWCGROUP
        )
        os.setsid()
        os.chdir("/srv")
        for number in set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP}:  # make(1) ignores some
            linux.default_signal(number)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    def _keep(self, view: Path, fill: Callable[[Path], None], writer: int) -> None:
        """Make the world and hold it: PID 1 of its pid namespace."""
        self.group.enter()
        linux.unshare(linux.CLONE_NEWCGROUP)
        self.session.enter()
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
        directory = view.parent / "root"
        root.build(directory, view)
        fill(directory / "srv")
        pivot.pivot_root(str(directory))
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_SHARED)
        os.write(writer, b"ready")
        os.close(writer)
        while True:
            signal.pause()


def leave_top_group() -> None:
    """Move the checks into a group below the sandbox's: in version 2 one with processes has none with limits."""
    top = groups.Group(f"/pyctr_lite-labs-{os.environ['PYCTR_LABS_TOKEN']}")
    if top.v2 is not None:
        os.mkdir(f"{top.v2}/checks")
        kernelfile.write(f"{top.v2}/checks/cgroup.procs", "0")


def _create(group: groups.Group) -> None:
    """Create a group; of version 2 without its controllers, which are the learner's to enable."""
    groups.Group(group.path, group.hierarchy.only(1)).create()
    if group.v2 is not None:
        os.mkdir(group.v2)


def group_path(text: str, controller: str) -> str:
    """Return a group's path from the text of a /proc/<pid>/cgroup; "" is version 2. Empty if there is none."""
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path
    return ""
