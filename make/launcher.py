"""Print a command for one checkout and one Python: launcher.py PYTHON CHECKOUT [pyctr_lite|pyctr-oci]

The command starts Python with

    -I        isolated: nothing is imported from the caller's environment or directory
    -S        without the site module, which costs 4 to 6 ms; code that needs third-party packages calls
              pyctr_lite.thirdparty.enable()
    -X utf8   paths and texts are UTF-8 in every locale, even one that is not installed

The command executes the compiled code of pyctr_lite/light_os.py and boot.py from a file in .venv, or imports these
modules if there is no such file for this Python. The checkout comes last on sys.path, so that nothing in it can
stand in for a module of Python's own. The command is ASCII whatever the two paths are: what is not is escaped, so
it does not depend on a locale how they are read.
"""

from __future__ import annotations

import os
import string
import sys

OPTIONS = "-ISXutf8"
LONGEST_LINE = 126
"""Maximum length of a #! line in bytes: before 5.1, the kernel's limit was 127 with the line end (execve(2))."""
PLAIN = frozenset((string.ascii_letters + string.digits + "/._+-").encode())
"""Bytes of a path that have no special meaning for the kernel, a shell or printf."""
FACES = {"pyctr_lite": "cli", "pyctr-oci": "oci"}
"""The room of each command in the package."""
PROGRAM = """\
import sys
from marshal import loads

checkout = {checkout}
sys.path.append(checkout)
preloaded = f"{{checkout}}/.venv/preload/{{sys.implementation.cache_tag}}"
try:
    with open(f"{{preloaded}}/boot", "rb", 0) as file:
        for code in loads(file.read()):
            exec(code)
except (OSError, ValueError, EOFError, TypeError):
    from pyctr_lite.boot import load
    from pyctr_lite.light_os import install

install()
load(preloaded, sys.argv, {face!r})

from pyctr_lite.{face}.main import entry

entry()
"""


def main() -> int:
    """Write the command to stdout."""
    python, checkout, *command = sys.argv[1:]
    program = PROGRAM.format(checkout=ascii(checkout), face=FACES[command[0] if command else "pyctr_lite"])
    print(start(os.fsencode(python)), program, sep="\n", end="")
    return 0


def start(python: bytes) -> str:
    """Return the lines that start Python: a #! line or, if the path does not fit, a shell's exec."""
    line = f"#!{os.fsdecode(python)} {OPTIONS}"
    if PLAIN.issuperset(python) and len(line) <= LONGEST_LINE:
        return line
    # A shell reads an empty word joined to 'exec'; Python reads one string from ''' to '''.
    path = "".join(chr(byte) if byte in PLAIN else f"\\{byte:03o}" for byte in python)
    return f"""#!/bin/sh\n'''exec' "$(printf '{path}')" {OPTIONS} "$0" "$@"\n' '''"""


if __name__ == "__main__":
    sys.exit(main())
