"""Entry point of `python -m pyctr_lite`."""

from pyctr_lite.cli.main import entry

entry()
