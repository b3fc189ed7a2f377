"""Image archives exchanged with Docker's daemon: `docker load` and `docker save` keep the image ID."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.images import archive
from pyctr_lite.images.store import ImageStore
from tests.images.archives import docker_archive
from tests.images.samples import LAYERS
from tests.images.test_oracles import run, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.dockerd import DockerDaemon


@pytest.fixture
def docker(docker_daemon: DockerDaemon) -> Callable[..., str]:
    """Return a function that runs docker with this module's own daemon."""
    return lambda *arguments: run(*docker_daemon.command(*arguments))


def test_docker_and_pyctr_lite_load_each_others_archives(
    store: ImageStore, docker: Callable[..., str], tmp_path: Path
) -> None:
    archive.load(store, io.BytesIO(docker_archive(LAYERS, ["sample:v1"])))
    for compress in ("gzip", ""):
        archive.save(store, ["sample:v1"], str(tmp_path / "ours.tar"), compress=compress)
        assert "Loaded image: sample:v1" in docker("load", "-i", f"{tmp_path}/ours.tar")
    assert docker("image", "inspect", "--format", "{{.Id}}", "sample:v1").strip() == store.get("sample:v1").id
    docker("tag", "sample:v1", "other:v2")
    docker("save", "-o", f"{tmp_path}/theirs.tar", "sample:v1", "other:v2")
    other = ImageStore(str(tmp_path / "other"))
    assert sorted(archive.load(other, f"{tmp_path}/theirs.tar")) == ["other:v2", "sample:v1"]
    assert other.get("other:v2").id == store.get("sample:v1").id
    assert shown(other, "other:v2", tmp_path / "a") == shown(store, "sample:v1", tmp_path / "b")
