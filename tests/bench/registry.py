"""The scenarios with a registry: docker-registry on this machine, and an image of 8 layers."""

from __future__ import annotations

import gzip
import itertools
import random
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from pyctr_lite.images import image as images
from tests.bench import timing
from tests.bench.contestants import Engine, find, output
from tests.bench.timing import Sample
from tests.images.archives import config, digest, entry, tar
from tests.registries.servers import DockerRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.bench.contestants import Contestant
    from tests.bench.workplace import Workplace

LAYERS, FILES, MEAN = 8, 300, 250_000
"""8 layers of 300 files, 75 MB each. Half of each file compresses: 300 MB come over the wire."""


def pull(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`pull` of an image of 8 layers, 300 MB compressed, from a registry on this machine."""
    with _registry(work) as name:

        def measured(it: Engine) -> float:
            milliseconds = timing.one(it.pull(name))
            output(it.remove_image(name))
            return milliseconds

        return _compete(contestants, measured, max(1, rounds // 10))


def pull_again(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`pull` of the same image if it is here already."""
    with _registry(work) as name:
        engines = [it for it in contestants if isinstance(it, Engine)]
        for it in engines:
            output(it.pull(name))
        samples = _compete(contestants, lambda it: timing.one(it.pull(name)), max(1, rounds // 3))
        for it in engines:
            output(it.remove_image(name))
        return samples


def push(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`push` of the same image to a repository that the registry does not have."""
    repositories = itertools.count()

    def measured(it: Engine, name: str) -> float:
        target = f"{name.partition('/')[0]}/pushed-{next(repositories)}/layers:latest"
        output(it.command("tag", name, target))
        try:
            return timing.one(it.push(target))
        finally:
            output(it.remove_image(target))

    return _on_pulled(contestants, measured, rounds, work)


def save(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`save` of the same image into an archive."""

    def measured(it: Engine, name: str) -> float:
        path = work.path / "saved.tar"
        path.unlink(missing_ok=True)
        return timing.one(it.command("save", "-o", str(path), name))

    return _on_pulled(contestants, measured, rounds, work)


def load(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`load` of the archive that each has saved."""

    def measured(it: Engine, name: str) -> float:
        path = work.path / f"{it.name}.tar"
        if not path.exists():
            output(it.command("save", "-o", str(path), name))
        output(it.remove_image(name))
        return timing.one(it.command("load", "-i", str(path)))

    return _on_pulled(contestants, measured, rounds, work)


def _on_pulled(
    contestants: Sequence[Contestant], measure: Callable[[Engine, str], float], rounds: int, work: Workplace
) -> list[Sample]:
    """Measure a command on the image, which every engine has pulled before."""
    with _registry(work) as name:
        engines = [it for it in contestants if isinstance(it, Engine)]
        for it in engines:
            output(it.pull(name))
        samples = _compete(contestants, lambda it: measure(it, name), max(1, rounds // 10))
        for it in engines:
            output(it.remove_image(name))
        return samples


def _compete(contestants: Sequence[Contestant], measured: Callable[[Engine], float], rounds: int) -> list[Sample]:
    engines = {it.name: partial(measured, it) for it in contestants if isinstance(it, Engine)}
    return timing.interleave(engines, rounds, warm=False)


@contextmanager
def _registry(work: Workplace) -> Iterator[str]:
    """Run a registry with the image, which is made once. Yield the image's name."""
    directory = work.path / "registry"
    made = directory.exists()
    registry = DockerRegistry(find("docker-registry"), directory)
    try:
        if not made:
            _publish(registry)
        yield f"{registry.host}/bench/layers:latest"
    finally:
        registry.stop()


def _publish(registry: DockerRegistry) -> None:
    """Put the image into the registry, one layer in memory at a time. The same in every run."""
    dice = random.Random(3)
    pool = dice.randbytes(1 << 20) + bytes(1 << 20)
    layers, diff_ids = [], []
    for number in range(LAYERS):
        files = []
        for file in range(FILES):
            size = dice.randrange(2 * MEAN)
            start = dice.randrange(len(pool) - size)
            files.append(entry(f"layer{number}/file{file}", dice.randbytes(8) + pool[start : start + size]))
        content = tar(*files)
        diff_ids.append(digest(content))
        blob = registry.put_blob("bench/layers", gzip.compress(content, 1, mtime=0))
        layers.append({"mediaType": f"{images.LAYER}+gzip", **blob})
    described = {"mediaType": images.CONFIG, **registry.put_blob("bench/layers", config(*diff_ids))}
    manifest = {"schemaVersion": 2, "mediaType": images.MANIFEST, "config": described, "layers": layers}
    registry.put_manifest("bench/layers", "latest", manifest)
