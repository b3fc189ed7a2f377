"""An overlay like a container's, in which a test makes changes; it is unmounted with its mount namespace."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyctr_lite.rootfs import overlay
from tests.volumes.private import in_mount_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Container:
    """The layers (top first) and the upper directory of a container."""

    directory: Path
    lowers: list[str]

    @property
    def upper(self) -> str:
        return str(self.directory / "upper")

    def run(self, script: str | Callable[[], object]) -> Container:
        """Run shell commands or a function that make changes, with the merged tree as the working directory."""
        for name in ("upper", "work", "merged"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)

        def inside() -> None:
            merged = str(self.directory / "merged")
            overlay.mount_overlay(self.lowers, self.upper, str(self.directory / "work"), merged)
            os.chdir(merged)
            if callable(script):
                script()
            else:
                subprocess.run(["bash", "-ec", script], check=True)

        in_mount_namespace(inside)
        return self

    def next(self, directory: Path) -> Container:
        """Return a container whose top layer has the changes of this one."""
        return Container(directory, [self.upper, *self.lowers])


def tree(directory: str | Path) -> list[str]:
    """List a tree, one line per item: kinds, modes, owners, links, sizes, times, xattrs and contents.

    The xattrs of overlayfs and the sizes and link counts of directories are left out.
    """
    script = r"""
        find . -mindepth 1 ! -type d -printf '%P %y %m %U:%G %n %s %Ts %l\n' | sort
        find . -mindepth 1 -type d -printf '%P %y %m %U:%G %Ts\n' | sort
        find . -type f -print0 | sort -z | xargs -0 -r sha256sum
        find . \( -type c -o -type b \) -print0 | sort -z | xargs -0 -r stat -c '%n %t:%T'
    """
    done = subprocess.run(["bash", "-ec", script], cwd=directory, check=True, capture_output=True)
    return [*done.stdout.decode(errors="surrogateescape").splitlines(), *sorted(_xattrs(str(directory)))]


def _xattrs(directory: str) -> Iterator[str]:
    for parent, directories, files in os.walk(directory):
        for path in (os.path.join(parent, name) for name in directories + files):
            for key in os.listxattr(path, follow_symlinks=False):
                if not key.startswith("trusted.overlay."):
                    value = os.getxattr(path, key, follow_symlinks=False)
                    yield f"{path.removeprefix(directory)} {key}={value!r}"
