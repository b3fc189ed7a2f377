"""`build`."""

from __future__ import annotations

import os
import sys

from pyctr_lite import caller, jsonfile
from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.container import resources
from pyctr_lite.cli.container.options import lazy
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.build.options import BuildOptions
    from pyctr_lite.engine.build.progress import Progress
    from pyctr_lite.images.image import Image

_EPOCH = "SOURCE_DATE_EPOCH"
_LIMITS = ("cpu-period", "cpu-quota", "cpu-shares", "cpuset-cpus", "cpuset-mems", "memory", "memory-swap")


def build(context: Context) -> int:
    """Build an image. Its id is printed with --quiet only; the progress goes to stderr, as BuildKit's does."""
    from pyctr_lite.engine.build import output
    from pyctr_lite.engine.build.build import BuildError

    flags = context.flags
    if len(flags.output) > 1:
        raise InvalidArgument("only one --output is supported")
    options = _options(flags)
    progress = _progress(flags)
    try:
        image = output.write(context.engine, options, progress, "".join(flags.output))
    except BuildError as error:
        print(f"{error.name}:{error.first}\n{error.excerpt}", file=sys.stderr)
        error.message = f"failed to solve: {error.message}"
        raise
    if image:
        _write(flags.iidfile, image.id)
        _write(flags.metadata_file, jsonfile.dumps(_metadata(image, options.tags)))
    progress.finish()
    if flags.quiet and image:
        print(image.id)
    return 0


def _write(path: str, text: str) -> None:
    if path:
        mode = 0o666 & ~caller.umask
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "w") as file:
            file.write(text)


def _metadata(image: Image, tags: list[str]) -> dict[str, str]:
    """Return the result of a build in the keys of buildx."""
    from pyctr_lite.images import writer

    found = {"containerimage.config.digest": image.id, "containerimage.digest": image.digest}
    names = [writer.parse_name(tag).canonical() for tag in tags]
    return found | ({"image.name": ",".join(names)} if names else {})


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
    return BuildOptions(
        context=flags.arguments[0],
        dockerfile=flags.file or "",
        tags=flags.tag,
        target=flags.target or "",
        build_args=arguments,
        labels=dict(text.partition("=")[::2] for text in flags.label),
        no_cache=flags.no_cache,
        no_cache_filter=flags.no_cache_filter,
        cache_from=flags.cache_from,
        cache_to=flags.cache_to,
        pull=flags.pull,
        network=flags.network or "",
        platform=flags.platform or "",
        secrets=flags.secret,
        ssh=flags.ssh,
        allow=flags.allow,
        add_hosts=flags.add_host,
        shm_size=flags.shm_size,
        ulimits=flags.ulimit,
        **{name: value for name, value in limits.items() if value is not None},
    )


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
            Option("allow", "list", "Allow a RUN more (network.host, security.insecure)"),
            Option("build-arg", "list", "Set build-time variables"),
            Option("cache-from", "list", "Use the cache that an image carries (IMAGE or type=registry,ref=IMAGE)"),
            Option("cache-to", "list", "Write the cache of the target's steps into the image (type=inline)"),
            *(option for option in resources.OPTIONS if option.name in _LIMITS),
            Option(
                "file", "string", 'Name of the Dockerfile (default: "PATH/Dockerfile"); - for STDIN', short="f"
            ),
            Option("compress", "bool", "No effect: the context is not sent anywhere", hidden=True),
            Option("force-rm", "bool", "No effect: intermediate containers are always removed", hidden=True),
            Option("iidfile", "string", "Write the image ID to the file"),
            Option("label", "list", "Set metadata for an image"),
            Option("metadata-file", "string", "Write build result metadata to a file"),
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
                "output",
                "list",
                "Output destination: DIR, -, or type=…,dest=PATH,name=NAME with the types "
                "image, local, tar, docker, oci, cacheonly",
                short="o",
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
