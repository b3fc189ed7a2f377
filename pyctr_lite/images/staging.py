"""What is on its way into the store: a directory that is one process's own, and swept when that has died.

`<root>/staging/<name>/` is locked (flock(2)) by its process as long as it lives: who can lock it may remove it.
`<root>/staging` is 0700 and in no container's mounts, and no name in it comes from an archive: a path in it leads
where its maker put it. What an archive has made there is removed by `walk.remove_tree`, which follows no link.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from typing import TYPE_CHECKING

from pyctr_lite.images import blob, image
from pyctr_lite.rootfs import walk

if TYPE_CHECKING:
    from pyctr_lite.images.store import ImageStore

_ASIDE = ".removing"


class NewLayer:
    """A layer that is staged: the blob, and where it is unpacked already (None: that is done at first use)."""

    def __init__(
        self, written: blob.BlobWriter, diff_id: str, media_type: str = image.LAYER, directory: str | None = None
    ) -> None:
        self.path, self.digest, self.size = written.path, written.digest, written.size
        self.diff_id, self.media_type, self.directory = diff_id, media_type, directory


class Staging:
    """A context manager: files and directories in it are moved into the store, or are gone with it."""

    def __init__(self, store: ImageStore) -> None:
        self.store = store
        self.path, self._fd = _make(f"{store.root}/staging")

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            walk.remove_tree(self.path)
        except OSError:
            pass  # for the next writer's sweep
        os.close(self._fd)

    def new_path(self) -> str:
        """A path in it that is not taken."""
        return f"{self.path}/{secrets.token_hex(8)}"

    def open_blob(self) -> blob.BlobWriter:
        """A file for a blob: `write` to it, `close` it (or use `with`), then it has its digest and size."""
        return blob.BlobWriter(self.new_path())

    def plain_layer(self, written: blob.BlobWriter) -> NewLayer:
        """The layer in a blob that is an uncompressed tar: its digest is its diff_id. For `add_image`."""
        return NewLayer(written, written.digest)


def sweep(root: str) -> None:
    """Remove what processes left that died in the middle. For a writer that holds the store's lock."""
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
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            walk.remove_tree(path)
        except (BlockingIOError, FileNotFoundError):
            pass  # its process lives, or has just removed it
        finally:
            os.close(fd)


def set_aside(directory: str) -> None:
    """Rename an unpacked layer so that it is never half there, and needs no new file to be removed."""
    try:
        os.rename(directory, f"{directory}.{secrets.token_hex(4)}{_ASIDE}")
    except FileNotFoundError:
        pass  # never unpacked


def remove_set_aside(store: ImageStore) -> None:
    """Remove the layers that this process or one that died has set aside."""
    for parent in (store.layers, f"{store.root}/init"):
        for name in os.listdir(parent) if os.path.isdir(parent) else ():
            if name.endswith(_ASIDE):
                try:
                    walk.remove_tree(f"{parent}/{name}")
                except OSError:
                    pass  # another process was faster, or it is for the next writer


def _make(parent: str) -> tuple[str, int]:
    os.makedirs(parent, 0o700, exist_ok=True)
    while True:
        path = f"{parent}/{secrets.token_hex(8)}"
        os.mkdir(path, 0o700)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # swept before it was locked
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
