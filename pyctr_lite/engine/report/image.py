"""`image inspect`: everything known about an image, under Docker's keys."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.home import Home
    from pyctr_lite.images.image import Image

_CONFIG_DEFAULTS: dict[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}
"""Docker's values for keys that a config does not have."""


def image(home: Home, item: Image) -> dict[str, Any]:
    """Return the object that `docker image inspect` shows for an image, as far as it applies here."""
    layers = [home.images.layer_path(chain) for chain in item.chain_ids]
    data = {"UpperDir": layers[-1]} if layers else {}
    if len(layers) > 1:
        data = {"LowerDir": ":".join(reversed(layers[:-1])), **data}
    history = item.config.get("history") or [{}]
    return {
        "Id": item.id,
        "RepoTags": item.references,
        "RepoDigests": item.repo_digests,
        "Parent": "",
        "Comment": history[-1].get("comment", ""),
        "Created": item.created,
        "DockerVersion": "",
        "Author": item.config.get("author", ""),
        "Config": _CONFIG_DEFAULTS | (item.config.get("config") or {}),
        "Architecture": item.config.get("architecture", ""),
        "Variant": item.config.get("variant", ""),
        "Os": item.config.get("os", ""),
        "Size": item.size,
        "VirtualSize": item.size,
        "GraphDriver": {"Name": "overlay2", "Data": data},
        "RootFS": {"Type": "layers", "Layers": [layer.diff_id for layer in item.layers]},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }
