"""`import`, `load`, `save`, `image bootstrap`: getting images in and out without a registry."""

from __future__ import annotations

import sys

from pyctr_lite.cli.command.flags import Command, Context, Option
from pyctr_lite.cli.screen import progress
from pyctr_lite.errors import InvalidArgument

_SUFFIXES = {".gz": "gzip", ".tgz": "gzip", ".zst": "zstd", ".tzst": "zstd"}


def import_image(context: Context) -> int:
    """Create an image from the archive of a root file system, and print its id."""
    from pyctr_lite.engine.events import writer
    from pyctr_lite.images import importer

    flags = context.flags
    source = flags.arguments[0]
    name = flags.arguments[1] if len(flags.arguments) > 1 else None
    if source == "-" and sys.stdin.isatty():
        raise InvalidArgument("requested import from stdin, but stdin is a terminal", "Give a file, or a pipe.")
    with progress.Progress("import") as shown:
        image = importer.import_rootfs(
            context.engine.images, source, name, flags.change, flags.message, flags.platform, shown.watch
        )
    writer.emit_image(context.engine.paths, "import", image.id, name or "")
    print(image.id)
    return 0


def load(context: Context) -> int:
    """Add the images of an archive to the store, and print their names."""
    from pyctr_lite.engine.events import writer
    from pyctr_lite.images import archive

    source = context.flags.input or "-"
    if source == "-" and sys.stdin.isatty():
        raise InvalidArgument("requested load from stdin, but stdin is empty", "Give a file with -i, or a pipe.")
    with archive.open_source(source) as file, progress.Progress("load", quiet=context.flags.quiet) as shown:
        loaded = archive.load(context.engine.images, shown.watch(file), _print_note)
    for name in loaded:
        writer.emit_image(context.engine.paths, "load", context.engine.images.get(name).id, name)
        print(f"Loaded image ID: {name}" if name.startswith("sha256:") else f"Loaded image: {name}")
    return 0


def _print_note(line: str) -> None:
    print(f"pyctr_lite: {line}", file=sys.stderr)


def save(context: Context) -> int:
    """Write images to an archive."""
    from pyctr_lite.images import archive

    flags = context.flags
    if not flags.output and sys.stdout.isatty():
        raise InvalidArgument("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    compress = flags.compress
    if compress is None:
        suffixes = (kind for suffix, kind in _SUFFIXES.items() if (flags.output or "").endswith(suffix))
        compress = next(suffixes, "")
    output = flags.output or sys.stdout.buffer
    with progress.Progress("save") as shown:
        archive.save(context.engine.images, flags.arguments, output, flags.format, compress, shown.watch)
    return 0


def bootstrap_image(context: Context) -> int:
    """Create an image from this machine's busybox or from Debian's packages, and print its id."""
    from pyctr_lite.images import bootstrap

    flags = context.flags
    kind, name = flags.arguments[0], flags.tag
    if kind not in ("busybox", "debian"):
        raise InvalidArgument(f"cannot bootstrap {kind!r}", "Give busybox or debian.")
    if kind == "busybox" and flags.suite is not None:
        raise InvalidArgument("--suite is for debian: busybox has no suites")
    store = context.engine.images
    if kind == "busybox":
        image = bootstrap.bootstrap_busybox(store, name or "busybox:latest")
    else:
        if sys.stderr.isatty():
            print("mmdebstrap builds the root file system; this takes about a minute", file=sys.stderr)
        image = bootstrap.bootstrap_debian(store, flags.suite or "", name or "")
    print(image.id)
    return 0


def _compression(text: str) -> str:
    kind = {"none": "", "gzip": "gzip", "zstd": "zstd"}.get(text)
    if kind is None:
        raise ValueError("must be gzip, zstd or none")
    return kind


def _archive_format(text: str) -> str:
    from pyctr_lite.images import archive

    if text not in archive.FORMATS:
        raise ValueError(f"must be {' or '.join(archive.FORMATS)}")
    return text


COMMANDS = {
    "import": Command(
        "import",
        "FILE|- [REPOSITORY[:TAG]]",
        "Import the contents from a tarball to create a filesystem image",
        (
            Option("change", "list", "Apply Dockerfile instruction to the created image", short="c"),
            Option("message", "string", "Set commit message for imported image", short="m", default=""),
            Option("platform", "string", "Set platform if it is not this machine's (os/architecture)"),
        ),
        action=import_image,
        aliases=("image import",),
        example="tar -C rootfs -c . | pyctr_lite import -c 'CMD [\"sh\"]' - mine:1",
        differs="A URL is not supported: pipe a download into import.",
    ),
    "load": Command(
        "load",
        "",
        "Load images from a tar archive or STDIN",
        (
            Option("input", "string", "Read from tar archive file, instead of STDIN", short="i"),
            Option("quiet", "bool", "Suppress the progress bar (shown on a terminal only)", short="q"),
        ),
        action=load,
        aliases=("image load",),
        example="pyctr_lite load -i images.tar.zst",
        differs="OCI archives are read, too, uncompressed or compressed with gzip, zstd, bzip2 or xz.",
    ),
    "save": Command(
        "save",
        "IMAGE [IMAGE...]",
        "Save one or more images to a tar archive (streamed to STDOUT by default)",
        (
            Option(
                "compress",
                "string",
                "Compression: gzip, zstd or none (default: by FILE's suffix)",
                convert=_compression,
            ),
            Option(
                "format",
                "string",
                "Format of the archive: docker-archive or oci-archive",
                default="docker-archive",
                convert=_archive_format,
            ),
            Option("output", "string", "Write to a file, instead of STDOUT", short="o", metavar="FILE"),
        ),
        action=save,
        aliases=("image save",),
        example="pyctr_lite save -o busybox.tar.gz busybox",
        differs="Docker does not have --format and --compress.",
    ),
    "image bootstrap": Command(
        "image bootstrap",
        "busybox|debian",
        "Create an image from this machine's busybox or from Debian's packages, without a registry",
        (
            Option("suite", "string", "Debian release (default: this machine's, or bookworm)"),
            Option("tag", "string", "Name of the image (default: busybox:latest, debian:SUITE)", short="t"),
        ),
        action=bootstrap_image,
        example="pyctr_lite image bootstrap debian --suite bookworm",
        differs="Docker does not have this command.",
    ),
}
