"""What Docker's own daemon loads of ours, and what we load of its `docker save`: the same image ID."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.images import archive
from pyctr_lite.images.store import ImageStore
from tests.images.archives import docker_archive
from tests.images.samples import LAYERS
from tests.images.test_oracles import run, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def docker(needs: Callable[[str], str]) -> Iterator[Callable[..., str]]:
    """docker, with a daemon of this test's own, that touches no network and no mounts."""
    client, daemon = needs("docker"), needs("dockerd")
    directory = Path(tempfile.mkdtemp(prefix="docker-"))
    host = f"unix://{directory}/sock"
    command = [
        daemon, "-H", host, "--data-root", directory / "data", "--exec-root", directory / "exec",
        "--pidfile", directory / "pid", "--storage-driver", "vfs", "--iptables=false", "--ip6tables=false",
        "--ip-forward=false", "--bridge=none",
    ]  # fmt: skip
    with open(directory / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while subprocess.run([client, "-H", host, "version"], capture_output=True, check=False).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"no Docker daemon runs here: {(directory / 'log').read_text()[-500:]}")
        yield lambda *arguments: run(client, "-H", host, *arguments)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(directory)


def test_docker_loads_what_we_save_and_we_load_what_it_saves(
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
