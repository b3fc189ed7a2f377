"""Fixtures: a registry for the whole session, a proxy before it, and an empty store."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.images.store import ImageStore
from pyctr_lite.registries import transport
from tests.registries.servers import DockerRegistry, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def registry(needs: Callable[[str], str]) -> Iterator[DockerRegistry]:
    """Start one docker-registry; each test uses repositories of its own."""
    with tempfile.TemporaryDirectory(prefix="registry-") as directory:
        server = DockerRegistry(needs("docker-registry"), Path(directory))
        yield server
        server.stop()


@pytest.fixture
def proxy(registry: DockerRegistry) -> Iterator[FaultProxy]:
    """Start a proxy before the registry, without faults yet."""
    server = FaultProxy(registry)
    yield server
    server.stop()


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """Return an empty store."""
    return ImageStore(str(tmp_path / "state"))


_NUMBERS = itertools.count()


@pytest.fixture
def repository() -> str:
    """Return the name of a repository that no other test uses."""
    return f"test/number{next(_NUMBERS)}"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat a failed request at once."""
    monkeypatch.setattr(transport, "backoff", lambda attempt: 0)


@pytest.fixture(autouse=True)
def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a directory of the test's own for credentials, and no proxy of this machine. Returns it."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker"
