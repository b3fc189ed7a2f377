"""Kernel parameters of a container's own namespaces (sysctl(8); OCI runtime spec, config-linux.md, "Sysctl")."""

from __future__ import annotations

from pyctr_lite.linux import kernelfile

_OF_IPC = ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")


def namespace(name: str) -> str:
    """The kind of namespace that has this parameter for itself, "" where the whole machine has one."""
    path = _path(name)
    if ".." in path.split("/"):
        return ""
    if path.startswith("net/"):
        return "network"
    if path.startswith("fs/mqueue/") or path in [f"kernel/{item}" for item in _OF_IPC]:
        return "ipc"
    return "uts" if path in ("kernel/hostname", "kernel/domainname") else ""


def write(sysctls: dict[str, str]) -> None:
    """Set them for the caller's namespaces. Fails with the kernel's errno and the file's path."""
    for name, value in sysctls.items():
        kernelfile.write(f"/proc/sys/{_path(name)}", str(value))


def _path(name: str) -> str:
    """The file below /proc/sys: the first separator tells which of the two notations it is (sysctl.d(5))."""
    first = next((character for character in name if character in "./"), "")
    if first == "/":
        return name
    return name.translate({ord("."): "/", ord("/"): "."})
