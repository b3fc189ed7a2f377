"""Kernel parameters of a container's own namespaces (sysctl(8); OCI runtime spec, config-linux.md, "Sysctl")."""

from __future__ import annotations

from pyctr_lite.linux import kernelfile

_IPC = ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")


def namespace(name: str) -> str:
    """Return the kind of namespace that has its own value of a parameter, "" if the machine has only one.

    Also "" for the host name, which has a field of its own in the configuration (so does runc).
    """
    path = _path(name)
    if ".." in path.split("/"):
        return ""
    for prefix, kind in (("net/", "network"), ("user/", "user")):
        if path.startswith(prefix):
            return kind
    if path.startswith("fs/mqueue/") or path in [f"kernel/{item}" for item in _IPC]:
        return "ipc"
    return "uts" if path == "kernel/domainname" else ""


def write(sysctls: dict[str, str]) -> None:
    """Set parameters of the caller's namespaces. Raises OSError with the kernel's errno and the file's path."""
    for name, value in sysctls.items():
        kernelfile.write(f"/proc/sys/{_path(name)}", str(value))


def _path(name: str) -> str:
    """Return the path below /proc/sys. The first separator, `.` or `/`, decides the notation (sysctl.d(5))."""
    first = next((character for character in name if character in "./"), "")
    if first == "/":
        return name
    return name.translate({ord("."): "/", ord("/"): "."})
