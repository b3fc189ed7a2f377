"""The few names of `ctypes` that our system calls need, taken from `_ctypes`, the C module below it.  [hot]

`import ctypes` executes 500 lines of Python, most of them for other uses, and imports `types` and `struct`: 1.7 ms
of every command. The classes here are declared as `ctypes` declares its own, so they behave the same.
"""

from __future__ import annotations

from _ctypes import (
    FUNCFLAG_CDECL,
    FUNCFLAG_PYTHONAPI,
    FUNCFLAG_USE_ERRNO,
    CFuncPtr,
    Structure,
    _SimpleCData,
    addressof,
    byref,
    dlopen,
    get_errno,
    set_errno,
    sizeof,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import c_char, c_char_p, c_int, c_long, c_size_t, c_uint, c_uint32, c_uint64, c_ulong, c_ushort
    from typing import Any
else:

    class c_char(_SimpleCData):
        _type_ = "c"

    class c_char_p(_SimpleCData):
        _type_ = "z"

    class c_ushort(_SimpleCData):
        _type_ = "H"

    class c_int(_SimpleCData):
        _type_ = "i"

    class c_uint(_SimpleCData):
        _type_ = "I"

    class c_long(_SimpleCData):
        _type_ = "l"

    class c_ulong(_SimpleCData):
        _type_ = "L"

    c_uint32 = c_uint
    c_uint64 = c_size_t = c_ulong  # Linux is LP64 on every 64-bit machine

__all__ = [
    "Library",
    "Structure",
    "addressof",
    "byref",
    "c_char",
    "c_char_p",
    "c_int",
    "c_long",
    "c_size_t",
    "c_uint",
    "c_uint32",
    "c_uint64",
    "c_ulong",
    "c_ushort",
    "get_errno",
    "set_errno",
    "sizeof",
]


class _Function(CFuncPtr):
    """A function that returns an int, stores errno, and keeps the interpreter lock during the call.

    Because of the lock, a forked child continues as the thread that holds it.
    """

    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_PYTHONAPI | FUNCFLAG_USE_ERRNO
    _restype_ = c_int


class Library:
    """The functions of the program and of the libraries that it has loaded, as `ctypes.PyDLL(None)`."""

    def __init__(self) -> None:
        self._handle = dlopen(None, 0)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        function = _Function((name, self))  # type: ignore[arg-type]
        setattr(self, name, function)
        return function
