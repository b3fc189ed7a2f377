"""Load all modules of a quick verb from one file, and be loaded from one file: `make setup` writes both.

Python takes 0.2 ms to find and load one module, and `run` needs 130 of ours: half of its time. To load their
compiled code from one file takes a third of that. The code of this module (and of `light_os`) is in such a file
too, which the command executes, so that nothing is searched on sys.path before the verb itself runs: 0.7 ms.

The files lie in a directory named after the interpreter's bytecode format. A file is used only if every source is
as it was when the file was made; otherwise the modules are imported as usual, so a stale file does no harm.
"""

from __future__ import annotations

import gc
import marshal
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

QUICK = {
    "cli": frozenset(("create", "exec", "inspect", "logs", "ps", "rm", "run", "start", "stop")),
    "oci": frozenset(("create", "delete", "exec", "kill", "run", "start", "state")),
}
"""The verbs with a file (`preload` writes it) of `pyctr_lite` and of `pyctr-oci`."""
_OTHER_NOUNS = frozenset(("image", "system", "volume"))
"""Words before a verb that make it another one: `volume rm` is not `rm`."""


def load(directory: str, args: list[str], face: str = "cli") -> None:
    """Load the modules of the first quick verb in `args`. Does nothing without one, or if its file is stale.

    Also disables the cyclic garbage collector: a command is short-lived, and collection would take 3 ms of 20.
    """
    gc.disable()
    quick = QUICK[face]
    verb = next((arg for arg in args if arg in quick or arg in _OTHER_NOUNS), "")
    if verb not in quick:
        return
    try:
        fd = posix.open(f"{directory}/{face}-{verb}", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return
    try:
        packages, sizes = _head(fd)
        known = set(sys.modules)
        # Create packages before their modules, although a package's own code runs after some of them.
        for name, source in packages:
            if name not in known:
                _add(name, source)
        for size in sizes:
            for name, source, code in marshal.loads(posix.read(fd, size)):
                if name in known:
                    continue
                if name not in sys.modules:
                    _add(name, source)
                exec(code, sys.modules[name].__dict__)
    finally:
        posix.close(fd)


HEAD = 8
"""Bytes at the start of a file: the size of its head, which is marshalled."""


def _head(fd: int) -> tuple[list[tuple[str, str]], list[int]]:
    """Read the packages in a file, and the sizes of its parts, which are read one after another (`preload`).

    Nothing if the file is damaged, or if a source has changed since it was made.
    """
    stat = posix.stat
    try:
        sources, packages, sizes = marshal.loads(posix.read(fd, int.from_bytes(posix.read(fd, HEAD), "little")))
        for source, changed, size in sources:
            found = stat(source)
            if found.st_mtime_ns != changed or found.st_size != size:
                return [], []
    except (OSError, ValueError, EOFError, TypeError, MemoryError):
        return [], []
    return packages, sizes


def _add(name: str, source: str) -> None:
    module: Any = type(sys)(name)
    package = source.endswith("/__init__.py")
    # The class is importlib.machinery.ModuleSpec, without importing that.
    spec = module.__spec__ = type(sys.__spec__)(name, None, origin=source, is_package=package)
    module.__file__ = source
    parent, _, child = name.rpartition(".")
    module.__package__ = name if package else parent
    if package:
        module.__path__ = spec.submodule_search_locations = [source.removesuffix("/__init__.py")]
    sys.modules[name] = module
    if parent:
        setattr(sys.modules[parent], child, module)
