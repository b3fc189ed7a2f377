"""The results of a build other than an image: its root file system in a directory, or as a tar stream."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from pyctr_lite import linux
from pyctr_lite.engine.build import layers
from pyctr_lite.engine.files import tree_archive, tree_unpack
from pyctr_lite.errors import BrokenArchive, PyctrError

if TYPE_CHECKING:
    from pyctr_lite.commit.stream import Writable
    from pyctr_lite.engine.build.build import Build
    from pyctr_lite.engine.build.state import State


def to_tar(build: Build, state: State, output: Writable) -> None:
    """Write the root file system of a state as a tar stream."""
    with layers.opened(build.home, build.staging, layers.directories(build.home, state.layers)) as root:
        archive = tree_archive.TreeArchive(output)
        archive.add_contents(root)
        archive.finish()


def to_directory(build: Build, state: State, path: str) -> None:
    """Copy the root file system of a state into a directory of the host, which is made if it is missing.

    Files keep their owners; devices are left out, and no file gets setuid bits (see `tree_unpack`).
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
            tree_unpack.Unpacker(base, path).unpack(pipe)
    except (PyctrError, OSError) as error:
        packer.join()
        if errors and isinstance(error, BrokenArchive):
            raise errors[0] from None
        raise
    packer.join()
    if errors:
        raise errors[0]
