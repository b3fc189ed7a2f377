"""`mount` and `umount`: Docker has neither, podman has both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import for_each
from pyctr_lite.engine.files import mount as rootfs
from pyctr_lite.errors import PyctrError

if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context


def mount(context: Context) -> int:
    """Mount the root file systems of containers and print where; without arguments list what is mounted."""
    containers, code = context.engine.containers, 0
    if not context.flags.arguments:
        for container in containers.list():
            if rootfs.is_mounted(container):
                print(f"{container.id[:12]}  {container.directory}/rootfs")
        return 0
    for reference in context.flags.arguments:
        try:
            print(rootfs.mount(containers.get(reference)), flush=True)
        except (PyctrError, OSError) as error:
            for_each.report_failure(context, error)
            code = 1
    return code


def umount(context: Context) -> int:
    """Undo `mount`."""
    containers, force = context.engine.containers, context.flags.force

    def act(reference: str) -> None:
        container = containers.get(reference)
        if not force or rootfs.is_mounted(container):
            rootfs.umount(container)

    return for_each.apply(context, context.flags.arguments, act)


COMMANDS = {
    "mount": Command(
        "mount",
        "[CONTAINER...]",
        "Mount the root file system of stopped containers on the host and print the path",
        action=mount,
        example="ls $(pyctr_lite mount web)/etc",
        differs="Docker has no such verb; podman has.",
    ),
    "umount": Command(
        "umount",
        "CONTAINER [CONTAINER...]",
        "Unmount what `mount` has mounted",
        (Option("force", "bool", "No error where nothing is mounted", short="f"),),
        action=umount,
        example="pyctr_lite umount web",
        differs="Docker has no such verb; podman has.",
    ),
}
