"""A light module `os`, which becomes Python's own at the first use of a name that it does not have.

Python's `os` imports `_collections_abc` with its 25 abstract classes, only to make `os.environ` a MutableMapping:
1.1 ms that no quick verb needs. All other names that the quick verbs use are those of the C module `posix`, of
`posixpath`, and four short functions. Any other name executes Python's own code in the same module, so that there
is only one `os` in a process.
"""

from __future__ import annotations

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_frozen = sys.modules["_frozen_importlib"]  # importlib's core, which every interpreter has loaded


def install() -> None:
    """Create the light module `os`, unless `os` is loaded already or the interpreter does not contain its code."""
    spec = None if "os" in sys.modules else _frozen.FrozenImporter.find_spec("os")
    if spec is None:
        return
    module = sys.modules["os"] = _frozen.module_from_spec(spec)
    names = module.__dict__
    names.update({name: value for name, value in posix.__dict__.items() if name[0] != "_"}, _exit=posix._exit)
    del names["environ"]  # of bytes; that of `os` is of text
    import posixpath

    sys.modules["os.path"] = posixpath
    names.update(path=posixpath, name="posix", linesep="\n", SEEK_SET=0, SEEK_CUR=1, SEEK_END=2)
    for name in ("curdir", "pardir", "sep", "pathsep", "defpath", "extsep", "altsep", "devnull"):
        names[name] = getattr(posixpath, name)
    names.update(fsencode=_fsencode, fsdecode=_fsdecode, getenv=_getenv)
    names.update(makedirs=_makedirs, __getattr__=_complete)


def _complete(name: str) -> Any:
    """Execute Python's own `os`, and return the name that the light one lacks."""
    module = sys.modules["os"]
    _frozen.FrozenImporter.exec_module(module)
    module.__dict__.pop("__getattr__", None)
    return getattr(module, name)


def _fsencode(filename: Any) -> bytes:
    filename = posix.fspath(filename)
    return filename.encode(*_CODING) if isinstance(filename, str) else filename


def _fsdecode(filename: Any) -> str:
    filename = posix.fspath(filename)
    return filename.decode(*_CODING) if isinstance(filename, bytes) else filename


def _getenv(key: str, default: str | None = None) -> str | None:
    value = posix.environ.get(_fsencode(key))
    return default if value is None else _fsdecode(value)


def _makedirs(name: str, mode: int = 0o777, exist_ok: bool = False) -> None:
    try:
        posix.mkdir(name, mode)
    except FileNotFoundError:
        parent = name.rstrip("/").rpartition("/")[0]
        if not parent:
            raise
        _makedirs(parent, exist_ok=True)
        _makedirs(name, mode, exist_ok)
    except OSError:  # other than EEXIST too: on a read-only filesystem, EROFS says nothing about the directory
        if not exist_ok or not sys.modules["os.path"].isdir(name):
            raise


_CODING = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
