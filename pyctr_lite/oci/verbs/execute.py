"""`exec`: one more process in a running container."""

from __future__ import annotations

import os

from pyctr_lite import jsonfile
from pyctr_lite.cgroups import paths
from pyctr_lite.errors import Conflict, InvalidArgument, UsageError
from pyctr_lite.formats import number as numbers
from pyctr_lite.oci import checks, console, containers, descriptors
from pyctr_lite.oci.arguments import Option
from pyctr_lite.runtime import capabilities, launch, seccomp
from pyctr_lite.runtime import process as processes
from pyctr_lite.runtime.settings import Settings, Stdio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.containers import Container
    from pyctr_lite.oci.main import Context

SUMMARY = "run another program in a running container"
WORDS = "ID COMMAND [ARGUMENT…]"
FIRST_WORD_ENDS = 1
FAILURE = 255
"""The exit code if the program does not run: those from 1 to 254 may be its own."""
OPTIONS = (
    Option("process", "the process object of the OCI spec, in a file", "FILE", "p"),
    Option("cwd", "working directory", "PATH"),
    Option("env", "add a variable", "NAME=VALUE", "e"),
    Option("tty", "give it a terminal", short="t"),
    Option("user", "user and group, as numbers", "UID[:GID]", "u"),
    Option("additional-gids", "add a supplementary group", "GID", "g"),
    Option("cap", "add a capability", "NAME", "c"),
    Option("no-new-privs", "set no_new_privs"),
    Option("apparmor", "AppArmor profile", "NAME"),
    Option("process-label", "SELinux label", "LABEL"),
    Option("cgroup", "run it in a group below the container's", "PATH"),
    Option("detach", "do not wait for its end", short="d"),
    *descriptors.OPTIONS,
    Option("ignore-paused", "also in a paused container: it waits there"),
    Option("no-subreaper", "accepted for runc's sake"),
)


def act(arguments: Arguments, context: Context) -> int:
    """Run a program. Returns its exit code, or 0 with `--detach`."""
    if not arguments.words:
        raise UsageError("a container id is missing", "see --help")
    id, *args = arguments.words
    if args[:1] == ["--"]:
        del args[0]
    container = containers.Container.load(context.root, id)
    _require_running(container, arguments)
    config = container.config()
    process = processes.inherit(_process(arguments, args, config), config.get("linux") or {})
    processes.check(process, {})
    checks.warn(process, context)
    context.log.debug(f"exec in container {id} ({container.pid}): {process.get('args')}")
    checks.report_affinity(process, context)
    settings = Settings(
        all_cpus=True,
        preserve_fds=descriptors.preserved(arguments, process),
        state=container.hook_state("running"),
    )
    detach, terminal = arguments.on("detach"), bool(process.get("terminal"))
    foreground = not detach and not arguments.text("console-socket")
    console.check(arguments.text("console-socket"), wanted=terminal, foreground=foreground)
    caller, stdio = None, Stdio((0, 1, 2), terminal=terminal, **console.size(process))
    if foreground:
        from pyctr_lite.oci.foreground import Foreground

        caller = Foreground(terminal=terminal, process=process, subreaper=False)
        stdio = caller.stdio
    filter = seccomp.load((config.get("linux") or {}).get("seccomp"), containers.FILTERS)
    if rdt := (config.get("linux") or {}).get("intelRdt"):
        from pyctr_lite.runtime import resctrl

        resctrl.join(rdt, container.id, os.getpid())  # the new process inherits it
    launched = launch.execute_in(
        container.pid,
        int(container.state["pidStart"]),
        paths.below(container.group, arguments.all("cgroup")),
        process,
        stdio,
        filter,
        settings,
    )
    try:
        descriptors.answer(launched, arguments)
    except BaseException:
        launched.destroy()  # its caller has no other way to find it
        raise
    if caller is not None:
        return caller.run(launched)
    if detach:
        return 0
    _, status = os.waitpid(launched.pid, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _require_running(container: Container, arguments: Arguments) -> None:
    status = container.status()
    if status == "stopped":
        raise Conflict(f"cannot exec in a stopped container: {container.id}")
    if status == "paused" and not arguments.on("ignore-paused"):
        raise Conflict(f"cannot exec in a paused container (use --ignore-paused to override): {container.id}")


def _process(arguments: Arguments, args: list[str], config: dict[str, Any]) -> dict[str, Any]:
    """Return the `process` object: that of a file, or the container's, changed by the options."""
    if path := arguments.text("process"):
        process: dict[str, Any] = jsonfile.read(path)
        if not isinstance(process, dict) or not process.get("args") or not process.get("cwd"):
            raise InvalidArgument(f"{path}: must be a process object with args and cwd")
        return process
    if not args:
        raise UsageError("a command is missing", "see --help")
    process = {**config["process"], "args": args, "terminal": arguments.on("tty")}
    process.pop("consoleSize", None)
    if cwd := arguments.text("cwd"):
        process["cwd"] = cwd
    process["env"] = [*(process.get("env") or []), *arguments.all("env")]
    process["user"] = dict(process.get("user") or {})
    if arguments.given("user"):
        uid, _, gid = arguments.text("user").partition(":")
        process["user"]["uid"] = _id("--user", uid)
        if gid:
            process["user"]["gid"] = _id("--user", gid)
    if gids := arguments.all("additional-gids"):
        process["user"]["additionalGids"] = [_id("--additional-gids", gid) for gid in gids]
    if names := arguments.all("cap"):
        for name in names:
            if name not in capabilities.NUMBERS:
                raise UsageError(f"--cap {name}: unknown capability", "capabilities(7) lists them: CAP_KILL, …")
        process["capabilities"] = capabilities.add(process.get("capabilities") or {}, names)
    if arguments.given("no-new-privs"):
        process["noNewPrivileges"] = arguments.on("no-new-privs")
    for option, name in (("apparmor", "apparmorProfile"), ("process-label", "selinuxLabel")):
        if arguments.given(option):
            process[name] = arguments.text(option)
    return process


def _id(option: str, text: str) -> int:
    if not numbers.is_digits(text):
        raise UsageError(f"{option} {text}: must be a number")
    return int(text)
