"""`mount` and `umount`, which podman has and Docker does not."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import for_each
from pyctr_lite.engine.files import mount
from pyctr_lite.errors import PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context


def mount_containers(context: Context) -> int:
    """Mount the root file systems of containers and print their paths; without arguments, list mounted ones."""
    containers, code = context.engine.containers, 0
    if not context.flags.arguments:
        for container in containers.list():
            if mount.is_mounted(container):
                print(f"{container.id[:12]}  {container.directory}/rootfs")
        return 0
    for reference in context.flags.arguments:
        try:
            print(mount.mount(containers.get(reference)), flush=True)
        except (PyctrError, OSError) as error:
            for_each.report_failure(context, error)
            code = 1
    return code


def umount_containers(context: Context) -> int:
    """Unmount the root file systems that `mount` has mounted."""
    containers, force = context.engine.containers, context.flags.force

    def act(reference: str) -> None:
        container = containers.get(reference)
        if not force or mount.is_mounted(container):
            mount.umount(container)

    return for_each.apply(context, context.flags.arguments, act)


COMMANDS = {
    "mount": Command(
        "mount",
        "[CONTAINER...]",
        "Mount the root file system of stopped containers on the host and print the path",
        action=mount_containers,
        example="ls $(pyctr_lite mount web)/etc",
        differs="Docker does not have this command; podman does.",
    ),
    "umount": Command(
        "umount",
        "CONTAINER [CONTAINER...]",
        "Unmount the root file system of containers",
        (Option("force", "bool", "Do not fail if it is not mounted", short="f"),),
        action=umount_containers,
        example="pyctr_lite umount web",
        differs="Docker does not have this command; podman does.",
    ),
}
