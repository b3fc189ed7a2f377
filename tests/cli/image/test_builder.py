"""The cache of builds: its disk usage, `builder prune`, and that nothing else removes what it needs."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.cli.image.conftest import Builder

TEXT = "FROM busybox AS one\nRUN echo 1 > /one\nFROM busybox\nCOPY --from=one /one /two\nRUN true\n"


def cached(builder: Builder) -> int:
    """Return how many steps of the Dockerfile are cached."""
    return builder(TEXT).stderr.count("CACHED")


def usage(builder: Builder) -> list[str]:
    """Return the row of the build cache in `system df`: total, active, whether there is something to reclaim."""
    form = "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}"
    lines = builder.pyctr("system", "df", "--format", form, check=True).stdout.splitlines()
    return next(line.split("|")[1:] for line in lines if line.startswith("Build Cache"))


def layers(root: Path) -> set[str]:
    return {name for name in os.listdir(root / "layers") if not name.endswith(".removing")}


def test_the_cache_outlives_the_image_and_prune_removes_it(builder: Builder) -> None:
    before, blobs = layers(builder.pyctr.root), os.listdir(builder.pyctr.root / "images/blobs/sha256")
    builder(TEXT)
    assert usage(builder)[:2] == ["3", "0"]
    builder.pyctr("rmi", "it", check=True)
    builder.pyctr("image", "prune", "-f", check=True)
    assert usage(builder)[:2] == ["3", "0"]
    assert cached(builder) == 3
    builder.pyctr("rmi", "it", check=True)
    done = builder.pyctr("builder", "prune", "-f", check=True)
    assert done.stdout.startswith("Deleted build cache objects:\n")
    assert len(done.stdout.splitlines()) == 6
    assert usage(builder) == ["0", "0", "0B"]
    assert layers(builder.pyctr.root) == before
    assert sorted(os.listdir(builder.pyctr.root / "images/blobs/sha256")) == sorted(blobs)


def test_prune_keeps_what_images_have_unless_all_goes(builder: Builder) -> None:
    builder(TEXT)
    builder.pyctr("builder", "prune", "-f", check=True)
    assert usage(builder)[0] == "2"
    builder.pyctr("builder", "prune", "-af", check=True)
    assert usage(builder) == ["0", "0", "0B"]
    assert builder.pyctr("run", "--rm", "it", "true").returncode == 0


def test_prune_removes_cache_mounts(builder: Builder) -> None:
    """As Docker does, also without --all: no image needs them."""
    text = "FROM busybox\nRUN --mount=type=cache,target=/c,id=mine head -c 100000 /dev/zero > /c/f\n"
    builder(text)
    assert usage(builder) == ["2", "0", "100kB"]
    (mount,) = builder.pyctr.root.glob("build/mounts/*")
    done = builder.pyctr("builder", "prune", "-f", check=True)
    assert done.stdout.endswith("\nTotal reclaimed space: 100kB\n")
    assert mount.name in done.stdout
    assert list(builder.pyctr.root.glob("build/mounts/*")) == []
    builder(text, "--no-cache")
    builder.pyctr("builder", "prune", "-f", "--keep-storage", "1m", check=True)
    builder.pyctr("builder", "prune", "-f", "--filter", "until=1h", check=True)
    assert list(builder.pyctr.root.glob("build/mounts/*"))
    builder.pyctr("builder", "prune", "-f", "--keep-storage", "1k", check=True)
    assert list(builder.pyctr.root.glob("build/mounts/*")) == []


def test_du_shows_what_the_cache_has(builder: Builder) -> None:
    builder(TEXT + "RUN --mount=type=cache,target=/c head -c 100000 /dev/zero | tee /c/f > /g\n")
    lines = builder.pyctr("builder", "du", check=True).stdout.splitlines()
    assert lines[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert len(lines) == 1 + 5 + 2
    form = "{{.Type}}|{{.Reclaimable}}|{{.Shared}}|{{.Description}}"
    rows = builder.pyctr("builder", "du", "--format", form, check=True).stdout.splitlines()
    assert sorted(rows) == [
        "exec.cachemount|true|false|cache mount /c",
        "regular|false|true|COPY --from=one /one /two",
        "regular|false|true|RUN --mount=type=cache,target=/c head -c 100000 /dev/zero | tee /c/f > /g",
        "regular|false|true|RUN true",
        "regular|true|false|RUN echo 1 > /one",
    ]
    df = builder.pyctr("system", "df", "--format", "{{.Type}} {{.Reclaimable}}", check=True).stdout.splitlines()
    reclaimable = lines[-2].split()[1]
    assert df[-1] == f"Build Cache {reclaimable} (100%)"
    assert reclaimable == builder.pyctr("builder", "prune", "-f", check=True).stdout.split()[-1]


def test_prune_can_keep_what_was_used_last(builder: Builder) -> None:
    builder(TEXT)
    builder.pyctr("rmi", "it", check=True)
    assert builder.pyctr("builder", "prune", "-f", "--filter", "until=1h", check=True).stdout == (
        "Total reclaimed space: 0B\n"
    )
    builder.pyctr("builder", "prune", "-f", "--keep-storage", "1g", check=True)
    assert usage(builder)[0] == "3"
    assert builder.pyctr("builder", "prune", "-f", "--filter", "x=1").returncode == 1


def test_prune_asks_first(builder: Builder) -> None:
    builder(TEXT)
    done = builder.pyctr("builder", "prune", "-a", input="n\n")
    assert "WARNING! This will remove all build cache." in done.stdout
    assert usage(builder)[0] == "3"
    assert "dangling build cache" in builder.pyctr("system", "prune", input="n\n").stdout
    builder.pyctr("system", "prune", "-af", check=True)
    assert usage(builder)[0] == "0"


def test_a_damaged_record_is_not_used(builder: Builder) -> None:
    builder(TEXT)
    for path in builder.pyctr.root.glob("build/cache/*.json"):
        path.write_text('{"layers": [{"digest": "../../../etc/passwd"}]}')
    assert cached(builder) == 0
    for path in builder.pyctr.root.glob("build/cache/*.json"):
        path.write_text("{")
    assert cached(builder) == 0
    builder.pyctr("builder", "prune", "-af", check=True)


def test_a_step_whose_layer_is_lost_is_made_again(builder: Builder) -> None:
    builder("FROM busybox\nRUN echo 1 > /one\n")
    builder.pyctr("rmi", "it", check=True)
    blobs = builder.pyctr.root / "images/blobs/sha256"
    for path in blobs.iterdir():
        if path.stat().st_size == 2048:
            path.unlink()
    assert "CACHED" not in builder("FROM busybox\nRUN echo 1 > /one\n").stderr


@pytest.mark.parametrize("verb", [("builder", "prune", "-af"), ("system", "prune", "-af"), ("rmi", "-f", "base")])
def test_a_running_build_keeps_what_it_uses(builder: Builder, verb: tuple[str, ...]) -> None:
    builder("FROM busybox\nRUN echo base > /base\n")
    builder.pyctr("tag", "it", "base", check=True)
    builder.pyctr("rmi", "it", check=True)
    os.mkfifo(builder.context / "gate")
    text = (
        "FROM base\nRUN echo 1 > /one\nRUN --mount=target=/c echo ready; cat /c/gate\nRUN cat /base /one > /both\n"
    )
    (builder.context / "Dockerfile").write_text(text)
    process = subprocess.Popen(
        builder.pyctr.command("build", "-t", "it", builder.context), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert any(line.endswith(" ready\n") for line in process.stderr)
    assert usage(builder)[1] != "0"
    assert "true" not in builder.pyctr("builder", "du", "--format", "{{.Reclaimable}}", check=True).stdout
    builder.pyctr(*verb, check=True)
    reader = threading.Thread(target=process.stderr.read)
    reader.start()
    (builder.context / "gate").write_text("go")
    reader.join()
    assert process.wait() == 0
    assert builder.sh("cat /both") == "base\n1\n"


def test_two_builds_at_once_do_not_disturb_each_other(builder: Builder) -> None:
    (builder.context / "Dockerfile").write_text("FROM busybox\nRUN echo $$ > /x\nRUN ls > /y\nCOPY . /z\n")
    processes = [
        subprocess.Popen(
            builder.pyctr.command("build", "--no-cache", "-t", f"it{number}", builder.context),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in processes:
        output = process.communicate()[1]
        assert process.returncode == 0, output
    assert builder.pyctr("image", "verify").returncode == 0
