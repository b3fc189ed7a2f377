"""Hostile image documents: each is read by its declared shape, or refused with the field's path.

The cases come from other engines' bug trackers. The fuzz test generates valid documents from the declarations in
`images/documents.py` and then breaks one value, so a field that is added there is tested here.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctr_lite import jsonfile
from pyctr_lite.cli.main import main
from pyctr_lite.engine import leftovers
from pyctr_lite.engine.engine import Engine
from pyctr_lite.errors import BrokenArchive, Conflict, InvalidArgument, NotFound, PyctrError
from pyctr_lite.images import archive, documents, importer, platforms, shape, writer
from pyctr_lite.images import image as images
from pyctr_lite.images.store import ImageStore
from tests.images.archives import digest, directory, entry, tar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Pyctr

BUSYBOX = Path("/bin/busybox").read_bytes()
LAYER = tar(
    directory("bin"), *(entry(f"bin/{name}", BUSYBOX, mode=0o755) for name in ("busybox", "sh", "id", "pwd"))
)
SMALL = tar(directory("d"), entry("d/file", b"content"))
OURS = {"os": "linux", "architecture": platforms.architecture()}
OTHERS = [{"os": "linux", "architecture": "s390x"}, {"os": "linux", "architecture": "riscv64"}]


class Layout:
    """An OCI archive, assembled document by document, so that each can be wrong."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
        self.manifests: list[Any] = []

    def blob(self, content: bytes | Any, media_type: str, **more: Any) -> dict[str, Any]:
        """Add a blob (bytes, or a value as JSON), and return its descriptor."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.files[f"blobs/sha256/{digest(data)[7:]}"] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}

    def image(
        self,
        config: dict[str, Any] | None = None,
        layers: tuple[bytes, ...] = (SMALL,),
        plain: tuple[bytes, ...] = (),
    ) -> dict[str, Any]:
        """Add an image, and return its manifest's descriptor. `plain` are its layers decompressed."""
        value = {**OURS, "rootfs": {"type": "layers", "diff_ids": [digest(each) for each in plain or layers]}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": images.MANIFEST,
            "config": self.blob({**value, **(config or {})}, images.CONFIG),
            "layers": [self.blob(layer, images.LAYER) for layer in layers],
        }
        return self.blob(manifest, images.MANIFEST)

    def add(self, descriptor: dict[str, Any], name: str = "", **more: Any) -> Layout:
        """Add a descriptor to index.json."""
        annotations = {"annotations": {images.REF_NAME: name}} if name else {}
        self.manifests.append({**descriptor, **annotations, **more})
        return self

    def tar(self) -> bytes:
        """Return the archive."""
        index = (
            self.files.get("index.json") or json.dumps({"schemaVersion": 2, "manifests": self.manifests}).encode()
        )
        return tar(*(entry(name, data) for name, data in {**self.files, "index.json": index}.items()))


@pytest.fixture
def images_of(tmp_path: Path) -> ImageStore:
    """Return an empty store."""
    return ImageStore(str(tmp_path / "state"))


def load(to: ImageStore, content: bytes, notes: list[str] | None = None) -> list[str]:
    return archive.load(to, io.BytesIO(content), (notes if notes is not None else []).append)


def configured(layer: bytes = SMALL, top: dict[str, Any] | None = None, **config: Any) -> bytes:
    """Return an archive of an image x with these members in its config object, or `top` in the whole config."""
    layout = Layout()
    return layout.add(layout.image({"config": config, **(top or {})}, (layer,)), "x").tar()


def picture(of: ImageStore) -> dict[str, str]:
    return {
        str(path): digest(path.read_bytes()) for path in sorted(Path(of.root).rglob("*")) if path.is_file()
    } | {"staging": str(sorted(Path(of.root, "staging").glob("*")))}


# --- documents that Docker refuses are refused, with the field's path
# ------------------------------------------------

REFUSED: dict[str, tuple[bytes, str]] = {
    "created is a number": (configured(top={"created": 5}), r"created must be a time .* not 5"),
    "created is empty": (configured(top={"created": ""}), r'created must be a time .* not ""'),
    "created is not a date": (configured(top={"created": "2024-02-30T00:00:00Z"}), r"created must be a time"),
    "labels are a list": (configured(Labels=[]), r"config\.Labels must be an object, not an array"),
    "a label is a number": (configured(Labels={"a": 1}), r'config\.Labels\["a"\] must be a string, not 1'),
    "env has a number": (configured(Env=[1]), r"config\.Env\[0\] must be a string, not 1"),
    "env has NUL": (configured(Env=["A=b", "C=\0"]), r"config\.Env\[1\] must be a string without NUL"),
    "cmd has NUL": (configured(Cmd=["\0"]), r"config\.Cmd\[0\] must be a string without NUL"),
    "cmd is a number": (configured(Cmd=5), r"config\.Cmd must be an array of strings, or a string, not 5"),
    "a volume has NUL": (configured(Volumes={"/a\0": {}}), r"config\.Volumes\[.*\] must be a string without NUL"),
    "volumes are a list": (configured(Volumes=[]), r"config\.Volumes must be an object"),
    "a volume is a number": (configured(Volumes={"/v": 5}), r'config\.Volumes\["/v"\] must be an object'),
    "user is a number": (configured(User=5), r"config\.User must be a string, not 5"),
    "interval is a string": (
        configured(Healthcheck={"Test": ["CMD", "x"], "Interval": "30s"}),
        r'config\.Healthcheck\.Interval must be a whole number of nanoseconds, not "30s"',
    ),
    "interval is below Docker's minimum": (
        configured(Healthcheck={"Test": ["CMD", "x"], "Interval": 1}),
        r"Healthcheck\.Interval must be .*from 1000000",
    ),
    "timeout is negative": (
        configured(Healthcheck={"Test": ["CMD", "x"], "Timeout": -1}),
        r"Healthcheck\.Timeout",
    ),
    "interval is huge": (configured(Healthcheck={"Interval": 2**63}), r"Healthcheck\.Interval must be"),
    "interval is a float": (configured(Healthcheck={"Interval": 1e9}), r"Healthcheck\.Interval must be a whole"),
    "retries is true": (configured(Healthcheck={"Retries": True}), r"Healthcheck\.Retries must be a whole number"),
    "history is an object": (configured(top={"history": {}}), r"history must be an array"),
    "empty_layer is a string": (
        configured(top={"history": [{"empty_layer": "yes"}]}),
        r"history\[0\]\.empty_layer",
    ),
    "rootfs is missing": (configured(top={"rootfs": None}), r"rootfs is missing"),
    "the architecture is a number": (configured(top={"architecture": 5}), r"architecture must be a string"),
    "a diff_id of sha512": (
        configured(top={"rootfs": {"diff_ids": ["sha512:" + "0" * 128]}}),
        r"diff_ids\[0\] must be a sha256 digest",
    ),
    "deep": (
        (lambda deep: Layout().add(Layout().blob(deep, images.MANIFEST)).tar())(b"[" * 200 + b"]" * 200),
        "lacks blobs",
    ),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=list(REFUSED))
def test_a_wrong_field_is_refused_with_its_path(images_of: ImageStore, content: bytes, message: str) -> None:
    load(images_of, _other())
    before = picture(images_of)
    with pytest.raises(BrokenArchive, match=message) as raised:
        load(images_of, content)
    assert "\n" not in raised.value.message
    assert picture(images_of) == before


def _other() -> bytes:
    layout = Layout()
    return layout.add(layout.image({"author": "other"}), "other").tar()


def _without(key: str) -> dict[str, Callable[[dict[str, Any]], None]]:
    return {
        f"a layer's {key}": lambda manifest: manifest["layers"][0].pop(key),
        f"the config's {key}": lambda manifest: manifest["config"].pop(key),
    }


@pytest.mark.parametrize(
    "change",
    [
        *_without("size").values(),
        *_without("mediaType").values(),
        *_without("digest").values(),
        lambda manifest: manifest.update(annotations=[]),
        lambda manifest: manifest.update(layers={}),
        lambda manifest: manifest.pop("config"),
        lambda manifest: manifest["layers"][0].update(size="5"),
        lambda manifest: manifest["layers"][0].update(size=2**70),
        lambda manifest: manifest["layers"].append(manifest["layers"][0]),
        lambda manifest: manifest.update(schemaVersion=1),
        lambda manifest: manifest["layers"].__setitem__(0, 5),
    ],
)
def test_an_incomplete_manifest_leaves_the_store_unchanged(
    images_of: ImageStore, change: Callable[[dict[str, Any]], None]
) -> None:
    load(images_of, _other())
    before = picture(images_of)
    layout = Layout()
    whole = layout.image()
    manifest = json.loads(layout.files[f"blobs/sha256/{whole['digest'][7:]}"])
    change(manifest)
    with pytest.raises(BrokenArchive):
        load(images_of, layout.add(layout.blob(manifest, images.MANIFEST), "x").tar())
    assert picture(images_of) == before
    assert [image.references for image in images_of.list()] == [["other:latest"]]


def test_json_is_limited_in_depth_and_size(images_of: ImageStore) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    for text in (deep, b'{"a":' * 300 + b"1" + b"}" * 300, b'["\\"[", ' * 200 + b"1" + b"]" * 200):
        with pytest.raises(ValueError, match="nested more than 100 deep"):
            jsonfile.loads(text)
    assert jsonfile.loads('["' + "[" * 500 + '\\\\", "\\"[{"]') == ["[" * 500 + "\\", '"[{']
    nested: Any = "x"
    for _ in range(99):
        nested = [nested]
    assert jsonfile.loads(jsonfile.dumps({"a": nested}, indent=1)) == {"a": nested}
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        jsonfile.dumps({"a": [nested]})
    for number in ("1e999", "-1e999", "9" * 5000):
        with pytest.raises(ValueError, match=r"out of range|limit"):
            jsonfile.loads(f"[{number}]")
    with pytest.raises(BrokenArchive, match=r"config.*nested"):
        load(images_of, configured(top={"x": json.loads("[" * 150 + "]" * 150)}))
    with pytest.raises(BrokenArchive, match="more than 4194304 bytes"):
        load(images_of, configured(top={"author": "x" * (5 << 20)}))


# --- documents that Docker accepts are read with Docker's meaning
# --------------------------------------------------------

READ: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a command that is a string": ({"Cmd": "/bin/id"}, {"Cmd": ["/bin/id"]}),
    "an entry point that is a string": ({"Entrypoint": "/bin/id"}, {"Entrypoint": ["/bin/id"]}),
    "null is empty": (
        {"Cmd": None, "Labels": {"a": None}, "Env": ["A=b", None]},
        {"Labels": {"a": ""}, "Env": ["A=b", ""]},
    ),
    "names of members in any case": (
        {"cmd": ["a"], "LABELS": {"Key": "v"}},
        {"Cmd": ["a"], "Labels": {"Key": "v"}},
    ),
    "a lone surrogate": (
        {"Labels": {"a": "x\ud800", "b": "\U0001f600"}},
        {"Labels": {"a": "x\ufffd", "b": "\U0001f600"}},
    ),
    "a volume that is null": ({"Volumes": {"/x": None}}, {"Volumes": {"/x": {}}}),
    "an unknown member": ({"Nonsense": [5]}, {"Nonsense": [5]}),
}


@pytest.mark.parametrize(("given_", "read"), READ.values(), ids=list(READ))
def test_odd_values_are_read_as_by_docker(
    images_of: ImageStore, given_: dict[str, Any], read: dict[str, Any]
) -> None:
    load(images_of, configured(**given_))
    assert images_of.get("x").config["config"] == read


def test_a_null_config_and_null_history_entries_are_accepted(images_of: ImageStore) -> None:
    load(images_of, configured(top={"config": None, "history": [None, {"created_by": "x"}]}))
    image = images_of.get("x")
    assert "config" not in image.config
    assert image.config["history"] == [{}, {"created_by": "x"}]


@pytest.mark.parametrize(
    ("config", "command", "output"),
    [
        ({"Cmd": "/bin/pwd"}, [], "/\n"),
        ({"Entrypoint": [""], "Cmd": ["/bin/pwd"]}, [], "/\n"),
        ({"WorkingDir": "/app/../../etc", "Cmd": ["/bin/pwd"]}, [], "/etc\n"),
        ({"WorkingDir": "app//x/.", "Cmd": ["/bin/pwd"]}, [], "/app/x\n"),
        ({"Volumes": {"v": {}, "/x/../../v": None, "/w/": {}}}, ["/bin/sh", "-c", "echo > /v/f; echo > /w/f"], ""),
        (
            {"Env": ["A=b", "", "=x", "PYCTR_SECRET"]},
            ["/bin/sh", "-c", "echo $A${PYCTR_SECRET-unset}"],
            "bunset\n",
        ),
        ({"Labels": {"a": "\udcff"}, "Cmd": ["/bin/pwd"]}, [], "/\n"),
    ],
)
def test_an_image_with_odd_values_runs_as_in_docker(
    root: Path, pyctr: Pyctr, tmp_path: Path, config: dict[str, Any], command: list[str], output: str
) -> None:
    (tmp_path / "x.tar").write_bytes(configured(LAYER, **config))
    pyctr("load", "-i", tmp_path / "x.tar", check=True)
    done = pyctr("run", "--rm", "x", *command, env={"PYCTR_SECRET": "of the caller"})
    assert (done.returncode, done.stdout, done.stderr) == (0, output, "")


def test_a_volume_on_the_root_is_refused_in_one_line(root: Path, pyctr: Pyctr, tmp_path: Path) -> None:
    for path in ("/", "", "/a/..", "//"):
        (tmp_path / "x.tar").write_bytes(configured(LAYER, Volumes={path: {}}))
        pyctr("load", "-i", tmp_path / "x.tar", check=True)
        done = pyctr("run", "--rm", "x", "/bin/id")
        assert (done.returncode, done.stdout) == (125, "")
        assert done.stderr.startswith("pyctr_lite: the image has a volume on /")
    assert pyctr("ps", "-aq", check=True).stdout == ""


def test_a_health_check_of_an_image_cannot_kill_the_monitor(root: Path, pyctr: Pyctr, tmp_path: Path) -> None:
    check = {"Test": ["CMD", "/bin/id"], "Interval": 2**63 - 1, "Timeout": 2**63 - 1, "Retries": 2**63 - 1}
    for number, health in enumerate(
        (check, {"Test": ["CMD"]}, {"Test": ["id"]}, {"Test": []}, {"Interval": 10**6})
    ):
        (tmp_path / "x.tar").write_bytes(configured(LAYER, Healthcheck=health))
        pyctr("load", "-i", tmp_path / "x.tar", check=True)
        pyctr("run", "-d", "--name", f"c{number}", "x", "/bin/sh", "-c", "exec /bin/busybox sleep 60", check=True)
        status = pyctr("inspect", "-f", "{{.State.Status}}", f"c{number}", check=True).stdout
        assert status == "running\n"
        assert pyctr("stop", "-t", "0", f"c{number}").returncode == 0
    assert not Path(f"{root}/../run/faults.log").exists()


def test_the_api_refuses_a_malformed_health_check(root: Path) -> None:
    from pyctr_lite.engine.creation.create import create
    from pyctr_lite.engine.state.options import ContainerOptions

    engine = Engine(str(root))
    for check in (
        {"Test": "id"},
        {"Test": ["CMD", "\0"]},
        {"Retries": "3"},
    ):
        with pytest.raises(InvalidArgument, match="health check: "):
            create(engine, ContainerOptions(image="busybox", command=["true"], healthcheck=check))
    assert engine.containers.list() == []


@pytest.mark.parametrize("format", ["oci", "docker"])
def test_an_image_without_layers_is_loaded_run_and_committed(
    root: Path, pyctr: Pyctr, tmp_path: Path, format: str
) -> None:
    config = json.dumps(
        {**OURS, "config": {"Cmd": ["/busybox", "pwd"]}, "rootfs": {"type": "layers", "diff_ids": None}}
    )
    layout = Layout()
    if format == "oci":
        manifest = {"schemaVersion": 2, "config": layout.blob(config.encode(), images.CONFIG), "layers": []}
        content = layout.add(layout.blob(manifest, images.MANIFEST), "x").tar()
    else:
        listed = [{"Config": "c", "RepoTags": ["x:latest"], "Layers": None}]
        content = tar(entry("c", config.encode()), entry("manifest.json", json.dumps(listed).encode()))
    (tmp_path / "x.tar").write_bytes(content)
    pyctr("load", "-i", tmp_path / "x.tar", check=True)
    assert pyctr("run", "--name", "c1", "-v", "/bin/busybox:/busybox:ro", "x", check=True).stdout == "/\n"
    for args in (
        ["images"],
        ["history", "x"],
        ["inspect", "x"],
        ["image", "tree"],
        ["system", "df"],
        ["save", "-o", "/dev/null", "x"],
    ):
        assert pyctr(*args).stderr == ""
    pyctr("commit", "-c", 'CMD ["/busybox", "id"]', "c1", "y", check=True)
    assert pyctr("run", "--rm", "-v", "/bin/busybox:/busybox:ro", "y", check=True).stdout.startswith("uid=0")
    pyctr("rm", "c1", check=True)
    pyctr("rmi", "x", "y", check=True)


# --- an index with more than one image ---------------------------------------------------------------------


def _attested(layout: Layout) -> list[dict[str, Any]]:
    """Return an attestation of buildkit, a signature of cosign, an SBOM artifact, and plain text."""
    empty = layout.blob(b"{}", "application/vnd.oci.empty.v1+json")
    config = layout.blob({**OURS, "rootfs": {"type": "layers", "diff_ids": [digest(b"1")]}}, images.CONFIG)
    base = {"schemaVersion": 2, "mediaType": images.MANIFEST}
    return [
        layout.blob(
            {**base, "config": config, "layers": [layout.blob(b"1", "application/vnd.in-toto+json")]},
            images.MANIFEST,
            platform={"os": "unknown", "architecture": "unknown"},
        ),
        layout.blob(
            {
                **base,
                "config": config,
                "layers": [layout.blob(b"2", "application/vnd.dev.cosign.simplesigning.v1+json")],
            },
            images.MANIFEST,
        ),
        layout.blob(
            {**base, "artifactType": "application/spdx+json", "config": empty, "layers": [empty]}, images.MANIFEST
        ),
        layout.blob({**base, "config": empty, "layers": []}, images.MANIFEST),
        layout.blob(b"hello", "text/plain"),
    ]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_an_entry_that_is_not_an_image_is_skipped_with_a_note(
    images_of: ImageStore, nested: bool, named: bool
) -> None:
    layout = Layout()
    ours = layout.image()
    entries = [*_attested(layout)[:3], ours, *_attested(layout)[3:]]
    if nested:
        layout.add(layout.blob({"schemaVersion": 2, "manifests": entries}, images.INDEX), "x")
    else:
        for descriptor in entries:
            layout.add(descriptor, "x" if named or descriptor is ours else "")
    notes: list[str] = []
    assert load(images_of, layout.tar(), notes) == ["x:latest"]
    assert images_of.get("x").digest == ours["digest"]
    assert len([note for note in notes if "is not an image" in note]) == 5
    assert all("\n" not in note for note in notes)
    assert len(images_of.list()) == 1


@pytest.mark.parametrize("stated_in", ["descriptor", "config", "nested"])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_the_image_for_this_platform_gets_the_name(images_of: ImageStore, stated_in: str, position: int) -> None:
    layout = Layout()
    platforms = list(OTHERS)
    platforms.insert(position, OURS)
    every = [
        layout.image({**(platform if stated_in == "config" else {}), "author": str(number)})
        for number, platform in enumerate(platforms)
    ]
    if stated_in != "config":
        every = [{**each, "platform": platform} for each, platform in zip(every, platforms, strict=True)]
    if stated_in == "nested":
        layout.add(layout.blob({"schemaVersion": 2, "manifests": every}, images.INDEX), "x")
    for each in every if stated_in != "nested" else ():
        layout.add(each, "x")
    notes: list[str] = []
    assert load(images_of, layout.tar(), notes) == ["x:latest"]
    assert [image.config["author"] for image in images_of.list()] == [str(position)]
    assert len(notes) == (0 if stated_in == "nested" else 2)


def test_an_archive_for_other_platforms_is_refused_unless_it_has_one_image(images_of: ImageStore) -> None:
    layout = Layout()
    foreign = [layout.image({**platform}) for platform in OTHERS]
    for each in foreign:
        layout.add(each, "x")
    with pytest.raises(
        NotFound, match=f"not for linux/{OURS['architecture']}, only for: linux/s390x, linux/riscv64"
    ):
        load(images_of, layout.tar())
    assert images_of.list() == []
    layout.manifests = layout.manifests[:1]
    assert load(images_of, layout.tar()) == ["x:latest"]
    layout.manifests = []
    for artifact in _attested(layout):
        layout.add(artifact, "y")
    with pytest.raises(BrokenArchive, match="the archive has no image"):
        load(images_of, layout.tar())


# --- a layer that is in the store --------------------------------------------------------------------


@pytest.mark.parametrize("source", ["store", "archive"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_a_blob_of_a_known_layer_is_verified(
    images_of: ImageStore, source: str, compress: Callable[[bytes], bytes]
) -> None:
    layout = Layout()
    layout.add(layout.image({"author": "true"}, (SMALL,)), "true")
    if source == "store":
        load(images_of, layout.tar())
        layout = Layout()
    before = picture(images_of)
    lie = compress(tar(entry("d/file", b"another content")))
    layout.add(layout.image({"author": "false"}, (lie,), (SMALL,)), "false")
    with pytest.raises(BrokenArchive, match="wrong digest: unpacked layer"):
        load(images_of, layout.tar())
    if source == "store":
        assert picture(images_of) == before
    else:
        assert images_of.list() == []


# --- the same image stored twice ---------------------------------------------------------------------------


@pytest.fixture
def twice(images_of: ImageStore) -> ImageStore:
    """Return a store with the image `plain`, and the same image in other compressions as `other` and `third`."""
    layout = Layout()
    layout.add(layout.image({}, (SMALL,)), "plain")
    layout.add(layout.image({}, (zstandard.compress(SMALL),), (SMALL,)), "other")
    layout.add(layout.image({}, (gzip.compress(SMALL, mtime=0),), (SMALL,)), "third")
    load(images_of, layout.tar())
    return images_of


def test_removing_a_name_keeps_the_other_names(twice: ImageStore) -> None:
    assert {tuple(image.references) for image in twice.list()} == {
        ("plain:latest", "other:latest", "third:latest")
    }
    assert twice.get("other").references == ["plain:latest", "other:latest", "third:latest"]
    assert len({twice.get(name).digest for name in ("plain", "other", "third")}) == 3
    blobs = len(os.listdir(f"{twice.layout}/blobs/sha256"))
    assert twice.remove("plain") == [("Untagged", "plain:latest")]
    assert len(os.listdir(f"{twice.layout}/blobs/sha256")) == blobs - 2  # its manifest and its layer's blob
    for name in ("other", "third"):
        subprocess.run(["rm", "-r", twice.layers], check=True)
        assert os.listdir(twice.layer_directories(twice.get(name))[0]) == ["d"]
    assert twice.remove("other") == [("Untagged", "other:latest")]
    removed = twice.remove("third")
    assert [action for action, _ in removed] == ["Untagged", "Deleted", "Deleted"]
    assert os.listdir(f"{twice.layout}/blobs/sha256") == os.listdir(twice.layers) == []


def test_an_image_stored_twice_is_kept_for_a_container(twice: ImageStore) -> None:
    assert twice.remove("plain", in_use=lambda image: ["c" * 64]) == [("Untagged", "plain:latest")]
    with pytest.raises(Conflict):
        twice.remove(twice.get("other").id, in_use=lambda image: ["c" * 64])
    twice.prune()
    assert twice.get("other").references == ["other:latest", "third:latest"]
    assert twice.prune(all=True)[0] != []
    assert twice.list() == []


def test_moving_a_name_leaves_no_duplicate_manifest(twice: ImageStore) -> None:
    twice.tag("third", "plain")
    assert sorted(twice.get("plain").references) == ["other:latest", "plain:latest", "third:latest"]
    twice.prune()
    assert len(twice.descriptors()) == 3
    assert twice.get("plain").digest == twice.get("third").digest


# --- tags ----------------------------------------------------------------------------------------------------


def test_a_tag_keeps_the_manifests_media_type(images_of: ImageStore, tmp_path: Path) -> None:
    docker = "application/vnd.docker.distribution.manifest.v2+json"
    layout = Layout()
    config = {**OURS, "rootfs": {"type": "layers", "diff_ids": [digest(SMALL)]}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": docker,
        "config": layout.blob(config, "application/vnd.docker.container.image.v1+json"),
        "layers": [layout.blob(SMALL, "application/vnd.docker.image.rootfs.diff.tar")],
    }
    load(images_of, layout.add(layout.blob(manifest, docker), "x").tar())
    images_of.tag("x", "y")
    assert {each["mediaType"] for each in images_of.descriptors()} == {docker}
    index = json.loads(Path(images_of.layout, "index.json").read_text())
    assert {each["mediaType"] for each in index["manifests"]} == {docker}
    archive.save(images_of, ["y"], str(tmp_path / "y.tar"))
    done = subprocess.run(
        ["skopeo", "inspect", f"docker-archive:{tmp_path}/y.tar"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["sha256:" + "0" * 64, "sha256", "sha256:latest", "sha512:x"])
def test_a_digest_is_refused_as_a_name(images_of: ImageStore, name: str) -> None:
    load(images_of, configured())
    before = picture(images_of)
    with pytest.raises(InvalidArgument, match="ambiguous tag using digest algorithm as name"):
        images_of.tag("x", name)
    with pytest.raises(InvalidArgument):
        importer.import_rootfs(images_of, io.BytesIO(SMALL), name)
    assert picture(images_of) == before


# --- commit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "made", "empty"),
    [
        (None, 2, 0),
        ([{"created_by": "a"}], 2, 0),
        ([{"created_by": "a", "empty_layer": True}], 2, 1),
        ([{"created_by": letter} for letter in "abc"], 2, 2),
        ([None, None], 2, 1),
    ],
)
def test_a_commits_history_has_an_entry_for_each_layer(
    root: Path, pyctr: Pyctr, tmp_path: Path, history: Any, made: int, empty: int
) -> None:
    (tmp_path / "x.tar").write_bytes(configured(LAYER, {"history": history}))
    pyctr("load", "-i", tmp_path / "x.tar", check=True)
    pyctr("run", "--name", "c1", "x", "/bin/sh", "-c", "echo > /new", check=True)
    ids = [pyctr("commit", "c1", env={"SOURCE_DATE_EPOCH": "1000000000"}, check=True).stdout for _ in range(2)]
    config = ImageStore(str(root)).get(ids[0].strip()).config
    assert config["created"] == "2001-09-09T01:46:40Z"
    assert ids[0] == ids[1]
    assert [len(config["rootfs"]["diff_ids"])] == [made]
    found = [bool(entry.get("empty_layer")) for entry in config["history"]]
    assert (found.count(False), found.count(True)) == (made, empty)


@pytest.mark.parametrize("epoch", ["x", "-1", "²", "9" * 20, "1.5"])
def test_a_wrong_source_date_epoch_is_reported_in_one_line(root: Path, pyctr: Pyctr, epoch: str) -> None:
    pyctr("create", "--name", "c1", "busybox", "true", check=True)
    done = pyctr("commit", "c1", "y", env={"SOURCE_DATE_EPOCH": epoch})
    assert done.returncode == 1
    assert done.stderr == f"pyctr_lite: SOURCE_DATE_EPOCH={epoch}: it must be a number of seconds since 1970\n"


@pytest.mark.parametrize(
    "change",
    [
        "HEALTHCHECK --interval=9999999999h CMD id",
        "HEALTHCHECK --retries=99999999999999999999 CMD id",
        "CMD " + "[" * 2000,
    ],
)
def test_a_commit_change_is_checked_like_a_foreign_image(
    root: Path, pyctr: Pyctr, tmp_path: Path, change: str
) -> None:
    (tmp_path / "root.tar").write_bytes(SMALL)
    done = pyctr("import", "-c", change, tmp_path / "root.tar", "y")
    if change.startswith("CMD"):  # the shell form
        assert done.returncode == 0
        return
    assert done.returncode == 1
    message = done.stderr.splitlines()[0]
    assert any(text in message for text in ("config.Healthcheck.", "--interval", "--retries")), message
    assert pyctr("images", "-q", "y", check=True).stdout == ""


# --- documents stored by an older version
# ----------------------------------------------------------------------------------------


def plant(into: ImageStore, config: bytes, manifest: Callable[[dict[str, Any]], Any], name: str) -> None:
    """Put an image into a store without any check, like an older version or another tool."""
    blobs = Path(into.layout, "blobs/sha256")
    (blobs / digest(config)[7:]).write_bytes(config)
    (blobs / digest(SMALL)[7:]).write_bytes(SMALL)
    value: dict[str, Any] = {
        "schemaVersion": 2,
        "config": {"mediaType": images.CONFIG, "digest": digest(config), "size": len(config)},
        "layers": [{"mediaType": images.LAYER, "digest": digest(SMALL), "size": len(SMALL)}],
    }
    value = manifest(value) or value
    data = json.dumps(value).encode()
    (blobs / digest(data)[7:]).write_bytes(data)
    path = Path(into.layout, "index.json")
    index = json.loads(path.read_text())
    descriptor = {"mediaType": images.MANIFEST, "digest": digest(data), "size": len(data)}
    index["manifests"].insert(0, {**descriptor, "annotations": {images.REF_NAME: name}})
    path.write_text(json.dumps(index))


GOOD = json.dumps({**OURS, "rootfs": {"type": "layers", "diff_ids": [digest(SMALL)]}}).encode()
PLANTED: dict[str, tuple[bytes, Callable[[dict[str, Any]], Any]]] = {
    "created 5": (GOOD[:-1] + b', "created": 5}', lambda manifest: None),
    "labels are a list": (GOOD[:-1] + b', "config": {"Labels": []}}', lambda manifest: None),
    "a config that is a list": (b"[]", lambda manifest: None),
    "an empty diff_id": (GOOD.replace(digest(SMALL).encode(), b""), lambda manifest: None),
    "a diff_id that leads out": (GOOD.replace(digest(SMALL).encode(), b"sha256:../victim"), lambda manifest: None),
    "a deep config": (b"[" * 5000 + b"]" * 5000, lambda manifest: None),
    "a layer without size": (GOOD, lambda manifest: manifest["layers"][0].pop("size") and None),
    "a layer without mediaType": (GOOD, lambda manifest: manifest["layers"][0].pop("mediaType") and None),
    "annotations as a list": (GOOD, lambda manifest: {**manifest, "annotations": []}),
    "a manifest that is a list": (GOOD, lambda manifest: [5]),
    "a digest that leads out": (GOOD, lambda manifest: manifest["layers"][0].update(digest="sha256:../../x")),
    "an index for others": (GOOD, lambda manifest: {"manifests": [{**manifest["config"], "platform": OTHERS[0]}]}),
    "an index of nothing": (GOOD, lambda manifest: {"manifests": []}),
}


@pytest.mark.parametrize("diff_id", ["sha256:../victim", "sha256:../../victim/", "", "sha256:", "/../victim"])
def test_a_planted_diff_id_cannot_name_a_directory_to_remove(
    root: Path, pyctr: Pyctr, tmp_path: Path, diff_id: str
) -> None:
    """The chain ID of the first layer is its diff_id, which names the unpacked layer's directory."""
    victims = [root / "victim", tmp_path / "victim", root / "layers"]
    for victim in victims[:2]:
        (victim / "kept").mkdir(parents=True)
    before = [sorted(os.listdir(victim)) for victim in victims]
    config = {**OURS, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    plant(ImageStore(str(root)), json.dumps(config).encode(), lambda manifest: None, "docker.io/library/bad:1")
    pyctr("rmi", "-f", "bad:1")
    pyctr("image", "prune", "-a", "-f", "--filter", "label=none")
    pyctr("doctor", "--fix")
    assert [sorted(os.listdir(victim)) for victim in victims] == before


@pytest.mark.parametrize(("config", "manifest"), PLANTED.values(), ids=list(PLANTED))
@pytest.mark.parametrize("how", ["rmi", "doctor", "id"])
def test_a_broken_image_in_the_store_does_not_affect_others(
    root: Path, config: bytes, manifest: Callable[[dict[str, Any]], Any], how: str
) -> None:
    plant(ImageStore(str(root)), config, manifest, "broken:1")
    try_verbs(str(root), "broken:1")
    code, output, errors = run(str(root), "images")
    assert (code, output.count("busybox"), output.count("broken")) == (0, 1, 0)
    assert "image broken:1 is broken: " in errors
    assert run(str(root), "image", "verify")[0] == 1
    assert run(str(root), "image", "verify", "busybox") == (0, "busybox: OK\n", "")
    if how == "doctor":
        assert "removed image broken:1" in run(str(root), "doctor", "--fix")[2]
    elif how == "rmi":
        assert run(str(root), "rmi", "broken:1") == (0, "Untagged: broken:1\n", "")
    else:
        (found,) = (each for each, _ in ImageStore(str(root)).survey()[1])
        assert run(str(root), "rmi", found["digest"])[:2] == (0, "Untagged: broken:1\n")
    assert run(str(root), "images")[2] == ""
    assert run(str(root), "image", "verify")[0] == 0


def test_a_broken_image_used_by_a_container_is_kept(root: Path, pyctr: Pyctr) -> None:
    images_ = ImageStore(str(root))
    pyctr("tag", "busybox", "victim", check=True)
    pyctr("run", "-d", "--name", "c1", "victim", "sleep", "40", check=True)
    image = images_.get("victim")
    path = Path(images_.blob_path(image.id))
    path.write_bytes(path.read_bytes()[:-1] + b', "created": 5}')
    for args in (["ps", "-a"], ["inspect", "c1"], ["ps", "--filter", "ancestor=busybox"], ["exec", "c1", "true"]):
        assert pyctr(*args).returncode == 0
    assert pyctr("rmi", "victim").returncode == 1
    pyctr("doctor", "--fix")
    pyctr("image", "prune", "-af")
    assert pyctr("exec", "c1", "true").returncode == 0
    assert pyctr("restart", "-t", "0", "c1").returncode == 0
    pyctr("rm", "-f", "c1", check=True)


@pytest.mark.parametrize(
    "entry_",
    [
        None,
        5,
        [],
        {},
        {"digest": 5},
        {"digest": "x"},
        {"digest": digest(b""), "annotations": []},
        {"digest": digest(b""), "annotations": {images.REF_NAME: 5}},
        {"digest": digest(b""), "annotations": 5},
    ],
)
def test_a_wrong_entry_of_the_index_does_not_affect_others(root: Path, entry_: Any) -> None:
    path = Path(root, "images/index.json")
    index = json.loads(path.read_text())
    index["manifests"].insert(0, entry_)
    path.write_text(json.dumps(index))
    try_verbs(str(root), "busybox")
    assert run(str(root), "doctor", "--fix")[0] == 0
    assert run(str(root), "images")[2] == ""
    assert run(str(root), "image", "verify") == (0, "busybox:latest: OK\n", "")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"manifests": {}}', "5", "[" * 5000, '{"manifests": "x"}'])
def test_a_damaged_index_is_reported_and_rebuilt(root: Path, content: str) -> None:
    path = Path(root, "images/index.json")
    image = ImageStore(str(root)).get("busybox").id
    path.write_text(content)
    for args in (
        ["images"],
        ["run", "busybox", "true"],
        ["rmi", "busybox"],
        ["tag", "busybox", "y"],
        ["image", "verify"],
    ):
        code, _, errors = run(str(root), *args)
        assert code
        assert errors.startswith("pyctr_lite: broken image store: ")
    assert run(str(root), "ps", "-a")[0] == 0
    assert path.read_text() == content
    assert run(str(root), "doctor", "--fix")[0] == 0
    assert run(str(root), "tag", image, "busybox") == (0, "", "")
    assert run(str(root), "image", "verify") == (0, "busybox:latest: OK\n", "")
    assert Path(f"{path}.damaged").read_text() == content


def test_a_container_with_a_malformed_health_check_on_record_is_monitored(root: Path, pyctr: Pyctr) -> None:
    pyctr("create", "--name", "c1", "--health-cmd", "true", "busybox", "sleep", "60", check=True)
    (path,) = Path(root, "containers").glob("*/container.json")
    for wrong in ("30s", 1, -5, 2**70, [], {}):
        record = json.loads(path.read_text())
        record["options"]["healthcheck"] |= dict.fromkeys(("Interval", "Timeout", "StartPeriod", "Retries"), wrong)
        path.write_text(json.dumps(record))
        pyctr("start", "c1", check=True)
        assert pyctr("inspect", "-f", "{{.State.Health.Status}}", "c1", check=True).stdout == "starting\n"
        pyctr("stop", "-t", "0", "c1", check=True)
        assert pyctr("ps", "-a").returncode == 0


# --- the fuzz test
# ---------------------------------------------------------------------------------------------------


def run(root: str, *args: str) -> tuple[int, str, str]:
    """Run a command line in this process, and return its exit code and output. Internal errors are not caught."""
    output, errors = io.StringIO(), io.StringIO()
    # The command blocks signals, and does not restore the mask.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            code = main(["--root", root, "--debug", *args])
        except (PyctrError, OSError) as error:
            code = 1
            print(f"pyctr_lite: {error}", file=errors)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    output.getvalue().encode(), errors.getvalue().encode()
    return code, output.getvalue(), errors.getvalue()


def try_verbs(root: str, name: str) -> None:
    """Run every verb that reads images: each must raise only errors for the user."""
    for args in (
        ["images"],
        ["images", "--digests", "--no-trunc", "-a"],
        ["images", "--filter", "label=a"],
        ["images", "--filter", "since=busybox"],
        ["images", "--format", "json"],
        ["inspect", name],
        ["image", "inspect", "--format", "{{json .Config}}", name],
        ["history", name],
        ["history", "--no-trunc", "-H=false", name],
        ["image", "tree"],
        ["system", "df"],
        ["info"],
        ["ps", "-a"],
        ["ps", "--filter", f"ancestor={name}"],
        ["save", "-o", "/dev/null", name],
        ["save", "--format", "oci-archive", "-o", "/dev/null", name],
        ["image", "verify", name],
        ["tag", name, "another:1"],
        ["rmi", "another:1"],
    ):
        run(root, *args)
    code, output, _ = run(root, "create", "--name", "fuzzed", name, "true")
    if code == 0:
        for args in (["inspect", output.strip()], ["ps", "-a", "--no-trunc"], ["commit", "fuzzed", "again:1"]):
            run(root, *args)
        assert run(root, "rm", "-f", "-v", "fuzzed")[0] == 0
        run(root, "rmi", "again:1")


TIMES = ["2024-05-01T10:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999+23:59"]


def drawn(of: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of a shape."""
    if isinstance(of, shape.Text):
        alphabet = st.characters(exclude_categories=["Cs"], exclude_characters="" if of.nul else "\0")
        return st.text(alphabet, max_size=12) | st.sampled_from(
            ["/a/../../b", "0:0", "A=b", "x" * 5000, "\x1b[31m"]
        )
    if isinstance(of, shape.Bool):
        return st.booleans()
    if isinstance(of, shape.Int):
        return st.sampled_from([of.low, of.high, max(of.low, min(of.high, 5 * 10**9))])
    if isinstance(of, shape.Time):
        return st.sampled_from(TIMES)
    if isinstance(of, shape.Digest):
        return st.sampled_from([digest(SMALL), digest(b"")])
    if isinstance(of, shape.List):
        return st.lists(drawn(of.item), max_size=3)
    if isinstance(of, shape.Map):
        return st.dictionaries(drawn(of.name), drawn(of.value), max_size=3)
    assert isinstance(of, shape.Object)
    members = {name: drawn(each) for name, each in of.members.items()}
    required = {name: members.pop(name) for name in of.required}
    return st.fixed_dictionaries(required, optional=members)


WRONG: list[Any] = [None, True, -1, 5, 2**80, 1.5, "", "x", "\0", "\ud800", "a\udc80b"]
WRONG += [[], [5], [None], {}, {"x": 5}, [[]], {"": {}}]
MUTATIONS = st.tuples(
    st.sampled_from(["replace", "remove", "deep", "twice", "case"]), st.integers(0, 10**6), st.sampled_from(WRONG)
)


def positions(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every object and array in a document with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from positions(value[key])


def mutate(document: Any, mutation: tuple[str, int, Any]) -> bytes:
    """Return a document's bytes with one value broken."""
    kind, number, wrong = mutation
    found = list(positions(document))
    container, key = found[number % len(found)] if found else ([document], 0)
    if kind == "remove":
        del container[key]
    elif kind == "twice" and isinstance(container, dict):
        container["\x01" + key] = wrong
    elif kind == "case" and isinstance(container, dict):
        container[key.swapcase()] = container.pop(key)
    else:
        container[key] = "\x02" if kind == "deep" else wrong
    text = json.dumps(document).replace('"\\u0001', '"').replace('"\\u0002"', "[" * 120 + "]" * 120)
    return text.encode()


@pytest.fixture
def busy(busybox_store: Path, tmp_path: Path) -> str:
    """Return a state directory with busybox and without running containers."""
    root = tmp_path / "fuzz"
    subprocess.run(["cp", "-a", "--reflink=auto", busybox_store, root], check=True)
    return str(root)


@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "40")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    config=drawn(documents.IMAGE),
    manifest=drawn(shape.Object({"annotations": shape.Map(shape.Text()), "schemaVersion": shape.Int(2, 2)})),
    listed=drawn(shape.Object({"annotations": shape.Map(shape.Text()), "platform": documents.PLATFORM})),
    source=st.sampled_from(["none", "config", "manifest", "index", "docker"]),
    mutation=MUTATIONS,
    planted=st.booleans(),
)
def test_a_mutated_document_is_loaded_or_refused_and_breaks_nothing(
    busy: str,
    config: dict[str, Any],
    manifest: dict[str, Any],
    listed: dict[str, Any],
    source: str,
    mutation: tuple[str, int, Any],
    planted: bool,
) -> None:
    def bytes_of(name: str, value: Any) -> bytes:
        return mutate(value, mutation) if source == name else json.dumps(value).encode()

    layout = Layout()
    config["rootfs"] = {"type": "layers", "diff_ids": [digest(SMALL)]}
    config_data = bytes_of("config", config)
    described = {
        "config": layout.blob(config_data, images.CONFIG),
        "layers": [layout.blob(SMALL, images.LAYER)],
    }
    manifest_data = bytes_of("manifest", {**manifest, **described})
    entry_ = {**layout.blob(manifest_data, images.MANIFEST), **listed}
    entry_["annotations"] = {**listed.get("annotations", {}), images.REF_NAME: "fuzzed:1"}
    index = bytes_of("index", {"schemaVersion": 2, "manifests": [entry_]})
    layout.files["index.json"] = index
    if source == "docker":
        item = {"Config": "config.json", "RepoTags": ["fuzzed:1"], "Layers": ["layer.tar"]}
        layout.files |= {
            "config.json": config_data,
            "layer.tar": SMALL,
            "manifest.json": bytes_of("docker", [item]),
        }
    images_ = ImageStore(busy)
    index_path = Path(images_.layout, "index.json")
    original = Path(busy, "original.json")
    if not original.exists():
        original.write_bytes(index_path.read_bytes())
    index_path.write_bytes(original.read_bytes())  # undo the damage of an example that failed
    if planted and source != "docker" and mutation[0] != "deep":  # another test covers a damaged index.json
        for name, data in layout.files.items():
            if name != "index.json":
                Path(images_.layout, name).write_bytes(data)
        entries = json.loads(index).get("manifests", []) if isinstance(json.loads(index), dict) else []
        known = json.loads(original.read_text())
        known["manifests"] = [*(entries if isinstance(entries, list) else []), *known["manifests"]]
        index_path.write_text(json.dumps(known))
    else:
        before, refused = picture(images_), ""
        try:
            load(images_, layout.tar())
        except PyctrError as error:
            refused = error.message
        assert "\n" not in refused
        assert not refused or picture(images_) == before
        assert images_.survey()[1] == []
    try_verbs(busy, "fuzzed:1")
    assert images_.get("busybox").references == ["busybox:latest"]
    for left in leftovers.find(Engine(busy)):
        left.remove()
    assert images_.survey()[1] == []
    run(busy, "rmi", "-f", *(image.id for image in images_.list() if "busybox:latest" not in image.references))
    assert [image.references for image in images_.list()] == [["busybox:latest"]]
    assert run(busy, "image", "verify")[:2] == (0, "busybox:latest: OK\n")


def test_the_command_shows_no_internal_error_for_broken_images(root: Path, pyctr: Pyctr, tmp_path: Path) -> None:
    for content, _ in REFUSED.values():
        (tmp_path / "x.tar").write_bytes(content)
        done = pyctr("load", "-i", tmp_path / "x.tar")
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith("pyctr_lite: ")
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr
    assert len(pyctr("images", "-q", check=True).stdout.splitlines()) == 1


def test_every_published_document_is_checked(images_of: ImageStore) -> None:
    for config in (
        {},
        {"rootfs": {"diff_ids": []}, "created": 5},
        {"rootfs": {"diff_ids": []}, "config": {"Cmd": 5}},
    ):
        with pytest.raises(InvalidArgument, match="image config: "):
            writer.add_image(images_of, config, [], ["x"])
    good = b'{"rootfs": {"diff_ids": []}}'
    for manifest in (
        b"{}",
        b"[]",
        b'{"config": {"mediaType": "x", "digest": "%s", "size": 1}}' % digest(b"").encode(),
    ):
        with pytest.raises(BrokenArchive):
            writer.add_image(images_of, good, [], ["x"], manifest)
    assert images_of.list() == []
