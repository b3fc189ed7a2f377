"""Published vulnerabilities of builds: a Dockerfile, its context and its steps reach nothing outside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.image.conftest import Builder, builder  # noqa: F401


def test_a_cache_id_is_not_a_path(builder: Builder, tmp_path: Path) -> None:  # noqa: F811
    """CVE-2024-9675: an id with `..` showed any directory of the host."""
    host = tmp_path / "host"
    host.mkdir()
    for id in (f"../../../../../../../../{host}", str(host), "..", "."):
        builder(f"FROM busybox\nRUN --mount=type=cache,target=/c,id={id} touch /c/reached\n", "--no-cache")
    assert os.listdir(host) == []
    assert all(len(path.name) == 32 for path in builder.pyctr.root.glob("build/mounts/*"))
    assert not (builder.pyctr.root / "build/reached").exists()


def test_the_end_of_a_mount_follows_no_link(builder: Builder, tmp_path: Path) -> None:  # noqa: F811
    """CVE-2024-23652: the empty mount point was removed by its path, with links of the step in it."""
    victim = tmp_path / "m"
    (victim / "sub").mkdir(parents=True)
    builder(
        f"FROM busybox\nRUN ln -s {victim} /m\nRUN --mount=type=tmpfs,target=/m/sub touch /m/sub/f && "
        f"rm /m && ln -s {victim.parent} /m && ls -d {victim}\n"
    )
    assert builder.sh("readlink /m") == f"{victim.parent}\n"
    assert os.listdir(victim) == ["sub"]
    assert os.listdir(victim / "sub") == []


@pytest.mark.parametrize("field", ["bind-propagation=rshared", "shared", "relabel=shared", "suid", "dev"])
def test_a_mount_of_a_step_has_no_options_of_the_kernel(builder: Builder, field: str) -> None:  # noqa: F811
    """CVE-2024-9407: the propagation of a mount was taken as it was given."""
    error = builder.error(f"FROM busybox\nRUN --mount=type=bind,target=/m,{field} true\n")
    assert f"unexpected key '{field.partition('=')[0]}'" in error


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
def test_an_ignore_file_that_is_a_link_discloses_nothing(
    builder: Builder,  # noqa: F811
    tmp_path: Path,
    name: str,
) -> None:
    """CVE-2022-4122: the lines of a file of the host were in the error."""
    (tmp_path / "secret").write_text("[tops3cret\n")
    builder.files(Dockerfile="FROM busybox\n")
    (builder.context / name).symlink_to(tmp_path / "secret")
    done = builder.pyctr("build", builder.context)
    assert "tops3cret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("streamed", [False, True])
def test_a_dockerfile_of_the_context_that_is_a_link_discloses_nothing(
    builder: Builder,  # noqa: F811
    tmp_path: Path,
    *,
    streamed: bool,
) -> None:
    """The error had a line of the file: a build of somebody else's directory showed /etc/shadow in its log."""
    (tmp_path / "secret").write_text("tops3cret\n")
    (builder.context / "Dockerfile").symlink_to(tmp_path / "secret")
    (builder.context / "Fine").symlink_to("/Inside")
    (builder.context / "Inside").write_text("FROM busybox\n")
    command = "tar", "-c", "-C", builder.context, "."
    archive = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    context, input = ("-", archive) if streamed else (builder.context, "")
    for options in ([], ["-f", "Dockerfile"]):
        done = builder.pyctr("build", *options, context, input=input)
        assert done.returncode == 1
        assert "tops3cret" not in done.stdout + done.stderr
        assert "open Dockerfile: no such file or directory" in done.stderr
    assert builder.pyctr("build", "-f", "Fine", context, input=input).returncode == 0


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.dockerignore"])
def test_a_pipe_in_the_context_is_not_waited_for(builder: Builder, name: str) -> None:  # noqa: F811
    builder.files(Dockerfile="FROM busybox\n")
    (builder.context / name).unlink(missing_ok=True)
    os.mkfifo(builder.context / name)
    for options in ([], ["-f", builder.context / "Dockerfile"] if name != "Dockerfile" else []):
        assert "Traceback" not in builder.pyctr("build", *options, builder.context, timeout=10).stderr


def test_an_error_does_not_name_the_engines_paths(builder: Builder) -> None:  # noqa: F811
    """CVE-2022-4123: errors had paths of the host."""
    for line in (
        "COPY none /",
        "COPY --from=busybox /none /",
        "RUN --mount=source=none,target=/m true",
        "RUN false",
    ):
        assert str(builder.pyctr.root) not in builder.error(f"FROM busybox\n{line}\n")
