"""`make registry`: a registry on this machine with the course's images."""

from __future__ import annotations

import importlib.util
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import REPOSITORY
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Pyctr


@pytest.fixture
def script(tmp_path: Path, pyctr: Pyctr) -> Any:
    """Load the script, with directories of the test's own."""
    spec = importlib.util.spec_from_file_location("make_registry", REPOSITORY / "make/registry.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    command = tmp_path / "command"
    command.write_text('#!/bin/sh\nexec {} --root {} "$@"\n'.format(*pyctr.command()[::2]))
    command.chmod(0o755)
    module.DIRECTORY, module.COMMAND = tmp_path / "registry", command  # type: ignore[attr-defined]
    return module


def test_the_registry_has_the_courses_images(
    script: Any, pyctr: Pyctr, needs: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    needs("docker-registry")
    port = str(free_port())
    try:
        assert script.main([port]) == 0
        pid = script.running()
        assert script.main([port]) == 0
        assert script.running() == pid
        assert f"The registry localhost:{port} has: busybox:latest\n" in capsys.readouterr().out
        assert pyctr("images", "--format", "{{.Repository}}").stdout == "busybox\n"
        done = pyctr("run", "--rm", f"localhost:{port}/busybox", "echo", "ran", check=True)
        assert done.stdout == "ran\n"
    finally:
        assert script.main([port, "--stop"]) == 0
    assert script.running() == 0
    assert (
        f"ended the registry localhost:{port}; its images stay in {script.DIRECTORY}\n" in capsys.readouterr().out
    )
    assert script.main([port, "--stop"]) == 0
    assert capsys.readouterr().out == "no registry is running\n"


def test_a_port_that_is_taken_is_one_clear_line(
    script: Any, needs: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    needs("docker-registry")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert script.main([str(server.getsockname()[1])]) == 1
    assert "address already in use" in capsys.readouterr().err
