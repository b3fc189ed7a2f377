"""`system df`: the disk usage of images, containers and volumes, and how much of it is reclaimable."""

from __future__ import annotations

from pyctr_lite.engine.container import containers
from pyctr_lite.engine.container.container import Container
from pyctr_lite.engine.home import Home
from pyctr_lite.engine.report import usage
from pyctr_lite.images import partial
from pyctr_lite.images.image import Image
from pyctr_lite.rootfs import walk
from pyctr_lite.volumes.store import Volume


class ImageSpace:
    """Disk usage of one image: bytes of shared layers, bytes of its own, and the number of its containers."""

    def __init__(self, image: Image, shared: int, unique: int, containers: int) -> None:
        self.image, self.shared, self.unique, self.containers = image, shared, unique, containers


class Space:
    """Disk usage of each object, in bytes. `images_size` and `images_used` count a shared layer once.

    `images_size` includes partial downloads. `containers` have their bytes, `volumes` also the number of
    containers that mount them.
    """

    def __init__(
        self,
        images: list[ImageSpace],
        images_size: int,
        images_used: int,
        containers: list[tuple[Container, int]],
        volumes: list[tuple[Volume, int, int]],
    ) -> None:
        self.images, self.images_size, self.images_used = images, images_size, images_used
        self.containers, self.volumes = containers, volumes


def measure(home: Home) -> Space:
    """Measure all images, containers and volumes. Slow: walks the directory of every container and volume."""
    used = usage.Usage(home)
    images = home.images.list()
    users: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for image in images:
        for layer in {layer.digest: layer for layer in image.layers}.values():
            users[layer.digest] = users.get(layer.digest, 0) + 1
            sizes[layer.digest] = layer.size
    needed = {layer.digest for image in images if used.of_image(image) for layer in image.layers}
    spaces = []
    for image in images:
        shared = sum(layer.size for layer in image.layers if users[layer.digest] > 1)
        spaces.append(ImageSpace(image, shared, image.size - shared, len(used.of_image(image))))
    return Space(
        spaces,
        sum(sizes.values()) + partial.usage(home.paths.root),
        sum(sizes[digest] for digest in needed),
        [(item, walk.disk_usage(f"{item.directory}/upper")) for item in containers.read_all(home)[0]],
        [
            (volume, walk.disk_usage(volume.mountpoint), len(used.of_volume(volume.name)))
            for volume in home.volumes.list()
        ],
    )
