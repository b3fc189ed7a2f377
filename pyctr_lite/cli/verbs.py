"""Which module has which verb. Only the module of the verb that is used is imported.  [hot]"""

from __future__ import annotations

VERBS = {
    "run": "run",
    "create": "run",
    "exec": "exec",
    "attach": "attach",
    "start": "lifecycle",
    "stop": "lifecycle",
    "restart": "lifecycle",
    "kill": "lifecycle",
    "pause": "lifecycle",
    "unpause": "lifecycle",
    "wait": "lifecycle",
    "rm": "lifecycle",
    "rename": "rename",
    "cp": "copy",
    "export": "copy",
    "update": "update",
    "ps": "ps",
    "logs": "logs",
    "inspect": "inspect",
    "top": "stats",
    "stats": "stats",
    "events": "events",
    "diff": "commit",
    "commit": "commit",
    "mount": "mount",
    "umount": "mount",
    "images": "images",
    "import": "archives",
    "load": "archives",
    "save": "archives",
    "tag": "images",
    "rmi": "images",
    "history": "images",
    "image bootstrap": "archives",
    "image inspect": "inspect",
    "image prune": "images",
    "image verify": "images",
    "image tree": "image_tree",
    "volume create": "volume",
    "volume ls": "volume",
    "volume inspect": "volume",
    "volume rm": "volume",
    "volume prune": "volume",
    "container inspect": "inspect",
    "container prune": "container_prune",
    "system df": "space",
    "system prune": "space",
    "info": "system",
    "version": "system",
    "doctor": "system",
    "completion": "completion",
    "__complete": "completion",
}
"""The verb, and its module in this package. A module has a Command for each of its verbs in `COMMANDS`.

One that begins with an underscore is for programs, and in no list."""

_CONTAINER_VERBS = (
    "run create exec attach start stop restart kill pause unpause wait rm rename update cp export logs "
    "top stats diff commit"
).split()
ALIASES = {
    "image ls": "images",
    "image list": "images",
    "image import": "import",
    "image load": "load",
    "image save": "save",
    "image tag": "tag",
    "image rm": "rmi",
    "image remove": "rmi",
    "image history": "history",
    "volume list": "volume ls",
    "volume remove": "volume rm",
    "container ls": "ps",
    "container list": "ps",
    "container ps": "ps",
    "system info": "info",
    "system events": "events",
    **{f"container {verb}": verb for verb in _CONTAINER_VERBS},
}
"""Docker's other words for the same verbs."""

GROUPS = ("container", "image", "system", "volume")


def find(words: list[str]) -> tuple[str, int]:
    """The verb at the head of a command line, and how many words it is; ("", 0) where there is none."""
    for count in (2, 1):
        name = " ".join(words[:count])
        name = ALIASES.get(name, name)
        if len(words) >= count and name in VERBS:
            return name, count
    return "", 0
