"""The scenarios. Each returns a sample for every contestant that supports it."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from pyctr_lite.engine.api import client
from tests.bench import timing
from tests.bench.contestants import IMAGE, Contestant, Engine, Ours, Runtime, output
from tests.bench.timing import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.bench.workplace import Workplace

API = "Python API"
BIG = "bench-tree:latest"
STARTS, WIDTH, STOPPED = 50, 8, 1000


def run(contestants: Sequence[Contestant], rounds: int) -> list[Sample]:
    """`run --rm IMAGE true` from start to end, also by the Python API with its helper already running."""
    measures = {it.name: partial(_time, it, it.run_true) for it in contestants}
    with ExitStack() as stack:
        for it in contestants:
            if isinstance(it, Ours):
                api = stack.enter_context(client.Client(it.root))
                measures[API] = partial(_time_api, api)
        return timing.interleave(measures, rounds)


def _time(contestant: Contestant, command: Callable[[], list[str]]) -> float:
    """Measure one command in its mount namespace, in milliseconds. Entering the namespace is not counted."""
    with timing.mount_namespace(contestant.mount_namespace):
        return timing.one(command())


def _time_api(api: client.Client) -> float:
    began = time.perf_counter()
    result = api.run(IMAGE, ["true"], remove=True)
    milliseconds = (time.perf_counter() - began) * 1000
    if result.exit_code:
        raise timing.Failed(f"{API}: {result!r}")
    return milliseconds


def run_loaded(contestants: Sequence[Contestant], rounds: int) -> list[Sample]:
    """`run --rm IMAGE true` with a busy process on every CPU."""
    with timing.load(os.cpu_count() or 1):
        return run(contestants, max(1, rounds // 2))


def cost(contestants: Sequence[Contestant], rounds: int, measure: Callable[[list[str]], float]) -> list[Sample]:
    """Measure a cost of `run --rm IMAGE true`: CPU time, page faults or system calls, of all descendants."""

    def measured(it: Contestant) -> float:
        with timing.mount_namespace(it.mount_namespace):
            return measure(it.run_true())

    local = [it for it in contestants if not (isinstance(it, Engine) and it.daemons())]
    absent = [
        Sample(it.name, failure="its daemon, which is not a descendant, does the work")
        for it in contestants
        if it not in local
    ]
    return absent + timing.interleave({it.name: partial(measured, it) for it in local}, max(1, rounds // 2))


VERBS = {
    "create": (),
    "start": ("create",),
    "stop": ("create", "start"),
    "rm": ("create",),
    "inspect": ("create",),
    "logs": ("create",),
}
"""Verbs of an engine, and those that come before them in the life of the container."""


def verb(contestants: Sequence[Contestant], rounds: int, name: str) -> list[Sample]:
    """Measure one verb on a container that other verbs, not measured, have created and started."""

    def measured(it: Engine) -> float:
        container = output(it.create("sleep", "100000")) if "create" in VERBS[name] else ""
        if "start" in VERBS[name]:
            output(it.command("start", container))
        try:
            if not container:
                return timing.one(it.create())
            return timing.one(it.command(name, *(["-t", "0"] if name == "stop" else []), container))
        finally:
            if container and name != "rm":
                output(it.remove(container))

    engines = [it for it in contestants if isinstance(it, Engine)]
    return timing.interleave({it.name: partial(measured, it) for it in engines}, max(1, rounds // 3))


OCI = {
    "create": (),
    "state": ("create",),
    "start": ("create",),
    "kill": ("create", "start"),
    "delete": ("create",),
}
"""Verbs of an OCI runtime, and those that come before them: an engine calls each as a process of its own."""


def oci(contestants: Sequence[Contestant], rounds: int, name: str) -> list[Sample]:
    """Measure one verb of an OCI runtime on a container that other verbs, not measured, have prepared."""

    def measured(it: Runtime) -> float:
        words = {"kill": ("idle", "KILL"), "delete": ("--force", "idle")}.get(name, ("idle",))
        with timing.mount_namespace(it.mount_namespace):
            for earlier in OCI[name]:
                timing.one(it.create() if earlier == "create" else it.command(earlier, "idle"))
            milliseconds = timing.one(it.create() if name == "create" else it.command(name, *words))
            if name != "delete":
                timing.one(it.remove("idle"))
        return milliseconds

    runtimes = [it for it in contestants if isinstance(it, Runtime)]
    return timing.interleave({it.name: partial(measured, it) for it in runtimes}, rounds)


def exec_loaded(contestants: Sequence[Contestant], rounds: int) -> list[Sample]:
    """`exec CONTAINER true` with a busy process on every CPU."""
    with timing.load(os.cpu_count() or 1):
        return exec_in(contestants, max(1, rounds // 2))


def list_none(contestants: Sequence[Contestant], rounds: int) -> list[Sample]:
    """`ps --all` without a container."""
    engines = [it for it in contestants if isinstance(it, Engine)]
    return timing.interleave({it.name: partial(_time, it, it.list_all) for it in engines}, rounds)


def exec_in(contestants: Sequence[Contestant], rounds: int) -> list[Sample]:
    """`exec CONTAINER true` from start to end, in a running container."""
    measures, failed = {}, []
    with ExitStack() as stack:
        for it in contestants:
            if isinstance(it, Runtime | Engine):
                try:
                    container = stack.enter_context(_idle_container(it))
                except RuntimeError as error:
                    failed.append(Sample(it.name, failure=str(error)))
                else:
                    measures[it.name] = partial(_time, it, partial(it.exec_true, container))
        return failed + timing.interleave(measures, rounds)


@contextmanager
def _idle_container(it: Runtime | Engine) -> Iterator[str]:
    container = it.start_idle()
    try:
        yield container
    finally:
        _time(it, partial(it.remove, container))


def starts_in_a_row(contestants: Sequence[Contestant], rounds: int) -> list[Sample]:
    """50 × `run --rm IMAGE true`, one after the other; the total."""
    return _starts(contestants, rounds, timing.in_a_row)


def starts_at_a_time(contestants: Sequence[Contestant], rounds: int) -> list[Sample]:
    """50 × `run --rm IMAGE true`, 8 at a time; the total."""
    return _starts(contestants, rounds, partial(timing.at_a_time, width=WIDTH))


def _starts(
    contestants: Sequence[Contestant], rounds: int, measure: Callable[[list[list[str]]], float]
) -> list[Sample]:
    def measured(it: Contestant) -> float:
        with timing.mount_namespace(it.mount_namespace):
            return measure([it.run_true() for _ in range(STARTS)])

    measures = {it.name: partial(measured, it) for it in contestants}
    return timing.interleave(measures, max(1, rounds // 15), warm=False)


def idle_memory(contestants: Sequence[Contestant]) -> list[Sample]:
    """PSS of the processes that watch one idle detached container, without the container's own process."""
    samples = [
        Sample(it.name, [0.0], note="no process stays to watch it")
        for it in contestants
        if isinstance(it, Runtime)
    ]
    for it in contestants:
        if isinstance(it, Engine):
            sample = Sample(it.name)
            try:
                with _idle_container(it) as container:
                    sample.values = [float(sum(map(timing.pss, it.monitors(container))))]
                if daemons := it.daemons():
                    sample.note = f"and {sum(map(timing.pss, daemons))} kB of daemons, shared by all containers"
            except (RuntimeError, OSError) as error:
                sample.failure = str(error)
            samples.append(sample)
    return samples


def list_many(contestants: Sequence[Contestant], rounds: int) -> list[Sample]:
    """`ps --all` with 1,000 stopped containers."""
    measures, failed = {}, []
    for it in contestants:
        if isinstance(it, Engine):
            try:
                timing.at_a_time([it.create() for _ in range(STOPPED)], 4)
                if (shown := len(output(it.list_all()).splitlines()) - 1) < STOPPED:
                    raise RuntimeError(f"it shows {shown} containers of {STOPPED}")
            except (RuntimeError, OSError) as error:
                failed.append(Sample(it.name, failure=str(error)))
            else:
                measures[it.name] = partial(_time, it, it.list_all)
    return failed + timing.interleave(measures, max(1, rounds // 3))


def import_tree(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`import` of a tar of 20,000 files, 300 MB."""
    work.make_tree()
    return _images(contestants, rounds, lambda it: it.import_tree(work.tree_tar, BIG))


def commit_tree(contestants: Sequence[Contestant], rounds: int, work: Workplace) -> list[Sample]:
    """`commit` of a container with the same 20,000 files in its changes."""
    work.make_tree()
    filled, failed = {}, []
    for it in contestants:
        if isinstance(it, Engine):
            try:
                filled[it.name] = it.fill_container()
            except RuntimeError as error:
                failed.append(Sample(it.name, failure=str(error)))
    able = [it for it in contestants if it.name in filled]
    return failed + _images(able, rounds, lambda it: it.commit(filled[it.name], BIG))


def _images(contestants: Sequence[Contestant], rounds: int, make: Callable[[Engine], list[str]]) -> list[Sample]:
    """Measure a command that creates a big image. Removing the image is not counted."""

    def measured(it: Engine) -> float:
        milliseconds = timing.one(make(it))
        timing.one(it.remove_image(BIG))
        return milliseconds

    measures = {it.name: partial(measured, it) for it in contestants if isinstance(it, Engine)}
    return timing.interleave(measures, max(1, rounds // 15), warm=False)
