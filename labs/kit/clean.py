"""`make clean-lab`: whatever labs and traces have left on this machine, also when they were killed."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from labs.kit import sandbox, screen
from pyctr_lite import linux
from pyctr_lite.engine import engine
from pyctr_lite.linux import mountinfo

PREFIXES = ("pyctr_lite-labs-", "pyctr_lite-notebooks-", "pyctr_lite-trace-", "pyctr_lite-grade-")


def clean() -> int:
    """Remove their containers, mounts, groups and files. Twice in a row is fine."""
    console = screen.console()
    for container in engine.Engine().containers.list():
        if container.record.options.labs:
            command = [sys.executable, "-m", "pyctr_lite", "rm", "-f", "-v", container.id]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            console.print(f"removed the container {container.name}")
    top = Path(tempfile.gettempdir())
    ours = [path for path in top.iterdir() if path.name.startswith(PREFIXES)]
    for mount in reversed(mountinfo.mounts()):
        if mount.mountpoint.startswith(tuple(f"{path}/" for path in ours)):
            linux.umount2(mount.mountpoint, linux.MNT_DETACH)
            console.print(f"unmounted {mount.mountpoint}")
    sandbox.remove_groups("pyctr_lite-labs-")
    for path in ours:
        with contextlib.suppress(FileNotFoundError):  # a check that ends just now removes its own
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        console.print(f"removed {path}")
    subprocess.run([sys.executable, "-m", "pyctr_lite", "doctor", "--fix"], stdout=subprocess.DEVNULL)
    console.print("Clean.")
    return 0
