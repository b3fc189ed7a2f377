"""What the notebooks' cells call: commands and fresh interpreters whose output is the cell's own.

A kernel has several threads: nothing here forks it or changes its namespaces, and what other processes write is
captured and printed, so that JupyterLab and nbval see the same.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from typing import Any

from labs.kit.exercises import escapes, manifest, predictions

ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "COLUMNS": "88",
    "PATH": f"{os.path.dirname(sys.executable)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM": "dumb",
    "NO_COLOR": "1",
}
SECONDS = 60 * float(os.environ.get("PYCTR_SLOW", "1"))


def sh(script: str) -> None:
    """Run a shell script and print what it writes; an exit status that is not 0 is printed too."""
    _show(["bash", "-c", script], str(manifest.CHECKOUT))


def pyctr(words: str) -> None:
    """Run the engine and print what it writes, with the learner's functions in it where `make labN` asks so."""
    _show([sys.executable, "-m", "pyctr_lite", *_labs(), *shlex.split(words)], str(manifest.CHECKOUT))


def output(words: str) -> str:
    """As `pyctr`, but give what it writes, as it is, for a cell that looks at it."""
    return _run([sys.executable, "-m", "pyctr_lite", *_labs(), *shlex.split(words)], str(manifest.CHECKOUT))[0]


def isolated(line: str, cell: str) -> None:
    """`%%isolated`: run a cell in a fresh Python process, for what changes a process for good."""
    _show([sys.executable, "-c", cell], str(manifest.CHECKOUT))


def check(*ids: str) -> None:
    """Check exercises of the labs, as `make labN` does: `check("3.2")`."""
    _show([sys.executable, "-m", "labs.kit", "check", *ids], str(manifest.CHECKOUT), status=False)


def yours() -> None:
    """How many of the engine's functions are the learner's."""
    _show([sys.executable, "-m", "labs.kit", "yours"], str(manifest.CHECKOUT))


class _Predictions:
    """`predict` and `predictions` of a notebook: what is shown changes once the next cell has run.

    The text stays in the cell of `predict`, so that no cell whose output is compared depends on an answer.
    """

    def __init__(self) -> None:
        self.given = predictions.Predictions()
        self.shown: Any = None
        self.is_next = False

    def predict(self, answer: str, name: str, **choices: str) -> None:
        """Keep the letter of an answer to the question above, and show it beside the result: `predict("b", …)`."""
        from IPython.display import display

        show: Any = display  # it has no annotations
        text = self.given.give(answer, name, choices)
        self.shown = show({"text/plain": text}, raw=True, display_id=True)
        self.is_next = False

    def predictions(self) -> None:
        """Print how many answers were right."""
        print(self.given.summary())

    def after_a_cell(self, result: Any) -> None:
        """Complete the text of the cell before: IPython calls this after each cell."""
        if not self.is_next:
            self.is_next = True
        elif result.success and (text := self.given.meet()):
            self.shown.update({"text/plain": text}, raw=True)


def _labs() -> list[str]:
    labs = os.environ.get("PYCTR_LITE_LABS")
    return [f"--labs={labs}"] if labs else []


def _show(command: list[str], directory: str, *, status: bool = True) -> None:
    text, code = _run(command, directory)
    text = _tidy(text)
    if text:
        print(text, end="" if text.endswith("\n") else "\n")
    if code and status:
        print(f"exit status {code}")


def _run(command: list[str], directory: str) -> tuple[str, int]:
    """What a command writes, both streams together, and its exit status as a shell has it.

    Whatever it has started ends with it; after its time is up it is killed.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **ENVIRONMENT},
        cwd=directory,
        start_new_session=True,
    )
    try:
        data, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        data = process.communicate()[0] + f"\nstopped: it did not end within {SECONDS:.0f} s\n".encode()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    return data.decode(errors="replace"), code


def _tidy(text: str) -> str:
    """The state directory by its usual name, whatever it is here."""
    root = os.environ.get("PYCTR_LITE_ROOT")
    return text.replace(f"{root}/run", "/run/pyctr_lite").replace(root, "/var/lib/pyctr_lite") if root else text


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext labs.kit.notebook`: the names above, and the cell magic."""
    shell.register_magic_function(isolated, "cell", "isolated")
    shell.push({"sh": sh, "pyctr": pyctr, "output": output, "check": check, "yours": yours, "fix": escapes.fix})
    answers = _Predictions()
    shell.push({"predict": answers.predict, "predictions": answers.predictions})
    shell.events.register("post_run_cell", answers.after_a_cell)
