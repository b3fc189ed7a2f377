"""Fixtures: a registry on this machine, and builds from a few files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Pyctr
from tests.registries.conftest import registry, repository  # noqa: F401


class Builder:
    """Builds images from the directory `context`: `builder("FROM busybox…", "--target", "x")`."""

    def __init__(self, pyctr: Pyctr, context: Path) -> None:
        self.pyctr, self.context = pyctr, context

    def files(self, **files: str) -> None:
        """Write files of the context: `a__b="text"` is a/b."""
        for name, text in files.items():
            path = self.context / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def __call__(
        self, dockerfile: str, *arguments: str, check: bool = True, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """Build the tag `it`, with the Dockerfile beside the context."""
        path = self.context.parent / "the.Dockerfile"
        path.write_text(dockerfile)
        return self.pyctr("build", "-t", "it", "-f", path, *arguments, self.context, check=check, **more)

    def error(self, dockerfile: str, *arguments: str) -> str:
        """Build, which must fail; return the last part of stderr: the excerpt and the message."""
        done = self(dockerfile, *arguments, check=False)
        assert done.returncode == 1, done.stderr
        return done.stderr

    def sh(self, script: str) -> str:
        """Run a script in a container of the image, and return its output."""
        return self.pyctr("run", "--rm", "--entrypoint", "sh", "-u", "0", "it", "-c", script, check=True).stdout

    def config(self) -> dict[str, Any]:
        """Return the Config of the image."""
        return self.inspect()["Config"]

    def inspect(self) -> dict[str, Any]:
        """Return the image as `inspect` shows it."""
        return json.loads(self.pyctr("image", "inspect", "it", check=True).stdout)[0]

    def history(self) -> list[str]:
        """Return the history, the first instruction first, without that of busybox."""
        shown = self.pyctr("history", "--no-trunc", "--format", "{{json .CreatedBy}}", "it", check=True).stdout
        return [json.loads(line) for line in reversed(shown.splitlines())][1:]


@pytest.fixture
def builder(pyctr: Pyctr, tmp_path: Path) -> Builder:
    """Return a builder with an empty context."""
    context = tmp_path / "context"
    context.mkdir()
    return Builder(pyctr, context)
