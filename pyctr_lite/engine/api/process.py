"""The processes that work for a client of the Python API, which may have threads: they start from new."""

from __future__ import annotations

import os
import subprocess
import sys

from pyctr_lite.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO


_START = """
import sys
sys.path.insert(0, sys.argv[4])
from importlib import import_module
import_module(f"pyctr_lite.engine.api.{sys.argv[1]}").main(int(sys.argv[2]), sys.argv[3])
"""
_PACKAGE_PARENT = os.path.abspath(f"{os.path.dirname(__file__)}/../../..")


def start(
    module: str, root: str, stdin: IO[bytes] | int = subprocess.DEVNULL, *, new_session: bool = False
) -> tuple[subprocess.Popen[bytes], channels.Channel]:
    """Start a process that calls `main` of a module of the API with its end of a channel; return it and ours."""
    ours, theirs = channels.pair()
    fd = theirs.sock.fileno()
    args = [sys.executable, "-IS", "-c", _START, module, str(fd), root, _PACKAGE_PARENT]
    process = subprocess.Popen(args, pass_fds=[fd], stdin=stdin, start_new_session=new_session)
    theirs.close()
    return process, ours
