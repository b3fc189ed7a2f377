"""The id maps of a mount's own: `uidMappings` and `gidMappings`, and crun's text in the option `idmap`.

A module of its own, because it is rare: `run` is to start quickly.
"""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number
from pyctr_lite.namespaces import idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.runtime import mounts


def read(mount: mounts.Mount, item: dict[str, Any], config: dict[str, Any], *, in_user_namespace: bool) -> None:
    """Set the id maps of a mount from its entry in `mounts`; `config` is the `linux` object.

    Raises InvalidArgument for maps that are impossible, or if `idmap` has neither maps nor a user namespace.
    """
    if bool(item.get("uidMappings")) != bool(item.get("gidMappings")):
        raise InvalidArgument("uidMappings and gidMappings must be given together")
    mount.uids, mount.gids = (_maps(item.get(name) or []) for name in ("uidMappings", "gidMappings"))
    if mount.options.idmap_text and not mount.uids:
        mount.uids, mount.gids = _parse_maps(mount.options.idmap_text, config)
    mount.options.idmap = name = mount.options.idmap or "idmap"
    if not mount.is_bind:
        raise InvalidArgument(f"{name} is only for a bind")
    if mount.uids:
        idmap.check(mount.uids)
        idmap.check(mount.gids)
    elif not in_user_namespace:
        raise InvalidArgument(
            f"{name} needs a user namespace", "or uidMappings and gidMappings of the mount's own"
        )


def _parse_maps(text: str, config: dict[str, Any]) -> tuple[list[idmap.IdMap], list[idmap.IdMap]]:
    """Parse crun's maps, "uids=0-1000-10#20-2000-5;gids=…": the id on disk, the host's id, and the size.

    After an `@` the second id is one of the container's user namespace. Raises InvalidArgument.
    """
    found: dict[str, list[idmap.IdMap]] = {}
    for part in filter(None, text.split(";")):
        kind, _, triplets = part.partition("=")
        if kind not in ("uids", "gids"):
            raise InvalidArgument(f"invalid idmap {text!r}", "write idmap=uids=0-1000-10;gids=0-1000-10")
        outer = _maps(config.get(f"{kind[:3]}Mappings") or [])
        found[kind] = [_parse_map(triplet, outer, text) for triplet in triplets.split("#")]
    if set(found) != {"uids", "gids"}:
        raise InvalidArgument(f"invalid idmap {text!r}: uids and gids must be given together")
    return found["uids"], found["gids"]


def _maps(items: list[dict[str, int]]) -> list[idmap.IdMap]:
    try:
        return [idmap.IdMap.from_oci(item) for item in items]
    except (KeyError, TypeError, ValueError):
        raise InvalidArgument("an id mapping needs containerID, hostID and size") from None


def _parse_map(triplet: str, outer: list[idmap.IdMap], text: str) -> idmap.IdMap:
    numbers = triplet.removeprefix("@").split("-")
    if len(numbers) != 3 or not all(number.is_whole(item, 2**32) for item in numbers):
        raise InvalidArgument(f"invalid idmap {text!r}", "a map is three numbers, such as 0-1000-10")
    inside, outside, size = map(int, numbers)
    if triplet.startswith("@"):
        mapped = [id for item in outer if (id := item.outside_of(outside)) is not None]
        if not mapped:
            raise InvalidArgument(f"invalid idmap {text!r}: the user namespace does not map {outside}")
        outside = mapped[0]
    return idmap.IdMap(inside, outside, size)
