"""Staging directories for new blobs and layers: each belongs to one process, and is removed after its death.

`<root>/staging/<name>/` is locked (flock(2)) by its process until it exits: a process that gets the lock may
remove the directory. `<root>/staging` has mode 0700, is mounted in no container, and no name in it comes from an
archive: so no other process can redirect a path in it. Unpacked files are removed by `walk.remove_tree`, which
follows no link.
"""

from __future__ import annotations

import errno
import fcntl
import os

from pyctr_lite import linux
from pyctr_lite.images import blob, image
from pyctr_lite.rootfs import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager as ContextManager
    from typing import Protocol

    from pyctr_lite.images.store import ImageStore
    from pyctr_lite.rootfs.tar import Readable

    class LayerFile(Protocol):
        """The file of a layer's blob, with its digest and size in bytes."""

        digest: str
        size: int

        @property
        def path(self) -> str:
            """The complete file, to be moved into the store."""

        def open(self) -> ContextManager[Readable]:
            """Open the blob for reading."""


_ASIDE = ".removing"
_FULL = "`pyctr_lite system df` shows what uses the disk, `pyctr_lite system prune` frees what nothing needs"


class NewLayer:
    """A staged layer: the blob, and the directory of its unpacked files (None: it is unpacked at first use)."""

    def __init__(
        self, written: LayerFile, diff_id: str, media_type: str = image.LAYER, directory: str | None = None
    ) -> None:
        self.path, self.digest, self.size = written.path, written.digest, written.size
        self.diff_id, self.media_type, self.directory = diff_id, media_type, directory


class Staging:
    """A context manager of a staging directory: files in it are moved into the store, or removed at the end."""

    def __init__(self, store: ImageStore) -> None:
        self.store = store
        sweep(store.root)  # a dead process may have filled the disk
        self.path, self._fd = make_locked(f"{store.root}/staging")

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            walk.remove_tree(self.path)
        except OSError:
            pass  # the next writer removes it
        os.close(self._fd)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            error.filename = self.store.root
            if not hasattr(error, "__notes__"):
                error.add_note(_FULL)

    def new_path(self) -> str:
        """Return an unused path in the directory."""
        return f"{self.path}/{os.urandom(8).hex()}"

    def open_blob(self) -> blob.BlobWriter:
        """Return a new blob file: after `write` and `close` (or `with`) it has its digest and size."""
        return blob.BlobWriter(self.new_path())

    def plain_layer(self, written: blob.BlobWriter) -> NewLayer:
        """Return the layer of an uncompressed tar: the blob's digest is the diff_id. For `add_image`."""
        return NewLayer(written, written.digest)


def sweep(root: str) -> None:
    """Remove the staging directories of dead processes."""
    try:
        names = os.listdir(f"{root}/staging")
    except FileNotFoundError:
        return
    for name in names:
        path = f"{root}/staging/{name}"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        with linux.closing(fd):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                walk.remove_tree(path)
            except (BlockingIOError, FileNotFoundError):
                pass  # its process is alive, or has just removed it


def set_aside(directory: str) -> None:
    """Rename an unpacked layer before its removal, so that no reader finds it incomplete. Works on a full disk."""
    try:
        os.rename(directory, f"{directory}.{os.urandom(4).hex()}{_ASIDE}")
    except FileNotFoundError:
        pass  # never unpacked


def remove_set_aside(store: ImageStore) -> None:
    """Remove the layers that this process, or a dead one, has set aside."""
    for parent in (store.layers, f"{store.root}/init"):
        for name in os.listdir(parent) if os.path.isdir(parent) else ():
            if name.endswith(_ASIDE):
                try:
                    walk.remove_tree(f"{parent}/{name}")
                except OSError:
                    pass  # another process is removing it, or the next writer will


def make_locked(parent: str) -> tuple[str, int]:
    """Create a directory with a new name, and lock it (flock(2)); return its path and the lock's descriptor."""
    os.makedirs(parent, 0o700, exist_ok=True)
    while True:
        path = f"{parent}/{os.urandom(8).hex()}"
        os.mkdir(path, 0o700)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # removed by a writer before it was locked
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if error.errno != errno.EWOULDBLOCK:
                raise
            continue
        if os.fstat(fd).st_nlink:
            return path, fd
        os.close(fd)
