"""libvirt for one test run, also where nothing has started it: no systemd, and a KVM that may be of no use."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

URI = "qemu:///system"
START_SECONDS = 60
KVM_SECONDS = 20

# In the mount namespace of its own, the daemons find their state and settings in our directory, and no /dev/kvm:
# a /dev/kvm that does not work is probed anew at every call, for seconds.
START = """
set -e
mount --bind "$1/lib" /var/lib/libvirt
mount --bind "$1/etc" /etc/libvirt
mount --bind "$1/log" /var/log/libvirt
if [ -e "$1/no-kvm" ] && [ -e /dev/kvm ]; then mount --bind "$1/no-kvm" /dev/kvm; fi
virtlogd -d -p "$1/virtlogd.pid"
exec libvirtd -d -p "$1/libvirtd.pid"
"""


@contextmanager
def running(directory: Path, kvm: bool) -> Iterator[None]:
    """A libvirt that answers at qemu:///system: the machine's own if it does so already, else ours, for as long.

    Ours keeps all in `directory`, is stopped at the end and leaves no network, no process, no file.
    """
    if answers():
        yield
        return
    try:
        start(directory, kvm)
        yield
    finally:
        stop(directory)


def answers() -> bool:
    found = subprocess.run(["virsh", "-q", "-c", URI, "version"], capture_output=True, stdin=subprocess.DEVNULL)
    return found.returncode == 0


def start(directory: Path, kvm: bool) -> None:
    """Fails with TimeoutError where libvirtd does not answer, with CalledProcessError where it ends at once."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(directory / "etc", ignore_errors=True)
    shutil.copytree("/etc/libvirt", directory / "etc", symlinks=True)
    (directory / "etc/qemu.conf").write_text(
        "namespaces = []\n"  # or libvirt moves mounts on /dev/kvm, and fails
        'memory_backing_dir = "/dev/shm"\n'
    )
    for name in ("lib", "log"):
        (directory / name).mkdir(exist_ok=True)
    (directory / "lib").chmod(0o755)
    if not kvm:
        (directory / "no-kvm").touch(mode=0o000)
    subprocess.run(
        ["unshare", "--mount", "--propagation=private", "sh", "-c", START, "sh", directory],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if time.monotonic() > deadline:
            raise TimeoutError(f"libvirtd does not answer within {START_SECONDS} s: see {directory / 'log'}")
        time.sleep(0.2)


def stop(directory: Path) -> None:
    """End all that our libvirt runs, then itself. Safe to repeat, and after a start that failed half-way."""
    if answers():
        for domain in virsh("list", "--name").split():
            virsh("destroy", domain)
        for network in virsh("net-list", "--name").split():
            virsh("net-destroy", network)
    for name in ("libvirtd", "virtlogd"):
        pid_file = directory / f"{name}.pid"
        if pid_file.exists() and is_running(pid := int(pid_file.read_text()), name):
            end(pid)
            remove_chains()
    shutil.rmtree(directory, ignore_errors=True)


def remove_chains() -> None:
    """Take away the firewall's chains, and the jumps to them, that libvirtd makes when it starts and leaves."""
    for program in ("iptables", "ip6tables"):
        for table in ("filter", "nat", "mangle"):
            command = [program, "-w", "-t", table]
            rules = subprocess.run([*command, "-S"], capture_output=True, text=True).stdout.splitlines()
            jumps = [rule.split() for rule in rules if re.fullmatch(r"-A (?!LIBVIRT_)\S+ -j LIBVIRT_\w+", rule)]
            chains = [rule.split()[1] for rule in rules if rule.startswith("-N LIBVIRT_")]
            changes = [["-D", *jump[1:]] for jump in jumps]
            changes += [[action, chain] for action in ("-F", "-X") for chain in chains]
            for change in changes:
                subprocess.run([*command, *change], capture_output=True)


def virsh(*words: str) -> str:
    done = subprocess.run(
        ["virsh", "-q", "-c", URI, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return done.stdout


def is_running(pid: int, name: str) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == name
    except FileNotFoundError:
        return False


def end(pid: int) -> None:
    fd = os.pidfd_open(pid)
    for number, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 20)):
        signal.pidfd_send_signal(fd, number)
        if select.select([fd], [], [], seconds)[0]:
            break
    os.close(fd)


def kvm_works(kernel: Path) -> bool:
    """Whether a kernel gets as far as its first line under KVM: /dev/kvm may exist, and hang whoever uses it."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    command = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "256", "-nodefaults", "-no-reboot"]
    command += ["-display", "none", "-serial", "stdio", "-kernel", str(kernel)]
    command += ["-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=KVM_SECONDS)
    except subprocess.TimeoutExpired as expired:
        return b"Kernel panic" in (expired.stdout or b"")
    return b"Kernel panic" in done.stdout
