"""What the engine must know of an image's files before a container runs: its Init layer, its accounts."""

from __future__ import annotations

import os

from pyctr_lite import jsonfile, linux
from pyctr_lite.rootfs import overlay, target, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.state.paths import Paths


NO_LAYERS = "scratch"
"""In the place of the chain id of an image without layers."""


class ImageView:
    """The Init layer of an image and the texts of its account files, found once for each image.

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
        """A descriptor (O_PATH) of the image's root: its layers mounted read-only, in no one's mount table.

        `with_init` adds the Init layer: it is what a container of the image has before it runs.
        The mount lives as long as the descriptor.
        """
        place = f"{self.paths.run}/view-{os.getpid()}"
        os.makedirs(place, 0o700, exist_ok=True)
        try:
            layers = [self.init_layer, *self.layers] if with_init else self.layers
            if not layers:
                linux.mount("tmpfs", place, "tmpfs", linux.MS_RDONLY, "mode=755")
            else:
                # A read-only overlay has at least two layers.
                lowers = layers if len(layers) > 1 else [*layers, place]
                overlay.mount_overlay(lowers, "", "", place)
            try:
                return linux.open_tree(place, linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC)
            finally:
                linux.umount2(place, linux.MNT_DETACH)
        finally:
            os.rmdir(place)

    def _make(self) -> dict[str, str]:
        from pyctr_lite.rootfs import init_layer

        temporary = f"{self.directory}.{os.getpid()}.tmp"
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
