"""Images exchanged with skopeo, umoci and podman: both sides read the same image and the same tree."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.images import archive, importer
from pyctr_lite.images.store import ImageStore
from tests.commit.container import tree
from tests.images.archives import docker_archive
from tests.images.samples import LAYERS
from tests.rootfs.layer_overlay import overlay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Needs = Callable[[str], str]


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def shown(store: ImageStore, name: str, directory: Path) -> list[str]:
    """Return the tree of an image as a container sees it."""
    directory.mkdir(exist_ok=True)
    with overlay(directory, store.layer_directories(store.get(name))) as merged:
        return tree(merged)


@pytest.fixture
def sample(store: ImageStore) -> ImageStore:
    """Return a store with one image, sample:v1, of three layers."""
    archive.load(store, io.BytesIO(docker_archive(LAYERS, ["sample:v1"])))
    return store


@pytest.fixture
def podman(needs: Needs) -> Iterator[Callable[..., str]]:
    """Yield a function that runs podman with storage of this test's own, without mounts."""
    program = needs("podman")
    config = Path(
        tempfile.mkdtemp(prefix="podman-")
    )  # podman limits the path of its run directory to 50 characters
    (config / "containers.conf").write_text('[engine]\nevents_logger = "none"\ncgroup_manager = "cgroupfs"\n')
    (config / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{config}/root"\nrunroot = "{config}/run"\n'
    )
    names = {"CONTAINERS_CONF": "containers.conf", "CONTAINERS_STORAGE_CONF": "storage.conf"}
    env = {key: f"{config}/{name}" for key, name in names.items()}
    options = ["--root", f"{config}/root", "--runroot", f"{config}/run", "--tmpdir", f"{config}/tmp"]
    yield lambda *arguments: run(program, *options, *arguments, env=env)
    shutil.rmtree(config)


def test_skopeo_inspects_the_store_by_its_names(sample: ImageStore, needs: Needs) -> None:
    sample.tag("sample:v1", "quay.io/me/sample")
    for name in ("sample:v1", "quay.io/me/sample:latest"):
        found = json.loads(run(needs("skopeo"), "inspect", f"oci:{sample.layout}:{name}"))
        assert found["Digest"] == sample.get(name).digest
        assert found["Layers"] == [layer.digest for layer in sample.get(name).layers]
    config = run(needs("skopeo"), "inspect", "--config", "--raw", f"oci:{sample.layout}:sample:v1")
    assert json.loads(config) == sample.get("sample:v1").config


def test_umoci_lists_the_store_and_unpacks_the_same_tree(sample: ImageStore, needs: Needs, tmp_path: Path) -> None:
    assert run(needs("umoci"), "ls", "--layout", sample.layout).split() == ["sample:v1"]
    run(needs("umoci"), "unpack", "--image", f"{sample.layout}:sample:v1", tmp_path / "bundle")
    assert tree(tmp_path / "bundle/rootfs") == shown(sample, "sample:v1", tmp_path / "ours")


def test_an_image_changed_by_umoci_in_the_store_is_read(sample: ImageStore, needs: Needs, tmp_path: Path) -> None:
    umoci, bundle = needs("umoci"), tmp_path / "bundle"
    run(umoci, "unpack", "--image", f"{sample.layout}:sample:v1", bundle)
    (bundle / "rootfs/d/kept").unlink()
    (bundle / "rootfs/fresh").write_text("fresh")
    for name in ("fresh", "d"):
        os.utime(bundle / "rootfs" / name, (5000, 5000))  # umoci rounds to whole seconds
    run(umoci, "repack", "--image", f"{sample.layout}:sample:v2", bundle)
    ours = shown(sample, "sample:v2", tmp_path / "ours")
    assert ours == tree(bundle / "rootfs")
    assert any(line.startswith("fresh ") for line in ours)
    assert not any(line.startswith("d/kept ") for line in ours)
    assert sample.get("sample:v1").references == ["sample:v1"]


def test_an_image_copied_by_skopeo_into_the_store_is_read(
    sample: ImageStore, needs: Needs, tmp_path: Path
) -> None:
    skopeo = needs("skopeo")
    archive.save(sample, ["sample:v1"], str(tmp_path / "saved.tar"))
    other = ImageStore(str(tmp_path / "other"))
    Path(other.root).mkdir()
    run(skopeo, "copy", "--insecure-policy", f"docker-archive:{tmp_path}/saved.tar", f"oci:{other.layout}:new:v3")
    assert other.get("new:v3").references == ["new:v3"]
    assert shown(other, "new:v3", tmp_path / "a") == shown(sample, "sample:v1", tmp_path / "b")
    other.tag("new:v3", "more")
    assert run(skopeo, "list-tags", f"docker-archive:{tmp_path}/saved.tar")
    assert other.remove("new:v3") == [("Untagged", "new:v3")]


# No docker-archive through gzip: skopeo 1.9 and podman 4.3 often fail with "unexpected EOF" on their own.
@pytest.mark.parametrize(
    ("ours", "compress"),
    [
        ("docker-archive", ""),
        ("docker-archive", "zstd"),
        *(("oci-archive", kind) for kind in ("", "gzip", "zstd")),
    ],
)
@pytest.mark.parametrize("theirs", ["docker-archive", "oci-archive"])
def test_a_copy_of_a_saved_image_by_skopeo_loads(
    sample: ImageStore, needs: Needs, tmp_path: Path, ours: str, theirs: str, compress: str
) -> None:
    archive.save(sample, ["sample:v1"], str(tmp_path / "ours.tar"), format=ours, compress=compress)
    skopeo, copy = needs("skopeo"), tmp_path / "theirs.tar"
    preserve = ["--preserve-digests"] if ours == theirs else []
    run(
        skopeo, "copy", "--insecure-policy", *preserve, f"{ours}:{tmp_path}/ours.tar",
        f"{theirs}:{copy}:docker.io/library/copied:v2",
    )  # fmt: skip
    other = ImageStore(str(tmp_path / "other"))
    assert archive.load(other, str(copy)) == ["copied:v2"]
    assert shown(other, "copied:v2", tmp_path / "a") == shown(sample, "sample:v1", tmp_path / "b")
    if theirs == ours == "oci-archive":
        assert other.get("copied:v2").digest == sample.get("sample:v1").digest


def test_layers_compressed_with_zstd_by_skopeo_are_unpacked(
    sample: ImageStore, needs: Needs, tmp_path: Path
) -> None:
    archived = tmp_path / "zstd.tar"
    run(
        needs("skopeo"), "copy", "--insecure-policy", "--dest-compress-format", "zstd",
        f"oci:{sample.layout}:sample:v1", f"oci-archive:{archived}:zstd:v1",
    )  # fmt: skip
    other = ImageStore(str(tmp_path / "other"))
    assert archive.load(other, str(archived)) == ["zstd:v1"]
    assert {layer.media_type.rpartition("+")[2] for layer in other.get("zstd:v1").layers} == {"zstd"}
    assert shown(other, "zstd:v1", tmp_path / "a") == shown(sample, "sample:v1", tmp_path / "b")


@pytest.mark.parametrize("format", archive.FORMATS)
def test_podman_and_pyctr_lite_load_each_others_archives(
    sample: ImageStore, podman: Callable[..., str], tmp_path: Path, format: str
) -> None:
    archive.save(sample, ["sample:v1"], str(tmp_path / "ours.tar"), format=format)
    assert "docker.io/library/sample:v1" in podman("load", "-i", f"{tmp_path}/ours.tar")
    found = json.loads(podman("image", "inspect", "docker.io/library/sample:v1"))[0]
    assert found["RootFS"]["Layers"] == [layer.diff_id for layer in sample.get("sample:v1").layers]
    other = ImageStore(str(tmp_path / "other"))
    for theirs in ("docker-archive", "oci-archive"):
        podman("save", "--format", theirs, "-o", f"{tmp_path}/{theirs}.tar", "docker.io/library/sample:v1")
        assert archive.load(other, f"{tmp_path}/{theirs}.tar") == ["sample:v1"]
        assert shown(other, "sample:v1", tmp_path / "a") == shown(sample, "sample:v1", tmp_path / "b")


def test_an_import_makes_the_same_image_as_podmans(
    store: ImageStore, podman: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "root.tar").write_bytes(LAYERS[0])
    image = importer.import_rootfs(store, str(tmp_path / "root.tar"), "root", changes=["CMD sh", "EXPOSE 80"])
    podman("import", "-c", "CMD sh", "-c", "EXPOSE 80", f"{tmp_path}/root.tar", "root")
    found = json.loads(podman("image", "inspect", "root"))[0]
    assert found["RootFS"]["Layers"] == [layer.diff_id for layer in image.layers]
    assert found["Config"]["Cmd"] == image.config["config"]["Cmd"]
    assert found["Config"]["ExposedPorts"] == image.config["config"]["ExposedPorts"]
