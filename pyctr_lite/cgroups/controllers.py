"""Group directories, and the controllers that must be set up before a process can enter them."""

from __future__ import annotations

import errno
import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain, kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cgroups.hierarchy import HierarchyMount

STANDARD = ("cpu", "cpuset", "io", "memory", "pids")
"""Controllers of version 2 enabled for every container: its statistics need them even without limits."""


def make_directory(mount: HierarchyMount, path: str) -> None:
    """Create the group of a path in one hierarchy, parents first. Idempotent; existing groups are unchanged."""
    directory, parent = mount.mountpoint + path, os.path.dirname(path)
    if parent != "/" and not os.path.isdir(mount.mountpoint + parent):
        make_directory(mount, parent)
    try:
        explain.step(f'mkdir("{directory}", 0755)', os.mkdir, directory, 0o755)
    except FileExistsError:
        return
    except FileNotFoundError:
        if parent == "/":
            raise
        make_directory(mount, path)  # another process has just removed the parent, which had become empty


def fill_cpuset(mount: HierarchyMount, path: str) -> None:
    """Copy the parent's CPUs and memory nodes to a new version 1 group: without any, no process can enter it.

    Also sets `cgroup.clone_children` in the parent, so that the kernel copies them to later groups: a write takes
    0.1 ms here.
    """
    directory = mount.mountpoint + path
    for file in ("cpuset.cpus", "cpuset.mems"):
        if kernelfile.read(f"{directory}/{file}"):
            continue
        parent = os.path.dirname(path)
        if parent != "/":
            fill_cpuset(mount, parent)
            kernelfile.write(f"{mount.mountpoint}{parent}/cgroup.clone_children", "1")
        kernelfile.write(f"{directory}/{file}", kernelfile.read(f"{os.path.dirname(directory)}/{file}"))


def enable_standard(mount: HierarchyMount, path: str) -> None:
    """Enable the standard controllers of version 2 for a group, in each of its ancestors.

    Failing to enable one is not an error yet, only when a limit needs that controller (`enable`).
    """
    wanted = [name for name in STANDARD if name in mount.controllers]
    if not wanted:
        return
    enabled = kernelfile.read(f"{mount.mountpoint}{path}/cgroup.controllers").split()
    for name in wanted:
        if name not in enabled:
            try:
                enable(mount, path, name)
            except InvalidArgument:
                pass


def enable(mount: HierarchyMount, path: str, controller: str) -> bool:
    """Enable a version 2 controller for a group: in `cgroup.subtree_control` of each ancestor that lacks it.

    Never disables one. Returns whether it changed anything, and False for a controller that the hierarchy does not
    have. Raises InvalidArgument, naming controller, file and reason, if the kernel refuses: an ancestor has
    processes of its own (EBUSY, the no-internal-process rule, with a hint) or is threaded (EOPNOTSUPP).
    Source: cgroups(7).
    """
    changed = False
    if controller not in mount.controllers:
        return False
    parts = path.split("/")[1:-1]
    for depth in range(len(parts) + 1):
        directory = "/".join([mount.mountpoint, *parts[:depth]])
        file = f"{directory}/cgroup.subtree_control"
        if controller in kernelfile.read(file).split():
            continue
        try:
            kernelfile.write(file, f"+{controller}")
        except OSError as error:
            hint = (
                "a group with processes of its own cannot enable controllers for its children: move them into one"
            )
            raise InvalidArgument(
                f"cannot enable the cgroup controller {controller} in {file}: {error.strerror}",
                hint if error.errno == errno.EBUSY else "",
            ) from error
        changed = True
    return changed


def pids(directory: str) -> list[int]:
    """List the processes of a group and of the groups below it. Empty if the group does not exist."""
    found: list[int] = []
    for path in descendants(directory):
        try:
            found += [int(line) for line in kernelfile.read(f"{path}/cgroup.procs").split()]
        except OSError as error:
            # The group may vanish, and threaded groups list no processes (EOPNOTSUPP): their domain does.
            if error.errno not in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
                raise
    return found


def descendants(directory: str) -> list[str]:
    """List the directories of a group and of the groups below it, parents first. Empty if it does not exist."""
    try:
        if os.stat(directory).st_nlink == 2:  # "." and the parent's entry: no group below
            return [directory]
        names = [entry.name for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return [directory, *(path for name in names for path in descendants(f"{directory}/{name}"))]


def is_divided(directory: str) -> bool:
    """Return whether a version 2 group shares its resources among groups below it, and so takes no process.

    Only controllers that limit threads, too, permit processes beside groups (cgroups(7), "no internal processes").
    """
    try:
        enabled = kernelfile.read(f"{directory}/cgroup.subtree_control").split()
    except FileNotFoundError:
        return False
    return not set(enabled) <= {"cpu", "cpuset", "perf_event", "pids"}


def group_of(pid: int, mount: HierarchyMount) -> str:
    """Return the directory of a process's version 2 group (/proc/<pid>/cgroup, the line of hierarchy 0).

    Raises ProcessLookupError if the process has none.
    """
    for line in kernelfile.read(f"/proc/{pid}/cgroup").splitlines():
        if line.startswith("0::"):
            return mount.mountpoint + line[3:]
    raise ProcessLookupError(errno.ESRCH, "no cgroup of version 2", f"/proc/{pid}/cgroup")


def explained(error: OSError, directory: str) -> Exception:
    """Return the error of moving a process to a group, with the group's type if that is the reason."""
    if error.errno == errno.EOPNOTSUPP:
        kind = kernelfile.read(f"{directory}/cgroup.type")
        return InvalidArgument(
            f"cannot add a process to {directory}: cgroup.type is {kind!r}", "a group above it is threaded"
        )
    return error


def refused(controller: str, path: str, text: str, error: OSError) -> InvalidArgument:
    """Return the error of a limit that the kernel rejected: controller, file, value and reason."""
    file = os.path.basename(path)
    if error.errno == errno.ENOENT:
        return InvalidArgument(f"the cgroup controller {controller} has no {file} here", _missing(file))
    return InvalidArgument(
        f"the kernel refuses {text!r} for {file} of the cgroup controller {controller}: {error.strerror}",
        _reason(file, text, error),
    )


def _missing(file: str) -> str:
    if "memsw" in file or "swap" in file:
        return "the kernel does not account swap: boot it with swapaccount=1, or omit the swap limit"
    if "weight" in file and file != "cpu.weight":
        return "weights need the bfq I/O scheduler (modprobe bfq) or, in version 2, the kernel's io.cost"
    if file.startswith("hugetlb"):
        return "/sys/kernel/mm/hugepages lists the page sizes of this machine"
    return ""


def _reason(file: str, text: str, error: OSError) -> str:
    if file == "memory.limit_in_bytes" and error.errno == errno.EBUSY:
        return "the group uses more than that, and the kernel cannot reclaim it"
    if file == "memory.limit_in_bytes" and error.errno == errno.EINVAL:
        return "it must not exceed the limit of memory plus swap: set both"
    if (file == "io.max" or "throttle" in file) and error.errno in (errno.ENODEV, errno.EINVAL):
        return _disk(text.split()[0])
    if file.startswith("cpuset"):
        return "the CPUs and memory nodes must be among those of the group above"
    return ""


def _disk(number: str) -> str:
    path = f"/sys/dev/block/{number}"
    if not os.path.exists(path):
        return f"there is no disk {number}"
    if os.path.exists(f"{path}/partition"):
        return f"{number} is a partition: give its disk, {kernelfile.read(f'{path}/../dev')}"
    return ""
