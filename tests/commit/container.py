"""An overlay as a container has it, on which a test makes its changes; it is gone with its mount namespace."""

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
    """Layers below (top first), and the upper directory that takes the changes."""

    directory: Path
    lowers: list[str]

    @property
    def upper(self) -> str:
        return str(self.directory / "upper")

    def run(self, script: str | Callable[[], object]) -> Container:
        """Make changes: shell commands, or a function, with the merged tree as working directory."""
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
        """A container whose top layer is what this one has changed."""
        return Container(directory, [self.upper, *self.lowers])


def tree(directory: str | Path) -> list[str]:
    """All that a tree holds, a line each: kinds, modes, owners, links, sizes, times, xattrs, and contents.

    Without overlayfs's own xattrs; of directories without the size and the number of links.
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
    for place, directories, files in os.walk(directory):
        for path in (os.path.join(place, name) for name in directories + files):
            for key in os.listxattr(path, follow_symlinks=False):
                if not key.startswith("trusted.overlay."):
                    value = os.getxattr(path, key, follow_symlinks=False)
                    yield f"{path.removeprefix(directory)} {key}={value!r}"
