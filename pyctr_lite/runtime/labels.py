"""Labels of the Linux security modules: a process's AppArmor profile or SELinux label, for its next exec.

From `process.apparmorProfile`, `process.selinuxLabel` (OCI runtime spec, config.md). Imported only for a process
with one of them.
"""

from __future__ import annotations

import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def apparmor_enabled() -> bool:
    """Return whether AppArmor confines processes on this machine (apparmor(7))."""
    try:
        return kernelfile.read("/sys/module/apparmor/parameters/enabled").startswith("Y")
    except OSError:
        return False


def selinux_enabled() -> bool:
    """Return whether SELinux is on: its file system is mounted (selinux(8), is_selinux_enabled(3))."""
    return os.path.exists("/sys/fs/selinux/enforce")


def check(process: dict[str, Any], config: dict[str, Any]) -> None:
    """Check that the security module of each label is on: else it protects nothing. Raises InvalidArgument.

    Without SELinux a label of mounts has no meaning and is ignored, as by crun. `config` is the `linux` object.
    """
    if process.get("apparmorProfile") and not apparmor_enabled():
        raise InvalidArgument(
            "apparmor: config provided but apparmor not supported", "remove process.apparmorProfile to run without"
        )
    if process.get("selinuxLabel") and not selinux_enabled():
        raise InvalidArgument(
            "selinux label is specified in config, but selinux is disabled or not supported",
            "remove process.selinuxLabel to run without",
        )
    if config.get("mountLabel") and selinux_enabled():
        raise InvalidArgument("linux.mountLabel is not supported", "remove it to run without")


def set_exec_labels(process: dict[str, Any]) -> None:
    """Set the labels for the caller's next exec, which a child inherits until then.

    Only while /proc is still the host's: a container could forge the file. Raises OSError if the profile is not
    loaded, or the policy forbids it. Source: proc_pid_attr(5), aa_change_onexec(2), setexeccon(3).
    """
    if profile := process.get("apparmorProfile"):
        # With several security modules /proc/self/attr/exec may belong to another one.
        own = "/proc/self/attr/apparmor/exec"
        kernelfile.write(own if os.path.exists(own) else "/proc/self/attr/exec", f"exec {profile}")
    if label := process.get("selinuxLabel"):
        kernelfile.write("/proc/self/attr/exec", label)
