"""The store of volumes."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from pyctr_lite.errors import Conflict, InvalidArgument, NotFound
from pyctr_lite.volumes.store import ANONYMOUS_LABEL, VolumeStore


@pytest.fixture
def store(tmp_path: Path) -> VolumeStore:
    return VolumeStore(str(tmp_path))


def test_a_named_volume_is_a_directory_with_a_record(store: VolumeStore, tmp_path: Path) -> None:
    volume = store.create("data", labels={"a": "b"})
    assert volume.mountpoint == str(tmp_path / "volumes/data/_data")
    assert os.path.isdir(volume.mountpoint)
    assert json.loads((tmp_path / "volumes/data/volume.json").read_text())["Labels"] == {"a": "b"}
    assert not volume.anonymous


def test_the_name_of_an_anonymous_volume_has_64_hex_digits(store: VolumeStore) -> None:
    volume = store.create()
    assert len(volume.name) == 64
    assert set(volume.name) <= set("0123456789abcdef")
    assert volume.anonymous
    assert volume.labels == {ANONYMOUS_LABEL: ""}
    assert store.create().name != volume.name


def test_creating_an_existing_volume_returns_it(store: VolumeStore) -> None:
    first = store.create("data", labels={"a": "b"})
    Path(first.mountpoint, "file").write_text("kept")
    assert store.create("data", labels={"c": "d"}).labels == {"a": "b"}
    assert Path(first.mountpoint, "file").read_text() == "kept"


def test_several_threads_can_create_the_same_volume(store: VolumeStore) -> None:
    threads = [threading.Thread(target=store.create, args=("data",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [volume.name for volume in store.list()] == ["data"]


@pytest.mark.parametrize("name", ["x", "", ".hidden", "-x1", "a/b", "../x", "a b", "ä1"])
def test_a_name_that_could_be_a_path_is_refused(store: VolumeStore, name: str) -> None:
    with pytest.raises(InvalidArgument):
        store.create(name)
    assert store.list() == []


def test_a_missing_volume_is_reported_with_a_similar_name(store: VolumeStore) -> None:
    store.create("database")
    with pytest.raises(NotFound) as caught:
        store.get("databse")
    assert caught.value.message == "get databse: no such volume"
    assert "database" in caught.value.hint
    for name in ("", "..", ".", "database/_data"):
        with pytest.raises(NotFound):
            store.get(name)


def test_inspect_has_dockers_keys(store: VolumeStore) -> None:
    assert list(store.create("data").inspect()) == [
        "CreatedAt", "Driver", "Labels", "Mountpoint", "Name", "Options", "Scope",
    ]  # fmt: skip


def test_a_volume_can_be_a_directory_of_the_host(store: VolumeStore, tmp_path: Path) -> None:
    options = {"type": "none", "o": "bind", "device": str(tmp_path)}
    assert store.create("host", options=options).source == str(tmp_path)
    plain = store.create("plain")
    assert plain.source == plain.mountpoint


@pytest.mark.parametrize(
    "options", [{"size": "1g"}, {"type": "nfs", "device": ":/x"}, {"o": "bind"}, {"o": "bind", "device": "x"}]
)
def test_driver_options_that_would_not_be_honoured_are_refused(
    store: VolumeStore, options: dict[str, str]
) -> None:
    with pytest.raises(InvalidArgument):
        store.create("data", options=options)


def test_rm_deletes_the_files(store: VolumeStore, tmp_path: Path) -> None:
    Path(store.create("data").mountpoint, "file").write_text("x")
    store.remove("data")
    assert os.listdir(tmp_path / "volumes") == []


def test_rm_refuses_a_volume_in_use(store: VolumeStore) -> None:
    store.create("data")
    with pytest.raises(Conflict, match=r"^remove data: volume is in use - \[abc, def\]$"):
        store.remove("data", in_use=lambda name: ["abc", "def"])
    store.remove("data", in_use=lambda name: [])


def test_rm_of_a_missing_volume_fails_unless_forced(store: VolumeStore) -> None:
    with pytest.raises(NotFound):
        store.remove("data")
    store.remove("data", force=True)


def test_prune_deletes_unused_anonymous_volumes_and_counts_their_bytes(store: VolumeStore) -> None:
    named, used, unused = store.create("named"), store.create(), store.create()
    Path(unused.mountpoint, "file").write_bytes(bytes(1000))
    os.link(unused.mountpoint + "/file", unused.mountpoint + "/again")
    assert store.prune({used.name}) == ([unused.name], 1000)
    assert {volume.name for volume in store.list()} == {named.name, used.name}
    assert store.prune({used.name}, all=True) == ([named.name], 0)


def test_prune_deletes_only_chosen_volumes(store: VolumeStore) -> None:
    store.create("keep", labels={"keep": ""})
    store.create("drop")
    assert store.prune(set(), all=True, chosen=lambda volume: "keep" not in volume.labels)[0] == ["drop"]


def test_leftovers_of_a_killed_process_are_deleted_and_never_listed(store: VolumeStore, tmp_path: Path) -> None:
    (tmp_path / "volumes/.data.creating/_data").mkdir(parents=True)
    (tmp_path / "volumes/.old.removing/_data").mkdir(parents=True)
    assert store.list() == []
    store.create("data")
    assert os.listdir(tmp_path / "volumes") == ["data"]


def test_a_volume_without_a_record_is_listed(store: VolumeStore, tmp_path: Path) -> None:
    store.create("data")
    (tmp_path / "volumes/data/volume.json").unlink()
    assert [volume.name for volume in store.list()] == ["data"]


@pytest.mark.parametrize(
    "text",
    [
        "[]", "5", "null", "", "{", '"text"', '{"Labels": [], "Options": 5, "CreatedAt": {}}', "[" * 100_000,
        '{"Labels": {"a": 1, "b": null, "c": "d"}}', '{"Options": {"device": ["/etc"]}}', "\0", "\xff",
        '{"Labels": "a=b"}', "x" * (2 << 20),
    ],
)  # fmt: skip
def test_a_damaged_record_does_not_hide_a_volume(store: VolumeStore, tmp_path: Path, text: str) -> None:
    volume = store.create("data")
    (tmp_path / "volumes/data/volume.json").write_text(text, encoding="latin-1")
    found = store.get("data")
    assert found.source == volume.mountpoint
    assert found.labels in ({}, {"c": "d"})
    assert found.inspect()["CreatedAt"] == ""
    assert [listed.name for listed in store.list()] == ["data"]
    assert store.prune(set(), all=True) == (["data"], 0)


@pytest.mark.parametrize("kind", ["directory", "fifo", "link", "missing"])
def test_a_record_that_is_not_a_file_does_not_hide_a_volume(store: VolumeStore, tmp_path: Path, kind: str) -> None:
    store.create("data", labels={"a": "b"})
    record = tmp_path / "volumes/data/volume.json"
    record.rename(tmp_path / "elsewhere")
    if kind == "directory":
        record.mkdir()
    elif kind == "fifo":
        os.mkfifo(record)
    elif kind == "link":
        record.symlink_to(tmp_path / "elsewhere")
    assert [(volume.name, volume.labels) for volume in store.list()] == [("data", {})]


def test_other_files_in_the_store_are_not_listed(store: VolumeStore, tmp_path: Path) -> None:
    store.create("data")
    (tmp_path / "volumes/lost+found").mkdir()
    (tmp_path / "volumes/stray").touch()
    (tmp_path / "volumes/dangling").symlink_to("nowhere")
    assert [volume.name for volume in store.list()] == ["data"]


def test_a_leftover_that_cannot_be_deleted_is_ignored(store: VolumeStore, tmp_path: Path) -> None:
    """A container may have protected a file with chattr(1)."""
    left = tmp_path / "volumes/.old.removing/_data/file"
    left.parent.mkdir(parents=True)
    left.touch()
    if subprocess.run(["chattr", "+i", left], check=False, capture_output=True).returncode:
        pytest.skip("this file system has no chattr +i")
    try:
        assert store.create("data").name == "data"
        store.remove("data")
        assert store.list() == []
    finally:
        subprocess.run(["chattr", "-i", left], check=True)
    store.create("data")
    assert os.listdir(tmp_path / "volumes") == ["data"]
