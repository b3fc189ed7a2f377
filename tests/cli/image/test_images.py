"""The image verbs, end to end: output, errors, and archives that other programs read."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.formats import timestamps
from tests.images.archives import directory, entry, tar

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import DockerClient
    from tests.conftest import Pyctr


def root_filesystem(path: Path, *names: str) -> Path:
    """Return an archive with a directory and small files."""
    with tarfile.open(path, "w") as archive:
        for name in names or ("etc/motd",):
            info = tarfile.TarInfo(name)
            info.size = 5
            archive.addfile(info, io.BytesIO(b"hello"))
    return path


def one_line(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """Return the message of a verb that fails with an exit code and one line (and a hint)."""
    assert done.returncode == code, done
    first, *hints = done.stderr.splitlines()
    assert first.startswith("pyctr_lite: ")
    assert all(hint.startswith("  ") for hint in hints)
    assert "Traceback" not in done.stderr
    return first.removeprefix("pyctr_lite: ")


def test_images_prints_one_line_per_name(pyctr: Pyctr) -> None:
    pyctr("tag", "busybox", "quay.io/mine/tool:1", check=True)
    header, *lines = pyctr("images", check=True).stdout.splitlines()
    assert header.split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert sorted(line.split()[:2] for line in lines) == [["busybox", "latest"], ["quay.io/mine/tool", "1"]]
    assert len({line.split()[2] for line in lines}) == 1
    id = pyctr("images", "-q", check=True).stdout.strip()
    whole = pyctr("images", "-q", "--no-trunc", check=True).stdout.strip()
    assert whole.startswith(f"sha256:{id}")
    assert len(whole) == 71


@pytest.mark.parametrize("arguments", [[], ["--no-trunc"], ["-q"], ["--digests"]])
def test_images_prints_the_table_of_dockers_client(
    pyctr: Pyctr, docker_server: DockerClient, tmp_path: Path, arguments: list[str]
) -> None:
    old = {"SOURCE_DATE_EPOCH": "1000000000"}  # so that both get the same time
    pyctr("import", root_filesystem(tmp_path / "t.tar"), check=True, env=old)
    pyctr("tag", "busybox", "quay.io/mine/tool:1", check=True)
    ids = pyctr("images", "-q", "--no-trunc", check=True).stdout.split()
    inspected = json.loads(pyctr("image", "inspect", *ids, check=True).stdout)
    docker_server.answers["/images/json"] = [
        {
            "Id": image["Id"],
            "RepoTags": image["RepoTags"] or ["<none>:<none>"],
            "RepoDigests": None if image["RepoTags"] else ["<none>@<none>"],
            "Created": int(timestamps.parse(image["Created"]) // timestamps.SECOND),
            "Size": image["Size"],
        }
        for image in inspected
    ]
    theirs, ours = docker_server("images", *arguments).stdout, pyctr("images", *arguments, check=True).stdout
    if "--digests" in arguments:  # Docker shows a registry's digest, or none
        theirs, ours = (
            "\n".join(line.split("sha256:")[0] for line in text.split("\n")[:1]) for text in (theirs, ours)
        )
        assert theirs.split() == ours.split()
    elif "-q" in arguments:
        assert sorted(set(theirs.split())) == sorted(ours.split())
    else:
        # Docker prints the names of one image in random order.
        assert sorted(theirs.splitlines()) == sorted(ours.splitlines())


def test_history_prints_the_table_of_dockers_client(pyctr: Pyctr, docker_server: DockerClient) -> None:
    inspected = json.loads(pyctr("image", "inspect", "busybox", check=True).stdout)[0]
    docker_server.answers["/images/busybox/history"] = [
        {
            "Id": inspected["Id"],
            "Created": int(timestamps.parse(inspected["Created"]) // timestamps.SECOND),
            "CreatedBy": pyctr("history", "--no-trunc", "--format", "{{.CreatedBy}}", "busybox").stdout.strip(),
            "Size": inspected["Size"],
            "Comment": "the machine's own busybox",
            "Tags": None,
        }
    ]
    for arguments in ([], ["-q"], ["--no-trunc"], ["--format", "{{.ID}}|{{.Size}}|{{.CreatedSince}}"]):
        theirs = docker_server("history", *arguments, "busybox").stdout
        assert pyctr("history", *arguments, "busybox", check=True).stdout == theirs


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["busybox"], ["busybox:latest"]),
        (["busybox:latest"], ["busybox:latest"]),
        (["busybox:2"], []),
        (["bus*"], ["busybox:latest"]),
        (["*"], ["busybox:latest"]),
        (["--filter", "reference=quay.io/*/tool"], ["quay.io/mine/tool:1"]),
        (["--filter", "dangling=true"], []),
        (["--filter", "dangling=false"], ["busybox:latest", "quay.io/mine/tool:1"]),
        (["--filter", "label=a"], []),
        (["--filter", "before=busybox"], []),
    ],
)
def test_images_are_selected_by_name_and_filter(pyctr: Pyctr, arguments: list[str], shown: list[str]) -> None:
    pyctr("tag", "busybox", "quay.io/mine/tool:1", check=True)
    found = pyctr("images", "--format", "{{.Repository}}:{{.Tag}}", *arguments, check=True).stdout.split()
    assert sorted(found) == shown


def test_images_are_filtered_by_label_and_age(pyctr: Pyctr, tmp_path: Path) -> None:
    pyctr("import", "-c", "LABEL a=b", root_filesystem(tmp_path / "t.tar"), "labelled", check=True)
    assert pyctr("images", "-q", "-f", "label=a=b", check=True).stdout
    assert not pyctr("images", "-q", "-f", "label=a=c", check=True).stdout
    names = pyctr("images", "-f", "since=busybox", "--format", "{{.Repository}}", check=True).stdout.split()
    assert names == ["labelled"]  # newer than the busybox program
    first = pyctr("images", "--format", "{{.Repository}}", check=True).stdout.split()
    assert first == ["labelled", "busybox"]  # newest first


def test_images_shows_digests_in_json_and_on_request(pyctr: Pyctr, root: Path) -> None:
    shown = json.loads(pyctr("images", "--format", "json", check=True).stdout)
    index = json.loads((root / "images/index.json").read_text())
    assert shown["Digest"] == index["manifests"][0]["digest"]
    assert (shown["Repository"], shown["Tag"]) == ("busybox", "latest")
    assert shown["Digest"] in pyctr("images", "--digests", check=True).stdout
    assert shown["Digest"] not in pyctr("images", check=True).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["images", "--nope"], 125, "unknown flag: --nope"),
        (["images", "one", "two"], 1, "requires at most 1 argument"),
        (["images", "-f", "colour=red"], 1, "invalid filter 'colour'"),
        (["images", "-f", "dangling"], 125, "bad format of filter"),
        (["images", "-f", "dangling=maybe"], 1, "invalid filter 'dangling=maybe'"),
        (["images", "-f", "before=nope"], 1, "No such image: nope:latest"),
        (["images", "--format", "{{.Nope}}"], 1, "template parsing error"),
        (["tag", "nope", "other"], 1, "No such image: nope:latest"),
        (["tag", "busybox", "Upper"], 1, "must be lowercase"),
        (["tag", "busybox"], 1, "requires exactly 2 arguments"),
        (["history", "nope"], 1, "No such image: nope:latest"),
        (["rmi", "nope"], 1, "No such image: nope:latest"),
        (["rmi"], 1, "requires at least 1 argument"),
        (["save", "nope", "-o", "out.tar"], 1, "No such image: nope:latest"),
        (["save", "busybox", "-o", "no/such/out.tar"], 1, "no such directory: no/such"),
        (["save", "busybox", "--format", "zip"], 125, "docker-archive or oci-archive"),
        (["save", "busybox", "--compress", "lzma"], 125, "gzip, zstd or none"),
        (["load", "-i", "no.tar"], 1, "no such file: no.tar"),
        (["import", "no.tar"], 1, "no such file: no.tar"),
        (["import", "https://example.org/a.tar"], 1, "import from a URL is not supported"),
        (["import", "-c", "FROM x", "-"], 1, "FROM is not a valid change command"),
        (["import", "--platform", "a/b/c/d", "-"], 1, "invalid platform"),
        (["image", "bootstrap", "alpine"], 1, "cannot bootstrap 'alpine'"),
        (["image", "bootstrap", "busybox", "--suite", "sid"], 1, "--suite is for debian"),
        (["image", "prune", "-f", "--filter", "colour=red"], 1, "invalid filter 'colour'"),
    ],
)
def test_an_error_is_reported_in_one_line(
    pyctr: Pyctr, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    assert message in one_line(pyctr(*arguments, cwd=tmp_path), code)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]


def test_a_mistyped_image_gets_a_suggestion(pyctr: Pyctr) -> None:
    assert "did you mean busybox:latest?" in pyctr("history", "busibox").stderr
    assert "did you mean" not in pyctr("history", "quite-another").stderr


def test_tag_moves_a_name(pyctr: Pyctr, tmp_path: Path) -> None:
    other = pyctr("import", root_filesystem(tmp_path / "t.tar"), check=True).stdout.strip()
    pyctr("tag", "busybox", "name:1", check=True)
    assert pyctr("images", "-q", "--no-trunc", "name:1", check=True).stdout.strip() != other
    pyctr("tag", other, "name:1", check=True)
    assert pyctr("images", "-q", "--no-trunc", "name:1", check=True).stdout.strip() == other


def test_rmi_removes_a_name_and_with_the_last_name_the_image(pyctr: Pyctr, root: Path) -> None:
    pyctr("tag", "busybox", "other", check=True)
    assert pyctr("rmi", "--no-prune", "other", check=True).stdout == "Untagged: other:latest\n"
    assert list((root / "layers").iterdir())
    lines = pyctr("rmi", "busybox", check=True).stdout.splitlines()
    assert lines[0] == "Untagged: busybox:latest"
    assert all(line.startswith("Deleted: sha256:") for line in lines[1:])
    assert len(lines) == 3
    assert not list((root / "layers").iterdir())
    assert not list((root / "images/blobs/sha256").iterdir())


def test_rmi_goes_on_after_an_error(pyctr: Pyctr) -> None:
    pyctr("tag", "busybox", "other", check=True)
    done = pyctr("rmi", "nope", "other")
    assert "No such image: nope:latest" in one_line(done)
    assert done.stdout == "Untagged: other:latest\n"
    forced = pyctr("rmi", "-f", "nope")
    assert forced.returncode == 0
    assert "No such image" in forced.stderr


def test_an_image_with_a_stopped_container_needs_force(pyctr: Pyctr) -> None:
    container = pyctr("create", "busybox", check=True).stdout[:12]
    id = pyctr("images", "-q", check=True).stdout.strip()
    message = one_line(pyctr("rmi", "busybox"))
    assert message == (
        f'conflict: unable to remove repository reference "busybox:latest" (must force) - container {container} '
        f"is using its referenced image {id}"
    )
    assert one_line(pyctr("rmi", id)) == (
        f"conflict: unable to delete {id} (must be forced) - image is being used by stopped container {container}"
    )
    assert pyctr("rmi", "-f", "busybox", check=True).stdout == "Untagged: busybox:latest\n"
    pyctr("start", container, check=True)  # its layers still exist
    pyctr("wait", container, check=True)
    pyctr("rm", container, check=True)
    assert pyctr("image", "prune", "-f", check=True).stdout.startswith(f"Deleted Images:\ndeleted: sha256:{id}")


def test_an_image_with_a_running_container_is_kept(pyctr: Pyctr) -> None:
    container = pyctr("run", "-d", "busybox", "sleep", "60", check=True).stdout[:12]
    id = pyctr("images", "-q", check=True).stdout.strip()
    for force in ([], ["-f"]):
        assert one_line(pyctr("rmi", *force, id)) == (
            f"conflict: unable to delete {id} (cannot be forced) - image is being used by running container "
            f"{container}"
        )
    assert pyctr("images", "-q", "busybox", check=True).stdout.strip() == id
    pyctr("rm", "-f", container, check=True)
    pyctr("rmi", id, check=True)
    assert not pyctr("images", "-q", check=True).stdout


def test_prune_asks_and_removes_only_dangling_images(pyctr: Pyctr, tmp_path: Path) -> None:
    dangling = pyctr("import", root_filesystem(tmp_path / "t.tar"), check=True).stdout.strip()
    asked = pyctr("image", "prune", input="n\n", check=True).stdout
    assert "WARNING! This will remove all dangling images." in asked
    assert dangling in pyctr("images", "-q", "--no-trunc", check=True).stdout
    kept = pyctr("image", "prune", "-f", "--filter", "until=1h", check=True).stdout
    assert kept == "Total reclaimed space: 0B\n"
    pruned = pyctr("image", "prune", input="y\n", check=True).stdout
    assert f"deleted: {dangling}" in pruned
    assert "Total reclaimed space: " in pruned
    assert pyctr("images", "--format", "{{.Repository}}", check=True).stdout == "busybox\n"


def test_prune_all_keeps_what_a_container_uses(pyctr: Pyctr, tmp_path: Path) -> None:
    pyctr("import", root_filesystem(tmp_path / "t.tar"), "unused", check=True)
    pyctr("create", "--name", "user", "busybox", check=True)
    pruned = pyctr("image", "prune", "-a", "-f", check=True).stdout
    assert "untagged: unused:latest" in pruned
    assert "busybox" not in pruned
    pyctr("rm", "user", check=True)
    assert "untagged: busybox:latest" in pyctr("image", "prune", "-af", check=True).stdout


def test_history_lists_steps_last_first(pyctr: Pyctr) -> None:
    pyctr("run", "--name", "changer", "busybox", "touch", "/new", check=True)
    pyctr("commit", "-m", "second step", "changer", "two", check=True)
    ids = [pyctr("images", "-q", name, check=True).stdout.strip() for name in ("two", "busybox")]
    header, *lines = pyctr("history", "two", check=True).stdout.splitlines()
    assert header.split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert [line.split()[0] for line in lines] == ids
    assert lines[0].endswith("second step")
    assert pyctr("history", "-q", "two", check=True).stdout.split() == ids
    rows = pyctr("history", "-H=false", "--no-trunc", "--format", "{{json .}}", "two", check=True).stdout
    top, below = (json.loads(row) for row in rows.splitlines())
    assert int(below["Size"]) > 1_000_000 > int(top["Size"])
    assert top["CreatedAt"].endswith("Z")
    pyctr("rm", "changer", check=True)
    pyctr("rmi", "busybox", check=True)  # the parent image has gone from the store
    assert pyctr("history", "-q", "two", check=True).stdout.split() == [ids[0], "<missing>"]


@pytest.mark.parametrize(
    ("name", "arguments", "magic"),
    [
        ("a.tar", [], b""),
        ("a.tar.gz", [], b"\x1f\x8b"),
        ("a.tgz", ["--format", "oci-archive"], b"\x1f\x8b"),
        ("a.tar.zst", [], b"\x28\xb5\x2f\xfd"),
        ("a.gz", ["--compress", "none", "--format", "oci-archive"], b""),
        ("a", ["--compress", "zstd"], b"\x28\xb5\x2f\xfd"),
    ],
)
def test_a_saved_image_is_loaded(
    pyctr: Pyctr, tmp_path: Path, name: str, arguments: list[str], magic: bytes
) -> None:
    id = pyctr("images", "-q", "--no-trunc", check=True).stdout
    pyctr("save", *arguments, "-o", tmp_path / name, "busybox", check=True)
    content = (tmp_path / name).read_bytes()
    assert content.startswith(magic or b"blobs")
    pyctr("rmi", "busybox", check=True)
    assert pyctr("load", "-i", tmp_path / name, check=True).stdout == "Loaded image: busybox:latest\n"
    assert pyctr("images", "-q", "--no-trunc", check=True).stdout == id
    assert pyctr("run", "--rm", "busybox", "echo", "it runs", check=True).stdout == "it runs\n"


def test_an_image_without_a_name_is_loaded_by_its_id(pyctr: Pyctr, tmp_path: Path) -> None:
    id = pyctr("import", root_filesystem(tmp_path / "t.tar"), check=True).stdout.strip()
    pyctr("save", "-o", tmp_path / "a.tar", id, check=True)
    assert pyctr("load", "-q", "-i", tmp_path / "a.tar", check=True).stdout == f"Loaded image ID: {id}\n"


@pytest.mark.parametrize(
    ("form", "transport"), [("docker-archive", "docker-archive"), ("oci-archive", "oci-archive")]
)
def test_skopeo_reads_an_archive_saved_to_a_pipe(
    pyctr: Pyctr, tmp_path: Path, needs: Callable[[str], str], form: str, transport: str
) -> None:
    with (tmp_path / "a.tar").open("wb") as file:
        subprocess.run(pyctr.command("save", "--format", form, "busybox"), stdout=file, check=True)
    inspected = subprocess.run(
        [needs("skopeo"), "inspect", "--config", "--raw", f"{transport}:{tmp_path}/a.tar"],
        check=True,
        capture_output=True,
    ).stdout
    config = json.loads(pyctr("image", "inspect", "busybox", check=True).stdout)[0]["Config"]
    assert json.loads(inspected)["config"]["Cmd"] == config["Cmd"]


def test_an_archive_written_by_skopeo_is_loaded(
    pyctr: Pyctr, root: Path, tmp_path: Path, needs: Callable[[str], str]
) -> None:
    source = f"oci:{root}/images:busybox:latest"
    target = f"docker-archive:{tmp_path}/a.tar:theirs:1"
    subprocess.run([needs("skopeo"), "copy", "-q", source, target], check=True, capture_output=True)
    assert pyctr("load", "-i", tmp_path / "a.tar", check=True).stdout == "Loaded image: theirs:1\n"
    assert pyctr("run", "--rm", "theirs:1", "echo", "it runs", check=True).stdout == "it runs\n"


def test_save_and_load_refuse_a_terminal(pyctr: Pyctr) -> None:
    ours, terminal = pty.openpty()
    try:
        refused = subprocess.run(
            pyctr.command("save", "busybox"), stdout=terminal, stderr=subprocess.PIPE, text=True
        )
        assert "cowardly refusing to save to a terminal" in one_line(refused)
        for verb in (["load"], ["import", "-"]):
            refused = subprocess.run(pyctr.command(*verb), stdin=terminal, capture_output=True, text=True)
            assert "stdin" in one_line(refused)
    finally:
        os.close(ours)
        os.close(terminal)


@pytest.mark.parametrize("damage", ["cut", "text", "digest", "neither"])
def test_a_broken_archive_changes_nothing(pyctr: Pyctr, root: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.tar"
    pyctr("save", "-o", path, "busybox", check=True)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100_000])
    elif damage == "text":
        path.write_text("this is not an archive\n" * 100)
    elif damage == "digest":
        content = bytearray(path.read_bytes())
        content[content.index(b"\x7fELF") + 4096] ^= 1
        path.write_bytes(content)
    else:
        root_filesystem(path)
    before = pyctr("images", "--digests", check=True).stdout
    message = one_line(pyctr("load", "-i", path))
    assert {"digest": "digest", "neither": "neither manifest.json nor index.json"}.get(damage, "") in message
    assert pyctr("images", "--digests", check=True).stdout == before
    assert not list((root / "staging").iterdir())


@pytest.mark.parametrize("name", ["../outside", "/../../outside", "a/../../outside"])
def test_import_never_writes_outside(pyctr: Pyctr, tmp_path: Path, name: str) -> None:
    done = pyctr("import", root_filesystem(tmp_path / "t.tar", name), "evil")
    if done.returncode:
        one_line(done)
    assert not list(tmp_path.rglob("outside")) or all(
        "/layers/" in str(path) for path in tmp_path.rglob("outside")
    )


def test_import_reads_a_file_or_a_pipe_and_applies_changes(pyctr: Pyctr, root: Path, tmp_path: Path) -> None:
    layer = next((root / "layers").iterdir())
    subprocess.run(["tar", "-C", layer, "-cf", tmp_path / "t.tar", "."], check=True)
    first = pyctr("import", tmp_path / "t.tar", "mine:1", "-m", "a note", "-c", 'CMD ["echo", "made"]', check=True)
    assert first.stdout.startswith("sha256:")
    assert pyctr("run", "--rm", "mine:1", check=True).stdout == "made\n"
    assert pyctr("history", "--format", "{{.Comment}}", "mine:1", check=True).stdout == "a note\n"
    with (tmp_path / "t.tar").open("rb") as archive:
        piped = subprocess.run(
            pyctr.command("import", "-"), stdin=archive, capture_output=True, text=True, check=True
        )
    assert (
        pyctr("history", "--format", "{{.Comment}}", piped.stdout.strip(), check=True).stdout
        == "Imported from -\n"
    )


def test_an_image_for_another_machine_prints_a_warning(pyctr: Pyctr, root: Path, tmp_path: Path) -> None:
    layer = next((root / "layers").iterdir())
    subprocess.run(["tar", "-C", layer, "-cf", tmp_path / "t.tar", "."], check=True)
    pyctr("import", "--platform", "linux/riscv64", tmp_path / "t.tar", "foreign", check=True)
    done = pyctr("run", "--rm", "foreign", "true")
    assert done.stderr.startswith("WARNING: The requested image's platform (linux/riscv64) does not match")
    assert "WARNING" not in pyctr("run", "--rm", "busybox", "true").stderr


def test_bootstrap_is_the_same_image_each_time(pyctr: Pyctr) -> None:
    whole = pyctr("images", "-q", "--no-trunc", check=True).stdout
    assert pyctr("image", "bootstrap", "busybox", "--tag", "again:1", check=True).stdout == whole
    assert pyctr("images", "-q", "--no-trunc", "again:1", check=True).stdout == whole


def test_an_unknown_suite_reports_mmdebstraps_error(pyctr: Pyctr, needs: Callable[[str], str]) -> None:
    needs("mmdebstrap")
    assert "invalid suite" in one_line(pyctr("image", "bootstrap", "debian", "--suite", "../x"))


def test_an_image_of_125_layers_is_loaded_run_and_committed(pyctr: Pyctr, tmp_path: Path) -> None:
    pyctr("save", "-o", tmp_path / "busybox.tar", "busybox", check=True)
    with tarfile.open(tmp_path / "busybox.tar") as archive:

        def read(name: str) -> bytes:
            file = archive.extractfile(name)
            assert file is not None
            return file.read()

        (manifest,) = json.loads(read("manifest.json"))
        config, layers = json.loads(read(manifest["Config"])), [read(name) for name in manifest["Layers"]]
    for index in range(1, 125):
        whiteout = [entry(f"d/.wh.f{index - 1}")] if index % 2 else []
        layers.append(tar(directory("d"), entry(f"d/f{index}", str(index).encode()), *whiteout))
    config["rootfs"]["diff_ids"] = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config["history"] = []
    names = [f"{index}.tar" for index in range(len(layers))]
    manifest = {"Config": "config.json", "RepoTags": ["many:1"], "Layers": names}
    content = tar(
        entry("manifest.json", json.dumps([manifest]).encode()),
        entry("config.json", json.dumps(config).encode()),
        *(entry(name, layer) for name, layer in zip(names, layers, strict=True)),
    )
    (tmp_path / "many.tar").write_bytes(content)
    pyctr("load", "-i", tmp_path / "many.tar", check=True)
    pyctr("run", "--name", "box", "many:1", "sh", "-c", "rm /d/f124; echo new > /d/f1", check=True)
    pyctr("commit", "box", "many:2", check=True)
    shown = pyctr("run", "--rm", "many:2", "sh", "-c", "cat /d/f1; ls /d | wc -l", check=True).stdout
    assert shown.split() == ["new", "62"]  # the odd ones of 1 to 124
