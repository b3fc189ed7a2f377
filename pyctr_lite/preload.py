"""One file per hot verb with the compiled code of all its modules, in import order.

Python takes 0.2 ms to find and load a module, and `run` needs eighty of ours: a third of its time. Loading their
compiled code from one file per verb, without docstrings, takes a third of that. `make setup` writes the files.
A file is used only if every source is unchanged since then; otherwise the modules are imported as usual, so a
stale file does no harm.
"""

from __future__ import annotations

import gc
import marshal
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from types import CodeType
    from typing import Any

_CONTAINER = ("cli.screen.terminal", "engine.engine", "engine.life.lifecycle")
VERBS = {
    "run": ("cli.container.run", *_CONTAINER, "engine.creation.create", "engine.life.monitor"),
    "start": ("cli.container.lifecycle", *_CONTAINER, "engine.life.monitor"),
    "exec": ("cli.container.exec", *_CONTAINER, "engine.life.execute"),
    "ps": ("cli.container.ps", "engine.engine"),
}
"""The hot verbs, and the modules that import everything they need."""

_VERSION = f"2 {sys.version}"
_Module: Any = type(sys)
_Spec: Any = type(sys.__spec__)  # importlib.machinery.ModuleSpec, without importing that


def load(path: str, args: list[str]) -> None:
    """Load the modules of the first hot verb in `args`. Does nothing without one, or if its file is stale.

    The file is `path`, a hyphen and the verb. Also disables the cyclic garbage collector: a command is
    short-lived, and collection would take 3 ms of 20.
    """
    gc.disable()
    verb = next((arg for arg in args if arg in VERBS), None)
    if verb is None:
        return
    try:
        with open(f"{path}-{verb}", "rb") as file:
            version, modules = marshal.loads(file.read())
        if version != _VERSION:
            return
        for _, source, changed, size, _ in modules:
            found = posix.stat(source)
            if found.st_mtime_ns != changed or found.st_size != size:
                return
    except (OSError, ValueError, EOFError, TypeError):
        return
    new = [module for module in modules if module[0] not in sys.modules]
    # Create packages before their modules, although a package's own code runs after some of them.
    for name, source, *_ in new:
        if source.endswith("/__init__.py"):
            _add(name, source)
    for name, source, _, _, code in new:
        if name not in sys.modules:
            _add(name, source)
        exec(code, sys.modules[name].__dict__)


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
    """Write the files of all hot verbs for the running Python, from the current sources."""
    import os

    for verb, leading in VERBS.items():
        modules = [_compiled(name, source) for name, source in _needed(leading)]
        temporary = f"{path}-{verb}.{os.getpid()}"
        with open(temporary, "wb") as output:
            marshal.dump((_VERSION, modules), output)
        os.rename(temporary, f"{path}-{verb}")


def _needed(leading: tuple[str, ...]) -> list[tuple[str, str]]:
    """List the modules that `leading` imports, with their sources, in the order in which Python completes them.

    Includes our modules, and those of the standard library that are not frozen. Submodules of the standard
    library's packages are left for the package to import.
    """
    import subprocess

    wanted = ", ".join(f"pyctr_lite.{name}" for name in ("cli.main", *leading))
    program = (
        f"import sys; sys.path.append({sys.path[-1]!r}); there = set(sys.modules); import {wanted}\n"
        "for name, module in sys.modules.items():\n"
        "    if name in there or module.__spec__.origin in ('built-in', 'frozen'): continue\n"
        "    if module.__file__.endswith('.py') and (name.startswith('pyctr_lite') or '.' not in name):\n"
        "        print(name, module.__file__)"
    )
    command = [sys.executable, "-IS", "-X", "importtime", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    sources = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    order = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    # A package that imports its own modules is reported after them: `load` creates packages first.
    return [(name, sources[name]) for name in order if name in sources]


def _compiled(name: str, source: str) -> tuple[str, str, int, int, CodeType]:
    import ast

    found = posix.stat(source)
    with open(source, "rb") as file:
        tree = ast.parse(file.read(), source)
    if name.startswith("pyctr_lite."):
        _strip_annotations(tree)
    code = compile(tree, source, "exec", dont_inherit=True, optimize=2)
    return name, source, found.st_mtime_ns, found.st_size, code


def _strip_annotations(tree: ast.Module) -> None:
    """Remove annotations: no code of ours reads them at run time, and loading them takes time."""
    import ast

    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        for field in ("body", "orelse", "finalbody"):
            lines = getattr(node, field, None)
            if isinstance(lines, list):
                setattr(node, field, [_plain(line) for line in lines])
    ast.fix_missing_locations(tree)


def _plain(line: ast.stmt) -> ast.stmt:
    import ast

    if not isinstance(line, ast.AnnAssign):
        return line
    if line.value is None:
        return ast.copy_location(ast.Pass(), line)
    return ast.copy_location(ast.Assign([line.target], line.value), line)
