"""The test helper for Docker's daemon: if the daemon does not start, the error says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dockerd import DockerDaemon

if TYPE_CHECKING:
    from pathlib import Path


def test_a_daemon_that_does_not_start_is_an_error_with_its_last_log_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "dockerd"
    program.write_text("#!/bin/sh\necho starting\necho no iptables here >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    daemon = DockerDaemon(tmp_path / "daemon", "pyctr-docker-none")
    try:
        with pytest.raises(RuntimeError, match="dockerd does not start: no iptables here"):
            daemon.wait()
    finally:
        daemon.stop()
