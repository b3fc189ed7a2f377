"""The log of internal errors of monitors and proxies, which have no terminal: `doctor` shows it."""

from __future__ import annotations

from pyctr_lite.engine.state import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container


def log(container: Container, who: str, text: str) -> None:
    """Append the text of an error; `who` names the process."""
    with open(f"{container.paths.run}/faults.log", "a") as file:
        file.write(f"{record.now()} {who} of {container.id}\n{text}\n")
