"""A checkout as a person has it on a laptop, and the machine that its Vagrantfile brings up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.person import at_terminal
from tests.ports import free_port

if TYPE_CHECKING:
    import contextlib

    from tests.person import Person

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SSH_TRIES = 3
"""A forwarded port resets once now and then, right after a provisioner."""


class Machine:
    """The virtual machine of a copy of this checkout, in `directory`: what tests do there, nobody loses."""

    def __init__(self, directory: Path, kvm: bool) -> None:
        self.checkout = directory / "checkout"
        self.log = directory / "log.txt"
        self.published = free_port()
        """The port of the VM that the laptop reaches under the same number."""
        box = REPOSITORY / "build/box"
        self.environment = {
            **os.environ,
            "VAGRANT_HOME": str(directory / "vagrant"),  # a person's own boxes are left alone
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_DEFAULT_PROVIDER": "libvirt",
            "VAGRANT_NO_COLOR": "1",
            "PYCTR_VM_BOX": "pyctr_lite",
            "PYCTR_VM_BOX_URL": f"file://{box}/box.json",
            "PYCTR_VM_DRIVER": "kvm" if kvm else "qemu",
            "PYCTR_VM_PORTS": str(self.published),
            "LC_ALL": "C.UTF-8",
        }
        for name in ("VM", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"):  # of the make that runs the tests
            self.environment.pop(name, None)
        copy_checkout(self.checkout)

    def vagrant(self, *words: str, seconds: float = 1500) -> str:
        """Run `vagrant WORD…` in the checkout: what it printed. Fails as `make` does."""
        return self.run("vagrant", *words, seconds=seconds)

    def make(self, *words: str, seconds: float = 1500, status: int | None = 0) -> str:
        """Type `make WORD…` on the laptop. Fails with AssertionError for another exit status than `status`."""
        return self.run("make", *words, seconds=seconds, status=status)

    def inside(self, command: str, seconds: float = 1500, status: int | None = 0) -> str:
        """Run a shell command in the machine, as root."""
        config = self.checkout / ".vagrant/pyctr/ssh-config"
        quoted = command.replace("'", "'\\''")
        words = ("ssh", "-F", str(config), "vm", f"sudo sh -c '{quoted}'")
        for _ in range(SSH_TRIES - 1):
            text, ended = self._run(words, seconds)
            if ended != 255 or len(text) > 200:  # 255 is also the status where a signal ended the program there
                return self._checked(words, text, ended, status)
            time.sleep(5)
        return self.run(*words, seconds=seconds, status=status)

    def run(self, *words: str, seconds: float, status: int | None = 0) -> str:
        text, ended = self._run(words, seconds)
        return self._checked(words, text, ended, status)

    def at_terminal(self, *words: str) -> contextlib.AbstractContextManager[Person]:
        """Start a program at a terminal on the laptop, for a person to see and press keys."""
        environment = {**self.environment, "TERM": "xterm-256color"}
        return at_terminal(list(words), cwd=self.checkout, env=environment)

    def _run(self, words: tuple[str, ...], seconds: float) -> tuple[str, int]:
        process = subprocess.Popen(
            words,
            cwd=self.checkout,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            text, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text, _ = process.communicate()
            text += f"\n(ended after {seconds:.0f} s)"
        self._note(words, text, process.returncode)
        return text, process.returncode

    def _checked(self, words: tuple[str, ...], text: str, ended: int, status: int | None) -> str:
        tail = "\n".join(text.splitlines()[-60:])
        assert status is None or ended == status, f"{' '.join(words)}: exit status {ended}, not {status}\n{tail}"
        return text

    def _note(self, words: tuple[str, ...], text: str, ended: int) -> None:
        with open(self.log, "a") as log:
            log.write(f"\n=== {time.strftime('%H:%M:%S')} {' '.join(words)} -> {ended}\n{text}")


def copy_checkout(target: Path) -> None:
    """Copy what git tracks, or would, to a directory of its own, with the history: a clone as it is now."""
    if target.exists():
        shutil.rmtree(target)
    subprocess.run(["git", "clone", "--quiet", "--local", "--no-checkout", REPOSITORY, target], check=True)
    subprocess.run(["git", "-C", target, "reset", "--quiet"], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        check=True,
    )
    for name in set(os.fsdecode(listed.stdout).split("\0")) - {""}:
        if os.path.lexists(REPOSITORY / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name, follow_symlinks=False)
