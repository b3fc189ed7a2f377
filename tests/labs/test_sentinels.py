"""The runtime really calls what a learner writes: each function in turn raises, and the engine says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labs.kit.checks import registry
from labs.kit.exercises import manifest
from labs.kit.exercises.source import state
from pyctr_lite.cgroups import hierarchy
from pyctr_lite.engine.state.paths import Paths
from pyctr_lite.engine.stores.networks import Networks
from tests.conftest import Pyctr
from tests.leaks import cgroup_name
from tests.runtime import bundles

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def raising(labs: Path) -> Callable[[manifest.Exercise], None]:
    """`raising(exercise)` makes its function raise, and nothing else."""

    def put(exercise: manifest.Exercise) -> None:
        path = labs / exercise.place
        path.write_text(
            path.read_text().replace(
                f'raise Todo("{exercise.id}")', f'raise RuntimeError("sentinel {exercise.id}")'
            )
        )
        assert state(labs, exercise) == ("written", "")

    return put


@pytest.mark.parametrize("exercise", manifest.exercises(), ids=lambda exercise: exercise.id)
def test_the_runtime_calls_the_learners_function_and_shows_its_line(
    pyctr: Pyctr,
    labs: Path,
    tmp_path: Path,
    raising: Callable[[manifest.Exercise], None],
    monkeypatch: pytest.MonkeyPatch,
    exercise: manifest.Exercise,
) -> None:
    prepare(pyctr, tmp_path)
    raising(exercise)
    said = everyday(pyctr, labs, tmp_path) + both_versions(labs) + pulled_and_built(pyctr, labs, tmp_path)
    if not any(f"{exercise.place}, line" in text.replace(chr(34), "") for text in said):
        said += in_a_user_namespace(pyctr, labs, tmp_path, monkeypatch)
    told = [text for text in said if f"sentinel {exercise.id}" in text]
    assert told, said
    assert any(f"{exercise.place}, line" in text.replace(chr(34), "") for text in told), told
    pyctr("doctor", "--fix")


def prepare(pyctr: Pyctr, tmp_path: Path) -> None:
    """By the runtime alone: a container with changes, a half started one, an archive with whiteouts."""
    pyctr("run", "--name", "changed", "busybox", "sh", "-c", "rm /bin/vi; echo >/new", check=True)
    pyctr("commit", "changed", "changed:1", check=True)
    pyctr("save", "-o", str(tmp_path / "archive"), "changed:1", check=True)
    pyctr("rmi", "changed:1", check=True)
    half = pyctr("create", "--name", "half", "busybox", "true", check=True).stdout.strip()
    os.makedirs(pyctr.root / "run/containers" / half)
    for mount in hierarchy.detect().mounts:
        os.makedirs(f"{mount.mountpoint}/{cgroup_name(pyctr.root)}/{half}", exist_ok=True)
    pyctr("run", "-d", "--name", "up", "busybox", "sleep", "60", check=True)
    (tmp_path / "host").mkdir()
    Networks(Paths(str(pyctr.root))).make("net")


def everyday(pyctr: Pyctr, labs: Path, tmp_path: Path) -> list[str]:
    """What some commands say on stderr with the labs in them."""
    limits = ("-m", "64m", "--memory-swap", "64m", "--cpus", "0.5", "--pids-limit", "50")
    volumes = ("-v", "filled:/bin", "-v", f"{tmp_path}/host:/host:ro", "-v", f"{tmp_path}/made:/made")
    lines = (
        ("run", "--rm", *limits, *volumes, "-p", "80", "busybox", "true"),
        ("exec", "up", "true"),
        ("rm", "half"),
        ("run", "--rm", "--network", "net", "busybox", "nslookup", "up"),
        ("diff", "changed"),
        ("commit", "changed", "changed:2"),
        ("load", "-i", str(tmp_path / "archive")),
        ("run", "--rm", "changed:1", "true"),
    )
    return [pyctr(f"--labs={labs}", *words).stderr for words in lines]


def pulled_and_built(pyctr: Pyctr, labs: Path, tmp_path: Path) -> list[str]:
    """What a pull and a build say: the registry wants a token."""
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text("FROM busybox\nCOPY Dockerfile /\n")
    with registry.running(tmp_path / "registry") as upstream, registry.with_tokens(upstream) as (host, _):
        upstream.put_image("app", registry.layer())
        lines = (("pull", f"{host}/app:1"), ("build", "--no-cache", str(tmp_path / "context")))
        return [pyctr(f"--labs={labs}", *words).stderr for words in lines]


def in_a_user_namespace(pyctr: Pyctr, labs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the runtime alone says of a bundle whose root is somebody else outside."""
    activate = f"import sys; sys.path.append({str(manifest.CHECKOUT)!r})\nfrom pathlib import Path\n"
    activate += f"from labs.kit.exercises import swap\nswap.activate(Path({str(labs)!r}))\n"
    monkeypatch.setattr(bundles, "RUNNER", activate + bundles.RUNNER)
    box = bundles.Box(tmp_path / "bundle")
    subprocess.run(["chown", "-R", "100000:100000", box.rootfs], check=True)
    box.linux["namespaces"].append({"type": "user"})
    huge = hierarchy.detect().of("hugetlb")
    box.linux["cgroupsPath"] = f"/{cgroup_name(pyctr.root)}/bundle"
    if huge is not None and huge.version == 2:  # where version 2 has nothing else, this enables a controller
        box.linux.setdefault("resources", {})["hugepageLimits"] = [{"pageSize": "2MB", "limit": 0}]
    for kind in ("uidMappings", "gidMappings"):
        box.linux[kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    done = box.run("true")
    return [done.stderr]


def both_versions(labs: Path) -> list[str]:
    """What the limits' texts say, for the version too that this machine has not."""
    limits = "Limits(cpu_quota=50000, memory=1 << 26)"
    script = (
        f"import sys; sys.path.append({str(manifest.CHECKOUT)!r})\nfrom pathlib import Path\n"
        f"from labs.kit.exercises import swap\nswap.activate(Path({str(labs)!r}))\n"
        "from pyctr_lite.cgroups import v1, v2\nfrom pyctr_lite.cgroups.limits import Limits\n"
    )
    calls = [f"{script}{version}.files({limits})" for version in ("v1", "v2")]
    return [subprocess.run([sys.executable, "-c", call], capture_output=True, text=True).stderr for call in calls]
