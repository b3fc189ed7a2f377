"""The results of a build: an image, an archive of it, or its root file system as a directory or a tar stream."""

from __future__ import annotations

import os
import sys
import threading

from pyctr_lite import caller, linux
from pyctr_lite.engine.build import build as builds
from pyctr_lite.engine.build import layers, values
from pyctr_lite.engine.files import tree_archive, tree_unpack
from pyctr_lite.errors import BrokenArchive, InvalidArgument, PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.commit.stream import Writable
    from pyctr_lite.engine.build.build import Build
    from pyctr_lite.engine.build.options import BuildOptions
    from pyctr_lite.engine.build.progress import Progress
    from pyctr_lite.engine.build.state import State
    from pyctr_lite.engine.home import Home
    from pyctr_lite.images.image import Image


_TYPES = ("image", "local", "tar", "docker", "oci", "cacheonly")


def write(home: Home, options: BuildOptions, progress: Progress, text: str) -> Image | None:
    """Build, and write the result that a value of --output describes ("": an image).

    Returns the image, None if there is none. Raises InvalidArgument for a wrong value.
    """
    kind, path, names = _parse(text)
    options.tags = options.tags or names
    if kind in ("image", "docker") and not path:
        return builds.image(home, options, progress)
    with builds.running(home, options, progress) as (running, state), progress.step("exporting to client"):
        if kind == "local":
            to_directory(running, state, path)
        elif kind == "tar":
            with _open(path) as file:
                to_tar(running, state, file)
        elif kind != "cacheonly":
            from pyctr_lite.images import archive as archives

            image = builds.add_image(running, state, progress)
            form = "oci-archive" if kind == "oci" else "docker-archive"
            archives.save(
                home.images, options.tags or [image.id], sys.stdout.buffer if path == "-" else path, form, ""
            )
            return image
    return None


def _parse(text: str) -> tuple[str, str, list[str]]:
    """Return the type, the path and the names in a value of --output.

    The value is a directory, "-" for a tar, or type=…,dest=…,name=….
    """
    if not text:
        return "image", "", []
    if "=" not in text:
        return ("tar", "-", []) if text == "-" else ("local", text, [])
    found = values.fields(text, ("type", "dest", "name"))
    kind, path = found.get("type", ""), found.get("dest", "")
    if kind not in _TYPES:
        raise InvalidArgument(f'unsupported output type "{kind}"', f"one of {', '.join(_TYPES)}")
    if kind in ("local", "oci") and not path:
        raise InvalidArgument(f"dest is required for {kind} output")
    if kind == "image" and path:
        raise InvalidArgument("an image has no dest", "type=docker,dest=FILE writes an archive")
    names = [name for name in found.get("name", "").split(",") if name]
    return kind, path or ("-" if kind == "tar" else ""), names


def _open(path: str) -> Any:
    if path == "-":
        if sys.stdout.isatty():
            raise InvalidArgument("output file is required for tar exporter: refusing to write to a terminal")
        return os.fdopen(os.dup(1), "wb")
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666 & ~caller.umask), "wb")


def to_tar(build: Build, state: State, output: Writable) -> None:
    """Write the root file system of a state as a tar stream."""
    with layers.opened(build.home, build.staging, layers.directories(build.home, state.layers)) as root:
        archive = tree_archive.TreeArchive(output)
        archive.add_contents(root)
        archive.finish()


def to_directory(build: Build, state: State, path: str) -> None:
    """Copy the root file system of a state into a directory of the host, which is made if it is missing.

    As in BuildKit, all files belong to the caller. Devices are left out, and no file gets setuid bits (see
    `tree_unpack`).
    """
    os.makedirs(path, exist_ok=True)
    errors: list[BaseException] = []
    reading, writing = os.pipe2(os.O_CLOEXEC)

    def feed() -> None:
        try:
            with open(writing, "wb") as pipe:
                to_tar(build, state, pipe)
        except BaseException as error:
            errors.append(error)

    packer = threading.Thread(target=feed)
    packer.start()
    try:
        with (
            open(reading, "rb", buffering=0) as pipe,
            linux.closing(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as base,
        ):
            tree_unpack.Unpacker(base, path, owner=(os.geteuid(), os.getegid())).unpack(pipe)
    except (PyctrError, OSError) as error:
        packer.join()
        if errors and isinstance(error, BrokenArchive):
            raise errors[0] from None
        raise
    packer.join()
    if errors:
        raise errors[0]
