"""`import`: make an image of one layer from the archive of a root file system (docker import)."""

from __future__ import annotations

from pyctr_lite.commit import config as configs
from pyctr_lite.errors import BrokenArchive, InvalidArgument
from pyctr_lite.images import archive, platforms, unpack, writer
from pyctr_lite.images.staging import NewLayer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, BinaryIO

    from pyctr_lite.images.image import Image
    from pyctr_lite.images.store import ImageStore
    from pyctr_lite.rootfs.tar import Readable


def import_rootfs(
    store: ImageStore,
    source: str | BinaryIO,
    reference: str | None = None,
    changes: Sequence[str] = (),
    message: str = "",
    platform: str | None = None,
    watch: Callable[[BinaryIO], BinaryIO] = lambda file: file,
) -> Image:
    """Make an image from a tar archive, plain or compressed: a path, "-" for standard input, or an open file.

    `changes` are Dockerfile instructions as for `commit -c`, `platform` is `os[/architecture[/variant]]`;
    `watch` wraps the input file, to report progress.
    Raises BrokenArchive and leaves the store unchanged if the archive is damaged or unsafe.
    """
    names = [writer.parse_name(reference).familiar()] if reference else []
    parsed = [configs.parse_change(change) for change in changes]
    shown = source if isinstance(source, str) else "-"
    config: dict[str, Any] = {
        "created": configs.created_now(),
        **platforms.parse(platform or "linux"),
        "config": configs.apply_changes({}, parsed),
        "history": [{"created": configs.created_now(), "comment": message or f"Imported from {shown}"}],
    }
    if "://" in shown:
        hint = f"use: curl -L {shown} | pyctr_lite import - NAME"
        raise InvalidArgument(f"import from a URL is not supported: {shown}", hint)
    with archive.open_source(source) as file:
        return add_root_filesystem(store, watch(file), config, names)


def add_root_filesystem(
    store: ImageStore, stream: Readable, config: dict[str, Any], references: Sequence[str]
) -> Image:
    """Add an image of one layer, which is hashed, stored and unpacked in one pass over the stream."""
    with store.staging() as stage:
        target = stage.new_path()
        with stage.open_blob() as written:
            unpack.unpack(stream, target, copy=written)
        if not written.size:
            raise BrokenArchive("the archive is empty")
        config["rootfs"] = {"type": "layers", "diff_ids": [written.digest]}
        new = NewLayer(written, written.digest, directory=target)
        return writer.add_image(store, config, [new], references)
