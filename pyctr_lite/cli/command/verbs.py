"""The verbs, their modules and their aliases. Only the module of the verb in use is imported.  [hot]"""

from __future__ import annotations

VERBS = {
    "run": "container.run",
    "create": "container.run",
    "exec": "container.exec",
    "attach": "container.attach",
    "start": "container.lifecycle",
    "stop": "container.lifecycle",
    "restart": "container.lifecycle",
    "kill": "container.lifecycle",
    "pause": "container.lifecycle",
    "unpause": "container.lifecycle",
    "wait": "container.lifecycle",
    "rm": "container.lifecycle",
    "rename": "container.rename",
    "cp": "container.copy",
    "export": "container.copy",
    "update": "container.update",
    "ps": "container.ps",
    "port": "container.port",
    "logs": "container.logs",
    "inspect": "system.inspect",
    "top": "container.stats",
    "stats": "container.stats",
    "events": "system.events",
    "diff": "container.commit",
    "commit": "container.commit",
    "mount": "container.mount",
    "umount": "container.mount",
    "build": "image.build",
    "builder du": "image.builder",
    "builder prune": "image.builder",
    "images": "image.store",
    "import": "image.archives",
    "load": "image.archives",
    "save": "image.archives",
    "pull": "image.registry",
    "push": "image.registry",
    "tag": "image.store",
    "rmi": "image.store",
    "history": "image.store",
    "image bootstrap": "image.archives",
    "image inspect": "system.inspect",
    "image prune": "image.store",
    "image verify": "image.verify",
    "image tree": "image.tree",
    "manifest inspect": "image.registry",
    "login": "system.login",
    "logout": "system.login",
    "search": "system.login",
    "network create": "network.create",
    "network ls": "network.list",
    "network inspect": "network.list",
    "network rm": "network.remove",
    "network prune": "network.remove",
    "network connect": "network.connect",
    "network disconnect": "network.connect",
    "volume create": "volume",
    "volume ls": "volume",
    "volume inspect": "volume",
    "volume rm": "volume",
    "volume prune": "volume",
    "container inspect": "system.inspect",
    "container prune": "container.prune",
    "system df": "system.space",
    "system prune": "system.space",
    "info": "system.machine",
    "version": "system.machine",
    "doctor": "system.machine",
    "completion": "command.completion",
    "__complete": "command.completion",
}
"""Verb → its module in this package, which has a Command for each of its verbs in `COMMANDS`.

A verb that begins with an underscore is for programs, and is not listed."""

_CONTAINER_VERBS = (
    "run create exec attach start stop restart kill pause unpause wait rm rename update cp export logs "
    "top stats diff commit port"
).split()
ALIASES = {
    "image build": "build",
    "builder build": "build",
    "image ls": "images",
    "image list": "images",
    "image import": "import",
    "image load": "load",
    "image pull": "pull",
    "image push": "push",
    "image save": "save",
    "image tag": "tag",
    "image rm": "rmi",
    "image remove": "rmi",
    "image history": "history",
    "network list": "network ls",
    "network remove": "network rm",
    "volume list": "volume ls",
    "volume remove": "volume rm",
    "container ls": "ps",
    "container list": "ps",
    "container ps": "ps",
    "system info": "info",
    "system events": "events",
    **{f"container {verb}": verb for verb in _CONTAINER_VERBS},
}
"""Docker's other names of the same verbs."""

GROUPS = ("builder", "container", "image", "manifest", "network", "system", "volume")


def find(args: list[str]) -> tuple[str, int]:
    """Return the verb that a command line begins with, and its number of words; ("", 0) if there is no verb."""
    for count in (2, 1):
        name = " ".join(args[:count])
        name = ALIASES.get(name, name)
        if len(args) >= count and name in VERBS:
            return name, count
    return "", 0
