"""Builds from elsewhere: a context from a git repository, and the cache that another image carries."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.image.conftest import Builder
from tests.conftest import SLOWNESS, Pyctr
from tests.ports import free_port
from tests.registries.servers import DockerRegistry

RANDOM = "cat /proc/sys/kernel/random/uuid"


def git(directory: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always"]
    command = ["git", "-C", str(directory), *settings, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the branches main and other, and a directory with another Dockerfile."""
    path = tmp_path / "served/x.git"
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    (path / "Dockerfile").write_text("FROM busybox\nCOPY . /c\n")
    (path / "below").mkdir()
    (path / "below/Dockerfile").write_text("FROM busybox\nCOPY f /below\n")
    (path / "below/f").write_text("f\n")
    (path / "out").symlink_to("/etc")
    git(path, "add", ".")
    git(path, "commit", "-qm", "one")
    git(path, "checkout", "-qb", "other")
    (path / "only-other").write_text("")
    git(path, "add", ".")
    git(path, "commit", "-qm", "two")
    git(path, "checkout", "-q", "main")
    return path


@pytest.fixture
def server(repository: Path) -> Iterator[str]:
    """The URL of the repository, which git's own server shows on this machine."""
    port = free_port()
    command = ["/usr/lib/git-core/git-daemon", "--export-all", f"--base-path={repository.parent}", "--reuseaddr"]
    process = subprocess.Popen(
        [*command, "--listen=127.0.0.1", f"--port={port}", "--verbose", str(repository.parent)],
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        },
    )
    assert process.stderr is not None
    assert "Ready to rumble" in process.stderr.readline()
    yield f"git://127.0.0.1:{port}/x.git"
    process.kill()
    process.communicate(timeout=20 * SLOWNESS)


def test_a_context_is_a_branch_or_a_directory_of_a_repository(
    pyctr: Pyctr, builder: Builder, server: str, repository: Path
) -> None:
    pyctr("build", "-t", "it", server, check=True)
    assert builder.sh("cd /c; ls -A") == "Dockerfile\nbelow\nout\n"
    pyctr("build", "-t", "it", f"{server}#other", check=True)
    assert "only-other" in builder.sh("ls /c")
    pyctr("build", "-t", "it", f"{server}#{git(repository, 'rev-parse', 'other')}", check=True)
    assert "only-other" in builder.sh("ls /c")
    pyctr("build", "-t", "it", f"{server}#main:below", check=True)
    assert builder.sh("cat /below") == "f\n"
    pyctr("build", "-t", "it", "-f", "Dockerfile", f"{server}#:below/../below", check=True)
    assert builder.sh("cat /below") == "f\n"


@pytest.mark.parametrize(
    ("fragment", "message"),
    [
        ("#none", "failed to fetch the repository: couldn't find remote ref none"),
        ("#--upload-pack=touch", "invalid branch, tag or commit: '--upload-pack=touch'"),
        ("#a..b", "invalid branch, tag or commit: 'a..b'"),
        ("#main:none", "none: no such directory in the repository"),
        ("#main:out", "out: no such directory in the repository"),
        ("#main:Dockerfile", "Dockerfile: no such directory in the repository"),
    ],
)
def test_a_wrong_part_of_a_repository_is_refused(pyctr: Pyctr, server: str, fragment: str, message: str) -> None:
    done = pyctr("build", server + fragment)
    assert done.returncode == 1
    assert f"pyctr_lite: {message}" in done.stderr
    assert not list(pyctr.root.glob("staging/*"))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("git@github.com:a/b.git", "a repository by SSH is not supported as a context"),
        ("ssh://host/x.git", "a repository by SSH is not supported as a context"),
        ("git://-oProxyCommand=touch/x.git", "failed to fetch the repository: "),
        ("https://127.0.0.1:1/x y.git", "invalid URL of a repository"),
        ("http://127.0.0.1:1/x.git", "failed to fetch the repository: "),
        ("https://127.0.0.1/context.tar.gz", "a context from a URL is not supported"),
    ],
)
def test_an_url_that_cannot_be_a_context_is_refused(pyctr: Pyctr, url: str, message: str) -> None:
    done = pyctr("build", url)
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr
    assert done.stderr.count("pyctr_lite: ") == 1


def test_a_repository_runs_nothing_and_leads_nowhere(
    pyctr: Pyctr, server: str, repository: Path, tmp_path: Path
) -> None:
    """Neither a link as its Dockerfile, nor a submodule of another protocol, nor settings of the caller."""
    (tmp_path / "secret").write_text("tops3cret")
    (repository / "Linked").symlink_to(tmp_path / "secret")
    (repository / ".gitmodules").write_text('[submodule "s"]\n\tpath = s\n\turl = ext::sh -c touch% /tmp/no\n')
    (repository / ".gitattributes").write_text("* filter=evil\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "three")
    home = tmp_path / "home"
    home.mkdir()
    touch = f"touch {tmp_path}/ran"
    (home / ".gitconfig").write_text(
        f'[filter "evil"]\n\tsmudge = {touch}; cat\n[credential]\n\thelper = "!{touch}"\n'
        f"[core]\n\thooksPath = {home}\n[protocol]\n\tallow = always\n"
    )
    (home / "post-checkout").write_text(f"#!/bin/sh\n{touch}\n")
    (home / "post-checkout").chmod(0o755)
    done = pyctr("build", "-f", "Linked", server, env={"HOME": str(home), "GIT_DIR": str(home)})
    assert done.returncode == 1
    assert "failed to read dockerfile: open Linked: no such file or directory" in done.stderr
    assert "tops3cret" not in done.stderr
    pyctr("build", server, env={"HOME": str(home), "GIT_SSH_COMMAND": touch}, check=True)
    assert not (tmp_path / "ran").exists()


TEXT = (
    f"FROM busybox\nARG A\nRUN {RANDOM} > /first\nCOPY a /a\nENV B=1\nRUN {RANDOM} > /second\nCOPY --link a /b\n"
)


@pytest.fixture
def carried(builder: Builder, registry: DockerRegistry) -> Iterator[str]:
    """An image with its cache, in a registry, and neither here nor in the cache."""
    name = f"{registry.host}/carried:1"
    builder.files(a="1")
    builder(TEXT, "-t", name, "--cache-to", "type=inline")
    builder.pyctr("push", name, check=True)
    forget(builder, name)
    yield name
    builder.pyctr("rmi", name)


def forget(builder: Builder, *names: str) -> None:
    builder.pyctr("rmi", "it", *names, check=True)
    builder.pyctr("builder", "prune", "-af", check=True)


def test_the_cache_of_an_image_is_used_step_by_step(builder: Builder, carried: str) -> None:
    done = builder(TEXT, "--cache-from", carried)
    assert done.stderr.count("CACHED") == 4
    first = builder.sh("cat /first /second")
    assert builder(TEXT).stderr.count("CACHED") == 4  # it is in the own cache now
    forget(builder)
    builder.files(a="2")
    done = builder(TEXT, "--cache-from", f"type=registry,ref={carried}")
    assert done.stderr.count("CACHED") == 1
    assert builder.sh("cat /first") == first.splitlines()[0] + "\n"
    assert builder.sh("cat /a") == "2"
    forget(builder)
    assert "CACHED" not in builder(TEXT, "--cache-from", carried, "--no-cache").stderr
    assert "CACHED" not in builder(TEXT, "--cache-from", carried, "--build-arg", "A=1", "--no-cache").stderr


def test_an_image_without_a_cache_or_a_missing_one_is_a_warning(builder: Builder) -> None:
    builder.files(a="1")
    done = builder(TEXT, "--cache-from", "busybox", "--cache-from", "127.0.0.1:1/none")
    assert "[Warning] busybox has no cache of builds" in done.stderr
    assert "[Warning] the cache of 127.0.0.1:1/none is not available: " in done.stderr
    assert "CACHED" not in done.stderr


def test_an_image_has_no_cache_unless_it_is_asked_for(builder: Builder) -> None:
    def members() -> list[Any]:
        saved = json.loads(builder.pyctr("image", "inspect", "it", check=True).stdout)[0]
        blob = builder.pyctr.root / "images/blobs/sha256" / saved["Id"].removeprefix("sha256:")
        found: list[Any] = json.loads(blob.read_text()).get("pyctr_lite.build.cache.v0", [])
        return found

    builder.files(a="1")
    builder(TEXT)
    assert members() == []
    builder(TEXT, "--build-arg", "BUILDKIT_INLINE_CACHE=1")
    assert [(it["first"], it["last"]) for it in members()] == [(0, 2), (0, 3), (0, 4), (4, 5)]


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--cache-from", "type=local,src=/x", 'unsupported cache type "local"'),
        ("--cache-from", "type=registry", "ref is required"),
        ("--cache-to", "type=registry,ref=x", 'unsupported cache type "registry"'),
    ],
)
def test_other_caches_are_refused(builder: Builder, flag: str, value: str, message: str) -> None:
    assert message in builder.error("FROM busybox\n", flag, value)
