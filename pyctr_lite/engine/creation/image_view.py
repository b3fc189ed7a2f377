"""Files of an image that the engine needs before a container runs: the Init layer and the account files."""

from __future__ import annotations

import os

from pyctr_lite import jsonfile, linux
from pyctr_lite.rootfs import overlay, target, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.state.paths import Paths


NO_LAYERS = "scratch"
"""Stands for the chain id of an image without layers."""


class ImageView:
    """The Init layer of an image and the texts of its account files, made once for each image.

    `layers` are the image's unpacked layers, top first.
    """

    def __init__(self, paths: Paths, chain_id: str, layers: list[str]) -> None:
        self.paths, self.layers = paths, layers
        self.directory = f"{paths.init_layers}/{chain_id.removeprefix('sha256:')}"
        self.init_layer = f"{self.directory}/layer"
        try:
            accounts = jsonfile.read(f"{self.directory}/accounts.json")
        except FileNotFoundError:
            accounts = self._make()
        self.passwd, self.group = accounts["passwd"], accounts["group"]

    def mounted(self, *, with_init: bool = False) -> int:
        """Mount the image's layers read-only and detached, and return a descriptor (O_PATH) of the root.

        `with_init` adds the Init layer: the view is then the root of a new container. The mount lives as long as
        the descriptor.
        """
        mountpoint = f"{self.paths.run}/view-{os.getpid()}"
        os.makedirs(mountpoint, 0o700, exist_ok=True)
        try:
            layers = [self.init_layer, *self.layers] if with_init else self.layers
            if not layers:
                linux.mount("tmpfs", mountpoint, "tmpfs", linux.MS_RDONLY, "mode=755")
            else:
                # A read-only overlay needs at least two layers: the second one here is the empty mount point.
                lowers = layers if len(layers) > 1 else [*layers, mountpoint]
                overlay.mount_overlay(lowers, "", "", mountpoint)
            try:
                return linux.open_tree(mountpoint, linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC)
            finally:
                linux.umount2(mountpoint, linux.MNT_DETACH)
        finally:
            os.rmdir(mountpoint)

    def _make(self) -> dict[str, str]:
        from pyctr_lite.rootfs import init_layer

        temporary = f"{self.directory}.{os.getpid()}.tmp"
        os.makedirs(self.paths.init_layers, 0o700, exist_ok=True)
        os.makedirs(f"{temporary}/layer", 0o755)
        root_fd = self.mounted()
        try:
            init_layer.make_init_layer(f"{temporary}/layer", root_fd)
            accounts = {name: target.read_text(root_fd, f"/etc/{name}") for name in ("passwd", "group")}
        finally:
            os.close(root_fd)
        jsonfile.write(f"{temporary}/accounts.json", accounts)
        try:
            os.rename(temporary, self.directory)
        except OSError:  # another process was first
            walk.remove_tree(temporary)
        return accounts
