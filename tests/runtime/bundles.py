"""OCI bundles of `runc spec`, run by the runtime alone: without engine, image or name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY

RUNNER = f"""
import json, os, sys
sys.path.append({str(REPOSITORY)!r})
from pyctr_lite import errors
from pyctr_lite.runtime import bundle, launch, process, seccomp, state
from pyctr_lite.runtime.settings import Settings, Stdio

directory, run, terminal, then, host, pivot = sys.argv[1:]
try:
    read = bundle.load(directory, host=bool(host))
    stdio = Stdio((0, 1, 2), terminal=bool(terminal), rows=24, columns=80)
    about = {{"ociVersion": "1.3.0", "id": "box", "status": "creating", "bundle": directory}}
    settings = Settings(state=about, pivot=bool(pivot), all_cpus=True)
    launched, group = launch.create_container(read, run, stdio, directory + "/filters", settings)
    try:
        launched.start()
    except BaseException:
        launched.destroy()
        group.remove()
        state.remove(run)
        raise
    try:
        while terminal and (data := os.read(launched.console, 4096)):
            os.write(1, data)
    except OSError:
        pass
    if then:
        linux = read.config["linux"]
        spec = process.inherit(json.loads(then), linux)
        filter = seccomp.load(linux.get("seccomp"), directory + "/filters")
        try:
            began = state.start_time(launched.pid)
            about |= {{"status": "running", "pid": launched.pid}}
            settings = Settings(state=about, all_cpus=True)
            second = launch.execute_in(launched.pid, began, group, spec, Stdio((0, 1, 2)), filter, settings)
            _, status = os.waitpid(second.pid, 0)
            second.close()
        finally:
            launched.destroy()
            group.remove()
            state.remove(run)
        sys.exit(os.waitstatus_to_exitcode(status) % 256)
    _, status = os.waitpid(launched.pid, 0)
    launched.close()
    group.remove()
    state.remove(run)
    sys.exit(os.waitstatus_to_exitcode(status) % 256)
except (errors.PyctrError, OSError) as error:
    report = {{"class": type(error).__name__, "message": getattr(error, "message", str(error)),
            "hint": getattr(error, "hint", ""), "errno": getattr(error, "errno", 0),
            "path": getattr(error, "path", "") or getattr(error, "filename", ""),
            "exit_code": getattr(error, "exit_code", None)}}
    os.write(2, json.dumps(report).encode())
    sys.exit(125)
"""


class Box:
    """A bundle in a directory: change `config`, then `run` it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.host, self.pivot = False, True
        self.rootfs = directory / "rootfs"
        (self.rootfs / "bin").mkdir(parents=True)
        for name in ("tmp", "etc", "root"):
            (self.rootfs / name).mkdir()
        shutil.copy("/bin/busybox", self.rootfs / "bin/busybox")
        listed = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True)
        for applet in set(listed.stdout.split()) - {"busybox"}:
            (self.rootfs / "bin" / applet).symlink_to("busybox")
        subprocess.run(["runc", "spec"], cwd=directory, check=True)
        self.config: dict[str, Any] = json.loads((directory / "config.json").read_text())
        self.process["terminal"] = False
        self.process["rlimits"] = []  # raising one needs CAP_SYS_RESOURCE
        self.config["root"]["readonly"] = False

    @property
    def process(self) -> dict[str, Any]:
        return self.config["process"]  # type: ignore[no-any-return]

    @property
    def linux(self) -> dict[str, Any]:
        return self.config["linux"]  # type: ignore[no-any-return]

    def join(self, kind: str, path: str | None) -> None:
        """Join the namespace at a path instead of creating one; with None share the caller's."""
        others = [entry for entry in self.linux["namespaces"] if entry["type"] != kind]
        self.linux["namespaces"] = [*others, *([{"type": kind, "path": path}] if path else [])]

    def run(
        self,
        *args: str,
        terminal: bool = False,
        pass_fds: tuple[int, ...] = (),
        preexec_fn: Callable[[], None] | None = None,
        then: dict[str, Any] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the container, by default the configured one.

        `then` is a process object that is executed beside it: its status is returned, and its end ends both.
        """
        if args:
            self.process["args"] = list(args)
        (self.directory / "config.json").write_text(json.dumps(self.config))
        run = self.directory / f"run-{os.getpid()}"
        command = [sys.executable, "-c", RUNNER, str(self.directory), str(run), "yes" if terminal else ""]
        command.append(json.dumps(then) if then else "")
        command += ["yes" if flag else "" for flag in (self.host, self.pivot)]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            pass_fds=pass_fds,
            preexec_fn=preexec_fn,
        )
        assert not run.exists(), "the runtime's state directory was left behind"
        return done

    def shell(self, script: str) -> str:
        """Return the output of a shell script in the container."""
        done = self.run("sh", "-c", script)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def exec(self, script: str, **more: Any) -> str:
        """Return the output of a shell script in a process beside a sleeping one, with members of its own."""
        spec = {"cwd": "/", "env": ["PATH=/bin"], "args": ["sh", "-c", script], **more}
        done = self.run("sleep", "100", then=spec)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fails(self, *args: str, pass_fds: tuple[int, ...] = ()) -> dict[str, Any]:
        """Run a program that must fail to start, and return the error."""
        done = self.run(*args, pass_fds=pass_fds)
        assert done.returncode == 125, (done.returncode, done.stdout, done.stderr)
        return json.loads(done.stderr)  # type: ignore[no-any-return]
