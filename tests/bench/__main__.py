"""`make bench`: run all scenarios on one machine; results in build/bench.txt, .json, .md and .svg."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import builds, contestants, networks, plot, registry, report, scenarios, timing
from tests.bench.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.timing import Sample


TITLES = {
    **{name: f"`{name}` of one container" for name in scenarios.VERBS},
    **{f"oci {name}": f"`{name}` of one container by an OCI runtime" for name in scenarios.OCI},
    "CPU": "CPU time of `run --rm IMAGE true`",
    "faults": "Page faults of `run --rm IMAGE true`",
    "syscalls": "System calls of `run --rm IMAGE true`",
}
"""The titles of scenarios that share a function; the others have their function's docstring."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="rounds per contestant (default: 30)")
    parser.add_argument("--only", action="append", metavar="SCENARIO", help="run, exec, CPU, row, memory, …")
    parser.add_argument(
        "--output", type=Path, default=Path("build"), help="directory for the files (default: build)"
    )
    options = parser.parse_args()
    with Workplace() as work:
        present, absent = enter(work)
        try:
            versions = {contestant.name: contestant.version() for contestant in present}
            results = compete(present, work, options.rounds, options.only)
        finally:
            for contestant in present:
                contestant.close()
    options.output.mkdir(parents=True, exist_ok=True)
    table = report.text(results, versions, absent)
    (options.output / "bench.txt").write_text(table)
    (options.output / "bench.json").write_text(report.as_json(results, versions, absent) + "\n")
    (options.output / "bench.md").write_text(report.markdown(results))
    (options.output / "bench.svg").write_text(plot.svg(results))
    print(table, end="")
    return 0


def enter(work: Workplace) -> tuple[list[contestants.Contestant], dict[str, str]]:
    """Prepare the contestants. Returns those present on this machine, and the reason for each absent one."""
    candidates: dict[str, Callable[[], contestants.Contestant]] = {
        "python -IS": partial(contestants.Python, work),
        "unshare+chroot": partial(contestants.Floor, work),
        "pyctr_lite": partial(contestants.Ours, work),
        "pyctr-oci": lambda: contestants.Runtime(work, "pyctr-oci", contestants.launcher(work, "pyctr-oci")),
        "crun": lambda: contestants.Runtime(work, "crun", contestants.find("crun")),
        "runc": lambda: contestants.Runtime(work, "runc", contestants.find("runc")),
        "podman": partial(contestants.Podman, work),
        "podman over pyctr-oci": lambda: contestants.Podman(work, contestants.launcher(work, "pyctr-oci")),
        "docker": partial(contestants.Docker, work),
    }
    present, absent = [], {}
    for name, make in candidates.items():
        contestant = None
        try:
            contestant = make()
            contestant.prepare()
        except (RuntimeError, OSError) as error:
            absent[name] = str(error)
            if contestant is not None:
                contestant.close()
        else:
            present.append(contestant)
    return present, absent


def compete(
    present: list[contestants.Contestant], work: Workplace, rounds: int, only: list[str] | None
) -> list[report.Result]:
    """Run the scenarios in order. A result that cannot be measured has the reason."""
    plan: dict[str, tuple[str, Callable[[], list[Sample]]]] = {
        "ps none": ("ms", partial(scenarios.list_none, present, rounds)),
        "run": ("ms", partial(scenarios.run, present, rounds)),
        "run loaded": ("ms", partial(scenarios.run_loaded, present, rounds)),
        "exec": ("ms", partial(scenarios.exec_in, present, rounds)),
        "exec loaded": ("ms", partial(scenarios.exec_loaded, present, rounds)),
        **{name: ("ms", partial(scenarios.verb, present, rounds, name)) for name in scenarios.VERBS},
        **{f"oci {name}": ("ms", partial(scenarios.oci, present, rounds, name)) for name in scenarios.OCI},
        "CPU": ("ms", partial(scenarios.cost, present, rounds, timing.cpu)),
        "faults": ("page faults", partial(scenarios.cost, present, rounds, timing.faults)),
        "syscalls": ("system calls", partial(scenarios.cost, present, 2, timing.system_calls)),
        "row": ("ms", partial(scenarios.starts_in_a_row, present, rounds)),
        "parallel": ("ms", partial(scenarios.starts_at_a_time, present, rounds)),
        "memory": ("kB", partial(scenarios.idle_memory, present)),
        "bridge": ("ms", partial(networks.start, present, rounds, work)),
        "network": ("MB/s", partial(networks.between, present, work)),
        "port": ("MB/s", partial(networks.through_port, present, work)),
        "import": ("ms", partial(scenarios.import_tree, present, rounds, work)),
        "commit": ("ms", partial(scenarios.commit_tree, present, rounds, work)),
        "build": ("ms", partial(builds.cold, present, rounds, work)),
        "build cached": ("ms", partial(builds.cached, present, rounds, work)),
        "build, context of 100,000 files": ("ms", partial(builds.context_cold, present, rounds, work)),
        "build, context cached": ("ms", partial(builds.context_cached, present, rounds, work)),
        "pull": ("ms", partial(registry.pull, present, rounds, work)),
        "pull again": ("ms", partial(registry.pull_again, present, rounds, work)),
        "push": ("ms", partial(registry.push, present, rounds, work)),
        "save": ("ms", partial(registry.save, present, rounds, work)),
        "load": ("ms", partial(registry.load, present, rounds, work)),
        "ps": ("ms", partial(scenarios.list_many, present, rounds)),
    }
    results = []
    for name, (unit, scenario) in plan.items():
        if only and name not in only:
            continue
        documented = (scenario.func.__doc__ or "").splitlines()[0].rstrip(".")  # type: ignore[attr-defined]
        title = TITLES.get(name, documented)
        began = time.monotonic()
        print(f"[bench] {name}: {title} …", end="", file=sys.stderr, flush=True)
        try:
            results.append(report.Result(name, title, unit, scenario()))
        except (RuntimeError, OSError, ImportError) as error:
            results.append(report.Result(name, title, unit, [], str(error)))
        print(f" {time.monotonic() - began:.0f} s", file=sys.stderr)
    return results


if __name__ == "__main__":
    sys.exit(main())
