"""System calls missing from Python's standard library, under the kernel's own names.

Every function raises OSError with the call's name and path; every function that changes something can be narrated
(see `explain`).

The names of the modules in `_EXPORTED` are loaded at the first use of one of them. A verb that only reads files,
such as `ps`, does without `_ctypes` and the tables of constants: 1.5 ms less.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.linux.constants import *  # noqa: F403
    from pyctr_lite.linux.mounts import *  # noqa: F403
    from pyctr_lite.linux.privileges import *  # noqa: F403
    from pyctr_lite.linux.processes import *  # noqa: F403
    from pyctr_lite.linux.scoped import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        if not name.startswith("__") and name not in _MODULES:
            load()
            if name in globals():
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_EXPORTED = ("constants", "mounts", "privileges", "processes", "scoped")
_MODULES = {
    *_EXPORTED,
    "bpf",
    "call",
    "dbus",
    "explain",
    "ffi",
    "inotify",
    "kernelfile",
    "mountinfo",
    "netlink",
    "rawmode",
    "scheduling",
    "seccomp",
}


def load() -> None:
    """Load all names now: a process that enters a container's root can import nothing afterwards. Idempotent."""
    names = globals()
    if "__getattr__" not in names:
        return
    for module_name in _EXPORTED:
        module = __import__(f"{__name__}.{module_name}", fromlist=["*"])
        public = getattr(module, "__all__", None) or [name for name in vars(module) if name[0] != "_"]
        names.update({name: getattr(module, name) for name in public})
    names.pop("__getattr__", None)  # last: until then another thread finds the names by it
