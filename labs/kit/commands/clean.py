"""`make clean-lab`: whatever labs and traces have left on this machine, also when they were killed."""

from __future__ import annotations

import shutil
import subprocess
import sys

from labs.kit import screen
from labs.kit.isolation import sandbox, scratch
from pyctr_lite import linux
from pyctr_lite.engine import engine
from pyctr_lite.linux import mountinfo


def clean() -> int:
    """Remove their containers, mounts, groups and files. Twice in a row is fine."""
    console = screen.console()
    for container in engine.Engine().containers.list():
        if container.record.options.labs:
            command = [sys.executable, "-m", "pyctr_lite", "rm", "-f", "-v", container.id]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            console.print(f"removed the container {container.name}")
    sandbox.remove_groups("pyctr_lite-labs-")
    for path in scratch.leftovers():
        for mount in reversed(mountinfo.mounts()):
            if mount.mountpoint.startswith(f"{path}/"):
                linux.umount2(mount.mountpoint, linux.MNT_DETACH)
                console.print(f"unmounted {mount.mountpoint}", markup=False)
        shutil.rmtree(path)
        console.print(f"removed {path}", markup=False)
    subprocess.run([sys.executable, "-m", "pyctr_lite", "doctor", "--fix"], stdout=subprocess.DEVNULL)
    console.print("Clean.")
    return 0
