"""`build`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from pyctr_lite import caller
from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.container import resources
from pyctr_lite.cli.container.options import lazy
from pyctr_lite.errors import InvalidArgument

if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.build.options import BuildOptions, Secret
    from pyctr_lite.engine.build.progress import Progress

_EPOCH = "SOURCE_DATE_EPOCH"
_LIMITS = ("cpu-period", "cpu-quota", "cpu-shares", "cpuset-cpus", "cpuset-mems", "memory", "memory-swap")


def build(context: Context) -> int:
    """Build an image. Its id is printed with --quiet only; the progress goes to stderr, as BuildKit's does."""
    from pyctr_lite.engine.build.build import BuildError

    flags = context.flags
    outputs = [_output(text) for text in flags.output] or [{"type": "image"}]
    if len(outputs) > 1:
        raise InvalidArgument("only one --output is supported")
    options = _options(flags)
    progress = _progress(flags)
    try:
        id = _run(context, options, progress, outputs[0])
    except BuildError as error:
        print(f"{error.name}:{error.first}\n{error.excerpt}", file=sys.stderr)
        error.message = f"failed to solve: {error.message}"
        raise
    if flags.iidfile and id:
        mode = 0o666 & ~caller.umask
        with open(os.open(flags.iidfile, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "w") as file:
            file.write(id)
    progress.finish()
    if flags.quiet and id:
        print(id)
    return 0


def _run(context: Context, options: BuildOptions, progress: Progress, target: dict[str, str]) -> str:
    """Build, and write the result. Returns the image's id, "" for other results."""
    from pyctr_lite.engine.build import build, output

    kind, path = target["type"], target.get("dest", "")
    if kind in ("image", "docker") and not path:
        return build.image(context.engine, options, progress).id
    with (
        build.running(context.engine, options, progress) as (running, state),
        progress.step("exporting to client"),
    ):
        if kind == "local":
            output.to_directory(running, state, path)
        elif kind == "tar":
            with _open_output(path) as file:
                output.to_tar(running, state, file)
        else:
            return _save(context, running, state, progress, kind, path)
    return ""


def _save(context: Context, running: Any, state: Any, progress: Progress, kind: str, path: str) -> str:
    from pyctr_lite.engine.build import build
    from pyctr_lite.images import archive

    image = build.add_image(running, state, progress)
    form = "oci-archive" if kind == "oci" else "docker-archive"
    archive.save(
        context.engine.images,
        running.options.tags or [image.id],
        sys.stdout.buffer if path == "-" else path,
        form,
        "",
    )
    return image.id


def _open_output(path: str) -> Any:
    if path == "-":
        if sys.stdout.isatty():
            raise InvalidArgument("output file is required for tar exporter: refusing to write to a terminal")
        return os.fdopen(os.dup(1), "wb")
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666 & ~caller.umask), "wb")


def _output(text: str) -> dict[str, str]:
    """Parse a value of --output: a directory, "-" for a tar stream, or type=…,dest=…."""
    if "=" not in text:
        return {"type": "tar", "dest": "-"} if text == "-" else {"type": "local", "dest": text}
    fields = _fields(text, ("type", "dest", "name"))
    kind, path = fields.get("type", ""), fields.get("dest", "")
    if kind not in ("local", "tar", "image", "docker", "oci"):
        raise InvalidArgument(f'unsupported output type "{kind}"', "one of image, local, tar, docker, oci")
    if kind in ("local", "oci") and not path:
        raise InvalidArgument(f"dest is required for {kind} output")
    if kind == "image" and path:
        raise InvalidArgument("an image has no dest", "type=docker,dest=FILE writes an archive")
    return {"type": kind, "dest": path or ("-" if kind == "tar" else "")}


def _fields(text: str, known: tuple[str, ...]) -> dict[str, str]:
    from pyctr_lite.volumes import fields

    found = {}
    for field in fields.split_fields(text):
        key, equals, value = field.partition("=")
        if not equals or key.lower() not in known:
            raise InvalidArgument(f"invalid field '{field}' in '{text}'", f"keys are {', '.join(known)}")
        found[key.lower()] = value
    return found


def _progress(flags: Any) -> Progress:
    from pyctr_lite.cli.screen.build import Plain, Terminal
    from pyctr_lite.engine.build.progress import Progress

    if flags.quiet:
        return Progress()
    dumb = not os.isatty(2) or os.environ.get("TERM") == "dumb"
    if flags.progress == "plain" or (flags.progress == "auto" and dumb):
        return Plain()
    if not os.isatty(2):
        raise InvalidArgument("--progress=tty needs a terminal on stderr", "use plain")
    return Terminal()


def _options(flags: Any) -> BuildOptions:
    from pyctr_lite.engine.build.options import BuildOptions

    arguments = {}
    if epoch := os.environ.get(_EPOCH):
        arguments[_EPOCH] = epoch
    for text in flags.build_arg:
        name, equals, value = text.partition("=")
        if equals:
            arguments[name] = value
        elif name in os.environ:
            arguments[name] = os.environ[name]
    limits = {name.replace("-", "_"): getattr(flags, name.replace("-", "_")) for name in _LIMITS}
    container = {name: value for name, value in limits.items() if value is not None}
    if flags.shm_size is not None:
        container["shm_size"] = flags.shm_size
    return BuildOptions(
        context=flags.arguments[0],
        dockerfile=flags.file or "",
        tags=flags.tag,
        target=flags.target or "",
        build_args=arguments,
        labels=dict(text.partition("=")[::2] for text in flags.label),
        no_cache=flags.no_cache,
        cache_from=[_cache_source(text) for text in flags.cache_from],
        cache_inline=_inline(flags),
        no_cache_filter=[name for text in flags.no_cache_filter for name in text.lower().split(",")],
        pull=flags.pull,
        network=flags.network or "",
        platform=flags.platform or "",
        secrets=dict(_secret(text) for text in flags.secret),
        ssh=dict(_agent(text) for text in flags.ssh),
        entitlements=flags.allow,
        container={**container, "add_hosts": flags.add_host, "ulimits": flags.ulimit},
    )


def _cache_source(text: str) -> str:
    """Parse a value of --cache-from: an image, or type=registry,ref=IMAGE."""
    if "=" not in text:
        return text
    kind = text.removeprefix("type=").partition(",")[0]
    if kind != "registry":
        raise InvalidArgument(f'unsupported cache type "{kind}"', "type=registry,ref=IMAGE")
    fields = _fields(text, ("type", "ref"))
    if not fields.get("ref"):
        raise InvalidArgument(f"ref is required for the cache '{text}'", "type=registry,ref=IMAGE")
    return fields["ref"]


def _inline(flags: Any) -> bool:
    """Return whether the image gets a cache: --cache-to type=inline, or BuildKit's older build argument."""
    for text in flags.cache_to:
        kind = text.removeprefix("type=").partition(",")[0]
        if kind != "inline":
            raise InvalidArgument(f'unsupported cache type "{kind}"', "--cache-to type=inline")
    return bool(flags.cache_to) or "BUILDKIT_INLINE_CACHE=1" in flags.build_arg


def _secret(text: str) -> tuple[str, Secret]:
    """Parse a value of --secret: id=…[,src=FILE][,env=NAME][,type=file|env]."""
    from pyctr_lite.engine.build.options import Secret

    fields = _fields(text, ("id", "src", "source", "env", "type"))
    id, kind = fields.get("id", ""), fields.get("type", "")
    file = fields.get("src") or fields.get("source") or ""
    env = fields.get("env", "")
    if not id:
        raise InvalidArgument(f"secret '{text}': id is missing", "--secret id=NAME,src=FILE")
    if kind == "env" and not env:
        file, env = "", file or id
    if not file and not env:
        file, env = ("", id) if id in os.environ and kind != "file" else (id, "")
    return id, Secret(file, env)


def _agent(text: str) -> tuple[str, str]:
    """Parse a value of --ssh: default, or ID=SOCKET."""
    id, _, socket = text.partition("=")
    socket = socket or os.environ.get("SSH_AUTH_SOCK", "")
    if not socket:
        raise InvalidArgument(f"invalid empty ssh agent socket for {id}", "make sure SSH_AUTH_SOCK is set")
    return id, socket


def _one_of(*words: str) -> Any:
    def convert(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return convert


COMMANDS = {
    "build": Command(
        "build",
        "PATH|URL|-",
        "Build an image from a Dockerfile",
        (
            Option("add-host", "list", "Add a custom host-to-IP mapping (host:ip)", convert=lazy("host")),
            Option(
                "allow",
                "list",
                "Allow a RUN more (network.host, security.insecure)",
                convert=_one_of("network.host", "security.insecure"),
            ),
            Option("build-arg", "list", "Set build-time variables"),
            Option("cache-from", "list", "Use the cache that an image carries (IMAGE or type=registry,ref=IMAGE)"),
            Option("cache-to", "list", "Write the cache of the target's steps into the image (type=inline)"),
            *(option for option in resources.OPTIONS if option.name in _LIMITS),
            Option(
                "file", "string", 'Name of the Dockerfile (default: "PATH/Dockerfile"); - for STDIN', short="f"
            ),
            Option("force-rm", "bool", "No effect: intermediate containers are always removed", hidden=True),
            Option("iidfile", "string", "Write the image ID to the file"),
            Option("label", "list", "Set metadata for an image"),
            Option("load", "bool", "No effect: the result is always in the image store", hidden=True),
            Option(
                "network",
                "string",
                "Set the networking mode for the RUN instructions during build (default, none, host)",
                default="default",
            ),
            Option("no-cache", "bool", "Do not use cache when building the image"),
            Option("no-cache-filter", "list", "Do not cache specified stages"),
            Option(
                "output", "list", "Output destination: DIR, -, or type=local|tar|docker|oci,dest=PATH", short="o"
            ),
            Option("platform", "string", "Set target platform for build"),
            Option(
                "progress",
                "string",
                "Set type of progress output (auto, plain, tty)",
                default="auto",
                convert=_one_of("auto", "plain", "tty"),
            ),
            Option("pull", "bool", "Always attempt to pull all referenced images"),
            Option("quiet", "bool", "Suppress the build output and print image ID on success", short="q"),
            Option("rm", "bool", "No effect: intermediate containers are always removed", hidden=True),
            Option("secret", "list", "Secret to expose to the build (id=mysecret[,src=/local/secret])"),
            Option("shm-size", "bytes", "Shared memory size for build containers"),
            Option("ssh", "list", "SSH agent socket to expose to the build (default or ID=SOCKET)"),
            Option("tag", "list", 'Name and optionally a tag in the "name:tag" format', short="t"),
            Option("target", "string", "Set the target build stage to build"),
            Option("ulimit", "list", "Ulimit options", convert=lazy("ulimit")),
        ),
        action=build,
        aliases=("image build", "builder build"),
        example="pyctr_lite build -t site:1 --build-arg VERSION=2 .",
        differs="Of a git repository by HTTP or git, only the wanted commit is fetched, without submodules; "
        "other URLs as the context are not supported. The image is not compressed. "
        "As in BuildKit, a new WORKDIR belongs to the USER, and what a RUN writes below a VOLUME is kept.",
    ),
}
