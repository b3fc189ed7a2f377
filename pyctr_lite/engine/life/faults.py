"""The log of internal errors of monitors and proxies, which have no terminal: `doctor` shows it."""

from __future__ import annotations

import os

from pyctr_lite.engine.state import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.state.paths import Paths


def log(container: Container, who: str, text: str) -> None:
    """Append the text of an error of a container's process; `who` names it."""
    append(container.paths, f"{who} of {container.id}", text)


def append(paths: Paths, who: str, text: str) -> None:
    """Append the text of an error; `who` names the process."""
    fd = os.open(f"{paths.run}/faults.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(fd, "a") as file:
        file.write(f"{record.now()} {who}\n{text}\n")
