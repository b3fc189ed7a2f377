"""`system df`: the disk space of images, containers and volumes, and how much of it nobody uses."""

from __future__ import annotations

from dataclasses import dataclass

from pyctr_lite.engine.container import containers
from pyctr_lite.engine.container.container import Container
from pyctr_lite.engine.home import Home
from pyctr_lite.engine.report import usage
from pyctr_lite.images.image import Image
from pyctr_lite.rootfs import walk
from pyctr_lite.volumes.store import Volume


@dataclass(frozen=True)
class ImageSpace:
    """An image, the bytes of its layers that others have too, and that only it has; who was made of it."""

    image: Image
    shared: int
    unique: int
    containers: int


@dataclass(frozen=True)
class Space:
    """Each object with its bytes; `images_size` and `images_used` count a layer that is shared once."""

    images: list[ImageSpace]
    images_size: int
    images_used: int
    containers: list[tuple[Container, int]]
    volumes: list[tuple[Volume, int, int]]
    """A volume, its bytes, and by how many containers it is mounted."""


def measure(home: Home) -> Space:
    """Look at all there is: it walks every container's and volume's directory."""
    used = usage.Usage(home)
    images = home.images.list()
    holders: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for image in images:
        for layer in {layer.digest: layer for layer in image.layers}.values():
            holders[layer.digest] = holders.get(layer.digest, 0) + 1
            sizes[layer.digest] = layer.size
    needed = {layer.digest for image in images if used.of_image(image) for layer in image.layers}
    spaces = []
    for image in images:
        shared = sum(layer.size for layer in image.layers if holders[layer.digest] > 1)
        spaces.append(ImageSpace(image, shared, image.size - shared, len(used.of_image(image))))
    return Space(
        spaces,
        sum(sizes.values()),
        sum(sizes[digest] for digest in needed),
        [(item, walk.disk_usage(f"{item.directory}/upper")) for item in containers.read_all(home)[0]],
        [
            (volume, walk.disk_usage(volume.mountpoint), len(used.of_volume(volume.name)))
            for volume in home.volumes.list()
        ],
    )
