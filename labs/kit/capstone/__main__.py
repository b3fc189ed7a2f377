"""The checks inside the sandbox, a line of JSON for each: `python -m labs.kit.capstone LABS RESULTS CHECK…`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from labs.kit.capstone import layers, view, world
from labs.kit.capstone.check import Check, NotTried
from labs.kit.capstone.checks import CHECKS
from labs.kit.checks.expect import CheckFailed


def main(labs: Path, results: Path, names: list[str]) -> None:
    """Run checks; if the first of all fails, no other."""
    directory = Path(os.environ["TMPDIR"]) / "capstone"
    directory.mkdir()
    world.leave_top_group()
    view.build(labs, directory / "view")
    fd = os.open(results, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    for check in [check for check in CHECKS if check.name in names]:
        line = _run(check, directory / "view")
        os.write(fd, json.dumps(line).encode() + b"\n")
        if line["message"] and check is CHECKS[0]:
            return


def _run(check: Check, view: Path) -> dict[str, object]:
    began, message, tried = time.monotonic(), "", True
    own = world.World(view, layers.fill)
    try:
        check.function(own)
    except NotTried:
        tried = False
    except CheckFailed as error:
        message = str(error)
    except (OSError, subprocess.SubprocessError) as error:
        message = f"COMMAND ended while it was looked at ({error}): why so early?"
    finally:
        own.close()
    return {"check": check.name, "message": message, "tried": tried, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
