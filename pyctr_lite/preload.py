"""Write the files that `boot` loads: the compiled code of all modules of a quick verb, in import order.

`make setup` does that. The code has no docstrings and few annotations: hardly any of ours reads them at run time.
"""

from __future__ import annotations

import ast
import marshal
import os
import subprocess
import sys

from pyctr_lite import boot, light_os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

_CLI = ("cli.container.narration", "cli.screen.terminal", "engine.engine")
_LIFE = (*_CLI, "cli.container.lifecycle", "engine.life.lifecycle")
MONITOR = (
    *("engine.life.monitor", "cgroups.limits", "cgroups.device_filter"),
    *("runtime.filesystem", "runtime.sysctls", "namespaces.network", "engine.stores.networks"),
    "engine.network.endpoints",
)
"""The modules that a monitor needs."""
_RUN = (*_CLI, "cli.container.run", "engine.life.lifecycle", "engine.creation.create", "engine.stores.images")
_TRANSFER = ("cli.image.registry", "engine.engine", "engine.stores.images")
_CREATE = ("oci.creation", "oci.verbs.create", *MONITOR[1:-2], "runtime.launch")
_STORE = ("cli.image.store", "engine.engine", "engine.stores.images")
CLI = {
    "cp": ("cli.container.copy", "engine.engine", "engine.files.copy"),
    "create": _RUN,
    "exec": (*_CLI, "cli.container.exec", "engine.life.execute"),
    "images": (*_STORE, "engine.report.filters.images", "formats.units"),
    "inspect": ("cli.system.inspect", "engine.engine", "engine.report.container", "engine.stores.images"),
    "kill": (*_LIFE, "engine.life.wait"),
    "logs": ("cli.container.logs", "engine.engine", "engine.log.reader", "engine.report.filters.grammar"),
    "pull": (*_TRANSFER, "registries.pull"),
    "push": (*_TRANSFER, "registries.push"),
    "port": ("cli.container.port", "engine.engine", "engine.report.network_settings"),
    "ps": ("cli.container.ps", "engine.engine", "engine.stores.images"),
    "restart": (*_LIFE, *MONITOR, "engine.life.wait"),
    "rm": (*_LIFE, "engine.life.wait"),
    "rmi": (*_STORE, "cli.screen.for_each", "engine.report.usage", "images.removal"),
    "run": (*_RUN, *MONITOR),
    "start": (*_LIFE, *MONITOR),
    "stop": (*_LIFE, "engine.life.wait"),
    "tag": (*_STORE, "images.writer"),
    "wait": (*_LIFE, "engine.life.wait"),
}
"""The quick verbs of `pyctr_lite`, and the modules that import everything they need."""
_VOLUMES = ("engine.creation.mounts", "engine.stores.volumes", "volumes.tmpfs")
_PORTS = ("engine.creation.networks", "engine.network.wanted", "formats.ports")
MORE = {
    "create-v": _VOLUMES,
    "create-p": _PORTS,
    "run-v": (*_VOLUMES, "volumes.fill", "rootfs.detached"),
    "run-p": (*_PORTS, "engine.life.ports", "engine.life.faults", "networks.published"),
}
"""The same of the options in `boot.MORE`, beyond what their verbs need."""
OCI = {
    "create": _CREATE,
    "delete": ("oci.verbs.delete", "rootfs.walk"),
    "exec": ("oci.verbs.execute", "runtime.launch"),
    "kill": ("oci.verbs.kill",),
    "run": (*_CREATE, "oci.verbs.run"),
    "start": ("oci.verbs.start",),
    "state": ("oci.verbs.state",),
}
"""The same of `pyctr-oci`."""
_CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BOOT = "boot"
"""The file with the code of `light_os` and `boot`."""


def load(directory: str, args: list[str]) -> None:
    """Do nothing: a launcher from before an update calls this, and works until a make target renews it."""


def build(directory: str) -> None:
    """Write the files of all quick verbs, and `boot` last, for the running Python, from the current sources."""
    os.makedirs(directory, exist_ok=True)
    first = [_compiled(module.__name__, str(module.__file__)) for module in (light_os, boot)]
    code: dict[str, tuple[tuple[str, int, int], CodeType]] = {}
    files: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
    files += [(f"cli-{verb}", ("cli.main", *leading), ()) for verb, leading in CLI.items()]
    files += [(f"oci-{verb}", ("oci.main", *leading), ()) for verb, leading in OCI.items()]
    files += [(f"cli-{name}", ("cli.main", *CLI[name[:-2]]), leading) for name, leading in MORE.items()]
    for file, leading, more in files:
        try:
            needed = _needed(leading)
            if more:
                needed = [module for module in _needed((*leading, *more)) if module not in needed]
        except subprocess.CalledProcessError as error:
            if "No module named 'urllib3'" not in error.stderr:
                raise
            continue  # it is not installed yet
        for name, source in needed:
            if name not in code:
                code[name] = _compiled(name, source)
        sources = [source for source, _ in [*(code[name] for name, _ in needed), *first]]
        modules = [(name, source, code[name][1]) for name, source in needed]
        parts = _parts(modules)
        head = marshal.dumps((sources, [len(part) for part in parts]))
        _write(f"{directory}/{file}", len(head).to_bytes(boot.HEAD, "little"), head, *parts)
    _write(f"{directory}/{BOOT}", marshal.dumps([code for _, code in first]))


_PART = 64 << 10
"""About the bytes of a part. A buffer of that size comes from the heap and serves for the next part, too, while a
larger one takes 200 page faults for `run` (mallopt(3), M_MMAP_THRESHOLD)."""


def _parts(modules: list[tuple[str, str, CodeType]]) -> list[bytes]:
    """Return the modules in parts, marshalled."""
    parts: list[list[tuple[str, str, CodeType]]] = [[]]
    size = 0
    for module in modules:
        if size > _PART:
            parts.append([])
            size = 0
        parts[-1].append(module)
        size += len(marshal.dumps(module[2]))
    return [marshal.dumps(part) for part in parts]


def _write(path: str, *content: bytes) -> None:
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as output:
        output.writelines(content)
    os.rename(temporary, path)


def _needed(leading: tuple[str, ...]) -> list[tuple[str, str]]:
    """List the modules that `leading` imports, with their sources, in the order in which Python completes them.

    Includes our modules, those of the standard library that are not frozen, and urllib3.
    """
    wanted = ", ".join(f"pyctr_lite.{name}" for name in leading)
    program = (
        f"import sys; sys.path.append({_CHECKOUT!r}); there = set(sys.modules); import {wanted}\n"
        "known = {*sys.stdlib_module_names, 'pyctr_lite', 'urllib3'}\n"
        "for name, module in sys.modules.items():\n"
        "    source = getattr(getattr(module, '__spec__', None), 'origin', None) or ''\n"
        "    if name not in there and name.partition('.')[0] in known and source.endswith('.py'):\n"
        "        print(name, source)"
    )
    command = [sys.executable, "-IS", "-X", "importtime", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    sources = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    order = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    # A package that imports its own modules is reported after them: `load` creates packages first.
    return [(name, sources[name]) for name in order if name in sources and name != "__future__"]


def _compiled(name: str, source: str) -> tuple[tuple[str, int, int], CodeType]:
    """Return the source as it is now (path, time, size), and its code."""
    found = os.stat(source)
    with open(source, "rb") as file:
        tree = ast.parse(file.read(), source)
    flags = 0
    if name.startswith("pyctr_lite."):
        _strip(tree)
        flags = annotations.compiler_flag  # as if the import were there
    code = compile(tree, source, "exec", flags, dont_inherit=True, optimize=2)
    return (source, found.st_mtime_ns, found.st_size), code


def _strip(tree: ast.Module) -> None:
    """Remove annotations, and the import of `__future__` for them. Dataclasses and NamedTuples need theirs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and (node.decorator_list or node.bases):
            continue
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
    if isinstance(line, ast.ImportFrom) and line.module == "__future__":
        return ast.copy_location(ast.Pass(), line)
    if not isinstance(line, ast.AnnAssign):
        return line
    if line.value is None:
        return ast.copy_location(ast.Pass(), line)
    return ast.copy_location(ast.Assign([line.target], line.value), line)
