"""`make test-vm`: the course's machine, brought up as a person does it, and what only such a machine can show.

python -m tests.vm [--full] [--keep]     results: build/vm/log.txt, and a table at the end
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import time
import traceback
from functools import partial
from typing import TYPE_CHECKING

from tests.vm import libvirt, steps
from tests.vm.machine import REPOSITORY, Machine

if TYPE_CHECKING:
    from collections.abc import Callable

BUILD = REPOSITORY / "build/vm"
BOX = REPOSITORY / "build/box"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-vm")
    parser.add_argument(
        "--full", action="store_true", help="every notebook and the whole test suite, in the machine"
    )
    parser.add_argument("--keep", action="store_true", help="leave the machine's folder for a look at it")
    parser.add_argument("--only", metavar="STEP,…", help=f"some of {' '.join(map(name_of, steps.EVERY))}")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all is cleaned up then, too
    table = Table()
    if not table.step("make box", build_box):
        return table.end()
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    kvm = libvirt.kvm_works(next((BOX / "private/root/boot").glob("vmlinuz-*")))
    print(
        f"[test-vm] the processor is {'virtualised (KVM)' if kvm else 'emulated: 10 to 20 times slower'}",
        flush=True,
    )
    try:
        with libvirt.running(BUILD / "libvirt", kvm):
            machine = Machine(BUILD, kvm)
            try:
                chosen = chosen_steps(options.full, options.only)
                run_steps(table, machine, chosen)
                table.left_out = [title(step) for step in steps.FULL if step not in chosen]
            finally:
                leave_nothing(machine)
    finally:
        for name in ("libvirt", "vagrant", *(() if options.keep else ("checkout",))):
            shutil.rmtree(BUILD / name, ignore_errors=True)
    return table.end()


def build_box() -> str:
    subprocess.run([sys.executable, REPOSITORY / "vagrant/box.py"], check=True, stdin=subprocess.DEVNULL)
    return f"{(BOX / 'pyctr_lite.box').stat().st_size >> 20} MB"


def name_of(step: steps.Step) -> str:
    return step.__name__


def title(step: steps.Step) -> str:
    return (step.__doc__ or name_of(step)).splitlines()[0].rstrip(".")


def chosen_steps(full: bool, only: str | None) -> list[steps.Step]:
    """In their order; those that are named alone, and the first, without which there is no machine."""
    names = (only or "").split(",")
    if unknown := set(names) - set(map(name_of, steps.EVERY)) - {""}:
        raise SystemExit(f"no such step: {' '.join(unknown)}")
    named = [step for step in steps.EVERY if name_of(step) in names and step is not steps.up]
    return [steps.up, *named] if only else steps.FULL if full else steps.USUAL


def run_steps(table: Table, machine: Machine, chosen: list[steps.Step]) -> None:
    for step in chosen:
        if not table.step(title(step), partial(step, machine)):
            tell_what_the_machine_said(machine)
            if step in steps.NEEDED:
                return


def tell_what_the_machine_said(machine: Machine) -> None:
    console = machine.checkout / ".vagrant/pyctr/console.log"
    if console.exists():
        lines = console.read_text(errors="replace").splitlines()[-15:]
        print("  the machine's console:\n    " + "\n    ".join(lines), flush=True)


def leave_nothing(machine: Machine) -> None:
    """Whatever failed: the machine, its disk and its port are gone, and so is the box in libvirt's storage."""
    subprocess.run(
        ["vagrant", "destroy", "-f"],
        cwd=machine.checkout,
        env={**machine.environment, "PYCTR_VM_DISCARD": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=120,
    )


class Table:
    """What ran, how it ended, how long it took."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, float, str]] = []
        self.left_out: list[str] = []

    def step(self, name: str, function: Callable[[], str | None]) -> bool:
        print(f"[test-vm] {name} …", flush=True)
        began, note, result = time.monotonic(), "", "passed"
        try:
            note = function() or ""
        except Exception as error:
            result, note = "FAILED", str(error).splitlines()[0][:100] if str(error) else type(error).__name__
            shown = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
            print("  " + "\n  ".join(shown.splitlines()[-80:]), flush=True)
        seconds = time.monotonic() - began
        self.rows.append((name, result, seconds, note))
        print(f"[test-vm] {name}: {result}, {seconds:.0f} s {note}", flush=True)
        return result == "passed"

    def end(self) -> int:
        width = max(len(name) for name, *_ in self.rows)
        print()
        for name, result, seconds, note in self.rows:
            print(f"{name:<{width}}  {result:<6}  {seconds:5.0f} s  {note}".rstrip())
        failed = sum(result != "passed" for _, result, *_ in self.rows)
        for name in self.left_out:
            print(f"{name:<{width}}  only with FULL=1")
        total = sum(seconds for _, _, seconds, _ in self.rows)
        print(f"\n{len(self.rows) - failed} passed, {failed} failed ({total / 60:.1f} minutes)")
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
