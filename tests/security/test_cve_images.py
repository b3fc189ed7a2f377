"""Published vulnerabilities by which an image's config or archive makes an engine act on the host."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Pyctr
from tests.images.archives import config, digest, directory, docker_archive, entry, oci_archive, symlink, tar
from tests.security.hostile import UP, layer, load

SECRET = "a secret of the host"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a directory of the host with a secret, open to other users."""
    os.chmod(tmp_path, 0o755)
    path = tmp_path / "outside"
    path.mkdir()
    (path / "secret").write_text(SECRET)
    return path


def is_as_before(outside: Path) -> bool:
    status = outside.stat()
    return os.listdir(outside) == ["secret"] and (status.st_mode & 0o7777, status.st_uid) == (0o755, 0)


@pytest.mark.parametrize("item", ["PYCTR_TOLD_NOBODY", "PYCTR_TOLD_NOBODY ", "=PYCTR_TOLD_NOBODY"])
def test_an_image_cannot_read_the_callers_environment(pyctr: Pyctr, tmp_path: Path, item: str) -> None:
    """CVE-2026-57231: a variable without a value in the image's Env got the caller's value, like `-e NAME`."""
    image = load(pyctr, tmp_path, "asks", Env=["PATH=/bin", item])
    given = {"PYCTR_TOLD_NOBODY": SECRET, "PYCTR_TOLD_NOBODY ": SECRET}
    assert SECRET not in pyctr("run", "--rm", image, "env", env=given).stdout
    if pyctr("run", "-d", "--name", "box", image, "sleep", "60", env=given).returncode == 0:
        assert SECRET not in pyctr("exec", "box", "env", env=given).stdout
        assert SECRET not in pyctr("inspect", "box").stdout
    if item == "PYCTR_TOLD_NOBODY":
        shown = pyctr("run", "--rm", "-e", item, image, "env", env=given, check=True).stdout
        assert SECRET in shown, "a variable that the caller asks for is passed"


def test_a_container_has_no_variable_of_the_caller_or_of_another_container(pyctr: Pyctr, tmp_path: Path) -> None:
    """CVE-2020-14370 and CVE-2021-3602: a container had variables of the caller, or of an earlier container."""
    given = {"PYCTR_TOLD_NOBODY": SECRET}
    pyctr("run", "-d", "--name", "first", "-e", "OTHER=1", "busybox", "sleep", "60", env=given, check=True)
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", env=given, check=True)
    for args in (["run", "--rm", "busybox", "env"], ["exec", "box", "env"]):
        shown = pyctr(*args, env=given, check=True).stdout
        assert {line.partition("=")[0] for line in shown.splitlines()} == {"PATH", "HOSTNAME", "HOME"}


@pytest.mark.parametrize("way", ["/link/new", "/link", "/link/a/b/c", "{up}{outside}/new", "/up/../../new"])
@pytest.mark.parametrize("setting", ["WorkingDir", "Volumes"])
def test_a_path_of_an_image_is_created_inside_the_container(
    pyctr: Pyctr, tmp_path: Path, outside: Path, way: str, setting: str
) -> None:
    """CVE-2026-55686 (WORKDIR through a link) and CVE-2022-23648 (VOLUME with `..` shows the host's files)."""
    path = way.format(up="/" + UP, outside=outside)
    links = symlink("link", f"{UP[:-1]}{outside}"), symlink("up", "../../../..")
    value: Any = path if setting == "WorkingDir" else {path: {}, f"/{UP}{outside}": {}}
    image = load(pyctr, tmp_path, "paths", *links, **{setting: value})
    look = "pwd; ls -R / 2>/dev/null | grep -c '^secret$'; cat secret; cat /link/secret; true"
    done = pyctr("run", "--name", "box", image, "sh", "-c", look)
    assert SECRET not in done.stdout
    assert is_as_before(outside)
    if done.returncode == 0:
        pyctr("start", "box", check=True)
        pyctr("wait", "box", check=True)
        assert SECRET not in pyctr("logs", "box").stdout
    pyctr("rm", "-v", "box")
    assert is_as_before(outside)


def test_unpacking_an_archive_runs_no_program(pyctr: Pyctr, tmp_path: Path) -> None:
    """CVE-2014-9357 and CVE-2026-41567: `xz` or `unpigz` from the image, or from PATH, ran as root on the host."""
    names = "xz unxz xzcat pigz unpigz gzip gunzip zcat zstd unzstd zstdcat bzip2 bzcat tar lbzip2 igzip".split()
    script = b"#!/bin/sh\necho attacked >/attacked\ncp /bin/busybox %s\n" % bytes(tmp_path / "attacked")
    tools = [entry(f"{top}/{name}", script, mode=0o755) for top in ("usr/bin", "bin") for name in names]
    image = load(pyctr, tmp_path, "tools", directory("usr"), directory("usr/bin"), *tools)
    here = tmp_path / "path"
    here.mkdir()
    for name in names:
        (here / name).write_bytes(b"#!/bin/sh\ntouch %s\n" % bytes(tmp_path / "attacked"))
        (here / name).chmod(0o755)
    pyctr("run", "-d", "--name", "box", image, "sleep", "60", check=True)
    plain = tar(entry("given", b"given"))
    environment = {**os.environ, "PATH": f"{here}:{os.environ['PATH']}"}
    for data in (plain, gzip.compress(plain), lzma.compress(plain)):
        for args in (["cp", "-", "box:/"], ["import", "-", "got"]):
            done = subprocess.run(
                pyctr.command(*args), input=data, env=environment, cwd=here, capture_output=True, check=False
            )
            assert done.returncode == 0 or data is not plain
    assert pyctr("exec", "box", "ls", "/attacked", "/given").stdout == "/given\n"
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    "name", ["../../outside:v", "/outside:v", "a/../../outside:v", "x:../../outside", "-rf", ""]
)
def test_a_name_in_an_archive_is_not_a_path(pyctr: Pyctr, tmp_path: Path, outside: Path, name: str) -> None:
    """CVE-2014-9358 and CVE-2014-5282: names and IDs in an archive were used as paths, or were another image's."""
    before = pyctr("images", "-q", "--no-trunc").stdout
    (tmp_path / "names.tar").write_bytes(docker_archive([layer()], [name]))
    done = pyctr("load", "-i", tmp_path / "names.tar")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) <= 2, done.stderr
    assert pyctr("images", "-q", "--no-trunc").stdout == before
    assert is_as_before(outside)


def test_a_container_name_never_hides_another_containers_id(pyctr: Pyctr) -> None:
    """CVE-2014-5278: a container named like another one's ID received the commands for that one."""
    id = pyctr("create", "--name", "first", "busybox", "true", check=True).stdout.strip()
    for name in (id, id[:12], id[:2]):
        pyctr("create", "--name", name, "busybox", "true")
    assert pyctr("inspect", "-f", "{{.Name}}", id).stdout.strip() == "/first"
    assert pyctr("inspect", "-f", "{{.Name}}", f"/{id}").stdout.strip() == f"/{id}"
    pyctr("rm", id, check=True)
    assert pyctr("inspect", "first").returncode == 1


def test_an_archive_cannot_replace_a_stored_layer(pyctr: Pyctr, tmp_path: Path) -> None:
    """CVE-2014-8178 and -8179: an archive claims the ID of a stored layer for other content."""
    pyctr("save", "-o", tmp_path / "good.tar", "busybox", check=True)
    with tarfile.open(tmp_path / "good.tar") as opened:
        manifest = json.load(opened.extractfile("manifest.json"))  # type: ignore[arg-type]
        wanted = json.load(opened.extractfile(manifest[0]["Config"]))["rootfs"]["diff_ids"][-1]  # type: ignore[arg-type]
    evil = layer(entry("evil", b"evil"))
    compressed = gzip.compress(evil)
    for number, archive in enumerate(
        (
            docker_archive([evil], ["poison:1"], config_content=config(wanted)),
            docker_archive([compressed], ["poison:2"], config_content=config(wanted)),
            oci_archive([evil], "poison:3", diff_ids=[wanted]),
            oci_archive([compressed], "poison:4", diff_ids=[wanted]),
        )
    ):
        (tmp_path / "bad.tar").write_bytes(archive)
        done = pyctr("load", "-i", tmp_path / "bad.tar")
        assert done.returncode == 1, number
        assert "digest" in done.stderr
    assert pyctr("run", "--rm", "busybox", "ls", "/evil").returncode == 1
    assert "poison" not in pyctr("images").stdout
    pyctr("save", "-o", tmp_path / "again.tar", "busybox", check=True)
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "good.tar").read_bytes()


def test_a_document_is_either_an_index_or_a_manifest(pyctr: Pyctr, tmp_path: Path) -> None:
    """CVE-2021-41190: the same bytes are one image by their `layers`, another by their `manifests`."""
    whole = io.BytesIO(oci_archive([layer()], "two"))
    with tarfile.open(fileobj=whole) as opened:
        files = {info.name: opened.extractfile(info).read() for info in opened}  # type: ignore[union-attr]
    index = json.loads(files["index.json"])
    (descriptor,) = index["manifests"]
    manifest = json.loads(files.pop(f"blobs/sha256/{descriptor['digest'][7:]}"))
    both = json.dumps({**manifest, "manifests": [{**descriptor, "digest": "sha256:" + "0" * 64}]}).encode()
    descriptor |= {"digest": digest(both), "size": len(both)}
    files |= {f"blobs/sha256/{digest(both)[7:]}": both, "index.json": json.dumps(index).encode()}
    (tmp_path / "two.tar").write_bytes(tar(*(entry(name, content) for name, content in files.items())))
    done = pyctr("load", "-i", tmp_path / "two.tar")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) <= 2, done.stderr


@pytest.mark.parametrize(
    "history",
    [
        None,
        [None],
        [{"created": None}],
        [{}] * 50,
        [],
    ],
)
def test_an_empty_history_is_shown(pyctr: Pyctr, tmp_path: Path, history: Any) -> None:
    """CVE-2024-36620 and CVE-2021-21285: a missing value crashed `history`, or the whole engine."""
    content = layer()
    described = json.loads(config(digest(content))) | {"history": history, "created": None}
    archive = docker_archive([content], ["bare"], config_content=json.dumps(described).encode())
    (tmp_path / "bare.tar").write_bytes(archive)
    done = pyctr("load", "-i", tmp_path / "bare.tar")
    assert done.returncode in (0, 1)
    for args in (["images"], ["history", "bare"], ["inspect", "bare"], ["run", "--rm", "busybox", "true"]):
        shown = pyctr(*args)
        assert shown.returncode == 0 or (done.returncode and "bare" in args), shown.stderr
        assert "internal error" not in shown.stderr


@pytest.mark.parametrize("name", ["manifest.json", "index.json", "config"])
@pytest.mark.parametrize("shape", ["wide", "deep"])
def test_a_huge_document_is_refused(pyctr: Pyctr, tmp_path: Path, name: str, shape: str) -> None:
    """CVE-2023-25153: documents of any size in an archive were read into memory."""
    size = 256 << 20 if shape == "wide" else 1 << 20
    long = b'{"manifests": [' + (b"{}," * (size // 3) if shape == "wide" else b"[" * size)
    files = [entry("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')] if name == "index.json" else []
    if name == "config":
        files += [entry("manifest.json", b'[{"Config": "config", "Layers": []}]')]
    with gzip.open(tmp_path / "long.tar.gz", "wb", compresslevel=1) as stream:
        stream.write(tar(*files, entry(name, long)))
    limited = ["prlimit", f"--data={128 << 20}", *pyctr.command("load", "-i", tmp_path / "long.tar.gz")]
    done = subprocess.run(limited, capture_output=True, text=True)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) <= 2, done.stderr
    assert "internal error" not in done.stderr


@pytest.mark.parametrize("way", ["layer", "import"])
def test_a_layers_root_as_a_link_is_not_followed(pyctr: Pyctr, tmp_path: Path, outside: Path, way: str) -> None:
    """CVE-2021-29136 (umoci) and CVE-2026-48749 (incus): `.` or the root's directory is a link to the host."""
    for name in (".", "./", "/", "rootfs/..", "a/.."):
        bad = tar(symlink(name, str(outside)), entry("new", b"x"), directory(".", mode=0o777, uid=7))
        (tmp_path / "bad.tar").write_bytes(docker_archive([bad], ["bad"]) if way == "layer" else bad)
        args = ["load", "-i", tmp_path / "bad.tar"] if way == "layer" else ["import", tmp_path / "bad.tar", "bad"]
        done = pyctr(*args)
        assert done.returncode == 1, name
        assert is_as_before(outside)


def test_an_image_cannot_set_options_of_the_container(pyctr: Pyctr, tmp_path: Path, outside: Path) -> None:
    """CVE-2014-6408 (security options) and CVE-2026-53488 (a label that names a program of the host)."""
    host = {
        "Privileged": True, "SecurityOpt": ["seccomp=unconfined", "systempaths=unconfined"], "CapAdd": ["ALL"],
        "Binds": [f"{outside}:/outside"], "NetworkMode": "host", "PidMode": "host", "UsernsMode": "host",
        "Devices": [{"PathOnHost": "/dev/kmsg", "PathInContainer": "/dev/kmsg", "CgroupPermissions": "rwm"}],
        "LogConfig": {"Type": "binary", "Config": {"path": "/bin/sh"}},
    }  # fmt: skip
    labels = {
        "containerd.io/restart.loguri": f"binary:///bin/touch?{tmp_path}/attacked",
        "io.podman.annotations.privileged": "TRUE",
        "io.podman.annotations.seccomp": "unconfined",
        "run.oci.hooks.stderr": f"{tmp_path}/attacked",
        "org.opencontainers.image.stopSignal": "9",
    }
    content = layer()
    described = json.loads(config(digest(content), config={**host, "HostConfig": host, "Labels": labels}))
    described |= {"host_config": host, "HostConfig": host, "annotations": labels, "hooks": {"prestart": [{}]}}
    archive = docker_archive([content], ["asks"], config_content=json.dumps(described).encode())
    (tmp_path / "asks.tar").write_bytes(archive)
    pyctr("load", "-i", tmp_path / "asks.tar", check=True)
    write = "echo 1 >/proc/sys/kernel/domainname"
    script = f"grep -E '^(CapBnd|Seccomp):' /proc/self/status; ls /outside /dev/kmsg; {write}"
    asked = pyctr("run", "--rm", "asks", "sh", "-c", script)
    plain = pyctr("run", "--rm", "busybox", "sh", "-c", script)
    assert (asked.stdout, asked.stderr) == (plain.stdout, plain.stderr)
    pyctr("run", "-d", "--name", "box", "asks", "sleep", "60", check=True)
    own = pyctr("run", "--rm", "asks", "ls", "-l", "/proc/self/ns").stdout
    for kind in ("pid", "net", "ipc", "mnt"):
        assert os.readlink(f"/proc/self/ns/{kind}") not in own
    assert not (tmp_path / "attacked").exists()
