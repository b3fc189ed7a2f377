"""Completion candidates for the last word of a command line: verbs, flags, values, and existing names."""

from __future__ import annotations

from pyctr_lite.cli.command import flags, parser, program, verbs
from pyctr_lite.errors import PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pyctr_lite.engine.engine import Engine

SHELLS = ("bash", "fish", "zsh")
FILES = ":files"
"""Stands for all files, which the shell completes itself."""

_VALUES = {
    "attach": ("stderr", "stdin", "stdout"),
    "cgroupns": ("host", "private"),
    "compress": ("gzip", "none", "zstd"),
    "explain": ("json", "text"),
    "ipc": ("container:", "host", "none", "private", "shareable"),
    "log-driver": ("json-file", "none"),
    "mount": ("type=bind,", "type=tmpfs,", "type=volume,"),
    "pid": ("container:", "host"),
    "progress": ("auto", "plain", "tty"),
    "pull": ("always", "missing", "never"),
    "restart": ("always", "no", "on-failure", "unless-stopped"),
    "security-opt": ("no-new-privileges", "seccomp="),
    "userns": ("auto", "auto:size=", "container:", "host"),
    "uts": ("host",),
}
_FILES = frozenset("cidfile device env-file file iidfile input label-file labs metadata-file output root".split())
_RUNNING = frozenset(("attach", "exec", "kill", "pause", "restart", "stats", "stop", "top", "unpause", "wait"))
"""Verbs whose candidates are running containers; those of `start` are the others."""


def of(words: list[str], root: str | None) -> list[str]:
    """Return the sorted candidates for the last word; `words` are those after the program's name. Never raises."""
    *before, current = words
    try:
        given = parser.parse(program.GLOBAL, before)
    except PyctrError:
        given = None
    if given is None or not given.arguments:
        found = [*_value(before, program.GLOBAL_OPTIONS, current, root)] if given is None else []
        return _matching(found or [*_flags(program.GLOBAL_OPTIONS), *_top_verbs()], current)
    root = given.root or root
    name, count = verbs.find(given.arguments)
    if name:
        return _matching(_of_verb(name, given.arguments[count:], current, root), current)
    group = given.arguments[0]
    members = [known.split()[1] for known in (*verbs.VERBS, *verbs.ALIASES) if known.startswith(f"{group} ")]
    return _matching(members if len(given.arguments) == 1 else [], current)


def _matching(found: Iterable[str], current: str) -> list[str]:
    """Return the candidates that begin with the current word; flags only if it begins with a dash."""
    matching = {
        item
        for item in found
        if item == FILES or (item.startswith(current) and (current[:1] == "-" or item[:1] != "-"))
    }
    return sorted(matching)


def _top_verbs() -> list[str]:
    return [*verbs.GROUPS, *(name for name in verbs.VERBS if " " not in name and not name.startswith("_"))]


def _of_verb(name: str, before: list[str], current: str, root: str | None) -> Iterator[str]:
    from pyctr_lite.cli.command import overview

    command = overview.command(name)
    try:
        arguments = parser.parse_args(command, before).arguments
    except PyctrError:  # the last flag still needs its value
        yield from _value(before, command.options, current, root)
        return
    positional = arguments and not command.interspersed
    if current.startswith("--") and "=" in current and not positional:
        flag, _, value = current.partition("=")
        yield from (f"{flag}={item}" for item in _value([flag], command.options, value, root) if item != FILES)
    elif current.startswith("-") and not positional:
        yield from _flags(command.options)
    else:
        yield from _positional(command, arguments, current, root)


def _flags(options: Iterable[flags.Option]) -> Iterator[str]:
    for option in options:
        if not option.hidden:
            yield f"--{option.name}"
            if option.short:
                yield f"-{option.short}"
    yield "--help"


def _value(before: list[str], options: Iterable[flags.Option], current: str, root: str | None) -> Iterator[str]:
    """Yield the values of the flag just before the current word."""
    last = before[-1] if before else ""
    for option in options:
        if last not in (f"--{option.name}", *(f"--{alias}" for alias in option.aliases)) and not (
            option.short and last[:1] == "-" and last[1:2] != "-" and last.endswith(option.short)
        ):
            continue
        if current.startswith("container:"):
            yield from (f"container:{name}" for name in _names(root, _containers))
        elif option.name in _VALUES:
            yield from _VALUES[option.name]
        elif option.name == "volumes-from":
            yield from _names(root, _containers)
        elif option.name == "network":
            yield from ("container:", *_names(root, _networks))
        elif option.name in _FILES:
            yield FILES
        elif option.name == "volume" and ":" not in current:
            yield from (f"{name}:" for name in _names(root, _volumes))
            yield FILES
        elif option.name in ("signal", "stop-signal"):
            from pyctr_lite.formats import signals

            yield from signals.names()
        elif option.name == "type":
            yield from ("container", "image", "network", "volume")
        elif option.name == "format":
            yield from ("json", "table")


def _positional(command: flags.Command, arguments: list[str], current: str, root: str | None) -> Iterator[str]:
    positionals = command.arguments.split()
    if not positionals or (len(arguments) >= len(positionals) and "..." not in positionals[-1]):
        return
    positional = positionals[min(len(arguments), len(positionals) - 1)].strip("[].")
    verb = command.name
    if verb == "cp":
        yield from (f"{name}:" for name in _names(root, _containers))
        yield FILES
    elif verb == "completion":
        yield from SHELLS
    elif verb == "image bootstrap" and not arguments:
        yield from ("busybox", "debian")
    elif positional == "CONTAINER":
        kinds: Callable[[Engine], Iterable[str]] = _containers
        if verb in _RUNNING:
            kinds = _running
        elif verb == "start":
            kinds = _stopped
        yield from (name for name in _names(root, kinds) if name not in arguments)
    elif positional in ("IMAGE", "SOURCE_IMAGE[:TAG", "REPOSITORY[:TAG", "NAME[:TAG", "NAME[:TAG|@DIGEST"):
        yield from (name for name in _names(root, _images) if name not in arguments)
    elif positional == "VOLUME":
        yield from (name for name in _names(root, _volumes) if name not in arguments)
    elif positional == "NETWORK" and verb != "network create":
        known = _names(root, _networks if verb != "network rm" else _own_networks)
        yield from (name for name in known if name not in arguments)
    elif positional == "NAME|ID":
        for kinds in (_containers, _images, _networks, _volumes):
            yield from (name for name in _names(root, kinds) if name not in arguments)
    elif positional in ("FILE|-", "PATH|-", "COMMAND", "ARG"):
        yield FILES


def _names(root: str | None, kind: Callable[[Engine], Iterable[str]]) -> list[str]:
    """Return the names of a kind: none if the state cannot be read, since completion has no room for errors."""
    from pyctr_lite.engine import engine

    try:
        return list(kind(engine.Engine(root)))
    except (PyctrError, OSError, ValueError):
        return []


def _containers(engine: Engine) -> list[str]:
    return [container.name for container in engine.containers.list(sweep=False)]


def _running(engine: Engine) -> list[str]:
    return [container.name for container in engine.containers.list(all=False, sweep=False)]


def _stopped(engine: Engine) -> list[str]:
    return [item.name for item in engine.containers.list(sweep=False) if not item.state.running]


def _images(engine: Engine) -> list[str]:
    return [name for image in engine.images.list() for name in image.references]


def _networks(engine: Engine) -> list[str]:
    return ["bridge", "host", "none", *_own_networks(engine)]


def _own_networks(engine: Engine) -> list[str]:
    return [network.name for network in engine.networks.list() if network.name != "bridge"]


def _volumes(engine: Engine) -> list[str]:
    return [volume.name for volume in engine.volumes.list()]
