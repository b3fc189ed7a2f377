"""Layers of a build: the directories below a step, a root to write to, and the layer that it becomes.

A layer's directory is the upper directory itself, renamed into the store: its form is that of an unpacked layer.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager

from pyctr_lite import linux
from pyctr_lite.commit import layer as layer_writer
from pyctr_lite.images import image as images
from pyctr_lite.images import writer
from pyctr_lite.images.staging import NewLayer
from pyctr_lite.rootfs import overlay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyctr_lite.engine.home import Home
    from pyctr_lite.images.image import Layer
    from pyctr_lite.images.staging import Staging


def chain_id(layers: Sequence[Layer]) -> str:
    """Return the chain id of layers (bottom first), "" without any."""
    return images.chain_ids([layer.diff_id for layer in layers])[-1] if layers else ""


def directories(home: Home, layers: Sequence[Layer]) -> list[str]:
    """Return the unpacked directories of layers (bottom first), the top first, as overlayfs takes them."""
    return list(reversed(home.images.layer_directories(images.Image("", "", {}, list(layers), {}))))


def view_path(home: Home) -> str:
    """Return the path at which this process mounts a view for a moment; `leftovers` knows it, too."""
    return f"{home.paths.run}/view-{os.getpid()}"


@contextmanager
def opened(home: Home, staging: Staging, lowers: Sequence[str], upper: str = "") -> Iterator[int]:
    """Mount directories (top first), detached, and yield a descriptor of the root.

    Without `upper` it is read-only. The mount lives as long as the descriptor.
    """
    mountpoint = view_path(home)
    os.makedirs(mountpoint, 0o700, exist_ok=True)
    try:
        below = list(lowers)
        while len(below) < (1 if upper else 2):  # overlayfs needs so many
            below.append(new_directory(staging))
        overlay.mount_overlay(below, upper, new_directory(staging) if upper else "", mountpoint)
        try:
            fd = linux.open_tree(mountpoint, linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC)
        finally:
            linux.umount2(mountpoint, linux.MNT_DETACH)
    finally:
        os.rmdir(mountpoint)
    try:
        yield fd
    finally:
        os.close(fd)


def new_directory(staging: Staging, lowers: Sequence[str] = ()) -> str:
    """Create a directory for an upper directory, whose root is like that of the layers below it (top first)."""
    path = staging.new_path()
    os.mkdir(path)
    os.chmod(path, 0o755)
    if lowers:
        like_below(path, lowers[0])
    return path


def like_below(path: str, lower: str) -> None:
    """Give a directory the owner, mode and times of another."""
    status = os.stat(lower)
    os.chown(path, status.st_uid, status.st_gid)
    os.chmod(path, stat.S_IMODE(status.st_mode))
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def add(
    home: Home,
    staging: Staging,
    below: Sequence[Layer],
    upper: str,
    epoch: int | None,
    keep: Callable[[list[Layer]], None],
) -> list[Layer]:
    """Make a layer of an upper directory and add it to the store; return all layers, bottom first.

    An empty directory makes no layer. `keep` writes the root that needs the layers. No time in the layer is later
    than `epoch` (seconds); with it the directory is unpacked from the layer when it is needed, so that its files
    have those times.
    """
    if below:
        like_below(upper, directories(home, below)[0])
    with staging.open_blob() as blob:
        packed = layer_writer.write_layer(upper, blob, source_date_epoch=epoch)
    layers = list(below)
    if packed.diff_id == layer_writer.EMPTY_DIFF_ID:
        keep(layers)
        return layers
    new = NewLayer(blob, packed.diff_id, directory=upper if epoch is None else None)
    layers.append(images.Layer(new.digest, new.diff_id, new.size, new.media_type))
    writer.add_layers(home.images, [*below, new], lambda: keep(layers))
    return layers
