"""`make notebooks-refresh`: run notebooks as nbval does and store their outputs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from labs.kit.checks import notebooks


def main(prefix: str = "") -> int:
    """Run the notebooks whose names start with `prefix`, each with its own state directory."""
    for file in sorted(notebooks.NOTEBOOKS.glob(f"{prefix}*.ipynb")):
        with notebooks.state_directory(labs=None) as environment:
            refresh(file, environment)
        print(file.name)
    return 0


def refresh(file: Path, environment: dict[str, str]) -> None:
    """Run one notebook and replace its outputs, without the metadata that changes from run to run."""
    notebook = nbformat.read(file, 4)
    client = NotebookClient(
        notebook, timeout=notebooks.SECONDS_A_CELL, kernel_name="python3", coalesce_streams=True
    )
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        client.execute(cwd=str(notebooks.NOTEBOOKS))
    finally:
        os.environ.clear()
        os.environ.update(before)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, file)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
