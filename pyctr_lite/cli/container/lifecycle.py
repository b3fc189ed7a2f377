"""`start`, `stop`, `restart`, `kill`, `pause`, `unpause`, `wait`, `rm`.  [hot]"""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.container import narration
from pyctr_lite.cli.screen import for_each, terminal
from pyctr_lite.errors import Conflict, InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.container.container import Container


def start(context: Context) -> int:
    """Start containers. With -a or -i, serve as the terminal of the only one, and return its exit code."""
    from pyctr_lite.engine.life import lifecycle

    flags = context.flags
    terminal.parse_keys(flags.detach_keys)
    narration.to_stderr(flags.explain)
    if flags.restart_policies:
        from pyctr_lite.engine.life import restart

        if flags.arguments or flags.attach or flags.interactive:
            raise InvalidArgument("--restart-policies cannot be combined with containers or other flags")
        found = context.engine.containers.list()
        wanted = [it.name for it in found if restart.after_boot(it.record.options.restart, it.state)]
        return for_each.apply(context, wanted, lambda reference: _start_detached(context, reference))
    if not flags.arguments:
        raise COMMANDS["start"].arity_error("requires at least 1 argument")
    if not flags.attach and not flags.interactive:
        return for_each.apply(context, flags.arguments, lambda reference: _start_detached(context, reference))
    if len(flags.arguments) > 1:
        raise Conflict("you cannot start and attach multiple containers at once")
    container = context.engine.containers.get(flags.arguments[0])
    options = container.record.options
    stdin = flags.interactive and options.stdin
    size = terminal.size() if options.tty else (0, 0)
    terminal.hold_signals()
    try:
        attachment = lifecycle.start(container, foreground=stdin, size=size) or lifecycle.attach(container)
    except Exception as error:
        error.exit_code = 1  # type: ignore[attr-defined]  # 126 and 127 are for `run` only
        raise
    code = terminal.follow(attachment, stdin=stdin, tty=options.tty, keys=flags.detach_keys, proxy=flags.sig_proxy)
    return code or 0


def stop(context: Context) -> int:
    """Stop containers, all at the same time, because each may take its ten seconds."""
    flags = context.flags
    containers = _stop_together(context)
    return for_each.apply(context, flags.arguments, lambda reference: _raise_or_get(containers[reference]))


def restart(context: Context) -> int:
    """Stop containers that are running, and start all of them again."""
    from pyctr_lite.engine.life import lifecycle

    containers = _stop_together(context, keep=True)
    return for_each.apply(
        context, context.flags.arguments, lambda reference: lifecycle.restart(_raise_or_get(containers[reference]))
    )


def kill(context: Context) -> int:
    """Send containers a signal."""
    from pyctr_lite.engine.life import lifecycle
    from pyctr_lite.formats import signals

    number = signals.number(context.flags.signal)
    return _each(context, lambda container: lifecycle.kill(container, number))


def pause(context: Context) -> int:
    """Freeze all processes of containers."""
    from pyctr_lite.engine.life import lifecycle

    return _each(context, lifecycle.pause)


def unpause(context: Context) -> int:
    """Resume the processes of paused containers."""
    from pyctr_lite.engine.life import lifecycle

    return _each(context, lifecycle.unpause)


def wait(context: Context) -> int:
    """Wait until containers exit, and print their exit codes."""
    from pyctr_lite.engine.life import lifecycle

    code = 0
    for reference in context.flags.arguments:
        try:
            print(lifecycle.wait(context.engine.containers.get(reference)), flush=True)
        except NotFound as error:
            for_each.report_failure(context, error)
            code = 1
    return code


def remove(context: Context) -> int:
    """Remove containers. With -f a missing container is reported, but is not a failure."""
    from pyctr_lite.engine.life import lifecycle

    flags = context.flags
    narration.to_stderr(flags.explain)
    references = []
    for reference in flags.arguments:
        try:
            context.engine.containers.get(reference)
        except NotFound as error:
            if not flags.force:
                references.append(reference)  # for_each reports its error in order
            else:
                for_each.report_failure(context, error)
        else:
            references.append(reference)
    return for_each.apply(
        context,
        references,
        lambda reference: lifecycle.remove(
            context.engine.containers.get(reference), force=flags.force, volumes=flags.volumes
        ),
    )


def _each(context: Context, act: Callable[[Container], object]) -> int:
    containers = context.engine.containers
    return for_each.apply(context, context.flags.arguments, lambda reference: act(containers.get(reference)))


def _start_detached(context: Context, reference: str) -> None:
    from pyctr_lite.engine.life import lifecycle

    attachment = lifecycle.start(context.engine.containers.get(reference))
    if attachment is not None:
        attachment.close()


def _stop_together(context: Context, *, keep: bool = False) -> dict[str, Container | Exception]:
    """Stop all containers of the command line in parallel. Returns for each the container or its error.

    `keep`: those of --rm are not removed.
    """
    from pyctr_lite.engine.life import lifecycle
    from pyctr_lite.formats import signals

    flags = context.flags
    signal = signals.number(flags.signal) if flags.signal else None
    stop = lifecycle.stop_and_keep if keep else lifecycle.stop
    found: dict[str, Container | Exception] = {}

    def stop_one(reference: str) -> None:
        try:
            container = context.engine.containers.get(reference)
            stop(container, flags.timeout, signal)
            found[reference] = container
        except Exception as error:
            found[reference] = error

    if len(flags.arguments) == 1:
        stop_one(flags.arguments[0])
        return found
    from threading import Thread

    threads = [Thread(target=stop_one, args=(reference,)) for reference in dict.fromkeys(flags.arguments)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()  # no thread may run when `restart` forks
    return found


def _raise_or_get(outcome: Container | Exception) -> Container:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _seconds(text: str) -> int:
    from pyctr_lite.formats import number

    seconds = number.go_integer(text)
    if seconds < -1:
        raise InvalidArgument("must be 0 or more seconds, or -1 to wait without limit")
    return seconds


_EXPLAIN = Option("explain", "string", "Narrate each kernel step: text or json", no_value="text")
_SIGNAL = Option("signal", "string", "Signal to send to the container", short="s")
_TIME = Option(
    "timeout",
    "int",
    "Seconds to wait before killing the container",
    short="t",
    convert=_seconds,
    aliases=("time",),
)

COMMANDS = {
    "start": Command(
        "start",
        "[CONTAINER...]",
        "Start one or more stopped containers",
        (
            Option("attach", "bool", "Attach STDOUT/STDERR and forward signals", short="a"),
            Option(
                "detach-keys",
                "string",
                "Override the key sequence for detaching a container",
                default=terminal.DETACH_KEYS,
            ),
            _EXPLAIN,
            Option("interactive", "bool", "Attach container's STDIN", short="i"),
            Option(
                "restart-policies", "bool", "Start all containers whose restart policy asks for it after a boot"
            ),
            Option("sig-proxy", "bool", "Proxy received signals to the process", default=True, hidden=True),
        ),
        action=start,
        aliases=("container start",),
        example="pyctr_lite start -ai web",
        differs="Docker does not have --explain and --restart-policies. The latter is for a boot script (see "
        "README): Docker's daemon starts these containers itself.",
    ),
    "stop": Command(
        "stop",
        "CONTAINER [CONTAINER...]",
        "Stop one or more running containers",
        (_SIGNAL, _TIME),
        action=stop,
        aliases=("container stop",),
        example="pyctr_lite stop -t 3 web",
    ),
    "restart": Command(
        "restart",
        "CONTAINER [CONTAINER...]",
        "Restart one or more containers",
        (_SIGNAL, _TIME),
        action=restart,
        aliases=("container restart",),
        example="pyctr_lite restart web",
    ),
    "kill": Command(
        "kill",
        "CONTAINER [CONTAINER...]",
        "Kill one or more running containers",
        (Option("signal", "string", "Signal to send to the container", short="s", default="KILL"),),
        action=kill,
        aliases=("container kill",),
        example="pyctr_lite kill -s HUP web",
    ),
    "pause": Command(
        "pause",
        "CONTAINER [CONTAINER...]",
        "Pause all processes within one or more containers",
        action=pause,
        aliases=("container pause",),
        example="pyctr_lite pause web",
    ),
    "unpause": Command(
        "unpause",
        "CONTAINER [CONTAINER...]",
        "Unpause all processes within one or more containers",
        action=unpause,
        aliases=("container unpause",),
        example="pyctr_lite unpause web",
    ),
    "wait": Command(
        "wait",
        "CONTAINER [CONTAINER...]",
        "Block until one or more containers stop, then print their exit codes",
        action=wait,
        aliases=("container wait",),
        example="pyctr_lite wait web",
    ),
    "rm": Command(
        "rm",
        "CONTAINER [CONTAINER...]",
        "Remove one or more containers",
        (
            _EXPLAIN,
            Option("force", "bool", "Force the removal of a running container (uses SIGKILL)", short="f"),
            Option("volumes", "bool", "Remove anonymous volumes associated with the container", short="v"),
        ),
        action=remove,
        aliases=("container rm", "container remove"),
        example="pyctr_lite rm -f -v web",
        differs="Docker does not have --explain.",
    ),
}
