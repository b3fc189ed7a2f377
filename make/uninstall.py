"""Remove everything: containers, mounts, cgroups, processes, links, state directories, .venv.

It needs neither .venv nor a working engine, asks no questions, and is idempotent. It removes nothing that does not
belong to pyctr_lite, and reports what it leaves.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LAUNCHER = CHECKOUT / ".venv/bin/pyctr_lite"
LINKS = [Path("/usr/local/bin") / name for name in ("pyctr_lite", "pyctr", "pyctr-oci")]
MANUAL = [Path("/usr/local/share/man/man1/pyctr.1"), Path("/usr/local/share/man/man1/pyctr_lite.1")]
STATE, RUN, OCI = Path("/var/lib/pyctr_lite"), Path("/run/pyctr_lite"), Path("/run/pyctr_oci")
LXCFS = Path("/var/lib/lxcfs")
GROUP = "pyctr_lite"
"""The cgroup, in each hierarchy, that holds the containers of the default state directory."""
MADE_HERE = [
    "build",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".import_linter_cache",
    ".hypothesis",
    ".venv",
]


def main() -> int:
    if os.geteuid() != 0 and (STATE.exists() or RUN.exists() or any(map(is_our_link, LINKS))):
        print(
            "[uninstall] error: removing containers, mounts and links needs root; run: sudo make uninstall",
            file=sys.stderr,
        )
        return 1
    remove_containers()
    remove_oci_containers()
    remove_cgroups()
    remove_networks()
    stop_lxcfs()
    remove_links()
    for page in MANUAL:
        page.unlink(missing_ok=True)
    unmount_below(STATE, RUN, OCI)
    remove_trees()
    print("[uninstall] done. The packages that apt installed stay: see make/packages", file=sys.stderr)
    return 0


def say(text: str) -> None:
    print(f"[uninstall] {text}", file=sys.stderr)


def remove_containers() -> None:
    """Let the engine remove its containers, in the right order. The steps after this one remove what it cannot."""
    if not (STATE / "containers").is_dir() or not LAUNCHER.exists():
        return
    os.environ.pop("PYCTR_LITE_ROOT", None)  # another state directory stays: its owner removes it
    try:
        listed = subprocess.run([LAUNCHER, "ps", "-aq"], stdout=subprocess.PIPE, text=True, timeout=60, check=True)
        if ids := listed.stdout.split():
            say(f"removing {len(ids)} container{'s' if len(ids) > 1 else ''}")
            subprocess.run([LAUNCHER, "rm", "-f", "-v", *ids], stdout=subprocess.DEVNULL, timeout=600, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        say(f"the engine could not remove its containers ({error}): continuing without the engine")


def remove_oci_containers() -> None:
    """Delete the containers of `pyctr-oci` in its default root; those of an engine have another root."""
    runtime = LAUNCHER.parent / "pyctr-oci"
    if not (OCI / "containers").is_dir() or not runtime.exists():
        return
    for path in sorted((OCI / "containers").iterdir()):
        done = subprocess.run([runtime, "delete", "--force", path.name], timeout=60)
        say(f"deleted {path.name}" if done.returncode == 0 else f"left: {path}")


def remove_cgroups() -> None:
    """Kill all processes in our cgroups, in every hierarchy, and remove the cgroups, the deepest first."""
    for top in our_groups():
        groups = sorted((Path(directory) for directory, _, _ in os.walk(top)), key=lambda path: -len(path.parts))
        members = {int(pid) for group in groups for pid in read(group / "cgroup.procs").split()}
        handles = [fd for pid in members if (fd := pidfd(pid)) is not None]
        for fd in handles:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        for group in groups:  # in version 1, SIGKILL takes effect only after a thaw
            for name, text in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                if (group / name).exists():
                    (group / name).write_text(text)
        for fd in handles:
            select.select([fd], [], [], 10)
            os.close(fd)
        for group in groups:
            try:
                group.rmdir()
            except OSError as error:
                say(f"left: cgroup {group}: {error.strerror}")


def remove_networks() -> None:
    """Remove bridges, packet filter, entries in other programs' filters; switch off what we have switched on."""
    sys.path.append(str(CHECKOUT))
    try:
        from pyctr_lite.networks import bridge, removal

        with bridge.Sockets() as sockets:
            for line in removal.remove(sockets, str(STATE)):
                say(f"left: {line}")
    except Exception as error:  # a Python too old for the package, a firewall that does not answer, …
        say(f"left: bridges and packet filter: {error}")


def our_groups() -> list[Path]:
    mounts = [line.split(" ") for line in read(Path("/proc/self/mountinfo")).splitlines()]
    tops = {Path(mount[4]) / GROUP for mount in mounts if mount[mount.index("-") + 1] in ("cgroup", "cgroup2")}
    return sorted(top for top in tops if top.is_dir())


def pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None  # the process has ended meanwhile


def stop_lxcfs() -> None:
    """Stop lxcfs if `make setup` started it: our own pid file names its process."""
    pid = read(RUN / "lxcfs.pid").strip()
    if not pid or read(Path(f"/proc/{pid}/comm")).strip() != "lxcfs":
        return
    fd = os.pidfd_open(int(pid))
    signal.pidfd_send_signal(fd, signal.SIGTERM)
    select.select([fd], [], [], 10)
    os.close(fd)
    if any(mounted == LXCFS for mounted in mountpoints()):
        subprocess.run(["umount", "--lazy", str(LXCFS)], check=False)
    say("stopped lxcfs")


def is_our_link(link: Path) -> bool:
    """Report whether a link leads to this checkout's launcher, or to that of a checkout that no longer exists."""
    if not link.is_symlink():
        return False
    target = os.readlink(link)
    ours = target.endswith(("/.venv/bin/pyctr_lite", "/.venv/bin/pyctr-oci"))
    return ours and (Path(target).parent == LAUNCHER.parent or not os.path.exists(target))


def remove_links() -> None:
    for link in LINKS:
        if is_our_link(link):
            link.unlink()
        elif link.is_symlink() or link.exists():
            say(f"left: {link} does not belong to this checkout")


def mountpoints() -> list[Path]:
    lines = read(Path("/proc/self/mountinfo")).splitlines()
    return [Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), line.split(" ")[4])) for line in lines]


def unmount_below(*tops: Path) -> None:
    """Unmount everything below our directories, the last mount first; a mount on them is the owner's."""
    for mounted in reversed(mountpoints()):
        if any(top in mounted.parents for top in tops):
            subprocess.run(["umount", "--lazy", str(mounted)], check=False)


def remove_trees() -> None:
    """Remove our directories; never across a mount, because the files behind it may belong to somebody else."""
    for top in (STATE, RUN, OCI, *(CHECKOUT / name for name in MADE_HERE)):
        if any(top in mounted.parents for mounted in mountpoints()):
            say(f"left: {top}: something is still mounted below it")
        elif top.is_symlink():
            say(f"left: {top} is a link to {os.readlink(top)}")
        elif top.is_dir() and os.path.ismount(top):
            for entry in top.iterdir():
                remove(entry)
            say(f"left: {top}, emptied: it is a mount point")
        elif top.is_dir():
            remove(top)
    for cache in CHECKOUT.rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove with rm(1): a volume may hold a tree that is too deep for Python's own functions."""
    if subprocess.run(["rm", "-rf", "--one-file-system", str(path)], check=False).returncode:
        say(f"left: {path}: rm could not remove it")


def read(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
