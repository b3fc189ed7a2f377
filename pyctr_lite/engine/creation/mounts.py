"""The mounts of a new container, from -v, --mount, --tmpfs and the image's VOLUMEs, with the keys of `inspect`."""

from __future__ import annotations

import os

from pyctr_lite.errors import NotFound
from pyctr_lite.volumes import bind, sources, spec, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.engine.state.options import ContainerOptions


def parse(options: ContainerOptions, image_volumes: list[str]) -> list[spec.MountSpec]:
    """Parse all mounts. An image's VOLUME becomes an anonymous volume if nothing else is mounted at its path."""
    specs = [
        *(spec.parse_volume(text) for text in options.volumes),
        *(spec.parse_mount(text) for text in options.mounts),
        *{item.target: item for item in map(spec.parse_tmpfs, options.tmpfs)}.values(),  # the last one counts
    ]
    spec.check_duplicates(specs)
    taken = {item.target for item in specs}
    for path in image_volumes:
        if path.rstrip("/") not in taken:
            specs.append(spec.MountSpec("volume", "", path.rstrip("/")))
    return specs


def resolve(
    specs: list[spec.MountSpec], volumes: store.VolumeStore, fill: Callable[[str, str], None]
) -> list[dict[str, Any]]:
    """Create missing sources on the host, and return the mounts as `inspect` shows them.

    `fill(data, target)` copies the image's files at `target` into the directory `data` of a new volume.
    """
    resolved: list[dict[str, Any]] = []
    try:
        for item in specs:
            resolved.append(_resolve(item, volumes, fill))
    except BaseException:
        for mount in resolved:
            if mount.get("Anonymous"):
                volumes.remove(mount["Name"], force=True)
        raise
    return resolved


def _resolve(item: spec.MountSpec, volumes: store.VolumeStore, fill: Callable[[str, str], None]) -> dict[str, Any]:
    mount: dict[str, Any] = {"Type": item.type, "Name": "", "Source": item.source, "Destination": item.target}
    mount |= {"Driver": "", "Mode": "ro" if item.readonly else "", "RW": not item.readonly, "Propagation": ""}
    if item.type == "tmpfs":
        return mount | {"Source": "", "Options": item.options}
    if item.type == "bind":
        bind.prepare_source(item.source, item.create_source)
        return mount | {
            "Propagation": item.propagation,
            "CreateSource": item.create_source,
            "Recursive": item.recursive,
            "IdMap": item.idmap,
            "ReadOnlyRecursive": item.readonly_recursive,
        }
    volume = _volume(item, volumes)
    try:
        if item.subpath:
            os.close(
                sources.open_source(volume.source, item.subpath)
            )  # only a check: each start resolves it again
        elif not item.nocopy and not volume.options.get("device"):
            fill(volume.mountpoint, item.target)
    except BaseException:
        if not item.source:
            volumes.remove(volume.name, force=True)
        raise
    return mount | {
        "Name": volume.name,
        "Source": volume.source,
        "Subpath": item.subpath,
        "Driver": "local",
        "Anonymous": not item.source,  # goes with the container; one that the user names stays, as in Docker
        "IdMap": item.idmap or not volume.options.get("device"),
    }


def _volume(item: spec.MountSpec, volumes: store.VolumeStore) -> store.Volume:
    if item.source:
        try:
            return volumes.get(item.source)
        except NotFound:
            pass
    return volumes.create(item.source or None, labels=item.labels, options=item.volume_options)
