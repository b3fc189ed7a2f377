"""`make notebooks-test`: run every notebook under nbval and compare its outputs, in order and in reverse order."""

from __future__ import annotations

import sys
import time

from labs.kit.checks import notebooks


def main(prefix: str = "") -> int:
    """Run the notebooks whose names start with `prefix`, twice; return 1 if an output differs."""
    files = sorted(notebooks.NOTEBOOKS.glob(f"{prefix}*.ipynb"))
    if not files:
        print(f"no such notebook: {prefix}*.ipynb", file=sys.stderr)
        return 2
    failed = 0
    for order in (files, files[::-1]) if not prefix else (files, files):
        for file in order:
            began = time.monotonic()
            failure = notebooks.run([file])
            failed += bool(failure)
            print(f"{file.name:<40} {'FAILED' if failure else 'ok'}  {time.monotonic() - began:.1f} s", flush=True)
            if failure:
                print(failure)
    print(f"{len(files) * 2 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
