"""The report as a table and as JSON, with the project's aims: met or missed."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.timing import Sample

OURS = "pyctr_lite"


@dataclass(frozen=True)
class Result:
    """The samples of one scenario, or the reason why there are none."""

    name: str
    title: str
    unit: str
    samples: list[Sample]
    failure: str = ""

    def median(self, contestant: str) -> float | None:
        return next((sample.median for sample in self.samples if sample.contestant == contestant), None)


AIMS = [
    # scenario, contestant, maximum ratio, other contestant
    *((scenario, OURS, 0.85, "runc") for scenario in ("run", "run loaded")),
    ("run", OURS, 0.15, "podman"),
    *((scenario, OURS, 0.9, "runc") for scenario in ("exec", "exec loaded")),
    ("run", "Python API", 3.0, "unshare+chroot"),
    *((verb, OURS, 0.16, "podman") for verb in ("create", "start", "stop", "rm", "inspect", "logs", "ps none")),
    *((scenario, OURS, 1.0, "runc") for scenario in ("CPU", "row", "parallel")),
    ("bridge", OURS, 0.15, "podman"),
    ("memory", OURS, 0.5, "docker"),
    ("import", OURS, 1.0, "podman"),
    ("commit", OURS, 1.0, "podman"),
    ("build", OURS, 0.15, "podman"),
    ("build cached", OURS, 1.0, "podman"),
    ("build, context of 100,000 files", OURS, 1.0, "podman"),
    ("build, context cached", OURS, 1.0, "podman"),
    ("pull", OURS, 0.5, "podman"),
]
"""The project's aims: `run --rm` ahead of a bare `runc run`, quick verbs 6 times as fast as podman's."""


def aims(results: list[Result]) -> list[str]:
    """Return one line per aim: met or missed, and by how much."""
    by_name = {result.name: result for result in results}
    lines = []
    for scenario, contestant, max_ratio, other in AIMS:
        if scenario not in by_name:
            continue
        mine, theirs = by_name[scenario].median(contestant), by_name[scenario].median(other)
        aim = f"{scenario}: {contestant} ≤ {max_ratio:g} × {other}"
        if mine is None or theirs is None:
            lines.append(f"  ?       {aim}: not measured")
        else:
            verdict = "met   " if mine <= max_ratio * theirs else "MISSED"
            unit = by_name[scenario].unit
            lines.append(f"  {verdict}  {aim}: {mine:.1f} to {theirs:.1f} {unit}, {mine / theirs:.2f} ×")
    return lines


def text(results: list[Result], versions: dict[str, str], absent: dict[str, str]) -> str:
    """Return the report as a table."""
    lines = ["contestants", *(f"  {name:<15} {version}" for name, version in versions.items())]
    lines += [f"  {name:<15} not measured: {why}" for name, why in absent.items()]
    lines += [f"  {'machine':<15} {_machine()}"]
    for result in results:
        lines += ["", f"{result.name}: {result.title} ({result.unit}: median, ratio, minimum [quartiles] maximum)"]
        if result.failure:
            lines.append(f"  not measured: {result.failure}")
        ours = result.median(OURS)
        for sample in sorted(result.samples, key=lambda it: (it.median is None, it.median or 0)):
            if sample.median is None:
                lines.append(f"  {sample.contestant:<15} failed: {sample.failure}")
                continue
            first, third = sample.quartiles
            spread = f"{min(sample.values):9.1f} [{first:.1f} … {third:.1f}] {max(sample.values):<9.1f}"
            spread += f" n={len(sample.values)}"
            ratio = f"{sample.median / ours:7.2f} × ours" if ours else " " * 14
            lines.append(
                f"  {sample.contestant:<15} {sample.median:9.1f} {ratio}  {spread} {sample.note}".rstrip()
            )
    lines += ["", "aims", *aims(results)]
    return "\n".join(lines) + "\n"


SHOWN = ("crun", "runc", "podman", "docker")
"""The contestants in the table for the README."""


def markdown(results: list[Result]) -> str:
    """Return a table of ratios for the README: each contestant's result divided by ours."""
    lines = [f"| × {OURS} | {' | '.join(SHOWN)} |", f"|---|{'---|' * len(SHOWN)}"]
    for result in results:
        ratios = [_ratio(result.median(name), result.median(OURS)) for name in SHOWN]
        if any(ratio is not None for ratio in ratios):
            cells = ["-" if ratio is None else f"{ratio:.2f}" if ratio < 2 else f"{ratio:.1f}" for ratio in ratios]
            lines.append(f"| {result.title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def as_json(results: list[Result], versions: dict[str, str], absent: dict[str, str]) -> str:
    """Return the report as JSON."""
    return json.dumps(
        {
            "machine": _machine(),
            "versions": versions,
            "absent": absent,
            "scenarios": {
                result.name: {
                    "title": result.title,
                    "unit": result.unit,
                    "failure": result.failure,
                    "contestants": {
                        sample.contestant: {
                            "median": sample.median,
                            "ratio": _ratio(sample.median, result.median(OURS)),
                            "values": [round(value, 3) for value in sample.values],
                            "failure": sample.failure,
                            "note": sample.note,
                        }
                        for sample in result.samples
                    },
                }
                for result in results
            },
            "aims": aims(results),
        },
        indent=2,
        ensure_ascii=False,
    )


def _ratio(value: float | None, ours: float | None) -> float | None:
    return round(value / ours, 3) if value is not None and ours else None


def _machine() -> str:
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}"
