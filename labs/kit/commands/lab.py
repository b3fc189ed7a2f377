"""`make labN`: the lab's checks and those of the labs before, the chapter's notebook, and one next step."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from labs.kit import screen
from labs.kit.checks import notebooks, session
from labs.kit.commands import faults
from labs.kit.exercises import manifest


def run(number: int, labs: Path) -> int:
    """Check a lab: 0 unless something that was written fails."""
    lab = manifest.find_lab(number)
    wanted = [exercise for each in manifest.load() if each.number <= number for exercise in each.exercises]
    console = screen.console()
    with screen.doing(console, f"checking lab {number}"):
        report = session.check(wanted, labs)
    if screen.VERBOSE:
        console.print(report.output, markup=False)
    for each in manifest.load():
        if each.number < number:
            _line_of_earlier(console, each, report)
    own = _part(report, lab)
    console.print(screen.table(f"Lab {lab.number}  {lab.title}", own, labs))
    console.print()
    result = screen.first_open(own) or screen.first_open(_tried(report))
    if result is not None:
        if result.exercise.lab != lab.name:
            console.print(f"Lab {number} has all its points. Its notebook runs with all that is yours, and there:")
        console.print(screen.explain(result))
    sound = _notebook(console, lab, labs) if result is None else result.state == "to do"
    console.print(screen.yours(labs), faults.count(labs))
    if sound and result is None:
        console.print(f"[bold green]Lab {number} is complete.[/] {_next(number)}")
    return 0 if sound else 1


def check(ids: list[str], labs: Path) -> int:
    """Check some exercises, as `check("3.2")` of a notebook does: 0 unless one that was written fails."""
    report = session.check([manifest.find(id) for id in ids], labs)
    console = screen.console()
    for result in report.results:
        console.print(screen.outcome(result))
    return int(any(result.state not in ("passed", "to do") for result in report.results))


def _part(report: session.Report, lab: manifest.Lab) -> session.Report:
    return session.Report([result for result in report.results if result.exercise.lab == lab.name])


def _tried(report: session.Report) -> session.Report:
    """Without what is to do: any lab may be done first, but one that was done may not break."""
    return session.Report([result for result in report.results if result.state != "to do"])


def _line_of_earlier(console: Console, lab: manifest.Lab, report: session.Report) -> None:
    part = _part(report, lab)
    failed = [result.exercise.id for result in part.results if result.state not in ("passed", "to do")]
    more = f"  [red]not passed: {', '.join(failed)}[/]" if failed else ""
    console.print(f"[dim]Lab {lab.number}  {lab.title}  {part.points}/{part.most}[/]{more}")


def _notebook(console: Console, lab: manifest.Lab, labs: Path) -> bool:
    """Whether the chapter's notebook gives its stored outputs with the learner's functions in the engine."""
    path = manifest.CHECKOUT / "notebooks" / lab.notebook
    with screen.doing(console, f"running {lab.notebook} with your functions in the engine"):
        failure = notebooks.run([path], labs=labs)
    if failure:
        console.print(f"[red]{lab.notebook} gives other outputs with your functions in the engine:[/]")
        console.print(failure, markup=False)
        return False
    console.print(f"{lab.notebook}: every output as stored, with your functions in the engine.")
    return True


def _next(number: int) -> str:
    later = [lab.number for lab in manifest.load() if lab.number > number]
    return f"Next: make lab{later[0]}" if later else "Next: notebooks/06_your_own_engine.ipynb, then make capstone"
