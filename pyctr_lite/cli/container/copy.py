"""`cp` and `export`: files from and to a container."""

from __future__ import annotations

import os
import sys

from pyctr_lite.cli.command import output
from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import progress
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context


def copy_files(context: Context) -> int:
    """Copy files between a container and the host, or between a container and a tar stream."""
    from pyctr_lite.engine.files import copy

    flags = context.flags
    (source_container, source), (container, destination) = map(_split, flags.arguments)
    if source_container and container:
        raise InvalidArgument("copying between containers is not supported", "pipe one cp into another, with -")
    if not source_container and not container:
        raise InvalidArgument(
            "must specify at least one container source", "write a path in a container as CONTAINER:PATH"
        )
    options = {"archive": flags.archive, "follow": flags.follow_link}
    if source_container:
        item = context.engine.containers.get(source_container)
        if destination == "-":
            if os.isatty(1):
                raise InvalidArgument("cowardly refusing to copy to a terminal", "redirect it, or give a path")
            copy.to_stream(item, source, sys.stdout.buffer, follow=flags.follow_link)
            return 0
        with progress.Progress("cp", quiet=flags.quiet) as bar:
            done = copy.out(item, source, destination, **options, watch=bar.watch)
        shown = destination
    else:
        item = context.engine.containers.get(container)
        shown = f"{container}:{destination}"
        if source == "-":
            copy.from_stream(item, sys.stdin.buffer, destination, archive=flags.archive)
            return 0
        with progress.Progress("cp", quiet=flags.quiet) as bar:
            done = copy.into(item, source, destination, **options, watch=bar.watch)
    for name in done.skipped:
        output.complain(f"not copied: {name}")
    if not flags.quiet and os.isatty(1):
        from pyctr_lite.formats import units

        print(f"Successfully copied {units.human_size(done.bytes, 3)} to {shown}", file=sys.stderr)
    return 0


def export(context: Context) -> int:
    """Write a container's root file system as a tar stream."""
    from pyctr_lite.engine.files import copy

    flags = context.flags
    item = context.engine.containers.get(flags.arguments[0])
    if not flags.output:
        if os.isatty(1):
            raise InvalidArgument("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        copy.export(item, sys.stdout.buffer)
        return 0
    from pyctr_lite.images import archive

    with archive.open_output(flags.output) as file, progress.Progress("export") as shown:
        copy.export(item, shown.watch(file))
    return 0


def _split(text: str) -> tuple[str, str]:
    """Split CONTAINER:PATH. The container is "" for a path on the host, such as any that begins with / or `.`."""
    if text == "-" or text.startswith(("/", ".")):
        return "", text
    container, colon, path = text.partition(":")
    return (container, path) if colon else ("", text)


COMMANDS = {
    "cp": Command(
        "cp",
        "CONTAINER:SRC_PATH|SRC_PATH|- DEST_PATH|CONTAINER:DEST_PATH|-",
        "Copy files/folders between a container and the local filesystem, or as a tar archive (-)",
        (
            Option("archive", "bool", "Archive mode (copy all uid/gid information)", short="a"),
            Option("follow-link", "bool", "Always follow symbol link in SRC_PATH", short="L"),
            Option(
                "quiet",
                "bool",
                "Suppress the progress bar and the summary (shown on a terminal only)",
                short="q",
            ),
        ),
        action=copy_files,
        aliases=("container cp",),
        example="pyctr_lite cp web:/etc/passwd .\ntar -c site | pyctr_lite cp - web:/srv",
        differs="Without -a, copied files belong to root in the container and to the caller on the host, as "
        "Docker's manual says, though its daemon does otherwise. On the host, devices are not created, and setuid "
        "bits are set only with -a. A destination that is a device or a circular link is refused. Sparse files "
        "stay sparse.",
    ),
    "export": Command(
        "export",
        "CONTAINER",
        "Export a container's filesystem as a tar archive",
        (Option("output", "string", "Write to a file, instead of STDOUT", short="o", metavar="FILE"),),
        action=export,
        aliases=("container export",),
        example="pyctr_lite export -o web.tar web",
    ),
}
