"""`run` and `create`.  [hot]"""

from __future__ import annotations

import os
import sys

from pyctr_lite import caller
from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.container import narration, resources
from pyctr_lite.cli.container.options import from_flags, lazy
from pyctr_lite.cli.screen import terminal
from pyctr_lite.errors import Conflict, InvalidArgument, NotFound, PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.state.options import ContainerOptions


_OTHERS = (
    Option("add-host", "list", "Add a custom host-to-IP mapping (host:ip)", convert=lazy("host")),
    Option("attach", "list", "Attach to STDIN, STDOUT or STDERR", short="a", convert=lazy("stream")),
    Option("cap-add", "list", "Add Linux capabilities"),
    Option("cap-drop", "list", "Drop Linux capabilities"),
    Option("cgroupns", "string", "Cgroup namespace to use (host|private)"),
    Option("cidfile", "string", "Write the container ID to the file"),
    Option("device", "list", "Add a host device to the container", convert=lazy("device")),
    Option(
        "device-cgroup-rule",
        "list",
        "Add a rule to the cgroup allowed devices list",
        convert=lazy("device_rule"),
    ),
    Option(
        "device-read-bps",
        "list",
        "Limit read rate (bytes per second) from a device",
        convert=lazy("device_rate"),
    ),
    Option(
        "device-write-bps",
        "list",
        "Limit write rate (bytes per second) to a device",
        convert=lazy("device_rate"),
    ),
    Option("disable-content-trust", "bool", "No effect: Docker's signatures are not checked", hidden=True),
    Option("dns", "list", "Set custom DNS servers", convert=lazy("address")),
    Option("dns-option", "list", "Set DNS options", aliases=("dns-opt",)),
    Option("dns-search", "list", "Set custom DNS search domains", convert=lazy("domain")),
    Option("domainname", "string", "Container NIS domain name"),
    Option("entrypoint", "string", "Overwrite the default ENTRYPOINT of the image"),
    Option("env", "list", "Set environment variables", short="e"),
    Option("env-file", "list", "Read in a file of environment variables"),
    Option("explain", "string", "Narrate each kernel step: text or json", no_value="text"),
    Option("group-add", "list", "Add additional groups to join"),
    Option("health-cmd", "string", "Command to run to check health"),
    Option("health-interval", "string", "Time between running the check (ms|s|m|h)", convert=lazy("duration")),
    Option("health-retries", "int", "Consecutive failures needed to report unhealthy"),
    Option("health-start-interval", "string", "Time between checks in the start period", convert=lazy("duration")),
    Option(
        "health-start-period",
        "string",
        "Time for the container to start before failures count",
        convert=lazy("duration"),
    ),
    Option("health-timeout", "string", "Maximum time to allow one check to run", convert=lazy("duration")),
    Option("hostname", "string", "Container host name", short="h"),
    Option("init", "bool", "Run an init inside the container that forwards signals and reaps processes"),
    Option("interactive", "bool", "Keep STDIN open even if not attached", short="i"),
    Option("ipc", "string", "IPC mode to use (private, host, container:ID)"),
    Option("label", "list", "Set meta data on a container", short="l"),
    Option("label-file", "list", "Read in a line delimited file of labels"),
    Option("link", "list", "Add link to another container", hidden=True),
    Option("log-driver", "string", "Logging driver for the container (json-file, none)"),
    Option("log-opt", "list", "Log driver options: max-size=10m, max-file=3, labels=NAME, tag=…"),
    Option("lxcfs", "bool", "Show the container's limits in /proc (meminfo, cpuinfo, …), by lxcfs"),
    Option("mount", "list", "Attach a filesystem mount to the container"),
    Option("name", "string", "Assign a name to the container"),
    Option("ip", "string", "IPv4 address (e.g., 172.30.100.104)"),
    Option("ip6", "string", "IPv6 address (e.g., 2001:db8::33)"),
    Option("mac-address", "string", "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    Option(
        "network",
        "list",
        "Connect a container to a network (NAME, none, host, container:ID)",
        metavar="network",
        aliases=("net",),
    ),
    Option("network-alias", "list", "Add network-scoped alias for the container", aliases=("net-alias",)),
    Option("expose", "list", "Expose a port or a range of ports"),
    Option("publish", "list", "Publish a container's port(s) to the host", short="p"),
    Option("publish-all", "bool", "Publish all exposed ports to random ports", short="P"),
    Option("no-healthcheck", "bool", "Disable any container-specified HEALTHCHECK"),
    Option("no-new-privileges", "bool", "Keep processes from gaining privileges, as by a setuid program"),
    Option("oom-kill-disable", "bool", "Disable OOM Killer"),
    Option("oom-score-adj", "int", "Tune host's OOM preferences (-1000 to 1000)"),
    Option("pid", "string", "PID namespace to use (host, container:ID)"),
    Option("privileged", "bool", "Give extended privileges to this container"),
    Option("platform", "string", "Set platform if server is multi-platform capable"),
    Option("pull", "string", "Pull image before running (always, missing, never)", default="missing"),
    Option("quiet", "bool", "Suppress the pull output", short="q"),
    Option("read-only", "bool", "Mount the container's root filesystem as read only"),
    Option(
        "restart",
        "string",
        "Restart policy to apply when a container exits (no, always, unless-stopped, on-failure[:max])",
    ),
    Option("rm", "bool", "Automatically remove the container when it exits"),
    Option("security-opt", "list", "Security options: no-new-privileges, seccomp=FILE, seccomp=unconfined"),
    Option("shm-size", "bytes", "Size of /dev/shm"),
    Option("stop-signal", "string", "Signal to stop the container"),
    Option("stop-timeout", "int", "Timeout (in seconds) to stop a container"),
    Option("sysctl", "list", "Sysctl options", convert=lazy("sysctl")),
    Option("tmpfs", "list", "Mount a tmpfs directory"),
    Option("tty", "bool", "Allocate a pseudo-TTY", short="t"),
    Option("ulimit", "list", "Ulimit options", convert=lazy("ulimit")),
    Option("user", "string", "Username or UID (format: <name|uid>[:<group|gid>])", short="u"),
    Option("userns", "string", "User namespace to use (host, auto, auto:size=N, container:ID)"),
    Option("uts", "string", "UTS namespace to use (host)"),
    Option("volume", "list", "Bind mount a volume", short="v"),
    Option("volumes-from", "list", "Mount volumes from the specified container(s)"),
    Option("workdir", "string", "Working directory inside the container", short="w"),
)
_SHARED = tuple(sorted((*resources.OPTIONS, *_OTHERS), key=lambda option: option.name))
_RUN_ONLY = (
    Option("detach", "bool", "Run container in background and print container ID", short="d"),
    Option(
        "detach-keys",
        "string",
        "Override the key sequence for detaching a container",
        default=terminal.DETACH_KEYS,
    ),
    Option("sig-proxy", "bool", "Proxy received signals to the process", default=True),
)
_DIFFERS = (
    "Docker does not have --explain, --lxcfs, --network-rate-in, --network-rate-out and --no-new-privileges. "
    "--userns works as in podman: auto gives the container 65536 host ids that no other container has, from those "
    'of the user "containers" in /etc/subuid and /etc/subgid, or from 2147483648 on; the first is root inside. '
    "Files on disk keep the ids seen inside. The host's files in -v /DIR:/DIR belong to nobody inside, but keep "
    "their ids with -v /DIR:/DIR:idmap. --userns auto cannot be combined with --privileged or with the host's "
    "network, PID or IPC namespace. Links are refused: containers on a network find each other by name."
)


def run(context: Context) -> int:
    """Create a container, start it, and serve as its terminal unless it is detached."""
    from pyctr_lite.engine.life import lifecycle

    flags = context.flags
    if flags.attach and flags.detach:
        raise InvalidArgument("Conflicting options: -a and -d")
    stdin = flags.interactive and (not flags.attach or "stdin" in flags.attach)
    if flags.tty and stdin and not flags.detach and not os.isatty(0):
        error = InvalidArgument("the input device is not a TTY", "omit -t if stdin is a pipe or a file")
        error.exit_code = 1  # Docker's client checks this itself, before any request
        raise error
    terminal.parse_keys(flags.detach_keys)
    narration.to_stderr(flags.explain)
    options = from_flags(flags)  # may wait for a pipe that --env-file names
    terminal.hold_signals()  # a signal between two steps would end this process and orphan the container
    container = _create(context, options)
    if number := terminal.pending_end():
        lifecycle.remove(container, volumes=True)
        return 128 + number
    size = terminal.size() if flags.tty else (0, 0)
    attachment = lifecycle.start(container, foreground=not flags.detach, size=size)
    assert attachment is not None
    if flags.detach:
        attachment.close()
        print(container.id)
        return 0
    outputs = "".join(fd for fd, name in (("1", "stdout"), ("2", "stderr")) if name in (flags.attach or (name,)))
    if not outputs:
        print(container.id, flush=True)
    code = terminal.follow(
        attachment, stdin=stdin, tty=flags.tty, keys=flags.detach_keys, proxy=flags.sig_proxy, outputs=outputs
    )
    return code or 0


def create(context: Context) -> int:
    """Create a container and print its id."""
    narration.to_stderr(context.flags.explain)
    print(_create(context, from_flags(context.flags)).id)
    return 0


def _create(context: Context, options: ContainerOptions) -> Container:
    from pyctr_lite.engine.life import lifecycle

    flags = context.flags
    if flags.cidfile:
        try:
            mode = 0o666 & ~caller.umask
            cidfile = os.open(flags.cidfile, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            os.fchmod(cidfile, mode)
        except FileExistsError:
            raise Conflict(
                f"container ID file found, make sure the other container isn't running or delete {flags.cidfile}"
            ) from None
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise PyctrError(f"failed to create the container ID file: open {flags.cidfile}: {reason}") from None
    try:
        options.labs = context.labs
        if flags.pull == "always" or flags.platform:
            _pull(context)
        try:
            container: Container = context.engine.containers.create(options)
        except NotFound as error:
            if not error.message.startswith("No such image"):
                raise
            _pull(context, error)
            container = context.engine.containers.create(options)
    except BaseException:
        if flags.cidfile:
            os.close(cidfile)
            os.unlink(flags.cidfile)
        raise
    try:
        if flags.cidfile:
            os.write(cidfile, container.id.encode())
            os.close(cidfile)
        _warn(context, container)
    except BaseException:  # the user would not know of the container
        lifecycle.remove(container, volumes=True)
        if flags.cidfile:
            os.unlink(flags.cidfile)
        raise
    return container


def _pull(context: Context, missing: NotFound | None = None) -> None:
    from pyctr_lite.cli.container import image_pull

    image_pull.pull(context, missing)


def _warn(context: Context, container: Container) -> None:
    """Warn on stderr about options that cannot be met as given."""
    options = container.record.options
    _warn_of_platform(context, container)
    if aliases := [alias for row in options.networks.values() for alias in row.get("aliases") or ()]:
        from pyctr_lite.cli.container import networks

        networks.warn_of_aliases(aliases)
    if options.network == "host" and (options.publish or options.publish_all):
        print("WARNING: Published ports are discarded when using host network mode", file=sys.stderr)
    if options.oom_kill_disable and not options.memory:
        print(
            "WARNING: OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources.",
            file=sys.stderr,
        )


def _warn_of_platform(context: Context, container: Container) -> None:
    from pyctr_lite.images import platforms

    config, ours = context.engine.images.config(container.record.image), platforms.architecture()
    if not platforms.matches(config):
        print(
            f"WARNING: The requested image's platform ({config.get('os')}/{config.get('architecture')}) does not "
            f"match the detected host platform (linux/{ours})",
            file=sys.stderr,
        )


COMMANDS = {
    "run": Command(
        "run",
        "IMAGE [COMMAND] [ARG...]",
        "Create and run a new container from an image",
        _SHARED + _RUN_ONLY,
        action=run,
        aliases=("container run",),
        example="pyctr_lite run --rm -it -m 64m busybox sh",
        interspersed=False,
        differs=_DIFFERS,
    ),
    "create": Command(
        "create",
        "IMAGE [COMMAND] [ARG...]",
        "Create a new container",
        _SHARED,
        action=create,
        aliases=("container create",),
        example="pyctr_lite create --name web -v data:/srv busybox httpd -f -h /srv",
        interspersed=False,
        differs=_DIFFERS,
    ),
}
