"""Images made without a registry: from the host's busybox, and Debian by mmdebstrap."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.errors import InvalidArgument, NotFound, PyctrError
from pyctr_lite.images import bootstrap, debian
from pyctr_lite.images.store import ImageStore

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_busybox_image_has_all_applets_and_runs_a_shell(store: ImageStore) -> None:
    image = bootstrap.bootstrap_busybox(store)
    root = Path(store.layer_directories(image)[0])
    applets = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    found = {path.name for name in ("bin", "sbin", "usr/bin", "usr/sbin") for path in (root / name).iterdir()}
    assert set(applets) - found == {"linuxrc"}
    assert os.readlink(root / "bin/sh") == "/bin/busybox"
    for path, mode in {
        "tmp": 0o1777,
        "root": 0o700,
        "etc/passwd": 0o644,
        "etc/shadow": 0o640,
        "home": 0o755,
    }.items():
        assert stat.S_IMODE((root / path).stat().st_mode) == mode, path
    done = subprocess.run(
        ["chroot", root, "/bin/sh", "-c", "id; ls /; cat /etc/group | grep users; vi --help 2>&1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "uid=0(root) gid=0(root)" in done.stdout
    assert "users:x:100:" in done.stdout
    assert image.config["config"] == {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Cmd": ["sh"],
    }


def test_the_busybox_image_is_reproducible(store: ImageStore, tmp_path: Path) -> None:
    other = ImageStore(str(tmp_path / "other"))
    first, second = bootstrap.bootstrap_busybox(store), bootstrap.bootstrap_busybox(other)
    assert (first.id, first.digest) == (second.id, second.digest)
    assert bootstrap.bootstrap_busybox(store).references == ["busybox:latest"]
    assert len(store.list()) == 1


def test_a_dynamic_or_missing_busybox_is_refused(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="/bin/ls is not a static program") as raised:
        bootstrap.bootstrap_busybox(store, busybox="/bin/ls")
    assert "busybox-static" in raised.value.hint
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotFound, match="no busybox on this machine"):
        bootstrap.bootstrap_busybox(store)
    assert store.list() == []


# --- Debian, with a stand-in for mmdebstrap: the real one takes a minute and the network -------------------


@pytest.fixture
def mmdebstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that installs a shell script as mmdebstrap."""

    def make(script: str) -> None:
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin/mmdebstrap").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin/mmdebstrap").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")

    return make


def test_the_output_of_mmdebstrap_becomes_the_image(
    store: ImageStore, tmp_path: Path, mmdebstrap: Callable[[str], None]
) -> None:
    mmdebstrap(f'echo "$@" > {tmp_path}/arguments; cd {tmp_path}; mkdir d; echo hello > d/hello; tar -C d -c .')
    image = bootstrap.bootstrap_debian(store, "trixie")
    assert image.references == ["debian:trixie"]
    assert Path(store.layer_directories(image)[0], "hello").read_text() == "hello\n"
    assert image.config["config"]["Cmd"] == ["bash"]
    arguments = (tmp_path / "arguments").read_text().split()
    assert {"--variant=minbase", "--format=tar", "--mode=root", "trixie"} <= set(arguments)


@pytest.mark.parametrize("output", ["", "tar -c /etc/hostname", "tar -c /etc/hostname | head -c 700"])
def test_a_failure_of_mmdebstrap_is_reported_and_adds_nothing(
    store: ImageStore, mmdebstrap: Callable[[str], None], output: str
) -> None:
    mmdebstrap(f"{output}\necho I: some progress >&2; echo E: no such mirror >&2; exit 25")
    with pytest.raises(PyctrError, match="mmdebstrap failed: E: no such mirror"):
        bootstrap.bootstrap_debian(store)
    assert store.list() == []


def test_a_missing_mmdebstrap_is_named(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotFound, match="no mmdebstrap") as raised:
        bootstrap.bootstrap_debian(store)
    assert raised.value.hint == "apt-get install mmdebstrap"
    with pytest.raises(InvalidArgument, match="invalid suite"):
        bootstrap.bootstrap_debian(store, "--variant=standard")


def test_the_hosts_apt_sources_that_list_the_suite_are_used(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("# deb http://x bookworm main\ndeb http://x trixie main\n")
    (tmp_path / "sources.list.d/debian.sources").write_text("Types: deb\nSuites: bookworm bookworm-updates\n")
    (tmp_path / "sources.list.d/off.sources.disabled").write_text("Suites: bookworm\n")
    assert debian.sources("bookworm", str(tmp_path)) == [f"{tmp_path}/sources.list.d/debian.sources"]
    assert debian.sources("trixie", str(tmp_path)) == [f"{tmp_path}/sources.list"]
    assert debian.sources("sid", str(tmp_path)) == []
