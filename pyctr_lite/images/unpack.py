"""Unpack a layer's blob: decompress it, check both digests, and rename the complete directory into the store.

The files are written to a new directory in the staging directory, where no other process writes, so its path is
safe to use. Below it only `rootfs.tree` resolves names.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite.errors import BrokenArchive, PyctrError
from pyctr_lite.images import blob, compression
from pyctr_lite.rootfs import layer as layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctr_lite.images.image import Layer
    from pyctr_lite.images.store import ImageStore
    from pyctr_lite.rootfs.tar import Readable


def unpack_layer(store: ImageStore, layer: Layer, directory: str, lowers: Sequence[str]) -> None:
    """Unpack a blob of the store to `directory`, which is named by the layer's chain id.

    Raises BrokenArchive if the blob does not match its digest or diff_id.
    """
    with store.staging() as stage, blob.open_blob(store.blob_path(layer.digest), layer.digest) as file:
        target = stage.new_path()
        stored = blob.HashingReader(file)
        try:
            diff_id = unpack(stored, target, lowers)
        except PyctrError as error:
            raise BrokenArchive(f"layer {layer.digest}: {error.message}", error.hint) from error
        blob.check(layer.digest, stored.digest, f"layer {layer.digest}")
        blob.check(layer.diff_id, diff_id or stored.digest, f"unpacked layer {layer.digest}")
        install(target, directory)


def unpack(stored: Readable, target: str, lowers: Sequence[str] = (), copy: blob.BlobWriter | None = None) -> str:
    """Unpack a layer of any supported compression into a new directory, and read `stored` to its end.

    Returns the diff_id if the layer was compressed, or its plain tar is written to `copy`; else "": then the
    diff_id is the digest of `stored`.
    """
    os.mkdir(target, 0o755)
    os.chmod(target, 0o755)  # mkdir(2) applies the umask
    with compression.open_decompressed(stored) as plain:
        if isinstance(plain, compression.Peeked) and copy is None:
            layers.apply_layer(plain, target, lowers)
            return ""
        uncompressed = blob.HashingReader(plain, copy)
        layers.apply_layer(uncompressed, target, lowers)
    while stored.read(blob.CHUNK):
        pass
    return uncompressed.digest


def install(target: str, directory: str) -> None:
    """Rename an unpacked layer into the store, unless another process has installed the same layer first."""
    os.makedirs(os.path.dirname(directory), 0o700, exist_ok=True)
    try:
        os.rename(target, directory)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
