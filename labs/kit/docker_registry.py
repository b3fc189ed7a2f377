"""Debian's docker-registry on loopback: for `make registry`, the checks of lab 7, and the tests."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_LOOKS = 3000
"""Fiftieths of a second until it listens."""


def start(
    program: str, directory: Path, port: int = 0, *, new_session: bool = False, **options: Any
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a registry, wait until it listens, and return its process and its port (0: a free one).

    Its files, its configuration and its log are in `directory`. `options` are added to its configuration.
    Raises RuntimeError with the end of its log if it does not start.
    """
    directory.mkdir(0o700, parents=True, exist_ok=True)
    configuration = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", **options.pop("http", {})},
        **options,
    }
    (directory / "config.yml").write_text(json.dumps(configuration))  # JSON is YAML, too
    command = [program, "serve", str(directory / "config.yml")]
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=new_session
        )
    try:
        for _ in range(_LOOKS):
            lines = (directory / "log").read_text(errors="replace").strip()
            if found := re.search(r"listening on 127\.0\.0\.1:([0-9]+)", lines):
                return process, int(found[1])
            if process.poll() is not None:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        raise RuntimeError(lines.rpartition("\n")[2])
    except BaseException:
        process.kill()
        process.wait()
        raise
