"""Published vulnerabilities of builds: a Dockerfile, its context and its steps reach nothing outside."""

from __future__ import annotations

import os
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


def test_an_error_does_not_name_the_engines_paths(builder: Builder) -> None:  # noqa: F811
    """CVE-2022-4123: errors had paths of the host."""
    for line in (
        "COPY none /",
        "COPY --from=busybox /none /",
        "RUN --mount=source=none,target=/m true",
        "RUN false",
    ):
        assert str(builder.pyctr.root) not in builder.error(f"FROM busybox\n{line}\n")
