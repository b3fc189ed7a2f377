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
    from types import CodeType
    from typing import Any

QUICK = {
    "cli": frozenset(
        "cp create exec images inspect kill logs port ps pull push restart rm rmi run start stop tag wait".split()
    ),
    "oci": frozenset(("create", "delete", "exec", "kill", "run", "start", "state")),
}
"""The verbs with a file (`preload` writes it) of `pyctr_lite` and of `pyctr-oci`."""
MORE = {"-v": ("-v", "--volume", "--mount", "--tmpfs"), "-p": ("-p", "-P", "--publish")}
"""Options of `create` and `run` that need more modules, by the file with these."""
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
    modules = _read(f"{directory}/{face}-{verb}")
    if modules and face == "cli" and verb in ("create", "run"):  # without `modules`, packages are missing
        for file, options in MORE.items():
            if any(arg.startswith(options) for arg in args):
                modules += _read(f"{directory}/{face}-{verb}{file}")
    new = [module for module in modules if module[0] not in sys.modules]
    # Create packages before their modules, although a package's own code runs after some of them.
    for name, source, _ in sorted(new, key=lambda module: module[0]):
        if source.endswith("/__init__.py"):
            _add(name, source)
    for name, source, code in new:
        if name not in sys.modules:
            _add(name, source)
        exec(code, sys.modules[name].__dict__)


HEAD = 8
"""Bytes at the start of a file: the size of its head, which is marshalled."""


def _read(path: str) -> list[tuple[str, str, CodeType]]:
    """Read the modules of a file: name, source, code. They are in parts, for which one buffer serves (`preload`).

    Nothing if the file is missing or damaged, or if a source has changed since it was made.
    """
    stat = posix.stat
    try:
        with open(path, "rb", 0) as file:
            sources, sizes = marshal.loads(file.read(int.from_bytes(file.read(HEAD), "little")))
            for source, changed, size in sources:
                found = stat(source)
                if found.st_mtime_ns != changed or found.st_size != size:
                    return []
            return [module for size in sizes for module in marshal.loads(file.read(size))]
    except (OSError, ValueError, EOFError, TypeError, OverflowError, MemoryError):
        return []


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
