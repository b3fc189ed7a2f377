"""The modules of a quick verb from one file, in the order in which they need each other.

Python takes 0.2 ms to find and load a module, and `run` needs eighty of ours: a third of its time. Their compiled
code in one file, without docstrings, takes a third of that. `make setup` writes the file. It is used only where
every source is as it was then; otherwise all is imported as usual, so an old file is never wrong.
"""

from __future__ import annotations

import gc
import marshal
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CONTAINER = ("cli.terminal", "engine.engine", "engine.containers")
VERBS = {
    "run": ("cli.run", *_CONTAINER, "engine.create", "engine.monitor"),
    "start": ("cli.lifecycle", *_CONTAINER, "engine.monitor"),
    "exec": ("cli.exec", *_CONTAINER, "engine.execute"),
    "ps": ("cli.ps", "engine.engine", "engine.containers"),
}
"""The verbs that have to be quick, and the modules that lead to all that they need."""

_VERSION = f"1 {sys.version}"
_Module: Any = type(sys)
_Spec: Any = type(sys.__spec__)  # importlib.machinery.ModuleSpec, without importing that


def load(path: str, words: list[str]) -> None:
    """Load what the first quick verb among some words needs; nothing where there is none, or the file is old.

    Also turns the collector of cycles off: a command is short, and it would cost 3 ms of 20.
    """
    gc.disable()
    try:
        with open(path, "rb") as file:
            version, verbs, modules = marshal.loads(file.read())
        if version != _VERSION:
            return
        names = next((verbs[word] for word in words if word in verbs), ())
        for name in names:
            source, changed, size, _ = modules[name]
            found = posix.stat(source)
            if found.st_mtime_ns != changed or found.st_size != size:
                return
    except (OSError, ValueError, EOFError, TypeError, KeyError):
        return
    # Packages exist before their modules, though their own code runs after some of these.
    for name in names:
        if modules[name][0].endswith("/__init__.py"):
            _add(name, modules[name][0])
    for name in names:
        if name not in sys.modules:
            _add(name, modules[name][0])
        exec(marshal.loads(modules[name][3]), sys.modules[name].__dict__)


def _add(name: str, source: str) -> None:
    module = _Module(name)
    package = source.endswith("/__init__.py")
    spec = module.__spec__ = _Spec(name, None, origin=source, is_package=package)
    module.__file__ = source
    parent, _, child = name.rpartition(".")
    module.__package__ = name if package else parent
    if package:
        module.__path__ = spec.submodule_search_locations = [source.removesuffix("/__init__.py")]
    sys.modules[name] = module
    if parent:
        setattr(sys.modules[parent], child, module)


def build(path: str) -> None:
    """Write the file for the Python that runs this, from the sources as they are now."""
    import os

    verbs, modules = {}, {}
    for verb, leading in VERBS.items():
        needed = _needed(leading)
        verbs[verb] = [name for name, _ in needed]
        for name, source in needed:
            if name not in modules:
                modules[name] = _compiled(source)
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as output:
        marshal.dump((_VERSION, verbs, modules), output)
    os.rename(temporary, path)


def _needed(leading: tuple[str, ...]) -> list[tuple[str, str]]:
    """The names and sources of our modules that some lead to, in the order in which Python completes them."""
    import subprocess

    wanted = ", ".join(f"pyctr_lite.{name}" for name in ("cli.main", *leading))
    program = (
        f"import sys; sys.path.append({sys.path[-1]!r}); import {wanted}\n"
        "for name, module in sys.modules.items():\n"
        "    if name.startswith('pyctr_lite'): print(name, module.__file__)"
    )
    command = [sys.executable, "-IS", "-X", "importtime", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    sources = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    order = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    # A package that its own modules ask for is told of after them, and is needed first by name.
    return [(name, sources[name]) for name in order if name in sources]


def _compiled(source: str) -> tuple[str, int, int, bytes]:
    found = posix.stat(source)
    with open(source, "rb") as file:
        code = compile(file.read(), source, "exec", dont_inherit=True, optimize=2)
    return source, found.st_mtime_ns, found.st_size, marshal.dumps(code)
